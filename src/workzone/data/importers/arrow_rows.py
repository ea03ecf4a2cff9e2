"""The Arrow files that the library `datasets` saves (`save_to_disk`), read a few rows at a time.

Such a file is mapped, not read: the operating system takes its pages in when they are looked at and may drop them again
at any time, so that memory is not bound by them.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workzone.core.errors import DataError
from workzone.core.lazy import require
from workzone.data.importers.row_files import RowBatch, all_done, batch_rows, broken_file, row_batch
from workzone.data.importers.tree import named_path, stamp
from workzone.data.tables import MAX_ROWS

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = require("pyarrow", "data")

_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class ArrowRows:
    """The rows of an Arrow stream as `datasets` saves it (`save_to_disk`); counts them when it is made.

    Raises:
        DataError: It is no Arrow stream, is cut off, or is absurdly large.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self.name = named_path(name, f"a file in '{path.parent}'")
        self._check_end()
        self.rows = 0
        with self._opened() as stream:
            self.schema = stream.schema
            for batch in stream:  # mapped: only the batches' headers are touched
                self.rows += batch.num_rows
        if self.rows > MAX_ROWS:
            raise DataError(f"'{path}' has {self.rows:,} rows, more than the {MAX_ROWS:,} that are read.")

    def stamp(self) -> list[Any]:
        """Return name, size and time."""
        return [self.name, *stamp(self._path)[1:]]

    def batches(self, cells: Sequence[str], picture: str, done: Container[str]) -> Iterator[RowBatch]:
        """Yield all rows; pictures whose keys are all in `done` are not touched.

        Raises:
            DataError: The file is broken.
        """
        first = 0
        with self._opened() as stream:
            for batch in stream:
                step = batch_rows(batch.nbytes, batch.num_rows)
                for at in range(0, batch.num_rows, step):
                    part = batch.slice(at, step)
                    wanted = not all_done(self.name, first + at, part.num_rows, done)
                    rows = range(first + at, first + at + part.num_rows)
                    yield row_batch(rows, part, cells, picture if wanted else None)
                first += batch.num_rows

    def _check_end(self) -> None:
        """A stream that is cut off between two batches reads as a shorter one: its end mark tells."""
        try:
            with self._path.open("rb") as handle:
                size = handle.seek(0, os.SEEK_END)
                handle.seek(max(0, size - len(_END_OF_STREAM)))
                end = handle.read()
        except OSError as error:
            raise broken_file(self._path, "an Arrow stream", error) from error
        if end != _END_OF_STREAM:
            raise DataError(
                f"'{self._path}' does not end as an Arrow stream does: it is cut off, or is something else. Fetch or "
                "save it again."
            )

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            with pa.memory_map(str(self._path)) as source, pa.ipc.open_stream(source) as stream:
                yield stream
        except (pa.ArrowException, OSError) as error:
            raise broken_file(self._path, "an Arrow stream", error) from error
