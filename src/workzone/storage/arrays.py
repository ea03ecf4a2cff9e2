"""Read NPZ files that may have been changed by others.

`numpy.load` trusts the sizes a file claims: a few bytes can ask for terabytes. Here every claim (the zip
directory's, then each array header's) is checked against the bytes before memory is taken, and only plain
numbers, booleans, texts and dates are known: no objects, no structures, nothing evaluated.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ArtifactError

_HEADER = re.compile(
    rb"\{'descr': '(?P<descr>[<>|][biufcSUmM]\d{1,9}(?:\[\w{1,9}\])?)', "
    rb"'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>(?:\d{1,18}(?:,(?: \d{1,18})?)*)?)\), \} *\n"
)
_MAGIC = b"\x93NUMPY\x01\x00"
_MAX_DIMENSIONS = 32


def read_npz(path: Path, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read all arrays of an NPZ file.

    Args:
        path: A file such as `write_npz` or `numpy.savez` writes.
        max_bytes: The most that the file and all its arrays, unpacked, may take.

    Returns:
        Name → array, writable, in the order of the file.

    Raises:
        ArtifactError: The file is missing, too large or broken, or holds anything but plain arrays.
    """
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise ArtifactError(f"'{path}' has {size} bytes; at most {max_bytes} are read of such a file.")
    except OSError as error:
        raise ArtifactError(f"'{path}' cannot be read as arrays: {error}.") from error
    return _read_archive(path, path, max_bytes)


def npz_from_bytes(data: bytes, name: str, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read all arrays of an NPZ file's content, as `read_npz` does: for bytes whose hash was checked.

    Args:
        data: The content.
        name: What errors call it.
        max_bytes: The most that all its arrays, unpacked, may take.

    Raises:
        ArtifactError: It is broken, or holds anything but plain arrays.
    """
    return _read_archive(Path(name), io.BytesIO(data), max_bytes)


def _read_archive(path: Path, source: Path | io.BytesIO, max_bytes: int) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
            _check_entries(path, entries, max_bytes)
            return {e.filename.removesuffix(".npy"): _read_entry(path, archive, e) for e in entries}
    except (OSError, EOFError, TypeError, ValueError, NotImplementedError, BadZipFile, zlib.error) as error:
        raise ArtifactError(f"'{path}' cannot be read as arrays: {error}.") from error


def _check_entries(path: Path, entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise ArtifactError(f"'{path}' holds two arrays of one name.")
    for entry in entries:
        if not entry.filename.endswith(".npy") or entry.flag_bits & 1:
            raise ArtifactError(f"'{path}' holds '{entry.filename}', which is no plain array.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArtifactError(f"'{path}': '{entry.filename}' is compressed in a way that is not read.")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > max_bytes:
        raise ArtifactError(
            f"'{path}' unpacks to {unpacked} bytes; at most {max_bytes} are read of such a file."
        )


def _read_entry(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    # Never `read()` without a size: it unpacks first and cuts to the claimed size afterwards.
    with archive.open(entry) as handle:
        data = handle.read(entry.file_size)
    where = f"'{path}': '{entry.filename}'"
    if len(data) != entry.file_size or data[: len(_MAGIC)] != _MAGIC or len(data) < len(_MAGIC) + 2:
        raise ArtifactError(f"{where} is no array in NumPy's format 1.0, or is cut off.")
    start = len(_MAGIC) + 2
    end = start + int.from_bytes(data[start - 2 : start], "little")
    header = _HEADER.fullmatch(data[start:end])
    if header is None:
        raise ArtifactError(f"{where} is no array of plain numbers, texts or dates.")
    dtype = np.dtype(header["descr"].decode())
    shape = tuple(int(n) for n in header["shape"].replace(b",", b" ").split())
    count = math.prod(shape)
    if dtype.itemsize == 0 or len(shape) > _MAX_DIMENSIONS or count * dtype.itemsize != len(data) - end:
        raise ArtifactError(
            f"{where} claims shape {shape} of {dtype}, which is not the {len(data) - end} bytes that follow."
        )
    # The copy is aligned and writable, which a view of the file's bytes is not.
    flat: NDArray[Any] = np.frombuffer(data, dtype, count, end).copy()
    return flat.reshape(shape, order="F" if header["fortran"] == b"True" else "C")
