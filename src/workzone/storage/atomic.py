"""Write under a temporary name, fsync, rename: a reader sees the whole file, or none.

A kill leaves at most `.tmp-*` beside the target, which the next writer of that target removes. Two writers of
one target at a time are not foreseen: see `lock`.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TEMPORARY_PREFIX = ".tmp-"
_SYNC_THREADS = 8
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The one time that entries of an NPZ carry, so that equal arrays are equal bytes."""
_PLAIN_KINDS = frozenset("biufcSUmM")


def _temporary(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY_PREFIX}{path.name}")


def _aside(path: Path) -> Path:
    return path.with_name(f"{TEMPORARY_PREFIX}old-{path.name}")


def _remove(path: Path) -> None:
    """Remove a file, a link or a whole directory, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_temporaries(directory: Path) -> None:
    """Remove what killed writers left directly in `directory`; only for who holds its lock."""
    for path in sorted(directory.glob(f"{TEMPORARY_PREFIX}*")):
        _remove(path)


def sync_directory(path: Path) -> None:
    """Make a rename inside `path` survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_tree(path: Path) -> None:
    """Several at a time: a file system writes down many waiting changes at once."""
    with ThreadPoolExecutor(max_workers=_SYNC_THREADS) as executor:
        for _ in executor.map(_sync, path.rglob("*")):
            pass
    sync_directory(path)


def _sync(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        sync_directory(entry)
    elif entry.is_file():
        with entry.open("rb") as handle:
            os.fsync(handle.fileno())


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write a file to; on success it becomes `path`, on error it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    _remove(temporary)  # a killed writer's: who appends must not append to it
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary directory; on success it replaces `path`, on error it is removed.

    A directory cannot be exchanged in one step everywhere: an old `path` is moved aside first, so after a
    kill between the two renames `path` is absent, never half-written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    _remove(temporary)
    _remove(_aside(path))
    temporary.mkdir()
    try:
        yield temporary
        publish_directory(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def publish_directory(finished: Path, path: Path) -> None:
    """Put a finished directory in the place of `path`: on disk first, then one rename; an old one is removed."""
    _sync_tree(finished)
    _exchange(path, finished)
    sync_directory(path.parent)
    _remove(_aside(path))


def _exchange(path: Path, temporary: Path) -> None:
    """Rename `temporary` to `path`; an old `path` is then aside, or back in place if that failed."""
    if not os.path.lexists(path):
        temporary.rename(path)
        return
    old = _aside(path)
    path.rename(old)
    try:
        temporary.rename(path)
    except BaseException:
        old.rename(path)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as indented JSON with sorted keys; NaN is refused."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    write_bytes(path, (text + "\n").encode())


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays atomically; equal arrays give equal bytes, in whatever order they come.

    `numpy.load` reads it, and so does `storage.arrays.read_npz`, which trusts nothing in it.

    Raises:
        TypeError: An array holds anything but plain numbers, booleans, texts or dates.
    """
    for name, array in arrays.items():
        if array.dtype.kind not in _PLAIN_KINDS:
            raise TypeError(
                f"array '{name}' is of type {array.dtype}, which is not stored: only plain values are"
            )
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy", _ZIP_EPOCH)
            entry.create_system = 3  # as on Unix, wherever it is written
            with archive.open(entry, "w", force_zip64=True) as handle:
                values = np.asarray(arrays[name], order="C")  # memory layout is no content
                np.lib.format.write_array(handle, values, version=(1, 0), allow_pickle=False)
