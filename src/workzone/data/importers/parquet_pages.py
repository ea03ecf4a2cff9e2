"""Long values of a Parquet column, one after the other, however large the pages are that they lie in.

pyarrow's writer puts up to 1,024 rows into one page whatever they weigh, and its reader has a page in memory as a
whole, compressed, uncompressed and decoded: 200 pictures of 2 MB take 900 MB. This reads such a column value by value,
by the format's specification (github.com/apache/parquet-format): page headers in Thrift's compact protocol, PLAIN and
dictionary encoding, definition levels. It knows columns of bytes without repetition, and says so where a column is
anything else (`Unsupported`), so that pyarrow can read it after all.

Values of a dictionary come in the dictionary's order, each with all its rows: the order of first occurrence, the same
in every attempt, without keeping a value for rows to come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.data.importers.byte_streams import ByteStream, Unsupported, open_stream
from workzone.data.importers.thrift_compact import read_struct

_HEADER_BYTES = 64 * 2**10
_MAX_LEVEL_BYTES = 64 * 2**20
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_PLAIN, _PLAIN_DICTIONARY, _RLE_DICTIONARY = 0, 2, 8
_KNOWN = frozenset({_PLAIN, _PLAIN_DICTIONARY, _RLE_DICTIONARY})


@dataclass(frozen=True, slots=True)
class Chunk:
    """Where the values of one column in one row group lie.

    Attributes:
        start: Offset of its first page.
        size: Its length in bytes, compressed.
        rows: How many it has.
        codec: As pyarrow names it, as "SNAPPY".
        max_level: The definition level of a value that is there; below it is null.
    """

    start: int
    size: int
    rows: int
    codec: str
    max_level: int


@dataclass(frozen=True, slots=True)
class _Page:
    kind: int
    encoding: int
    values: int
    level_bytes: int
    """Of the levels ahead of the body, in pages of version 2; these are never compressed."""
    compressed: bool
    start: int
    size: int
    unpacked: int


def largest_page(file: BinaryIO, chunk: Chunk) -> int:
    """Return the uncompressed size of the largest page, in bytes.

    Raises:
        Unsupported: The pages are not as this reader knows them.
    """
    return max((page.unpacked for page in _pages(file, chunk)), default=0)


def is_readable(file: BinaryIO, chunk: Chunk) -> bool:
    """Return whether `read_values` knows every encoding in the chunk.

    Raises:
        Unsupported: The pages are not as this reader knows them.
    """
    pages = _pages(file, chunk)
    indices = (page for page in pages if page.kind != _DICTIONARY and page.encoding != _PLAIN)
    return all(page.encoding in _KNOWN for page in pages) and all(
        p.unpacked <= _MAX_LEVEL_BYTES for p in indices
    )


def read_values(file: BinaryIO, chunk: Chunk) -> Iterator[tuple[list[int], bytes | None]]:
    """Yield each value with the rows that have it; null, where dictionary pages have some, with its rows first.

    Args:
        file: Opened in binary mode; nobody else may seek in it meanwhile.
        chunk: One that `is_readable`.

    Raises:
        DataError: The column is broken.
    """
    pages = _pages(file, chunk)
    dictionary = next((page for page in pages if page.kind == _DICTIONARY), None)
    rows_of: dict[int, list[int]] = defaultdict(list)
    nulls: list[int] = []
    plain: list[tuple[int, _Page]] = []
    first = 0
    for page in pages:
        if page.kind == _DICTIONARY:
            continue
        if page.encoding == _PLAIN:
            plain.append((first, page))
        else:
            for row, index in enumerate(_indices(file, page, chunk), first):
                (nulls if index < 0 else rows_of[index]).append(row)
        first += page.values
    if first != chunk.rows:
        raise DataError(f"a column has {first} values in {chunk.rows} rows; the file is broken")
    if nulls:
        yield nulls, None
    if rows_of:
        yield from _dictionary_values(file, dictionary, chunk, rows_of)
    for start, page in plain:
        yield from _plain_values(file, page, chunk, start)


def _dictionary_values(
    file: BinaryIO, page: _Page | None, chunk: Chunk, rows_of: dict[int, list[int]]
) -> Iterator[tuple[list[int], bytes]]:
    if page is None or max(rows_of) >= page.values:
        raise DataError("a row names a value that the column's dictionary does not have; the file is broken")
    with closing(_stream(file, page, chunk)) as stream:
        for index in range(max(rows_of) + 1):
            value = _value(stream)
            if index in rows_of:
                yield rows_of[index], value


def _plain_values(
    file: BinaryIO, page: _Page, chunk: Chunk, first: int
) -> Iterator[tuple[list[int], bytes | None]]:
    levels_ahead = _levels_of_v2(file, page, chunk)
    with closing(_stream(file, page, chunk)) as stream:
        there = _levels_of_v1(stream, page, chunk) if levels_ahead is None else levels_ahead
        for row, is_there in enumerate(there.tolist(), first):
            yield [row], _value(stream) if is_there else None


def _indices(file: BinaryIO, page: _Page, chunk: Chunk) -> list[int]:
    """The dictionary's index of each row of a page, -1 for null."""
    there = _levels_of_v2(file, page, chunk)
    with closing(_stream(file, page, chunk)) as stream:
        there = _levels_of_v1(stream, page, chunk) if there is None else there
        found = np.full(page.values, -1, dtype=np.int64)
        count = int(there.sum())
        if count:
            width = stream.read(1)[0]
            found[there] = _hybrid(stream.rest(_MAX_LEVEL_BYTES), width, count)
    return found.tolist()


def _levels_of_v1(stream: ByteStream, page: _Page, chunk: Chunk) -> NDArray[np.bool_]:
    """Which rows have a value; in pages of version 1 this is the beginning of the body, after its length."""
    if not chunk.max_level:
        return np.ones(page.values, dtype=np.bool_)
    length = int.from_bytes(stream.read(4), "little")
    if length > _MAX_LEVEL_BYTES:
        raise DataError("a page has absurdly many levels; the file is broken")
    levels = _hybrid(stream.read(length), chunk.max_level.bit_length(), page.values)
    return _there(levels, chunk)


def _levels_of_v2(file: BinaryIO, page: _Page, chunk: Chunk) -> NDArray[np.bool_] | None:
    if page.kind != _DATA_V2:
        return None
    if not chunk.max_level:
        return np.ones(page.values, dtype=np.bool_)
    file.seek(page.start)
    levels = _hybrid(file.read(page.level_bytes), chunk.max_level.bit_length(), page.values)
    return _there(levels, chunk)


def _there(levels: NDArray[np.int64], chunk: Chunk) -> NDArray[np.bool_]:
    there: NDArray[np.bool_] = levels == chunk.max_level
    return there


def _stream(file: BinaryIO, page: _Page, chunk: Chunk) -> ByteStream:
    codec = chunk.codec if page.compressed else "UNCOMPRESSED"
    return open_stream(
        file,
        page.start + page.level_bytes,
        page.size - page.level_bytes,
        codec,
        page.unpacked - page.level_bytes,
    )


def _value(stream: ByteStream) -> bytes:
    return stream.read(int.from_bytes(stream.read(4), "little"))


def _hybrid(data: bytes, width: int, count: int) -> NDArray[np.int64]:
    """Decode the format's hybrid of run lengths and bit packing: `count` integers of `width` bits."""
    if not 0 <= width <= 32:
        raise DataError(f"a page has indices of {width} bits; the file is broken")
    parts: list[NDArray[np.int64]] = []
    at = have = 0
    weights = 1 << np.arange(width, dtype=np.int64)
    while have < count:
        header = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise DataError("a page ends within its levels; the file is broken")
            header |= (data[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 0x80:
                break
        if header & 1:
            size = (header >> 1) * width
            packed = np.frombuffer(data, np.uint8, min(size, len(data) - at), at)
            bits = np.unpackbits(packed, bitorder="little")
            bits = bits[: len(bits) // width * width] if width else np.zeros(0, np.uint8)
            run = bits.reshape(-1, width) @ weights if width else np.zeros(count - have, np.int64)
            at += size
        else:
            size = (width + 7) // 8
            value = int.from_bytes(data[at : at + size], "little")
            run = np.full(min(header >> 1, count - have), value, dtype=np.int64)
            at += size
        if not len(run):
            raise DataError("a page has a run of no length; the file is broken")
        parts.append(run)
        have += len(run)
    return np.concatenate(parts)[:count] if parts else np.zeros(0, np.int64)


def _pages(file: BinaryIO, chunk: Chunk) -> list[_Page]:
    pages: list[_Page] = []
    at, end = chunk.start, chunk.start + chunk.size
    while at < end and sum(page.values for page in pages if page.kind != _DICTIONARY) < chunk.rows:
        file.seek(at)
        header, length = read_struct(file.read(min(_HEADER_BYTES, end - at)))
        page = _page(header, at + length)
        if page.size < 0 or page.start + page.size > end or page.unpacked < 0 or page.values < 0:
            raise DataError("a page leads out of its column; the file is broken")
        if page.level_bytes > min(page.size, page.unpacked, _MAX_LEVEL_BYTES):
            raise DataError("a page has more levels than bytes; the file is broken")
        pages.append(page)
        at = page.start + page.size
    return pages


def _page(header: dict[int, Any], start: int) -> _Page:
    """A page by the fields of its header, numbered as in parquet.thrift."""
    try:
        kind, unpacked, size = header[1], header[2], header[3]
        if kind == _DATA:
            facts = header[5]
            return _Page(kind, facts[2], facts[1], 0, True, start, size, unpacked)
        if kind == _DICTIONARY:
            facts = header[7]
            return _Page(kind, facts[2], facts[1], 0, True, start, size, unpacked)
        if kind == _DATA_V2:
            facts = header[8]
            return _Page(
                kind, facts[4], facts[1], facts[5] + facts[6], facts.get(7, True), start, size, unpacked
            )
    except (KeyError, TypeError) as error:
        raise Unsupported("a page header") from error
    raise Unsupported(f"a page of kind {kind}")
