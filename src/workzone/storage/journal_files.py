"""The journal's files: how they are named, read, and mended after a crash.

`00000007-2026-03-01.jsonl` is the seventh file, begun on that day (UTC); each line is one JSON object. The
number comes first because it, unlike the clock, never goes back. `00000007-2026-03-01.torn-512` holds what a
crash left of a line at byte 512 of that file. A reader trusts nothing in them: lines are bounded, and what is
no record is reported and passed over, so that one broken line does not hide the thousands after it.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

from workzone.core.errors import ArtifactError
from workzone.storage.atomic import atomic_path
from workzone.storage.jsonfile import parse_json
from workzone.storage.private import open_private

LINE_LIMIT = 1 << 20
"""The most bytes that a record may take as a line, its end included."""
LAST_SEQUENCE = 10**12 - 1
_NAME = re.compile(r"([0-9]{8,12})-([0-9]{4}-[0-9]{2}-[0-9]{2})\.(jsonl|torn-[0-9]{1,18})")
_BLOCK = 1 << 16
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class JournalFile:
    """One file of a journal, by its name. Sorted, they are in the order in which they were written."""

    sequence: int
    day: date
    ending: str = "jsonl"

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.sequence:08d}-{self.day.isoformat()}.{self.ending}"

    @property
    def is_torn_tail(self) -> bool:
        """Whether it holds what was left of a line, not records."""
        return self.ending != "jsonl"


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in a journal that is no record."""

    file: str
    offset: int
    """Byte of the file where it begins."""
    size: int
    """Its bytes."""
    why: str


def log_damage(damage: Damage) -> None:
    """Warn of `damage` in the log."""
    _LOG.warning("journal damaged: %s, byte %d, %s", damage.file, damage.offset, damage.why)


def journal_files(directory: Path) -> list[JournalFile]:
    """Return the journal's files in order; whatever else lies in the directory is left out.

    Raises:
        ArtifactError: The directory cannot be read.
    """
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names, not paths
    except OSError as error:
        raise ArtifactError(
            f"The journal in '{directory}' cannot be read: {error.strerror or error}."
        ) from error
    files = [file for name in names if (file := _parse_name(name)) is not None]
    return sorted(files)


def _parse_name(name: str) -> JournalFile | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        file = JournalFile(int(match[1]), date.fromisoformat(match[2]), match[3])
    except ValueError:  # the thirtieth of February
        return None
    return file if file.name == name else None


def read_journal(
    directory: Path, on_damage: Callable[[Damage], None] = log_damage
) -> Iterator[dict[str, Any]]:
    """Yield every whole record of a journal, oldest first; it may be written meanwhile.

    Args:
        directory: As given to `Journal`.
        on_damage: Told, in place, of everything that is no record: a line cut off (also one being written at
            this moment), set aside when the journal was opened, too long, or no strict JSON object; a file
            that is no plain file, or missing from the sequence.

    Raises:
        ArtifactError: The directory or a file in it cannot be read.
    """
    previous: int | None = None
    for file in journal_files(directory):
        if previous is not None and file.sequence > previous + 1:
            on_damage(
                Damage(file.name, 0, 0, f"the files between number {previous} and this one are missing")
            )
        previous = file.sequence
        try:
            with _open_plain(directory / file.name) as handle:
                yield from _read_file(file, handle, on_damage)
        except FileNotFoundError:
            on_damage(Damage(file.name, 0, 0, "the file was removed while the journal was read"))
        except _NotPlainError as error:
            on_damage(Damage(file.name, 0, 0, str(error)))
        except OSError as error:
            raise ArtifactError(
                f"'{directory / file.name}' cannot be read: {error.strerror or error}."
            ) from error


class _NotPlainError(Exception):
    pass


def _open_plain(path: Path) -> IO[bytes]:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise _NotPlainError("it is a link, a directory or a device, which is not opened")
    # Without waiting: it could have become a pipe since.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _read_file(
    file: JournalFile, handle: IO[bytes], on_damage: Callable[[Damage], None]
) -> Iterator[dict[str, Any]]:
    if file.is_torn_tail:
        size = os.fstat(handle.fileno()).st_size
        on_damage(Damage(file.name, 0, size, "the rest of a line that a crash cut off, set aside"))
        return
    for offset, line, size in _lines(handle):
        if size > LINE_LIMIT:
            on_damage(Damage(file.name, offset, size, f"a line longer than {LINE_LIMIT} bytes"))
        elif not line.endswith(b"\n"):
            on_damage(Damage(file.name, offset, size, "a line cut off before its end"))
        else:
            try:
                yield parse_record(line)
            except ArtifactError as error:
                on_damage(Damage(file.name, offset, size, str(error)))


def _lines(handle: IO[bytes]) -> Iterator[tuple[int, bytes, int]]:
    """Yield each line's offset, its beginning (at most one byte above the limit) and its size."""
    offset = 0
    while line := handle.readline(LINE_LIMIT + 1):
        size, rest = len(line), line
        while not rest.endswith(b"\n") and (rest := handle.readline(LINE_LIMIT)):
            size += len(rest)
        yield offset, line, size
        offset += size


def parse_record(line: bytes) -> dict[str, Any]:
    """Return the record that is written as `line`.

    Raises:
        ArtifactError: It is no JSON object, or not strict JSON.
    """
    record = parse_json(line, "the line")
    if not isinstance(record, dict):
        raise ArtifactError("the line is no JSON object.")
    return record


def set_torn_tail_aside(path: Path) -> Damage | None:
    """End a file after its last whole line; what follows goes to a file beside it, first.

    A kill between the two steps leaves both, and the next call does the same again.

    Returns:
        What was set aside, or None where the file ends as it should.

    Raises:
        OSError: One of the files cannot be written.
    """
    with os.fdopen(open_private(path, os.O_RDWR), "r+b") as handle:
        end = handle.seek(0, os.SEEK_END)
        whole = _end_of_last_line(handle, end)
        if whole == end:
            return None
        aside = path.with_suffix(f".torn-{whole}")
        with atomic_path(aside) as temporary:
            target_fd = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            with os.fdopen(target_fd, "wb") as target:
                handle.seek(whole)
                while block := handle.read(_BLOCK):
                    target.write(block)
        handle.truncate(whole)
        os.fsync(handle.fileno())
    return Damage(path.name, whole, end - whole, f"a line that a crash cut off; it is kept in '{aside.name}'")


def _end_of_last_line(handle: IO[bytes], end: int) -> int:
    start = end
    while start > 0:
        size = min(_BLOCK, start)
        start -= size
        handle.seek(start)
        found = handle.read(size).rfind(b"\n")
        if found >= 0:
            return start + found + 1
    return 0
