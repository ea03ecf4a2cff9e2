"""The append-only record of what was asked and answered.

It knows files, days and sizes, and nothing of pictures or verdicts: a record is any JSON object. A record is
one `os.write` of one line, made before the answer is given: when the process is killed, what was acknowledged
is in the kernel's hands and whole. A power cut may cost what came after the last fsync, at most
`flush_every_s` before. An fsync for each record would close that gap at many times the cost of an answer on
a small disk; that is the decision a reader would question.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from workzone.core.errors import ArtifactError, ConfigError, JournalError
from workzone.storage.atomic import remove_temporaries, sync_directory
from workzone.storage.journal_files import (
    LAST_SEQUENCE,
    LINE_LIMIT,
    Damage,
    JournalFile,
    journal_files,
    log_damage,
    parse_record,
    read_journal,
    set_torn_tail_aside,
)
from workzone.storage.lock import FILE_NAME as LOCK_NAME
from workzone.storage.lock import writer_lock
from workzone.storage.private import open_private, private_directory

__all__ = ["Damage", "Journal", "read_journal"]
_LOG = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the time of the system's clock."""
    return datetime.now(UTC)


class Journal:
    """A journal that is open for appending, by this process alone; any of its threads may append.

    Use it as a context manager: entering opens it, leaving makes everything durable.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Callable[[], datetime] = utc_now,
        max_bytes: int = 64 << 20,
        retain_days: int = 400,
        flush_every_s: float = 1.0,
    ) -> None:
        """Set a journal up; nothing is opened yet.

        Args:
            directory: Its own directory, made with mode 0700.
            clock: Tells the time, with its zone: when a file's day ends and when it has been kept enough.
            max_bytes: A file that would grow beyond is followed by another; a line is never split.
            retain_days: A file is removed when the day it was begun lies more than these days back.
            flush_every_s: Longest time from an append to its fsync, the fsync's own time aside.

        Raises:
            ConfigError: One of the numbers is not positive.
        """
        if max_bytes < 1 or retain_days < 1 or not flush_every_s > 0:
            raise ConfigError(
                f"A journal of max_bytes={max_bytes}, retain_days={retain_days}, "
                f"flush_every_s={flush_every_s} cannot be kept: all three must be positive."
            )
        self.directory = directory
        self._clock, self._max_bytes, self._retain_days = clock, max_bytes, retain_days
        self._flush_every_s = flush_every_s
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._flusher: threading.Thread | None = None
        self._resources: ExitStack | None = None
        self._fd: int | None = None
        self._file: JournalFile | None = None
        self._size = 0
        self._unsynced = False
        self._suspect = False
        """An fsync failed: the next record is acknowledged only after an fsync of its own."""
        self._expired_on: date | None = None

    def __enter__(self) -> Self:
        """Lock the directory, mend the newest file, and open it or the next.

        Raises:
            JournalError: Another process writes it, others may read it, or it cannot be written.
        """
        try:
            with ExitStack() as stack:
                private_directory(self.directory)
                os.close(open_private(self.directory / LOCK_NAME, os.O_WRONLY | os.O_CREAT))
                stack.enter_context(writer_lock(self.directory))
                stack.callback(self._abandon_file)
                remove_temporaries(self.directory)
                self._open_newest()
                self._expire(self._today())
                self._resources = stack.pop_all()
        except ArtifactError as error:
            raise JournalError(f"The journal cannot be opened. {error}") from error
        except OSError as error:
            raise self._failure(error) from error
        self._stop.clear()
        self._flusher = threading.Thread(target=self._flush_repeatedly, name="journal-flush", daemon=True)
        self._flusher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Make everything durable and let the directory go.

        Raises:
            JournalError: The last records may not be on the disk.
        """
        self._stop.set()
        if self._flusher is not None:
            self._flusher.join()
        with self._mutex:
            resources, self._resources = self._resources, None
        if resources is None:
            return
        with resources:
            self.sync()

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record; it is whole and readable once this returns, also if the process is killed then.

        Args:
            record: Keys are text, values as JSON knows them; numbers are finite.

        Raises:
            JournalError: It is not written: the disk is full or broken, the journal is closed, or the record
                is no JSON object of at most `LINE_LIMIT` bytes. The answer must not be given.
        """
        line = _line(record)
        with self._mutex:
            if self._resources is None:
                raise JournalError(f"The journal in '{self.directory}' is not open; nothing can be answered.")
            try:
                self._write(self._file_for(len(line)), line)
            except OSError as error:
                raise self._failure(error) from error
            except ArtifactError as error:
                raise JournalError(str(error)) from error

    def sync(self) -> None:
        """Make durable what was appended until now.

        Raises:
            JournalError: The disk did not take it.
        """
        with self._mutex:
            if self._fd is None or not self._unsynced:
                return
            try:
                handle = os.dup(self._fd)  # the fsync must not keep appends waiting
            except OSError as error:
                raise self._failure(error) from error
            self._unsynced = False
        try:
            os.fsync(handle)
        except OSError as error:
            # The kernel has given these pages up: the same file would pass its next fsync without them.
            with self._mutex:
                self._suspect = True
                self._abandon_file()
            raise self._failure(error) from error
        finally:
            os.close(handle)

    def _flush_repeatedly(self) -> None:
        while not self._stop.wait(self._flush_every_s):
            try:
                self.sync()
            except JournalError:
                _LOG.exception("journal not synced")
            today = self._today()
            with self._mutex:
                if today != self._expired_on:
                    self._expire(today)

    def _today(self) -> date:
        return self._clock().astimezone(UTC).date()

    def _failure(self, error: OSError) -> JournalError:
        return JournalError(
            f"The journal in '{self.directory}' cannot be written: {error.strerror or error}. "
            "No answer is given without its record; free space on that disk, or repair it."
        )

    def _open_newest(self) -> None:
        """Go on with the newest file if it is of today and has room, after mending it."""
        files = [file for file in journal_files(self.directory) if not file.is_torn_tail]
        self._file = files[-1] if files else None
        today = self._today()
        if self._file is not None:
            path = self.directory / self._file.name
            if path.is_file() and not path.is_symlink():
                damage = set_torn_tail_aside(path)
                if damage is not None:
                    log_damage(damage)
                if self._file.day == today and path.stat().st_size < self._max_bytes:
                    self._fd = open_private(path, os.O_WRONLY | os.O_APPEND)
                    self._size = os.fstat(self._fd).st_size
                    return
        self._begin_file(today)

    def _file_for(self, size: int) -> int:
        """Return the file that the next `size` bytes go to; a new one where the day, room or a hand asks it."""
        today = self._today()
        if self._fd is not None and self._file is not None:
            full = self._size > 0 and self._size + size > self._max_bytes
            removed = os.fstat(self._fd).st_nlink == 0
            if self._file.day == today and not full and not removed:
                return self._fd
        fd = self._begin_file(today)
        self._expire(today)
        return fd

    def _begin_file(self, today: date) -> int:
        if self._fd is not None:
            try:
                if self._unsynced:
                    os.fsync(self._fd)
            except OSError:
                self._suspect = True
                raise
            finally:
                self._abandon_file()
        # Asked of the directory each time: a file that a hand put there must not be in the way for good.
        last = max((file.sequence for file in journal_files(self.directory)), default=0)
        if last >= LAST_SEQUENCE:
            raise OSError(f"file number {last} is the last; move the files away")
        file = JournalFile(last + 1, today)
        fd = open_private(self.directory / file.name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        self._fd, self._file, self._size = fd, file, 0
        sync_directory(self.directory)
        return fd

    def _abandon_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._unsynced = None, False

    def _write(self, fd: int, line: bytes) -> None:
        try:
            written = os.write(fd, line)
            if self._suspect:
                os.fsync(fd)
        except OSError:
            self._take_back(fd)
            raise
        if written != len(line):
            self._take_back(fd)
            raise OSError(f"only {written} of {len(line)} bytes were taken, the disk is full")
        self._suspect = False
        self._size += written
        self._unsynced = True

    def _take_back(self, fd: int) -> None:
        """Remove what a failed write left; where that fails too, leave the file and what is torn in it."""
        try:
            os.ftruncate(fd, self._size)
        except OSError:
            self._abandon_file()

    def _expire(self, today: date) -> None:
        self._expired_on = today
        current = None if self._file is None else self._file.name
        try:
            for file in journal_files(self.directory):
                if (today - file.day).days > self._retain_days and file.name != current:
                    (self.directory / file.name).unlink(missing_ok=True)
        except (OSError, ArtifactError):  # no reason to refuse an answer; tried again tomorrow
            _LOG.exception("journal files not removed")


def _line(record: Mapping[str, Any]) -> bytes:
    """Return the record as one line of ASCII: no text in it can end the line or steer a terminal."""
    try:
        text = json.dumps(dict(record), separators=(",", ":"), allow_nan=False)
        line = text.encode("ascii") + b"\n"
        parse_record(line)  # what only the writer understands is no record
    except (TypeError, ValueError, RecursionError, ArtifactError) as error:
        raise JournalError(f"The record cannot be journalled: {error}. It must be a JSON object.") from error
    if len(line) > LINE_LIMIT:
        raise JournalError(f"The record has {len(line)} bytes; at most {LINE_LIMIT} are journalled at once.")
    return line
