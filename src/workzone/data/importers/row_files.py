"""Tables that hold pictures, read a few rows at a time: Parquet files; what their kinds share is here too.

Knows files, rows, and how to stay within a budget of memory; does not know what a column means.

Parquet is read without pre-buffering and through a buffer of its own: left to its defaults, pyarrow reads the whole
column of a row group before it hands out the first row, which for 1,000 pictures of 2 MB is 2 GB. A page has to be in
its memory as a whole all the same, and most writers put a row group of pictures into one: such pages are left to
`parquet_pages`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from workzone.core.errors import DataError
from workzone.core.lazy import require
from workzone.core.types import Label
from workzone.data.importers.byte_streams import CODECS, Unsupported
from workzone.data.importers.cell_values import picture_bytes
from workzone.data.importers.importing import Skipped, loaded_sample
from workzone.data.importers.parquet_pages import Chunk, is_readable, largest_page, read_values
from workzone.data.importers.published_splits import part_named
from workzone.data.importers.tree import named_path, scan, stamp
from workzone.data.schema import NewSample
from workzone.data.tables import MAX_DECODED_BYTES, MAX_ROWS
from workzone.imaging.decode import DecodeLimits

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
else:
    pa = require("pyarrow", "data")
    pq = require("pyarrow.parquet", "data")

BATCH_BYTES = 16 * 2**20
"""Of the rows that are taken from a file at once, by the average of their row group."""
MAX_BATCH_ROWS = 256
LARGE_PAGE_BYTES = 64 * 2**20
"""pyarrow takes about three times the largest page."""
_READ_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Some rows of a file.

    Attributes:
        rows: Which rows of the file they are.
        cells: Their small columns, all but the picture.
        pictures: Their pictures; None where no row of the batch is still to be imported.
    """

    rows: Sequence[int]
    cells: pa.RecordBatch
    pictures: pa.Array | None


class RowFile(Protocol):
    """A file of rows.

    Attributes:
        name: Relative to what is imported, with "/".
        rows: How many it has.
        schema: Its columns.
    """

    name: str
    rows: int
    schema: pa.Schema

    def stamp(self) -> list[Any]:
        """Return name, size and time, by which another attempt knows the file again."""

    def batches(self, cells: Sequence[str], picture: str, done: Container[str]) -> Iterator[RowBatch]:
        """Yield every row once, in the order of every attempt; `picture` is read only where a key is not in `done`."""


def row_key(name: str, row: int) -> str:
    """Return the key of a row, as "train-00000.parquet#1234"."""
    return f"{name}#{row}"


def published_split(name: str) -> str | None:
    """Return the split that a file's name, or else a directory's, begins with.

    >>> published_split("data/train-00011-of-00026.parquet"), published_split("validation/0000.parquet")
    ('train', 'val')
    """
    path = PurePosixPath(name)
    words = (re.match(r"[A-Za-z]*", part)[0] for part in (path.name, *reversed(path.parts[:-1])))  # type: ignore[index]
    return next((part for part in map(part_named, words) if part is not None), None)


class ParquetRows:
    """The rows of a Parquet file; reads its footer when it is made.

    Raises:
        DataError: It is no Parquet, is cut off, or says that it is absurdly large.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self.name = named_path(name, f"a file in '{path.parent}'")
        with self._opened() as file:
            footer = file.metadata
            groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
            self._groups = [(group.num_rows, group.total_byte_size) for group in groups]
            self.rows = footer.num_rows
            self.schema = file.schema_arrow
        self._check_footer()

    def stamp(self) -> list[Any]:
        """Return name, size and time."""
        return [self.name, *stamp(self._path)[1:]]

    def batches(self, cells: Sequence[str], picture: str, done: Container[str]) -> Iterator[RowBatch]:
        """Yield all rows, leaving the pictures of whole row groups unread where all keys are in `done`.

        Rows come in order, but where a page is larger than `LARGE_PAGE_BYTES` equal pictures come together.

        Raises:
            DataError: The file is broken further in, or was changed since it was opened.
        """
        first = 0
        with self._opened() as file:
            for group, (rows, size) in enumerate(self._groups):
                wanted = not all_done(self.name, first, rows, done)
                chunk = (
                    self._large_chunk(file, group, picture) if wanted and size > LARGE_PAGE_BYTES else None
                )
                if chunk is not None:
                    yield from self._paged(file, group, first, cells, chunk)
                else:
                    yield from self._batched(file, group, first, cells, picture if wanted else None)
                first += rows

    def _batched(
        self, file: pq.ParquetFile, group: int, first: int, cells: Sequence[str], picture: str | None
    ) -> Iterator[RowBatch]:
        rows, size = self._groups[group]
        step = MAX_BATCH_ROWS if picture is None else batch_rows(size, rows)
        columns = list(cells) if picture is None else [*cells, picture]
        at = first
        for batch in file.iter_batches(step, row_groups=[group], columns=columns, use_threads=False):
            yield row_batch(range(at, at + batch.num_rows), batch, cells, picture)
            at += batch.num_rows
        if at != first + rows:
            raise DataError(
                f"'{self._path}': row group {group} has {at - first} rows, the footer says {rows}. The file is "
                "broken: fetch it again."
            )

    def _paged(
        self, file: pq.ParquetFile, group: int, first: int, cells: Sequence[str], chunk: Chunk
    ) -> Iterator[RowBatch]:
        """The rows of a row group with pages that are too large for pyarrow."""
        small = file.read_row_group(group, columns=list(cells), use_threads=False)
        rows: list[int] = []
        pictures: list[bytes | None] = []
        weight = 0
        try:
            with self._path.open("rb") as handle:
                for at, value in read_values(handle, chunk):
                    for row in at:
                        rows.append(row)
                        pictures.append(value)
                        weight += len(value or b"")
                        if weight >= BATCH_BYTES or len(rows) >= MAX_BATCH_ROWS:
                            yield _taken(small, first, rows, pictures)
                            rows, pictures, weight = [], [], 0
            if rows:
                yield _taken(small, first, rows, pictures)
        except DataError as error:
            raise DataError(f"'{self._path}', row group {group}: {error}: fetch it again.") from error

    def _large_chunk(self, file: pq.ParquetFile, group: int, picture: str) -> Chunk | None:
        """Where the pictures of a row group lie, if a page of theirs is large and can be read without pyarrow."""
        leaf = f"{picture}.bytes" if pa.types.is_struct(self.schema.field(picture).type) else picture
        columns = [i for i in range(file.metadata.num_columns) if file.metadata.schema.column(i).path == leaf]
        if len(columns) != 1:
            return None
        kind, column = (
            file.metadata.schema.column(columns[0]),
            file.metadata.row_group(group).column(columns[0]),
        )
        if (
            kind.physical_type != "BYTE_ARRAY"
            or kind.max_repetition_level
            or column.compression not in CODECS
        ):
            return None
        offsets = [o for o in (column.dictionary_page_offset, column.data_page_offset) if o]
        chunk = Chunk(
            min(offsets, default=0),
            column.total_compressed_size,
            self._groups[group][0],
            column.compression,
            kind.max_definition_level,
        )
        try:
            with self._path.open("rb") as handle:
                return (
                    chunk
                    if is_readable(handle, chunk) and largest_page(handle, chunk) > LARGE_PAGE_BYTES
                    else None
                )
        except Unsupported:
            return None  # pyarrow can read it, in more memory

    def _check_footer(self) -> None:
        largest = max((size for _, size in self._groups), default=0)
        if (
            self.rows > MAX_ROWS
            or largest > MAX_DECODED_BYTES
            or min((s for _, s in self._groups), default=0) < 0
        ):
            raise DataError(
                f"'{self._path}' says it has {self.rows:,} rows and a row group of {largest:,} bytes; at most "
                f"{MAX_ROWS:,} rows and {MAX_DECODED_BYTES:,} bytes are read. Write it again in smaller row groups."
            )
        if self.rows != sum(rows for rows, _ in self._groups):
            raise DataError(
                f"'{self._path}' is broken: its row groups do not have the {self.rows} rows it names."
            )

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        try:
            with pq.ParquetFile(self._path, pre_buffer=False, buffer_size=_READ_BYTES) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            raise broken_file(self._path, "Parquet", error) from error


def parquet_files(source: Path) -> tuple[ParquetRows, ...]:
    """Open a Parquet file, or all of a directory, sorted by name.

    Raises:
        DataError: There is none, one is broken, or one is a link that leads elsewhere.
    """
    if source.is_file():
        return (ParquetRows(source, source.name),)
    tree = scan(source)
    names = sorted(name for name in tree.files if name.endswith(".parquet"))
    if not names:
        raise DataError(
            f"'{source}' has no Parquet file. Name a .parquet file, or a directory that holds some at any depth."
        )
    for name in names:
        if tree.files[name] and not _is_within(tree.root / name, (tree.root, *_blobs(tree.root))):
            raise DataError(
                f"'{source / name}' is a link that leads out of '{source}': it is not read. Copy the file in its "
                "place, or name it itself."
            )
    return tuple(ParquetRows(tree.root / name, name) for name in names)


def plain_rows(name: str, batch: RowBatch) -> list[dict[str, Any]]:
    """Return the small columns of a batch as plain values, one record a row.

    Raises:
        DataError: A value is broken, as text that is not UTF-8.
    """
    try:
        rows: list[dict[str, Any]] = batch.cells.to_pylist()
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"'{name}' has a broken value in rows {min(batch.rows)} to {max(batch.rows)}: {error}. Write it again."
        ) from error
    return rows


def load_picture(
    cell: Any, origin: str, label: Label, limits: DecodeLimits, **columns: Any
) -> NewSample | Skipped:
    """Load the picture of a cell; called in a worker thread.

    Args:
        cell: The Arrow scalar: a record with `bytes`, bytes, or base64.
        origin: What messages call it.
        label: What is known of it.
        limits: What it may cost.
        columns: Further fields of `NewSample`.
    """
    try:
        image = picture_bytes(cell.as_py(), limits.max_bytes)
    except (DataError, ValueError) as error:  # ValueError: text that is not UTF-8
        return Skipped(origin, str(error))
    return loaded_sample(image, label, origin=origin, limits=limits, **columns)


def batch_rows(size: int, rows: int) -> int:
    """Return how many rows to take at once from `rows` rows of `size` bytes together."""
    return min(MAX_BATCH_ROWS, max(1, BATCH_BYTES * max(rows, 1) // max(size, 1)))


def all_done(name: str, first: int, rows: int, done: Container[str]) -> bool:
    """Return whether every one of these rows is done."""
    return all(row_key(name, row) in done for row in range(first, first + rows))


def row_batch(
    rows: Sequence[int], batch: pa.RecordBatch, cells: Sequence[str], picture: str | None
) -> RowBatch:
    """Split a batch into its small columns and its pictures."""
    return RowBatch(rows, batch.select(list(cells)), None if picture is None else batch.column(picture))


def _taken(small: pa.Table, first: int, rows: list[int], pictures: list[bytes | None]) -> RowBatch:
    """Rows of a row group that begins at row `first` of the file."""
    cells = small.take(pa.array(rows, pa.int64())).combine_chunks().to_batches()[0]
    return RowBatch([first + row for row in rows], cells, pa.array(pictures, pa.large_binary()))


def _blobs(root: Path) -> tuple[Path, ...]:
    """Where the snapshots in the cache of huggingface_hub keep their files, if `root` is in one."""
    return tuple(
        directory.parent / "blobs" for directory in (root, *root.parents) if directory.name == "snapshots"
    )[:1]


def _is_within(path: Path, places: Sequence[Path]) -> bool:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return any(target.is_relative_to(place) for place in places)


def broken_file(path: Path, kind: str, error: Exception) -> DataError:
    """The error for a file that is not of its kind, or not whole."""
    reason = " ".join(str(error).split())[:300]
    return DataError(
        f"'{path}' cannot be read as {kind}: {reason}. If it is cut off, fetch or save it again."
    )
