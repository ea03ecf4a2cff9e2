"""Operational logs: one JSON object a line, without secrets, rotated by size and age.

Three files: `inference` (one line an answer), `performance` (one line an hour) and `errors` (warnings and
errors of every library in the process). They are for the operator and may lose lines; the journal is the
record. Nothing is set up at import: the command line does it once, for the time it serves.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from logging.handlers import BaseRotatingHandler
from pathlib import Path
from typing import Any, TextIO

from workzone.core.errors import ConfigError
from workzone.serving.redaction import MARK, OWN_FIELDS, REQUEST_ID, Redaction, shown
from workzone.storage.private import open_private, private_directory

__all__ = [
    "ERRORS",
    "INFERENCE",
    "PERFORMANCE",
    "REQUEST_ID",
    "JsonLines",
    "Redaction",
    "RotatingLog",
    "operational_logs",
]

INFERENCE = "workzone.inference"
"""Name of the logger that gets a line for each answer."""
PERFORMANCE = "workzone.performance"
"""Name of the logger that gets the hourly summary."""
ERRORS = "workzone.errors"
"""Name of the logger for what went wrong; warnings of any other logger go to the same file."""

MAX_SET_ASIDE = 64
"""Files of one log that stay, however young: a stranger who sends rubbish day and night must not fill the disk."""


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, event, then the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; text outside ASCII is escaped, so nothing in it can end the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields = {name: value for name, value in vars(record).items() if name not in OWN_FIELDS}
        fields.pop(MARK, None)
        for name, value in fields.items():
            if value is not None or name != "request_id":
                line[f"{name}_" if name in line else name] = value
        if record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, default=shown, separators=(",", ":"))


class RotatingLog(BaseRotatingHandler):
    """A private file, set aside when it is full or its day (UTC) is over, and removed after some days.

    The standard library rotates by size or by time, not by both.
    """

    def __init__(
        self, path: Path, *, max_bytes: int, retain_days: int, clock: Callable[[], datetime]
    ) -> None:
        """Open `path` for appending; older files of its name lie beside it, with their time in the name."""
        self._max_bytes, self._retain_days, self._clock = max_bytes, retain_days, clock
        self.failures = 0
        super().__init__(str(path), mode="a", encoding="ascii")
        status = path.stat()
        begun = datetime.fromtimestamp(status.st_mtime, UTC) if status.st_size else clock()
        self._day = begun.astimezone(UTC).date()

    def _open(self) -> Any:  # a text stream; the base class names a narrower type
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        return os.fdopen(open_private(Path(self.baseFilename), flags), "a", encoding=self.encoding)

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`, into a new file where it belongs into one; the base class would format it twice."""
        try:
            line = f"{self.format(record)}\n"
            if self._belongs_into_new(len(line)):
                self.doRollover()
            stream = self._opened()
            stream.write(line)
            stream.flush()
        except Exception:  # noqa: BLE001 - what is logged must not fail what it is about
            self.handleError(record)

    def _opened(self) -> Any:
        if self.stream is None:
            self.stream = self._open()
        return self.stream

    def _belongs_into_new(self, length: int) -> bool:
        if self._clock().astimezone(UTC).date() != self._day:
            return True
        size = os.fstat(self._opened().fileno()).st_size
        return size > 0 and size + length > self._max_bytes

    def doRollover(self) -> None:  # noqa: N802 - the base class's name
        """Set the file aside, remove those kept long enough, and begin a new one."""
        now = self._clock().astimezone(UTC)
        self._let_go()
        path = Path(self.baseFilename)
        path.replace(self._free_name(path, now))
        self._day = now.date()
        self._expire(path, now)

    def _let_go(self) -> None:
        # Closing writes what is left, which a full disk refuses: the lines are lost, the service is not.
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()

    def close(self) -> None:
        """Close the file."""
        with self.lock or nullcontext():
            self._let_go()
        super().close()

    def _free_name(self, path: Path, now: datetime) -> Path:
        while True:
            name = path.with_name(f"{path.stem}.{now:%Y%m%dT%H%M%S.%f}{path.suffix}")
            if not os.path.lexists(name):
                return name
            now += timedelta(microseconds=1)

    def _expire(self, path: Path, now: datetime) -> None:
        kept = []
        for old in path.parent.glob(f"{path.stem}.*T*{path.suffix}"):
            stamp = re.fullmatch(r"[^.]+\.([0-9]{8}T[0-9]{6}\.[0-9]{6})\.\w+", old.name)
            if stamp is None:
                continue
            age = now - datetime.strptime(stamp[1], "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
            if age > timedelta(days=self._retain_days):
                old.unlink(missing_ok=True)
            else:
                kept.append(old)
        for old in sorted(kept)[:-MAX_SET_ASIDE]:
            old.unlink(missing_ok=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Count a line that could not be written; say so once, not once a line: the disk may be full."""
        self.failures += 1
        if self.failures == 1:
            error = sys.exc_info()[1]
            sys.stderr.write(f"The log '{self.baseFilename}' cannot be written: {type(error).__name__}.\n")


@contextmanager
def operational_logs(
    directory: Path | None,
    *,
    secrets: Iterable[str] = (),
    max_bytes: int = 16 << 20,
    retain_days: int = 30,
    stream: TextIO | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[None]:
    """Log while the service runs; afterwards everything is as before.

    Args:
        directory: Its own directory for `inference.jsonl`, `performance.jsonl` and `errors.jsonl`, made with
            mode 0700; None: all go to `stream` alone, which a container's runtime collects.
        secrets: Values that must never appear, beside what looks like a secret.
        max_bytes: Size of a file at which another is begun.
        retain_days: How long a file that was set aside stays.
        stream: Gets errors too, as whoever watches a terminal should; without a directory, everything. None: standard
            error.
        clock: Tells the time, with its zone.

    Raises:
        ConfigError: The logs are set up already, or one of the numbers is not positive.
        ArtifactError: The directory cannot be made, or others may enter it.
    """
    root = logging.getLogger()
    if any(isinstance(f, Redaction) for handler in root.handlers for f in handler.filters):
        raise ConfigError("The operational logs are set up already; a process does so once.")
    if max_bytes < 1 or retain_days < 1:
        raise ConfigError(f"Logs of max_bytes={max_bytes}, retain_days={retain_days}: both must be positive.")
    redaction = Redaction(secrets)
    with ExitStack() as stack:

        def attach(name: str | None, handler: logging.Handler, level: int) -> None:
            handler.setLevel(level)
            handler.setFormatter(JsonLines())
            handler.addFilter(redaction)
            logger = logging.getLogger(name)
            stack.callback(handler.close)
            stack.callback(logger.removeHandler, handler)
            stack.callback(logger.setLevel, logger.level)
            logger.addHandler(handler)
            if name is not None:
                logger.setLevel(level)

        def file(name: str) -> RotatingLog:
            path = private / f"{name}.jsonl"
            return RotatingLog(path, max_bytes=max_bytes, retain_days=retain_days, clock=clock)

        console = logging.StreamHandler(stream)
        attach(None, console, logging.ERROR if directory is not None else logging.INFO)
        if directory is not None:
            private = directory
            private_directory(private)
            attach(None, file("errors"), logging.WARNING)
            attach(INFERENCE, file("inference"), logging.INFO)
            attach(PERFORMANCE, file("performance"), logging.INFO)
        else:
            for name in (INFERENCE, PERFORMANCE):
                stack.callback(logging.getLogger(name).setLevel, logging.getLogger(name).level)
                logging.getLogger(name).setLevel(logging.INFO)
        yield
