from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workzone.core.errors import ArtifactError, ConfigError, JournalError
from workzone.storage import journal as module
from workzone.storage.journal import Damage, Journal, read_journal
from workzone.storage.journal_files import LINE_LIMIT

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEVER = 3600.0  # no flush falls into a test by chance

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
# Any text: line ends of every kind, NUL, and surrogates, which are no Unicode.
texts = st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(
    ["\n", "\r\n", "\u2028", "\x85", "\x00", '"}\n{"a": 1}', "\ud800", "\x1b[2J"]
)
values = st.recursive(
    scalars | texts, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=6
)
records = st.dictionaries(texts, values, max_size=4)


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def opened(directory: Path, clock: Clock | None = None, **settings: Any) -> Journal:
    return Journal(directory, clock=clock or Clock(), **({"flush_every_s": NEVER} | settings))


def read(directory: Path) -> tuple[list[dict[str, Any]], list[Damage]]:
    damage: list[Damage] = []
    return list(read_journal(directory, damage.append)), damage


def files(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir() if p.name != ".lock")


def write_three(directory: Path) -> Path:
    with opened(directory) as journal:
        for n in range(3):
            journal.append({"n": n})
    return directory / "00000001-2026-03-01.jsonl"


# --- what goes in comes out ---------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(records, st.booleans(), st.integers(0, 2)), max_size=12),
    st.sampled_from([1, 40, 200, 1 << 20]),
)
def test_any_records_come_out_as_they_went_in(steps: list[Any], max_bytes: int) -> None:
    """Across rotations by size and by day, and reopenings."""
    with TemporaryDirectory() as name:
        directory, clock = Path(name) / "journal", Clock()
        journal = opened(directory, clock, max_bytes=max_bytes).__enter__()
        for record, reopen, days in steps:
            clock.now += timedelta(days=days)
            if reopen:
                journal.__exit__(None, None, None)
                journal.__enter__()
            journal.append(record)
        journal.__exit__(None, None, None)
        assert read(directory) == ([record for record, _, _ in steps], [])
        for path in directory.glob("*.jsonl"):
            data = path.read_bytes()
            assert data.isascii()
            assert len(data) <= max_bytes or data.count(b"\n") == 1


@settings(deadline=None, max_examples=60)
@given(st.lists(records, min_size=1, max_size=5), st.data())
def test_a_cut_at_any_byte_costs_the_cut_line_and_nothing_else(
    written: list[Any], data: st.DataObject
) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name) / "journal"
        with opened(directory) as journal:
            for record in written:
                journal.append(record)
        path = directory / "00000001-2026-03-01.jsonl"
        content = path.read_bytes()
        cut = data.draw(st.integers(0, len(content)))
        path.write_bytes(content[:cut])
        whole = content[:cut].count(b"\n")
        rest = content[:cut].rpartition(b"\n")[2]

        found, damage = read(directory)
        assert found == written[:whole]
        assert [d.size for d in damage] == ([len(rest)] if rest else [])

        with opened(directory) as journal:
            journal.append({"after": "the crash"})
        found, damage = read(directory)
        assert found == [*written[:whole], {"after": "the crash"}]
        asides = list(directory.glob("*.torn-*"))
        assert [aside.read_bytes() for aside in asides] == ([rest] if rest else [])
        assert [d.file for d in damage] == [aside.name for aside in asides]
        assert all(aside.stat().st_mode & 0o777 == 0o600 for aside in asides)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"\n", b'{"a":1}\n', b"\x00" * 9]), max_size=6))
def test_any_bytes_are_read_without_harm(pieces: list[bytes]) -> None:
    with TemporaryDirectory() as name:
        path = Path(name) / "00000001-2026-03-01.jsonl"
        path.write_bytes(b"".join(pieces))
        found, damage = read(path.parent)
        lines = path.read_bytes().splitlines(keepends=True) if path.stat().st_size else []
        assert len(found) + len(damage) == b"".join(pieces).count(b"\n") + (
            not path.read_bytes().endswith(b"\n") and bool(lines)
        )


# --- kill and crash -----------------------------------------------------------------------------------------

WRITER = """
import os, sys, threading
from pathlib import Path
from workzone.storage.journal import Journal

def append(name):
    n = 0
    while True:
        journal.append({"thread": name, "n": n, "filler": "x" * (n * 37 % 900)})
        os.write(1, f"{name} {n}\\n".encode())  # the answer, after its record
        n += 1

with Journal(Path(sys.argv[1]), max_bytes=20_000, flush_every_s=0.01) as journal:
    threads = [threading.Thread(target=append, args=(name,), daemon=True) for name in "ab"]
    for thread in threads:
        thread.start()
    threads[0].join()
"""


@pytest.mark.parametrize("acknowledged", [1, 400])
def test_every_acknowledged_record_survives_sigkill(tmp_path: Path, acknowledged: int) -> None:
    directory = tmp_path / "journal"
    command = [sys.executable, "-c", WRITER, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        answers = [process.stdout.readline() for _ in range(acknowledged)]
        process.send_signal(signal.SIGKILL)
        answers += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    expected = {(a.split()[0].decode(), int(a.split()[1])) for a in answers if a.endswith(b"\n")}
    assert len(expected) >= acknowledged

    found, damage = read(directory)
    assert expected <= {(r["thread"], r["n"]) for r in found}
    assert len(found) <= len(expected) + 2  # each thread was between record and answer at most once
    assert all(r["filler"] == "x" * (r["n"] * 37 % 900) for r in found)
    for name in "ab":
        assert [r["n"] for r in found if r["thread"] == name] == list(
            range(sum(r["thread"] == name for r in found))
        )
    with Journal(directory) as journal:  # the dead process holds no lock
        journal.append({"thread": "c", "n": 0})
    assert len(read(directory)[0]) == len(found) + 1
    assert all("cut off" in d.why for d in damage)


def test_a_kill_between_setting_aside_and_cutting_is_mended(tmp_path: Path) -> None:
    path = write_three(tmp_path / "journal")
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes() + b'{"n":')
    (path.parent / f"00000001-2026-03-01.torn-{whole}").write_bytes(b'{"n":')
    (path.parent / ".tmp-00000001-2026-03-01.torn-5").write_bytes(b"{")
    with opened(path.parent):
        pass
    assert path.stat().st_size == whole
    assert files(path.parent) == ["00000001-2026-03-01.jsonl", f"00000001-2026-03-01.torn-{whole}"]


def test_mending_is_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_three(tmp_path / "journal")
    path.write_bytes(path.read_bytes() + b"\x00" * 200_000)  # what some file systems leave after a power cut
    with opened(path.parent):
        pass
    assert "kept in '00000001-2026-03-01.torn-24'" in caplog.text
    assert (path.parent / "00000001-2026-03-01.torn-24").stat().st_size == 200_000
    list(read_journal(path.parent))
    assert "set aside" in caplog.text


# --- disks that fail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_write_that_fails_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(fd: int, data: bytes) -> int:
        raise OSError(code, os.strerror(code))

    with opened(tmp_path / "journal") as journal:
        journal.append({"n": 0})
        with monkeypatch.context() as patch:
            patch.setattr(module.os, "write", fail)
            with pytest.raises(JournalError, match=os.strerror(code)):
                journal.append({"n": 1})
        journal.append({"n": 2})
    assert read(tmp_path / "journal") == ([{"n": 0}, {"n": 2}], [])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.booleans())
def test_a_disk_that_fills_within_lines_leaves_no_torn_line_before_a_whole_one(
    cuts: list[int], truncates: bool
) -> None:
    """Each cut: so many bytes are taken of that line."""
    real = os.write

    def refuse(*_: int) -> None:
        raise OSError(errno.EIO, "broken")

    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        acknowledged = []
        directory = Path(name) / "journal"
        with opened(directory) as journal:
            if not truncates:
                patch.setattr(module.os, "ftruncate", refuse)
            for n, cut in enumerate(cuts):
                patch.setattr(module.os, "write", lambda fd, data, cut=cut: real(fd, data[:cut]))
                with contextlib.suppress(JournalError):
                    journal.append({"number": n, "abc": "d"})  # 23 bytes
                    acknowledged.append(n)
            patch.setattr(module.os, "write", real)
            journal.append({"number": -1})
        found, damage = read(directory)
        assert [r["number"] for r in found] == [*acknowledged, -1]
        assert acknowledged == [n for n, cut in enumerate(cuts) if cut >= 23]
        torn = [cut for cut in cuts if 0 < cut < 23]
        assert [d.size for d in damage] == ([] if truncates else torn)


def test_after_a_failed_fsync_the_next_record_is_synced_in_a_new_file_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with opened(tmp_path / "journal") as journal:
        journal.append({"n": 0})
        with monkeypatch.context() as patch:
            patch.setattr(module.os, "fsync", fail)
            with pytest.raises(JournalError, match="Input/output"):
                journal.sync()
            with pytest.raises(JournalError, match="Input/output"):
                journal.append({"n": 1})
        with monkeypatch.context() as patch:
            patch.setattr(module.os, "fsync", synced.append)
            journal.append({"n": 2})
            assert synced
            synced.clear()
            journal.append({"n": 3})
            assert not synced
    found, damage = read(tmp_path / "journal")
    assert [r["n"] for r in found] == [0, 2, 3]
    assert damage == []
    assert len(files(tmp_path / "journal")) >= 2


def test_records_are_synced_within_the_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Event()
    real = os.fsync

    def note(fd: int) -> None:
        real(fd)
        if os.fstat(fd).st_size:
            synced.set()

    with opened(tmp_path / "journal", flush_every_s=0.01) as journal:
        monkeypatch.setattr(module.os, "fsync", note)
        assert not synced.wait(0.1), "nothing was appended, nothing is to be synced"
        journal.append({"n": 0})
        assert synced.wait(10)


def test_a_failing_flush_is_logged_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed = threading.Event()

    def fail(fd: int) -> None:
        failed.set()
        raise OSError(errno.EIO, "Input/output error")

    with opened(tmp_path / "journal", flush_every_s=0.01) as journal:
        with monkeypatch.context() as patch:
            patch.setattr(module.os, "fsync", fail)
            journal.append({"n": 0})
            assert failed.wait(10)
        for _ in range(1000):
            if "journal not synced" in caplog.text:
                break
            time.sleep(0.01)
        journal.append({"n": 1})
    assert "journal not synced" in caplog.text
    assert [r["n"] for r in read(tmp_path / "journal")[0]] == [0, 1]


def test_leaving_says_that_the_last_records_may_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path / "journal").__enter__()
    journal.append({"n": 0})
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        with pytest.raises(JournalError, match="broken"):
            journal.__exit__(None, None, None)
    with opened(tmp_path / "journal") as again:  # the lock is free all the same
        again.append({"n": 1})


def test_a_file_that_a_hand_removed_is_followed_by_another(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as journal:
        journal.append({"n": 0})
        (tmp_path / "journal" / "00000001-2026-03-01.jsonl").rename(tmp_path / "moved")  # still the open one
        (tmp_path / "moved").unlink()
        journal.append({"n": 1})
    assert read(tmp_path / "journal")[0] == [{"n": 1}]


def test_a_directory_that_went_away_is_no_answer(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as journal:
        journal.append({"n": 0})
        for path in (tmp_path / "journal").iterdir():
            path.unlink()
        (tmp_path / "journal").rmdir()
        with pytest.raises(JournalError, match="journal"):
            journal.append({"n": 1})


# --- who may write and read ---------------------------------------------------------------------------------


def test_directory_and_files_are_the_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = write_three(tmp_path / "journal")
    finally:
        os.umask(old)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with opened(path.parent):
        assert path.stat().st_mode & 0o777 == 0o600
    path.parent.chmod(0o755)
    with pytest.raises(JournalError, match="chmod 700"):
        opened(path.parent).__enter__()


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path / "journal") as journal:
        with pytest.raises(JournalError, match=f"process {os.getpid()}"):
            opened(tmp_path / "journal").__enter__()
        with pytest.raises(JournalError, match="being written"):
            journal.__enter__()
        journal.append({"n": 0})
    assert read(tmp_path / "journal")[0] == [{"n": 0}]


def test_a_journal_that_is_not_open_refuses(tmp_path: Path) -> None:
    journal = opened(tmp_path / "journal")
    with pytest.raises(JournalError, match="not open"):
        journal.append({})
    with journal:
        pass
    with pytest.raises(JournalError, match="not open"):
        journal.append({})
    journal.__exit__(None, None, None)
    assert threading.active_count() == 1 or "journal-flush" not in [t.name for t in threading.enumerate()]


def test_threads_append_whole_lines_each_in_its_order(tmp_path: Path) -> None:
    def append(name: int) -> None:
        for n in range(100):
            journal.append({"thread": name, "n": n, "filler": "é" * (n % 50)})

    with opened(tmp_path / "journal", max_bytes=2000, flush_every_s=0.001) as journal:
        threads = [threading.Thread(target=append, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found, damage = read(tmp_path / "journal")
    assert damage == []
    assert all([r["n"] for r in found if r["thread"] == i] == list(range(100)) for i in range(8))
    assert len(found) == 800


@pytest.mark.parametrize(
    "record",
    [
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": object()},
        {"a": b"bytes"},
        {("a", "b"): 1},
        {1: "a", "1": "b"},
        {"a": "x" * LINE_LIMIT},
        "text",
        None,
    ],
)
def test_what_could_not_be_read_again_is_refused(tmp_path: Path, record: Any) -> None:
    with opened(tmp_path / "journal") as journal:
        with pytest.raises(JournalError, match="record"):
            journal.append(record)
        circle: list[Any] = []
        circle.append(circle)
        with pytest.raises(JournalError):
            journal.append({"a": circle})
    assert read(tmp_path / "journal") == ([], [])


@pytest.mark.parametrize("bad", [{"max_bytes": 0}, {"retain_days": 0}, {"flush_every_s": 0.0}])
def test_settings_that_keep_nothing_are_refused(tmp_path: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="positive"):
        opened(tmp_path, **bad)


# --- days, sizes, retention ---------------------------------------------------------------------------------


def test_a_file_is_of_one_day_and_of_bounded_size(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path / "j", clock, max_bytes=20) as journal:
        for _ in range(3):
            journal.append({"n": 0})  # 8 bytes
        clock.now += timedelta(hours=12)
        journal.append({"n": 1})
        journal.append({"long": "x" * 100})
        clock.now -= timedelta(days=1)  # clocks are set back
        journal.append({"n": 2})
    days = ["01", "01", "02", "02", "01"]
    assert files(tmp_path / "j") == [f"{i:08d}-2026-03-{day}.jsonl" for i, day in enumerate(days, 1)]
    assert [r.get("n") for r in read(tmp_path / "j")[0]] == [0, 0, 0, 1, None, 2]


def test_files_are_removed_after_their_days_and_not_before(tmp_path: Path) -> None:
    clock = Clock()
    directory = tmp_path / "j"
    path = write_three(directory)
    path.write_bytes(path.read_bytes() + b"torn")
    (directory / "notes.txt").write_text("a hand's")
    clock.now += timedelta(days=400)
    with opened(directory, clock) as journal:
        journal.append({"n": 3})
        assert len(read(directory)[0]) == 4
        clock.now += timedelta(days=1)
        journal.append({"n": 4})
    assert files(directory) == ["00000002-2027-04-05.jsonl", "00000003-2027-04-06.jsonl", "notes.txt"]
    clock.now += timedelta(days=401)
    with opened(directory, clock):
        pass
    assert len(read(directory)[0]) == 0


def test_a_quiet_journal_expires_too(tmp_path: Path) -> None:
    clock = Clock()
    with opened(tmp_path / "j", clock, retain_days=1, flush_every_s=0.01, max_bytes=1) as journal:
        journal.append({"n": 0})
        journal.append({"n": 1})
        clock.now += timedelta(days=2)
        for _ in range(1000):
            if len(files(tmp_path / "j")) == 1:
                break
            time.sleep(0.01)
        assert files(tmp_path / "j") == ["00000002-2026-03-01.jsonl"]  # the open one stays


# --- hostile content ----------------------------------------------------------------------------------------


def test_what_is_no_record_is_named_and_hides_nothing(tmp_path: Path) -> None:
    lines = [
        b'{"n":0}',
        b"",
        b"[1]",
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":1,"a":2}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
        b'"' + b"x" * (2 * LINE_LIMIT) + b'"',
        b'{"n":1}',
        b'{"n":2}',
    ]
    path = tmp_path / "00000001-2026-03-01.jsonl"
    path.write_bytes(b"\n".join(lines))
    found, damage = read(tmp_path)
    assert found == [{"n": 0}, {"n": 1}]
    assert [path.read_bytes()[d.offset :][: d.size].rstrip(b"\n") for d in damage] == [
        *lines[1:10],
        lines[11],
    ]
    assert "cut off" in damage[-1].why
    assert "longer than" in damage[-2].why


def test_links_pipes_and_directories_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"secret":1}\n')
    journal = tmp_path / "j"
    path = write_three(journal)
    (journal / "00000002-2026-03-01.jsonl").symlink_to(tmp_path / "secret")
    os.mkfifo(journal / "00000003-2026-03-01.jsonl")
    (journal / "00000004-2026-03-01.jsonl").mkdir()
    found, damage = read(journal)
    assert [r["n"] for r in found] == [0, 1, 2]
    assert [d.file[:8] for d in damage] == ["00000002", "00000003", "00000004"]
    with opened(journal) as opened_again:
        opened_again.append({"n": 3})
    assert (journal / "00000005-2026-03-01.jsonl").read_text() == '{"n":3}\n'
    assert (tmp_path / "secret").read_text() == '{"secret":1}\n'
    assert path.read_text().count("\n") == 3


def test_a_missing_file_is_noticed_and_foreign_names_are_not_ours(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    with opened(journal, max_bytes=1) as open_journal:
        for n in range(4):
            open_journal.append({"n": n})
    (journal / "00000002-2026-03-01.jsonl").unlink()
    for name in ("00000009-2026-02-30.jsonl", "9-2026-03-01.jsonl", "000000009-2026-03-01.jsonl", "x.jsonl"):
        (journal / name).write_text('{"n":9}\n')
    found, damage = read(journal)
    assert [r["n"] for r in found] == [0, 2, 3]
    assert [d.why for d in damage] == ["the files between number 1 and this one are missing"]


def test_a_file_put_in_the_way_does_not_stop_the_journal(tmp_path: Path) -> None:
    with opened(tmp_path / "j", max_bytes=1) as journal:
        journal.append({"n": 0})
        (tmp_path / "j" / "00000002-2026-03-01.jsonl").write_text("")
        journal.append({"n": 1})
    assert (tmp_path / "j" / "00000003-2026-03-01.jsonl").is_file()
    (tmp_path / "j" / "999999999999-2026-03-01.jsonl").write_text('{"n":2}\n')
    with opened(tmp_path / "j", max_bytes=100) as journal:
        journal.append({"n": 3})
        with pytest.raises(JournalError, match="is the last"):
            journal.append({"n": "x" * 200})
    assert [r["n"] for r in read(tmp_path / "j")[0]] == [0, 1, 2, 3]


def test_no_directory_is_an_artifact_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        list(read_journal(tmp_path / "none"))
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be opened"):
        opened(tmp_path / "file").__enter__()


def test_a_record_is_one_line_of_plain_json(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with opened(tmp_path / "j") as journal:
        journal.append({"id": 'x\n{"n":9}', "camera": "a\u2028b\x1b[31m"})
    data = (tmp_path / "j" / "00000001-2026-03-01.jsonl").read_bytes()
    assert data.count(b"\n") == 1
    assert all(32 <= byte < 127 for byte in data[:-1])
    assert json.loads(data) == {"id": 'x\n{"n":9}', "camera": "a\u2028b\x1b[31m"}
