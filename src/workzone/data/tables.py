"""Parquet in and out, bounded and strict, and the hash of a table's content.

The one module here that touches pyarrow's functions. The hash is taken over values, row by row, never over
the file: another version of Parquet or another compression gives the same hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from workzone.core.errors import DataError, nearest
from workzone.core.lazy import require
from workzone.data.schema import Column
from workzone.storage.atomic import atomic_path
from workzone.storage.hashing import canonical_json

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
else:
    pa = require("pyarrow", "data")
    pc = require("pyarrow.compute", "data")
    pq = require("pyarrow.parquet", "data")

MAX_FILE_BYTES = 2 * 1024**3
MAX_DECODED_BYTES = 8 * 1024**3
MAX_ROWS = 20_000_000
MAX_JSON_BYTES = 1024**2
_HASH_BATCH_ROWS = 8192

_TYPES: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "int8": pa.int8(),
    "int32": pa.int32(),
    "bool": pa.bool_(),
    "float64": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the Arrow schema of `columns`."""
    return pa.schema([pa.field(c.name, _TYPES[c.type], nullable=c.nullable) for c in columns])


def build_table(columns: Sequence[Column], values: Mapping[str, Sequence[Any]]) -> pa.Table:
    """Return a table with exactly these columns."""
    schema = arrow_schema(columns)
    return pa.table([pa.array(values[f.name], type=f.type) for f in schema], schema=schema)


def write_table(path: Path, table: pa.Table) -> None:
    """Write `table` atomically as Parquet."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: Path, columns: Sequence[Column], optional: Sequence[Column] = ()) -> pa.Table:
    """Read a Parquet file that must hold exactly `columns`, in any order, and may hold `optional` ones.

    Raises:
        DataError: The file is missing, too large or not Parquet, or a column, type or value is not as it must
            be.
    """
    _check_size(path, MAX_FILE_BYTES)
    try:
        with pq.ParquetFile(path) as file:
            _check_footer(path, file)
            columns = [*columns, *(c for c in optional if c.name in file.schema_arrow.names)]
            _check_columns(path, file.schema_arrow, columns)
            table = file.read(columns=[c.name for c in columns])
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"'{path}' cannot be read as Parquet: {error}. Make or import the data again."
        ) from error
    for column in columns:
        missing = table[column.name].null_count
        if missing and not column.nullable:
            raise DataError(
                f"'{path}': column '{column.name}' lacks a value in {missing} rows; it needs one in each."
            )
    return table.select([c.name for c in columns]).cast(arrow_schema(columns))


def read_json(path: Path, model: type[BaseModel]) -> Any:
    """Read a small JSON file as an instance of `model`.

    Raises:
        DataError: The file is missing, too large, or is not what `model` says.
    """
    _check_size(path, MAX_JSON_BYTES)
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        known = (
            nearest(str(first["loc"][-1]), model.model_fields) if first["type"] == "extra_forbidden" else ""
        )
        raise DataError(f"'{path}' is not valid at '{where}': {first['msg']}.{known}") from error


def content_sha256(header: Mapping[str, Any], tables: Iterable[pa.Table]) -> str:
    """Return the SHA-256 over a header and the rows of tables, whatever the order of their rows."""
    digest = hashlib.sha256(canonical_json(header) + b"\n")
    for table in tables:
        digest.update(canonical_json(table.column_names) + b"\n")
        for batch in _sorted(table).to_batches(max_chunksize=_HASH_BATCH_ROWS):
            for row in batch.to_pylist():
                digest.update(canonical_json(list(row.values())) + b"\n")
    return digest.hexdigest()


def strings(table: pa.Table, column: str) -> NDArray[np.str_]:
    """Return a text column as str [N]; a missing value becomes ""."""
    return np.array(table[column].fill_null("").to_pylist(), dtype=np.str_)


def equal_to(column: pa.ChunkedArray, value: str) -> pa.ChunkedArray:
    """Return a mask: which values equal `value`."""
    return pc.equal(column, value)


def is_in(column: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a mask: which values are among `values`."""
    return pc.is_in(column, value_set=values)


def _sorted(table: pa.Table) -> pa.Table:
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):  # as microseconds: exact, and JSON can hold it
            table = table.set_column(position, field.name, table[field.name].cast(pa.int64()))
    return table.sort_by([(name, "ascending") for name in table.column_names])


def _check_size(path: Path, limit: int) -> None:
    if not path.is_file():
        raise DataError(f"'{path}' does not exist. Expected a file here; name the directory that holds it.")
    size = path.stat().st_size
    if size > limit:
        raise DataError(f"'{path}' has {size:,} bytes, more than the {limit:,} that are read.")


def _check_footer(path: Path, file: pq.ParquetFile) -> None:
    footer = file.metadata
    if footer.num_rows > MAX_ROWS:
        raise DataError(
            f"'{path}' says it has {footer.num_rows:,} rows, more than the {MAX_ROWS:,} that are read."
        )
    decoded = sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))
    if decoded > MAX_DECODED_BYTES:
        raise DataError(
            f"'{path}' says it unpacks to {decoded:,} bytes, more than the {MAX_DECODED_BYTES:,} "
            "that are read."
        )


def _check_columns(path: Path, found: pa.Schema, columns: Sequence[Column]) -> None:
    expected = arrow_schema(columns)
    extra = [name for name in found.names if name not in expected.names]
    missing = [name for name in expected.names if name not in found.names]
    if missing:
        hint = nearest(missing[0], extra) if extra else ""
        hint = hint.replace("Did you mean", "Is it misspelt as").replace(
            "Known", "Columns that are not known"
        )
        raise DataError(
            f"'{path}' lacks the column '{missing[0]}'.{hint} Expected: {', '.join(expected.names)}."
        )
    if extra:
        raise DataError(
            f"'{path}' has the column '{extra[0]}', which is not known.{nearest(extra[0], expected.names)}"
        )
    if len(set(found.names)) != len(found.names):
        raise DataError(f"'{path}' has a column twice: {', '.join(sorted(found.names))}.")
    for field in expected:
        if found.field(field.name).type != field.type:
            raise DataError(
                f"'{path}': column '{field.name}' has the type {found.field(field.name).type}, "
                f"expected {field.type}."
            )
