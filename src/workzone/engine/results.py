"""Answers as lines and tables: one record per picture, in JSON lines, CSV or Parquet.

Knows the columns and the three formats; does not know where answers come from.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from workzone.core.errors import ConfigError
from workzone.core.lazy import require
from workzone.core.types import Prediction, Verdict
from workzone.engine.predictor import Failure
from workzone.storage.atomic import atomic_path

_PARQUET_ROWS = 16384


class ResultFormat(StrEnum):
    """How answers are stored."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One line: an answer, or the error instead of it."""

    image: str
    probability: float | None
    verdict: str | None
    stage: str | None
    latency_ms: float | None
    certified: bool | None
    error: str | None


COLUMNS = tuple(field.name for field in fields(ResultRow))


def result_format(out: Path, name: str | None = None) -> ResultFormat:
    """Return the named format, or the one that the file's suffix means.

    Raises:
        ConfigError: Neither says it.
    """
    found = name or out.suffix.lstrip(".").lower()
    try:
        return ResultFormat(found)
    except ValueError as error:
        raise ConfigError(
            f"'{found}' is no format for answers; name the file .jsonl, .csv or .parquet, or give the format."
        ) from error


def to_row(answer: Prediction | Failure) -> ResultRow:
    """Return the line of an answer; latency to the microsecond."""
    if isinstance(answer, Failure):
        return ResultRow(answer.image, None, None, None, None, None, answer.error)
    return ResultRow(
        image=answer.image,
        probability=answer.probability,
        verdict=answer.verdict.value,
        stage=answer.stage,
        latency_ms=round(answer.latency_ms, 3),
        certified=answer.certified,
        error=None,
    )


def to_line(row: ResultRow) -> str:
    """Return the row as one line of JSON, ASCII, without the newline.

    A file name that is not valid text survives as escaped surrogates.
    """
    return json.dumps(asdict(row), allow_nan=False)


def from_line(line: bytes) -> ResultRow:
    """Read what `to_line` wrote.

    Raises:
        ValueError: It is something else.
    """
    value = json.loads(line)
    if not isinstance(value, dict) or set(value) != set(COLUMNS) or not isinstance(value["image"], str):
        raise ValueError("not a line of answers")
    if value["verdict"] is not None:
        Verdict(value["verdict"])
    return ResultRow(**value)


def write_results(out: Path, form: ResultFormat, rows: Iterable[ResultRow]) -> None:
    """Write all rows to `out` at once: it appears whole or not at all.

    Raises:
        MissingExtraError: Parquet needs pyarrow.
    """
    with atomic_path(out) as temporary:
        if form is ResultFormat.PARQUET:
            _write_parquet(temporary, rows)
            return
        with temporary.open("w", encoding="utf-8", newline="") as handle:
            handle.writelines(_csv_lines(rows) if form is ResultFormat.CSV else _json_lines(rows))


def _json_lines(rows: Iterable[ResultRow]) -> Iterator[str]:
    return (f"{to_line(row)}\n" for row in rows)


def _csv_lines(rows: Iterable[ResultRow]) -> Iterator[str]:
    yield ",".join(COLUMNS) + "\n"
    for row in rows:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow(_cell(value) for value in asdict(row).values())
        yield buffer.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    """Return valid text: bytes of a file name that are none are shown as escapes."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def _write_parquet(path: Path, rows: Iterable[ResultRow]) -> None:
    pa = require("pyarrow", "data")
    parquet = require("pyarrow.parquet", "data")
    types = {"probability": pa.float64(), "latency_ms": pa.float64(), "certified": pa.bool_()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])
    with parquet.ParquetWriter(path, schema) as writer:
        chunk: list[dict[str, Any]] = []
        for row in rows:
            chunk.append({k: _text(v) if isinstance(v, str) else v for k, v in asdict(row).items()})
            if len(chunk) == _PARQUET_ROWS:
                writer.write_table(pa.Table.from_pylist(chunk, schema))
                chunk = []
        if chunk:
            writer.write_table(pa.Table.from_pylist(chunk, schema))
