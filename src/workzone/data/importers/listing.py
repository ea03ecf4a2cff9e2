"""Which pictures a folder holds and what is said of each: by class directories, or by a CSV.

Reads names and the CSV, never a picture. A CSV says its own columns; what the schema does not know is
reported and left out.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from workzone.core.errors import DataError, nearest
from workzone.core.types import Label
from workzone.data.importers.importing import Skipped
from workzone.data.schema import LABEL_NAMES, SAMPLE_COLUMNS

MAX_CSV_BYTES = 256 * 1024**2
_PATH_COLUMNS = ("file", "path")
_DERIVED = frozenset({"id", "path", "width_px", "height_px"})
_YES_NO: Mapping[str, bool] = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Listed:
    """A picture that should be imported.

    Attributes:
        path: Relative to the folder, with "/".
        where: Where it is listed, for messages, as "line 3 of labels.csv".
        label: What is known of it.
        columns: Further columns of the sample, by name, each of its type.
    """

    path: str
    where: str
    label: Label
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder or its CSV names: to import, left out, and columns that are not known."""

    listed: tuple[Listed, ...]
    skipped: tuple[Skipped, ...]
    unknown_columns: tuple[str, ...] = ()


def parse_label(text: str) -> Label | None:
    """Return the label that `text` names (none, roadwork, unknown, 0, 1, -1), or None."""
    return LABEL_NAMES.get(text.strip().lower())


def list_class_directories(source: Path) -> Listing:
    """List the files of a folder whose directories are named by label (`schema.LABEL_NAMES`).

    Raises:
        DataError: A directory is named otherwise.
    """
    listed: list[Listed] = []
    skipped: list[Skipped] = []
    labels: dict[str, Label] = {}
    for entry in sorted(source.iterdir()):
        if entry.name.startswith("."):
            skipped.append(Skipped(entry.name, "hidden"))
        elif not entry.is_dir():
            skipped.append(Skipped(entry.name, "not inside a class directory"))
        else:
            label = parse_label(entry.name)
            if label is None:
                raise DataError(
                    f"'{entry}' is not named like a label.{nearest(entry.name.lower(), LABEL_NAMES)} Name "
                    "the directories of pictures by their label, or give a CSV."
                )
            labels[entry.name] = label
    for directory, label in labels.items():
        for path in _files(source, source / directory):
            if any(part.startswith(".") for part in PurePosixPath(path).parts):
                skipped.append(Skipped(path, "hidden"))
            else:
                listed.append(Listed(path, f"directory '{directory}'", label))
    return Listing(tuple(listed), tuple(skipped))


def list_csv(source: Path, table: Path) -> Listing:
    """List the pictures that a CSV names: columns `file` (or `path`), `label`, and any of the schema's.

    Paths are relative to `source`. An empty cell is a missing value.

    Raises:
        DataError: The CSV is missing, too large or not UTF-8, lacks a column, or has a row with a wrong value
            or with a path that leaves the folder; names the line.
    """
    if not table.is_file():
        raise DataError(f"The CSV '{table}' does not exist.")
    if table.stat().st_size > MAX_CSV_BYTES:
        raise DataError(f"The CSV '{table}' has more than the {MAX_CSV_BYTES:,} bytes that are read.")
    with table.open(encoding="utf-8-sig", newline="") as handle:
        try:
            reader = csv.DictReader(handle, strict=True)
            header = list(reader.fieldnames or ())
            path_column = _check_header(table, header)
            known = [c for c in header if c in _PARSERS]
            rows = tuple(_row(source, table, reader.line_num, row, path_column, known) for row in reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"'{table}' is not a CSV in UTF-8: {error}. Save it as one.") from error
    unknown = tuple(c for c in header if c not in {path_column, "label", *known})
    return Listing(rows, (), unknown)


def _files(source: Path, directory: Path) -> list[str]:
    """Every file below, relative to `source`, sorted; links to directories are not followed."""
    found = [
        (Path(parent) / name).relative_to(source).as_posix()
        for parent, _, names in os.walk(directory, followlinks=False)
        for name in names
    ]
    return sorted(found)


def _check_header(table: Path, header: list[str]) -> str:
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise DataError(f"'{table}' has the column '{min(twice)}' more than once.")
    paths = [name for name in _PATH_COLUMNS if name in header]
    if len(paths) == 2:
        raise DataError(f"'{table}' has both a column 'file' and a column 'path'; leave one of them out.")
    for wanted, have in (("file", bool(paths)), ("label", "label" in header)):
        if not have:
            hint = nearest(wanted, header) if header else ""
            hint = hint.replace("Did you mean", "Is it misspelt as").replace("Known", "Columns there")
            raise DataError(f"'{table}' lacks the column '{wanted}'.{hint} It needs 'file' and 'label'.")
    return paths[0]


def _row(
    source: Path,
    table: Path,
    line: int,
    row: Mapping[str | None, Any],
    path_column: str,
    known: Iterable[str],
) -> Listed:
    where = f"line {line} of '{table.name}'"
    if None in row or None in row.values():
        raise DataError(
            f"{where} has {'more' if None in row else 'fewer'} cells than the header has columns."
        )
    path = _inside(source, row[path_column].strip(), where)
    label = parse_label(row["label"])
    if label is None:
        raise DataError(f"{where} has the label '{row['label']}', expected one of {', '.join(LABEL_NAMES)}.")
    columns: dict[str, Any] = {}
    for column in known:
        text = row[column].strip()
        if not text:
            continue
        try:
            columns[column] = _PARSERS[column](text)
        except ValueError as error:
            raise DataError(f"{where} has '{text}' in the column '{column}': {error}.") from error
    return Listed(path, where, label, columns)


def _inside(source: Path, text: str, where: str) -> str:
    path = PurePosixPath(text)
    if not path.name or path.is_absolute() or ".." in path.parts or "\\" in text or "\0" in text:
        raise DataError(
            f"{where} names '{text}', which is no path inside '{source}'. Give relative paths with '/'."
        )
    return path.as_posix()


def _yes_no(text: str) -> bool:
    if text.lower() not in _YES_NO:
        raise ValueError(f"expected one of {', '.join(_YES_NO)}")
    return _YES_NO[text.lower()]


def _degrees(limit: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not math.isfinite(value) or abs(value) > limit:
            raise ValueError(f"expected degrees from -{limit:g} to {limit:g}")
        return value

    return parse


def _time(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    column.name: str for column in SAMPLE_COLUMNS if column.name not in _DERIVED | {"label"}
} | {
    "ambiguous": _yes_no,
    "synthetic": _yes_no,
    "lat": _degrees(90),
    "lon": _degrees(180),
    "captured_at": _time,
}
