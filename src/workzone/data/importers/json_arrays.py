"""A large JSON object whose lists are read one element at a time.

An annotation file may have a gigabyte, most of it outlines of objects that nobody here wants. Parsed at once it
would take many times its size; read this way, memory holds a piece of the text and one element. Knows JSON, not
COCO. NaN and infinities are let through: writers in the wild produce them, and who asks for a number checks it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from workzone.core.errors import DataError
from workzone.core.observer import NullObserver, Observer

MAX_ELEMENT_CHARS = 64 * 1024**2
_CHUNK_CHARS = 1024**2
_MIB = 1024**2
_SPACE = " \t\n\r"
_NUMBER = frozenset("0123456789+-.eE")


def read_arrays(
    path: Path, max_bytes: int, observer: Observer | None = None
) -> Iterator[tuple[str, int | None, Any]]:
    """Yield every element of the lists directly in the JSON object of a file, as (key, index, element).

    A value that is no list, or an empty list, comes as (key, None, value).

    Args:
        path: A UTF-8 file.
        max_bytes: Largest file that is read.
        observer: Told of the mebibytes read.

    Raises:
        DataError: The file is missing, no regular file, too large, no UTF-8 or no JSON object; names the place.
    """
    if not path.is_file():
        raise DataError(f"'{path}' does not exist or is no file. Name the JSON file with the annotations.")
    size = path.stat().st_size
    if size > max_bytes:
        raise DataError(
            f"'{path}' has {size:,} bytes, more than the {max_bytes:,} that are read of annotations. Split it."
        )
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = _Reader(handle, path, observer or NullObserver(), size)
        try:
            yield from _object(reader)
        except UnicodeDecodeError as error:
            raise DataError(f"'{path}' is not UTF-8 text: {error.reason}. Save it as UTF-8.") from error
        except OSError as error:
            raise DataError(f"'{path}' cannot be read: {error.strerror or error}.") from error


def _object(reader: _Reader) -> Iterator[tuple[str, int | None, Any]]:
    if reader.peek() != "{":
        raise reader.wrong("expected an object with 'images', 'annotations' and 'categories'")
    reader.skip()
    first = True
    while reader.peek() != "}":
        if not first:
            reader.expect(",")
        first = False
        if reader.peek() != '"':
            raise reader.wrong("expected a key in quotes")
        key = reader.value()
        reader.expect(":")
        if reader.peek() == "[":
            yield from _list(reader, key)
        else:
            yield key, None, reader.value()
    reader.skip()
    if reader.peek():
        raise reader.wrong("expected the end of the file")


def _list(reader: _Reader, key: str) -> Iterator[tuple[str, int | None, Any]]:
    reader.skip()
    if reader.peek() == "]":
        yield key, None, []
    index = 0
    while reader.peek() != "]":
        if index:
            reader.expect(",")
        yield key, index, reader.value()
        index += 1
    reader.skip()


class _Reader:
    """A window on the text: what was taken is dropped, what is missing is read."""

    def __init__(self, handle: TextIO, path: Path, observer: Observer, size: int) -> None:
        self._handle, self._path, self._observer = handle, path, observer
        self._total = -(-size // _MIB)
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._before, self._ended = "", 0, 0, False

    def peek(self) -> str:
        """Return the next character that is no space, "" at the end; stay before it."""
        while True:
            text, at = self._text, self._at
            while at < len(text) and text[at] in _SPACE:
                at += 1
            self._at = at
            if at < len(text):
                return text[at]
            if not self._fill(_CHUNK_CHARS):
                return ""

    def skip(self) -> None:
        """Go past the character that `peek` returned."""
        self._at += 1

    def expect(self, character: str) -> None:
        """Go past `character`, which must be next."""
        if self.peek() != character:
            raise self.wrong(f"expected '{character}'")
        self.skip()

    def value(self) -> Any:
        """Return the next value and go past it."""
        self.peek()
        more = _CHUNK_CHARS
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                if self._is_whole(end) or not self._fill(more):
                    self._at = end
                    return value
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > MAX_ELEMENT_CHARS or not self._fill(more):
                    raise self.wrong(error.msg, error.pos) from error
            except (
                ValueError,
                RecursionError,
            ) as error:  # a number of thousands of digits; a thousand brackets
                raise self.wrong(str(error)) from error
            more *= 2

    def _is_whole(self, end: int) -> bool:
        """Whether no number may go on behind the edge: "0." at it was read as 0, and "1" may be 12."""
        while end < len(self._text) and self._text[end] in _NUMBER:
            end += 1
        return end < len(self._text)

    def wrong(self, what: str, at: int | None = None) -> DataError:
        """The error for the text at `at`, or where the reader is."""
        at = self._at if at is None else at
        found = repr(self._text[at : at + 20]) if at < len(self._text) else "the end"
        place = self._before + at + 1
        return DataError(
            f"'{self._path}' is not the JSON expected, at character {place:,}: {what}; found {found}. "
            "Export the annotations again."
        )

    def _fill(self, chars: int) -> bool:
        """Drop what was taken and read on; return whether there was anything."""
        if self._ended:
            return False
        more = self._handle.read(chars)
        if not more:
            self._ended = True
            return False
        self._before += self._at
        self._text, self._at = self._text[self._at :] + more, 0
        done = min((self._before + len(self._text)) // _MIB, self._total)
        self._observer.progress(f"read {self._path.name} (MiB)", done, self._total)
        return True
