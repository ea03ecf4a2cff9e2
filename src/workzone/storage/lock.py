"""One writer at a time in a directory, by an advisory lock that dies with its process."""

from __future__ import annotations

import fcntl
import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from workzone.core.errors import ArtifactError

FILE_NAME = ".lock"
_HELD: set[IO[str]] = set()


@functools.cache
def _close_in_children() -> None:
    """Let go of the locks in forked children.

    A lock belongs to the open file, which a fork shares: without this, a data loader's worker that outlives
    its killed parent for a moment would go on holding the lock. Registered once, when first needed.
    """
    os.register_at_fork(after_in_child=_close_held)


def _close_held() -> None:
    for handle in _HELD:
        handle.close()
    _HELD.clear()


@contextmanager
def writer_lock(directory: Path) -> Iterator[None]:
    """Hold `directory`, made if absent, for writing.

    The kernel drops the lock when the process ends, however it ends: no stale lock to clean.

    Raises:
        ArtifactError: Another process holds it (named by its id), or the directory cannot be written.
    """
    path = directory / FILE_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+", encoding="ascii")
    except OSError as error:
        raise ArtifactError(f"'{directory}' cannot be written: {error.strerror or error}.") from error
    with handle:
        _lock(handle, directory)
        _close_in_children()
        _HELD.add(handle)
        try:
            yield
        finally:
            _HELD.discard(handle)


def _lock(handle: IO[str], directory: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        handle.seek(0)
        holder = handle.read(20).strip() or "unknown"
        raise ArtifactError(
            f"'{directory}' is being written by process {holder}. Wait for it to end, "
            "or use another directory."
        ) from error
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
