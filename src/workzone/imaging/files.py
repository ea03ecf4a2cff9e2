"""A picture's file, read within bounds: regular files only, and never more bytes than allowed.

Knows paths; does not know what is in the file.
"""

from __future__ import annotations

import os
import stat

from workzone.core.errors import DataError

FORMATS = "JPEG, PNG, WebP, BMP, TIFF or GIF"


def read_file(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """Return the bytes of a regular file; never wait for a pipe or a device.

    Raises:
        DataError: There is no such file, it cannot be read, is no regular file, or is too large.
    """
    name = quoted(path)
    try:
        # Opened without blocking, then looked at: what was checked is what is read.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            return _read(descriptor, name, max_bytes)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise DataError(f"The picture {name} does not exist; check the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"The picture {name} cannot be read ({reason}); check the path.") from error


def _read(descriptor: int, name: str, max_bytes: int) -> bytes:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise DataError(f"The picture {name} is {kind}; expected a file in {FORMATS}.")
    if found.st_size > max_bytes:
        raise too_many_bytes(name, max_bytes)
    chunks, left = [], max_bytes + 1
    while left > 0 and (chunk := os.read(descriptor, min(left, found.st_size + 1))):
        chunks.append(chunk)
        left -= len(chunk)
    if left == 0:  # it grew since it was looked at
        raise too_many_bytes(name, max_bytes)
    return b"".join(chunks)


def too_many_bytes(name: str, max_bytes: int) -> DataError:
    """The error for a picture whose file is too large."""
    return DataError(f"The picture {name} is larger than {max_bytes} bytes, the most that is read.")


def quoted(path: str | os.PathLike[str]) -> str:
    """The path on one line and of bounded length: it may come from whoever sent the picture."""
    text = os.fspath(path)
    return repr(text if len(text) <= 300 else f"{text[:100]}…{text[-199:]}")
