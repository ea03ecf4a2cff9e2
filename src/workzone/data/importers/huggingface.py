"""Image classification data sets as the `datasets` library writes them: Parquet as on the hub, or `save_to_disk`.

Knows how `datasets` marks columns (a JSON text in the Arrow schema's metadata: which are images, what the class
numbers are called); does not know what a name means: only "roadwork", "none" and "unknown" are understood without a
map, and where two columns would do, the choice is the caller's. Read with pyarrow alone: `datasets` would decode, cast
and cache a copy of everything first, and brings pandas and half a dozen packages more.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workzone.core.errors import ConfigError, DataError, nearest
from workzone.core.types import Label
from workzone.data.importers.arrow_rows import ArrowRows
from workzone.data.importers.cell_kinds import Kind, kind_of
from workzone.data.importers.cell_values import parse_text
from workzone.data.importers.importing import Pending
from workzone.data.importers.row_files import (
    RowFile,
    load_picture,
    parquet_files,
    plain_rows,
    published_split,
    row_key,
)
from workzone.data.importers.saved_files import is_saved_by_datasets, saved_files
from workzone.data.schema import LABEL_NAMES
from workzone.imaging.decode import DecodeLimits

if TYPE_CHECKING:
    import pyarrow as pa

MAX_LABELS = 100
"""Different values of a label column; a column with more is something else."""
_MAX_METADATA = 2**20
_MAX_GROUP = 500
_WORDS: Mapping[str, Label] = {name: label for name, label in LABEL_NAMES.items() if name.isalpha()}


class HubImagesSource:
    """The pictures of an image classification data set on disk; reads schemas and labels when it is made.

    Args:
        path: A Parquet file, a directory with some, or a directory of `save_to_disk`.
        image_column: Needed where more than one column holds pictures.
        label_column: Needed where it is not plain which one it is.
        label_map: What each class name, or each value where classes have no names, means.
        group_column: Names the sequence or place; without one each picture is a group of its own.
        name: Of the data set; by default the directory's.
        source: Where the pictures come from, as the repository on the hub; by default the name. By it a known overlap
            with another data set is noticed.
        limits: What one picture may cost to decode.

    Raises:
        ConfigError: A column or a class is not there, or the choice is not clear; lists what there is.
        DataError: There is no file to read, one is broken, or the files do not agree.
    """

    def __init__(
        self,
        path: Path,
        *,
        image_column: str | None = None,
        label_column: str | None = None,
        label_map: Mapping[str, Label] | None = None,
        group_column: str | None = None,
        name: str | None = None,
        source: str | None = None,
        limits: DecodeLimits = DecodeLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._limits = limits
        self._files: tuple[RowFile, ...] = (
            tuple(ArrowRows(file, name) for file, name in saved_files(path))
            if is_saved_by_datasets(path)
            else parquet_files(path)
        )
        schema = self._files[0].schema
        self._image = _image_column(schema, image_column)
        self._label = _label_column(schema, label_column, {self._image, group_column})
        self._group = group_column
        if group_column is not None:
            _check_there(schema, group_column, "--group-column")
        self._names = _class_names(schema, self._label)
        self._check_files_agree()
        values = dict.fromkeys(self._names) if self._names is not None else self._label_values()
        self._labels = _meanings(self._label, list(values), label_map, named=self._names is not None)
        self.name = name or path.resolve().stem
        self.root = path if path.is_dir() else None
        self._source = source or self.name
        self.notes: list[str] = []

    def identity(self) -> Mapping[str, Any]:
        """Return the files by name, size and time, and the settings."""
        return {
            "importer": "huggingface",
            "source": self._source,
            "columns": [self._image, self._label, self._group],
            "labels": {value: int(label) for value, label in self._labels.items()},
            "limits": [self._limits.max_bytes, self._limits.max_pixels, self._limits.max_side_px],
            "files": [file.stamp() for file in self._files],
        }

    def total(self) -> int:
        """Return how many rows there are."""
        return sum(file.rows for file in self._files)

    def items(self, done: Container[str]) -> Iterator[Pending]:
        """Yield the rows that are not done.

        Raises:
            DataError: A file is broken further in, or has a class number without a name.
        """
        cells = [self._label, *([] if self._group in (None, self._label) else [str(self._group)])]
        unlabelled = 0
        for file in self._files:
            split = published_split(file.name)
            for batch in file.batches(cells, self._image, done):
                for at, row in enumerate(plain_rows(file.name, batch)):
                    key = row_key(file.name, batch.rows[at])
                    value = self._value(row[self._label], key)
                    unlabelled += value is None
                    if batch.pictures is None or key in done:
                        continue
                    label = Label.UNKNOWN if value is None else self._labels[value]
                    group = None if self._group is None else (parse_text(row[self._group]) or "")[:_MAX_GROUP]
                    columns = {"group": group or None, "published_split": split, "source": self._source}
                    yield Pending(
                        key, partial(load_picture, batch.pictures[at], key, label, self._limits, **columns)
                    )
        self.notes[:] = [f"{unlabelled:,} rows have no label; they are unknown."] if unlabelled else []

    def _value(self, cell: Any, where: str) -> str | None:
        """The label of a cell by its class name, or as text; None where there is none."""
        if self._names is None:
            return _as_text(cell)
        if cell is None or cell == -1:
            return None
        if not isinstance(cell, int) or not 0 <= cell < len(self._names):
            raise DataError(
                f"'{where}' has the class {cell!r} in '{self._label}', which names {len(self._names)} classes: "
                f"{', '.join(self._names)}. Correct the row."
            )
        return self._names[cell]

    def _label_values(self) -> list[str]:
        """Every value of a label column without names, from one pass that reads no picture."""
        seen: Counter[str] = Counter()
        for file in self._files:
            for batch in file.batches([self._label], self._image, _Everything()):
                texts = [_as_text(row[self._label]) for row in plain_rows(file.name, batch)]
                seen.update(text for text in texts if text is not None)
                if len(seen) > MAX_LABELS:
                    raise ConfigError(
                        f"The column '{self._label}' has more than {MAX_LABELS} different values, as "
                        f"'{next(iter(seen))[:100]}': that is no label. Name another with --label-column."
                    )
        return sorted(seen)

    def _check_files_agree(self) -> None:
        wanted = [self._image, self._label, *([] if self._group is None else [self._group])]
        first = self._files[0]
        for file in self._files:
            for column in wanted:
                there = file.schema.names.count(column) == 1
                if not there or file.schema.field(column).type != first.schema.field(column).type:
                    raise DataError(
                        f"'{file.name}' and '{first.name}' do not agree on the column '{column}'; all files of a "
                        "data set have the same columns. Import them one by one, or write them again."
                    )
            if _class_names(file.schema, self._label) != self._names:
                raise DataError(
                    f"'{file.name}' and '{first.name}' give the classes of '{self._label}' different names: the same "
                    "number would mean two things. Import them one by one."
                )


class _Everything:
    """Stands for all keys: what is done need not be read."""

    def __contains__(self, key: object) -> bool:
        return True


def parse_label_map(text: str) -> dict[str, Label]:
    """Return what "roadwork=1,no work=0,unclear=-1" says of each class.

    Raises:
        ConfigError: It is not written so, or names a class twice.
    """
    found: dict[str, Label] = {}
    for part in text.split(","):
        name, equals, value = part.rpartition("=")
        label = LABEL_NAMES.get(value.strip().lower())
        if not equals or not name.strip() or label is None or name.strip() in found:
            raise ConfigError(
                f"'{part}' in the label map '{text}' is not CLASS=LABEL with LABEL one of 1 (road work), 0 (none) and "
                "-1 (unknown), each class once. Write it like 'roadwork=1,clear road=0'."
            )
        found[name.strip()] = label
    return found


def _features(schema: pa.Schema) -> Mapping[str, Any]:
    """What `datasets` wrote about the columns; nothing where another program wrote the file."""
    text = (schema.metadata or {}).get(b"huggingface", b"")
    if not text or len(text) > _MAX_METADATA:
        return {}
    try:
        features = json.loads(text)["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _feature_type(features: Mapping[str, Any], column: str) -> str | None:
    feature = features.get(column)
    return feature.get("_type") if isinstance(feature, dict) else None


def _class_names(schema: pa.Schema, column: str) -> list[str] | None:
    features = _features(schema)
    if _feature_type(features, column) != "ClassLabel":
        return None
    names = features[column].get("names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return None
    return names


def _image_column(schema: pa.Schema, wanted: str | None) -> str:
    features = _features(schema)
    kinds = {name: kind_of(field.type) for name, field in zip(schema.names, schema, strict=True)}
    if wanted is not None:
        _check_there(schema, wanted, "--image-column")
        if kinds[wanted] not in {Kind.PICTURE, Kind.BYTES, Kind.TEXT}:
            raise ConfigError(
                f"The column '{wanted}' has the type {schema.field(wanted).type}, which holds no pictures."
            )
        return wanted
    found = [name for name in schema.names if _feature_type(features, name) == "Image"]
    found = found or [name for name, kind in kinds.items() if kind in {Kind.PICTURE, Kind.BYTES}]
    return _the_one(found, schema, "pictures", "--image-column")


def _label_column(schema: pa.Schema, wanted: str | None, taken: set[str | None]) -> str:
    features = _features(schema)
    if wanted is not None:
        _check_there(schema, wanted, "--label-column")
        if kind_of(schema.field(wanted).type) not in {Kind.TEXT, Kind.NUMBER}:
            raise ConfigError(
                f"The column '{wanted}' has the type {schema.field(wanted).type}, which holds no labels."
            )
        return wanted
    found = [name for name in schema.names if _feature_type(features, name) == "ClassLabel"]
    if not found:
        kinds = {Kind.TEXT, Kind.NUMBER}
        found = [n for n in schema.names if n not in taken and kind_of(schema.field(n).type) in kinds]
    return _the_one(found, schema, "labels", "--label-column")


def _the_one(found: list[str], schema: pa.Schema, what: str, option: str) -> str:
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"{len(found)} columns may hold the {what}: {', '.join(found)}. Choose one with {option}."
        )
    columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
    raise ConfigError(
        f"No column holds {what}. There are: {columns[:2000]}. If it is one of them, name it: {option}."
    )


def _check_there(schema: pa.Schema, column: str, option: str) -> None:
    if schema.names.count(column) != 1:
        raise ConfigError(f"There is no column '{column}' ({option}).{nearest(column, schema.names)}")


def _meanings(
    column: str, values: list[str], label_map: Mapping[str, Label] | None, *, named: bool
) -> dict[str, Label]:
    """What each class means, each by the map or by its own plain word."""
    label_map = label_map or {}
    for name in label_map:
        if name not in values:
            raise ConfigError(
                f"--label-map names the class '{name}', which '{column}' does not have.{nearest(name, values)}"
            )
    found = {value: label_map.get(value, _WORDS.get(value.lower())) for value in values}
    unclear = [value for value, label in found.items() if label is None]
    if unclear:
        kind = "classes" if named else "values"
        raise ConfigError(
            f"'{column}' has the {kind} {', '.join(repr(v[:80]) for v in values)}; what these mean is not said: "
            f"{', '.join(repr(v[:80]) for v in unclear)}. Give each as 1 (road work), 0 (none) or -1 (unknown), as "
            f"--label-map '{unclear[0][:80]}=1,…'."
        )
    return {value: label for value, label in found.items() if label is not None}


def _as_text(cell: Any) -> str | None:
    """A value as text; "none" is a label here, not a missing one."""
    if cell is None or cell != cell or cell == "":
        return None
    if isinstance(cell, str):
        return cell.strip() or None
    return str(cell).lower() if isinstance(cell, bool) else parse_text(cell)
