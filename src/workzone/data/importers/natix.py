"""The Parquet files of natix-network-org/roadwork, Bittensor subnet 72's data set of street pictures.

Knows its columns and what they mean; how rows are streamed is `row_files`', how single cells are spelt `cell_values`',
and what its tags mean `natix_tags.yaml`'s. Whether label and caption agree, the rule by which the subnet draws
pictures, is not judged here: the caption is kept, and the data checks judge.

Rows are frames of videos, so a group is source, city, video and sequence together: the numbers of sequences repeat
from city to city. `date_captured` is 0 in the published files, which says nothing, not "1 January 1970".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from workzone.core.errors import DataError, nearest
from workzone.core.types import Label
from workzone.data.importers.cell_kinds import Kind, kind_of
from workzone.data.importers.cell_values import (
    is_missing,
    parse_place,
    parse_text,
    parse_time,
)
from workzone.data.importers.importing import Pending
from workzone.data.importers.row_files import (
    ParquetRows,
    RowBatch,
    load_picture,
    parquet_files,
    plain_rows,
    published_split,
    row_key,
)
from workzone.data.importers.scene_tags import SceneTags, tag_table
from workzone.imaging.decode import DecodeLimits

PICTURE = "image"
_TEXT, _TAGS = frozenset({Kind.TEXT, Kind.EMPTY}), frozenset({Kind.TEXT, Kind.LIST, Kind.EMPTY})
_NUMBER = frozenset({Kind.NUMBER, Kind.TEXT, Kind.EMPTY})
CELLS: Mapping[str, frozenset[Kind]] = {
    "label": _NUMBER,
    "city_name": _TEXT,
    "video_info.vid_id": _NUMBER,
    "video_info.seq_id": _NUMBER,
    "gps": _TAGS | {Kind.RECORD},
    "date_captured": _NUMBER | {Kind.TIME},
    "scene_description": _TEXT,
    "scene_level_tags.daytime": _TAGS,
    "scene_level_tags.weather": _TAGS,
    "scene_level_tags.scene_environment": _TAGS,
    "scene_level_tags.travel_alteration": _TAGS,
    "license": _NUMBER,
}
"""The columns that are read beside the picture, and what they may hold."""
UNREAD = frozenset({"id", "width", "height", "flickr_url", "coco_url", "video_info.frame_id"})
"""Columns that are there and say nothing more: sizes are measured, frames and ids are not unique."""
_PICTURES = frozenset({Kind.PICTURE, Kind.BYTES, Kind.TEXT})
_LABELS: Mapping[str, Label] = {"0": Label.NONE, "1": Label.ROADWORK}
_MAX_GROUP_PART = 200


class NatixSource:
    """The pictures of one Parquet file, or of all in a directory; reads their footers when it is made.

    Args:
        path: The file or directory, as downloaded.
        source: What the samples' column `source` and their groups say; name extra pictures otherwise.
        limits: What one picture may cost to decode.

    Raises:
        DataError: There is no Parquet file, one is broken, or a column is missing or of another type.
    """

    def __init__(
        self,
        path: Path,
        *,
        source: str = "natix",
        limits: DecodeLimits = DecodeLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._source = source
        self._limits = limits
        self._files = parquet_files(path)
        self._unknown = sorted({name for file in self._files for name in _check_columns(file)})
        self.name = source
        self.root = path if path.is_dir() else None
        self.notes: list[str] = []

    def identity(self) -> Mapping[str, Any]:
        """Return the files by name, size and time, the settings, and the table of tags."""
        return {
            "importer": "natix",
            "source": self._source,
            "limits": [self._limits.max_bytes, self._limits.max_pixels, self._limits.max_side_px],
            "tags": {column: dict(values) for column, values in tag_table().items()},
            "files": [file.stamp() for file in self._files],
        }

    def total(self) -> int:
        """Return how many rows there are."""
        return sum(file.rows for file in self._files)

    def items(self, done: Container[str]) -> Iterator[Pending]:
        """Yield the rows that are not done; pictures of row groups that are done as a whole are not read.

        The small columns of all rows are read in every attempt, so that the notes count everything.

        Raises:
            DataError: A file is broken further in.
        """
        facts = _Rows(self._source)
        for file in self._files:
            split = published_split(file.name)
            for batch in file.batches(list(CELLS), PICTURE, done):
                yield from self._batch(file.name, batch, facts, split, done)
        self.notes[:] = facts.notes(self._unknown)

    def _batch(
        self, name: str, batch: RowBatch, facts: _Rows, split: str | None, done: Container[str]
    ) -> Iterator[Pending]:
        for at, row in enumerate(plain_rows(name, batch)):
            key = row_key(name, batch.rows[at])
            label, columns = facts.columns(row)
            if batch.pictures is None or key in done:
                continue
            load = partial(
                load_picture, batch.pictures[at], key, label, self._limits, published_split=split, **columns
            )
            yield Pending(key, load)


class _Rows:
    """Turns rows into columns of a sample, and counts what a person should know of."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tags = SceneTags()
        self._count: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()

    def columns(self, row: Mapping[str, Any]) -> tuple[Label, dict[str, Any]]:
        """Return the label and the columns of a row."""
        self._count["rows"] += 1
        label = self._label(row["label"])
        lat, lon = self._place(row["gps"])
        alteration = self._tags.ours("travel_alteration", row["scene_level_tags.travel_alteration"])
        self._count["altered none"] += label is Label.NONE and alteration == "altered"
        return label, {
            "group": self._group(row),
            "source": self._source,
            "lat": lat,
            "lon": lon,
            "captured_at": self._time(row["date_captured"]),
            "daytime": self._tags.ours("daytime", row["scene_level_tags.daytime"]),
            "weather": self._tags.ours("weather", row["scene_level_tags.weather"]),
            "environment": self._tags.ours("environment", row["scene_level_tags.scene_environment"]),
            "caption": parse_text(row["scene_description"]),
            "licence": _licence(row["license"]),
        }

    def notes(self, unknown: list[str]) -> list[str]:
        """Return sentences, each with its number."""
        n = self._count
        found = [f"Columns that are not known were left out: {', '.join(unknown)}."] if unknown else []
        if self._labels:
            values = ", ".join(f"{value} ({count:,})" for value, count in self._labels.most_common(8))
            found.append(f"Labels other than 0 and 1 became unknown: {values}.")
        if n["bad place"]:
            found.append(f"{n['bad place']:,} rows have a 'gps' that is no place; their place is null.")
        if n["bad time"]:
            found.append(f"{n['bad time']:,} rows have a 'date_captured' that is no time; it is null.")
        if n["no time"]:
            found.append(
                f"{n['no time']:,} of {n['rows']:,} rows do not say when they were taken (a date of 0 says nothing): "
                "a split by time is not possible with them."
            )
        if n["no group"]:
            found.append(
                f"{n['no group']:,} rows name neither a video nor a sequence; each is a group of its own. Frames of "
                "one video among them are found only by a search for near-duplicates."
            )
        if n["altered none"]:
            found.append(
                f"{n['altered none']:,} pictures labelled 'none' say that travel is altered (partly blocked, lane "
                "shift, …): look at their labels."
            )
        return found + self._tags.notes()

    def _label(self, cell: Any) -> Label:
        text = {True: "1", False: "0"}[cell] if isinstance(cell, bool) else parse_text(cell)
        if text is not None and text in _LABELS:
            return _LABELS[text]
        value = "null" if text is None else repr(text[:40])
        self._labels[value if value in self._labels or len(self._labels) < 100 else "others"] += 1
        return Label.UNKNOWN

    def _place(self, cell: Any) -> tuple[float | None, float | None]:
        try:
            place = parse_place(cell)
        except ValueError:
            self._count["bad place"] += 1
            place = None
        return place or (None, None)

    def _time(self, cell: Any) -> Any:
        try:
            moment = parse_time(cell)
        except ValueError:
            self._count["bad time"] += 1
            return None
        self._count["no time"] += moment is None
        return moment

    def _group(self, row: Mapping[str, Any]) -> str | None:
        names = ("city_name", "video_info.vid_id", "video_info.seq_id")
        city, video, sequence = (parse_text(row[name]) for name in names)
        if video is None and sequence is None:
            self._count["no group"] += 1
            return None
        parts = (self._source, city, video, sequence)
        return "/".join("-" if part is None else part[:_MAX_GROUP_PART] for part in parts)


def _licence(cell: Any) -> str | None:
    """A licence by name; the numbers of COCO's lists mean nothing without the list."""
    text = None if is_missing(cell) or not isinstance(cell, str) else parse_text(cell)
    return None if text is None or text.isdecimal() else text[:_MAX_GROUP_PART]


def _check_columns(file: ParquetRows) -> list[str]:
    """Check names and types; return the names that are not known."""
    found = file.schema.names
    expected = {PICTURE: _PICTURES, **CELLS}
    unknown = [name for name in found if name not in expected and name not in UNREAD]
    for name, kinds in expected.items():
        if found.count(name) != 1:
            what = "lacks the column" if name not in found else "has more than once the column"
            hint = nearest(name, unknown).replace("Did you mean", "Is it misspelt as") if unknown else ""
            hint = hint.replace("Known", "Columns that are not known")
            raise DataError(
                f"'{file.name}' {what} '{name}'.{hint} A file of natix-network-org/roadwork has: "
                f"{', '.join([*expected, *sorted(UNREAD)])}."
            )
        column = file.schema.field(name).type
        if kind_of(column) not in kinds:
            expectation = ", ".join(sorted(kind.value for kind in kinds))
            raise DataError(
                f"'{file.name}': the column '{name}' has the type {column}, expected one of: {expectation}."
            )
    return unknown
