"""Any source: finished pictures survive a kill, a second attempt loads only the rest, and the result is the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Label
from workzone.data.importers.importing import (
    IMPORT_LOG,
    ORIGINS,
    Pending,
    Skipped,
    import_source,
    loaded_sample,
)


class ListSource:
    """Pictures from a list; counts what is loaded, and may stop in the middle."""

    name = "list"
    root = None

    def __init__(
        self, pictures: list[tuple[str, bytes, int, str]], stop_at: str | None = None, version: int = 1
    ):
        self.pictures, self.stop_at, self.version = pictures, stop_at, version
        self.loaded: list[str] = []
        self.notes = ["All is well."]

    def identity(self):
        return {"importer": "list", "version": self.version}

    def total(self):
        return len(self.pictures)

    def items(self, done):
        for key, image, label, group in self.pictures:
            if key not in done:
                yield Pending(
                    key,
                    lambda key=key, image=image, label=label, group=group: self._load(
                        key, image, label, group
                    ),
                )

    def _load(self, key, image, label, group):
        if key == self.stop_at:
            raise KeyboardInterrupt
        self.loaded.append(key)
        return loaded_sample(image, Label(label), origin=key, group=group)


@pytest.fixture
def pictures(picture):
    made = [(f"p{i}", picture(i), i % 2, f"g{i // 2}") for i in range(20)]
    made[7] = ("p7", b"\xff\xd8\xffbroken", 1, "g3")
    return made


def test_an_interrupted_import_goes_on_and_ends_as_an_undisturbed_one(pictures, tmp_path, observer):
    whole = import_source(ListSource(pictures), tmp_path / "whole", workers=1)
    first = ListSource(pictures, stop_at="p15")
    with pytest.raises(KeyboardInterrupt):
        import_source(first, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()
    second = ListSource(pictures)
    resumed = import_source(second, tmp_path / "out", workers=1, observer=observer)
    assert resumed.dataset.sha256 == whole.dataset.sha256
    assert [s.path for s in resumed.skipped] == [s.path for s in whole.skipped] == ["p7"]
    assert set(first.loaded) | set(second.loaded) == {key for key, *_ in pictures}
    # Some were loaded when the interrupt came, but handed over to nobody: these alone come twice.
    assert len(second.loaded) <= len(pictures) - 15 + 4
    assert any("goes on: " in note for note in observer.notes)
    assert "All is well." in observer.notes
    log = [json.loads(line) for line in (tmp_path / "out" / IMPORT_LOG).read_text().splitlines()]
    assert [entry["path"] for entry in log] == ["p7"]
    came = [json.loads(line) for line in (tmp_path / "out" / ORIGINS).read_text().splitlines()]
    of = {path.stem: path.read_bytes() for path in resumed.dataset.paths()}
    assert {entry["origin"]: of[entry["id"]] for entry in came} == {
        key: image for key, image, *_ in pictures if key != "p7"
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "whole"]


def test_another_source_does_not_go_on_with_it(pictures, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        import_source(ListSource(pictures, stop_at="p15"), tmp_path / "out", workers=1)
    other = ListSource(pictures[:5], version=2)
    assert len(import_source(other, tmp_path / "out", workers=1).dataset) == 5
    assert len(other.loaded) == 5


def test_a_picture_that_did_not_reach_the_disk_whole_is_imported_again(pictures, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        import_source(ListSource(pictures, stop_at="p15"), tmp_path / "out", workers=1)
    stored = sorted((tmp_path / ".partial-out" / "content" / "images").rglob("*.jpg"))
    stored[0].write_bytes(stored[0].read_bytes()[:-20])
    stored[1].unlink()
    progress = tmp_path / ".partial-out" / "notes" / "progress.jsonl"
    progress.write_bytes(progress.read_bytes() + b'{"key":"p16","id":"ab')  # and a line that a kill cut short
    whole = import_source(ListSource(pictures), tmp_path / "whole", workers=1)
    assert (
        import_source(ListSource(pictures), tmp_path / "out", workers=1).dataset.sha256
        == whole.dataset.sha256
    )


def test_conflicting_copies_end_the_import_or_are_left_out_every_one(pictures, tmp_path):
    _, image, label, group = pictures[0]
    conflicting = [*pictures, ("copy", image, 1 - label, group), ("again", image, label, group)]
    with pytest.raises(DataError, match="'p0' and 'copy' have identical bytes, but label 0 and 1"):
        import_source(ListSource(conflicting), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    result = import_source(ListSource(conflicting), tmp_path / "out", drop_conflicts=True)
    assert {s.path for s in result.skipped} == {"p7", "p0", "copy", "again"}
    assert len(result.dataset) == 18
    assert image not in {path.read_bytes() for path in result.dataset.paths()}
    assert len(list((tmp_path / "out" / "images").rglob("*.jpg"))) == 18


def test_nothing_is_written_into_what_is_imported(pictures, tmp_path):
    source = ListSource(pictures)
    source.root = tmp_path
    with pytest.raises(ConfigError, match="lies in the directory that is imported"):
        import_source(source, tmp_path / "deep" / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_source_without_a_picture_is_refused_with_its_first_reason(tmp_path):
    source = ListSource([("p0", b"text", 0, "g")])
    with pytest.raises(DataError, match=r"None of the 1 files of 'list'.*'p0'.*signature"):
        import_source(source, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_picture_is_skipped_not_guessed():
    assert isinstance(loaded_sample(b"\xff\xd8\xff", Label.NONE, origin="x"), Skipped)


_CHILD = """
import sys, os, signal
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from workzone.data.importers.folder import import_folder
class Killer:
    def note(self, message): pass
    def progress(self, task, done, total):
        if done == 12: os.kill(os.getpid(), signal.SIGKILL)
import_folder(Path(sys.argv[1]), Path(sys.argv[2]), workers=2, observer=Killer())
"""


def test_sigkill_loses_no_finished_picture(tmp_path, picture):
    folder = tmp_path / "photos" / "none"
    folder.mkdir(parents=True)
    for i in range(30):
        (folder / f"{i:02d}.jpg").write_bytes(picture(i))
    from workzone.data.importers import folder as module

    source = Path(module.__file__).parents[3]
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "photos"), str(tmp_path / "out"), str(source)]
    killed = subprocess.run(command, env={**os.environ}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    lines = (tmp_path / ".partial-out" / "notes" / "progress.jsonl").read_bytes().splitlines()
    assert len(lines) == 12

    notes: list[str] = []

    class Recorder:
        def note(self, message: str) -> None:
            notes.append(message)

        def progress(self, task: str, done: int, total: int | None) -> None:
            assert done >= 12

    result = module.import_folder(tmp_path / "photos", tmp_path / "out", observer=Recorder())
    assert len(result.dataset) == 30
    assert any("12 pictures are there already" in note for note in notes)
