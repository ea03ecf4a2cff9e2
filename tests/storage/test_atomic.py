from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from workzone.storage.atomic import (
    atomic_directory,
    atomic_path,
    remove_temporaries,
    write_bytes,
    write_json,
    write_npz,
)


class Interrupted(BaseException):
    """Not an Exception: a KeyboardInterrupt must clean up too."""


def interrupt(_: object) -> None:
    raise Interrupted


def fill(directory: Path, text: str) -> None:
    (directory / "sub").mkdir()
    (directory / "sub" / "file.txt").write_text(text)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("old", [None, "old"])
def test_an_error_leaves_the_old_file_or_none(tmp_path: Path, old: str | None) -> None:
    path = tmp_path / "file.txt"
    if old is not None:
        path.write_text(old)
    with pytest.raises(Interrupted), atomic_path(path) as temporary:
        interrupt(temporary.write_text("half"))
    assert (path.read_text() if path.exists() else None) == old
    assert not list(tmp_path.glob(".tmp-*"))


def test_who_appends_does_not_append_to_what_a_killed_writer_left(tmp_path: Path) -> None:
    (tmp_path / ".tmp-file.txt").write_text("half of a killed writer's, ")
    with atomic_path(tmp_path / "file.txt") as temporary, temporary.open("a") as handle:
        handle.write("whole")
    assert (tmp_path / "file.txt").read_text() == "whole"


def test_a_directory_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "artifact"
    for text in ("first", "second"):
        with atomic_directory(path) as temporary:
            assert list(temporary.iterdir()) == []
            fill(temporary, text)
        assert (path / "sub" / "file.txt").read_text() == text
        assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_goes_with_the_next(tmp_path: Path) -> None:
    for leftover in (".tmp-artifact", ".tmp-old-artifact"):
        (tmp_path / leftover).mkdir()
        fill(tmp_path / leftover, "killed")
    with atomic_directory(tmp_path / "artifact") as temporary:
        assert list(temporary.iterdir()) == []
        (temporary / "file.txt").write_text("new")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["artifact", "file.txt"]


def test_a_directory_replaces_a_file_and_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with atomic_directory(tmp_path / name) as temporary:
            fill(temporary, "new")
        assert (tmp_path / name / "sub" / "file.txt").read_text() == "new"
        assert not (tmp_path / name).is_symlink()
    assert not list(tmp_path.glob(".tmp-*"))


@pytest.mark.parametrize("old", [False, True])
def test_an_error_leaves_the_old_directory_or_none(tmp_path: Path, old: bool) -> None:
    path = tmp_path / "artifact"
    if old:
        path.mkdir()
        fill(path, "old")
    with pytest.raises(Interrupted), atomic_directory(path) as temporary:
        interrupt(fill(temporary, "half"))
    assert path.exists() == old
    assert not old or (path / "sub" / "file.txt").read_text() == "old"
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_failed_exchange_puts_the_old_directory_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "artifact"
    path.mkdir()
    fill(path, "old")
    rename = os.rename

    def broken(source: Path, target: Path) -> None:
        if Path(source).name == ".tmp-artifact":
            raise OSError("no space")
        rename(source, target)

    monkeypatch.setattr(os, "rename", broken)
    with pytest.raises(OSError, match="no space"), atomic_directory(path) as temporary:
        fill(temporary, "new")
    assert (path / "sub" / "file.txt").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, signal, sys
from pathlib import Path
from workzone.storage.atomic import atomic_directory, atomic_path
kind, path, call = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
count = 0
def counted(function):
    def wrapper(*args, **kwargs):
        global count
        if count == call:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        return function(*args, **kwargs)
    return wrapper
for name in ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync"):
    setattr(os, name, counted(getattr(os, name)))
with (atomic_directory if kind == "directory" else atomic_path)(path) as temporary:
    (temporary / "file.txt" if kind == "directory" else temporary).write_text("new")
"""


def killed(kind: str, path: Path, call: int) -> int:
    command = [sys.executable, "-c", KILLED, kind, str(path), str(call)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def content(path: Path, kind: str) -> str | None:
    file = path / "file.txt" if kind == "directory" else path
    return file.read_text() if file.exists() else None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_kill_at_any_call_leaves_old_or_new_and_the_next_writer_cleans(tmp_path: Path, kind: str) -> None:
    seen = set()
    for call in range(30):
        path = tmp_path / f"{call}" / "target"
        file = path / "file.txt" if kind == "directory" else path
        file.parent.mkdir(parents=True)
        file.write_text("old")
        code = killed(kind, path, call)
        seen.add(content(path, kind))
        assert killed(kind, path, 1000) == 0
        assert content(path, kind) == "new"
        assert list(path.parent.iterdir()) == [path]
        if code == 0:
            break
    else:
        pytest.fail("never ran to its end")
    # A directory's exchange has one moment in which there is none; a file's has no such moment.
    assert seen == ({"old", "new", None} if kind == "directory" else {"old", "new"})


def test_temporaries_are_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("")
    run = tmp_path / "run"
    (run / ".tmp-artifact" / "sub").mkdir(parents=True)
    (run / ".tmp-file").write_text("")
    (run / ".tmp-link").symlink_to(tmp_path / "outside")
    (run / "kept").mkdir()
    (run / "kept" / ".tmp-deeper").write_text("")
    remove_temporaries(run)
    assert sorted(p.name for p in run.rglob("*")) == [".tmp-deeper", "kept"]
    assert (tmp_path / "outside" / "file").exists()


def test_json_is_sorted_and_refuses_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": [1, 2.5, None], "a": "ä"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8").index('"a": "ä"') < 10
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": "ä", "b": [1, 2.5, None]}
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert "ä" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "array",
    [np.array([{}], dtype=object), np.zeros(2, dtype=[("a", "<f8")]), np.zeros(2, dtype="V8")],
    ids=["object", "structure", "void"],
)
def test_only_plain_arrays_are_stored(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(TypeError, match="'bad'"):
        write_npz(tmp_path / "a.npz", {"good": np.zeros(1), "bad": array})
    assert list(tmp_path.iterdir()) == []


def test_equal_arrays_are_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(12.0).reshape(3, 4)
    write_npz(tmp_path / "a.npz", {"x": values, "y": np.array("text")})
    monkeypatch.setattr(time, "time", lambda: 2e9)
    write_npz(tmp_path / "b.npz", {"y": np.array("text"), "x": np.asfortranarray(values)})
    write_npz(tmp_path / "c.npz", {"y": np.array("text"), "x": np.repeat(values, 2, axis=1)[:, ::2]})
    contents = {(tmp_path / f"{name}.npz").read_bytes() for name in "abc"}
    assert len(contents) == 1
    with np.load(tmp_path / "a.npz", allow_pickle=False) as loaded:
        assert loaded["x"].tolist() == values.tolist()
        assert loaded["y"].shape == ()


@pytest.mark.parametrize("name", ["file", "allow_pickle", "arr_0", "a/b"])
def test_array_names_are_free(tmp_path: Path, name: str) -> None:
    write_npz(tmp_path / "a.npz", {name: np.ones(1)})
    with np.load(tmp_path / "a.npz") as loaded:
        assert loaded.files == [name]


WRITERS: list[Callable[[Path], None]] = [
    lambda path: write_bytes(path, b"new"),
    lambda path: write_json(path, {}),
    lambda path: write_npz(path, {"x": np.zeros(1)}),
]


@pytest.mark.parametrize("write", WRITERS)
def test_every_writer_syncs_before_it_renames(
    tmp_path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: order.append("fsync") or fsync(handle))
    monkeypatch.setattr(os, "replace", lambda a, b: order.append("replace") or replace(a, b))
    write(tmp_path / "file")
    assert order == ["fsync", "replace", "fsync"]
