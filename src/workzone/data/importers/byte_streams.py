"""A compressed stretch of a file, unpacked as it is read, so that memory does not grow with its length.

Snappy's raw format (github.com/google/snappy, format_description.txt) is unpacked here, because pyarrow does it only
in one piece; Zstandard, gzip and Brotli are pyarrow's. Every compressor of Snappy works on blocks of 64 KiB, so what a
copy may refer to is kept that long; older references are refused rather than guessed.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from workzone.core.errors import DataError
from workzone.core.lazy import require

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = require("pyarrow", "data")

_STEP = 2**20
_WINDOW = 2**16
_BY_PYARROW = {"ZSTD": "zstd", "GZIP": "gzip", "BROTLI": "brotli"}
CODECS = frozenset({"UNCOMPRESSED", "SNAPPY", *_BY_PYARROW})
"""Compressions that are unpacked here, as pyarrow names them."""


class Unsupported(Exception):  # noqa: N818 - no error of the data: another reader takes over
    """Something that this reader does not know."""


class _Unpacked(Protocol):
    """Gives unpacked bytes; b"" at the end."""

    def read(self, size: int, /) -> bytes: ...


class ByteStream:
    """Reads exact lengths."""

    def __init__(self, source: _Unpacked, length: int) -> None:
        self._source = source
        self._left = length

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes.

        Raises:
            DataError: There are fewer, or what is compressed is broken.
        """
        if size > self._left:
            raise DataError(
                f"a value of {size:,} bytes leads out of its page of {self._left:,}; the file is broken"
            )
        self._left -= size
        parts = []
        while size:
            try:
                part = self._source.read(min(size, _STEP))
            except (pa.ArrowException, OSError, IndexError) as error:
                raise DataError(f"a page cannot be unpacked ({error}); the file is broken") from error
            if not part:
                raise DataError("a page ends early; the file is broken")
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def rest(self, most: int) -> bytes:
        """Return what is left, at most `most` bytes."""
        return self.read(min(most, self._left))

    def close(self) -> None:
        """Release what unpacks."""
        close = getattr(self._source, "close", None)
        if close is not None:
            close()


def open_stream(file: BinaryIO, start: int, size: int, codec: str, unpacked: int) -> ByteStream:
    """Return a stream over `size` bytes of `file` from `start`, which unpack to `unpacked` bytes.

    Raises:
        Unsupported: The codec is none of those above.
    """
    part = _Part(file, start, size)
    if codec == "UNCOMPRESSED":
        return ByteStream(part, unpacked)
    if codec == "SNAPPY":
        return ByteStream(Snappy(part), unpacked)
    if codec in _BY_PYARROW:
        return ByteStream(
            pa.CompressedInputStream(pa.PythonFile(part, mode="r"), _BY_PYARROW[codec]), unpacked
        )
    raise Unsupported(f"compression by {codec}")


class _Part(io.RawIOBase):
    """A stretch of a file; others may seek in it between reads."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._at = start
        self._end = start + size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, as many as there are."""
        left = self._end - self._at
        self._file.seek(self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data


class Snappy:
    """Unpacks Snappy's raw format piece by piece.

    Raises:
        DataError: While reading: it is broken.
    """

    def __init__(self, part: Any) -> None:
        self._part = part
        self._packed = b""
        self._at = 0
        self._out = bytearray()
        self._given = 0
        self._literal = 0
        while self._next(1)[0] >= 0x80:  # the unpacked length, which the page's header says too
            pass

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; fewer only at the end."""
        while len(self._out) - self._given < size and (self._literal or self._more()):
            if self._literal:
                step = min(self._literal, _WINDOW)
                self._out += self._next(step)
                self._literal -= step
            else:
                self._element()
        end = min(len(self._out), self._given + size)
        data = bytes(memoryview(self._out)[self._given : end])
        self._given = end
        if self._given > _STEP + _WINDOW:
            del self._out[: self._given - _WINDOW]
            self._given = _WINDOW
        return data

    def _more(self) -> bool:
        if self._at >= len(self._packed):
            self._packed, self._at = self._part.read(_STEP), 0
        return bool(self._packed)

    def _next(self, size: int) -> bytes:
        data = self._packed[self._at : self._at + size]
        self._at += len(data)
        while len(data) < size:
            if not self._more():
                raise DataError("a page ends within a compressed piece; the file is broken")
            part = self._packed[self._at : self._at + size - len(data)]
            self._at += len(part)
            data += part
        return data

    def _element(self) -> None:
        tag = self._next(1)[0]
        kind, high = tag & 3, tag >> 2
        if kind == 0:
            self._literal = high + 1 if high < 60 else int.from_bytes(self._next(high - 59), "little") + 1
            return
        if kind == 1:
            length, offset = (high & 7) + 4, (tag >> 5) << 8 | self._next(1)[0]
        else:
            length, offset = high + 1, int.from_bytes(self._next(2 if kind == 2 else 4), "little")
        if not 0 < offset <= len(self._out):
            raise DataError("a page refers to more than the last 64 KiB of itself; it is broken or unusual")
        start = len(self._out) - offset
        piece = self._out[start : start + length]
        while len(piece) < length:  # it repeats what it is about to write
            piece += piece[: length - len(piece)]
        self._out += piece
