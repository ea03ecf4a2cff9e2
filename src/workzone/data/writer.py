"""A data set on its way to disk: pictures as they come, tables and manifest last, then one rename.

Holds one picture and the rows seen so far, never all pictures. Knows nothing of where pictures come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import compress
from pathlib import Path
from typing import Any

from workzone.core.errors import ConfigError, DataError
from workzone.data.schema import (
    BOX_COLUMNS,
    BOXES_KNOWN,
    SAMPLE_COLUMNS,
    DataSetManifest,
    NewBox,
    NewSample,
)
from workzone.data.tables import build_table, content_sha256, write_table
from workzone.imaging.header import sniff_format
from workzone.storage.atomic import atomic_directory, write_json
from workzone.storage.hashing import sha256_bytes

MANIFEST = "dataset.json"
SAMPLES = "samples.parquet"
BOXES = "boxes.parquet"

_SUFFIXES: Mapping[str, str] = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "GIF": ".gif",
}
_BOX_FIELDS = tuple(field.name for field in fields(NewBox))


def content_hash(name: str, revision: str, licence: str, samples: Any, boxes: Any | None) -> str:
    """Return the hash of a data set: its name, revision, licence, and every value of its tables."""
    header = {
        "kind": "dataset",
        "name": name,
        "revision": revision,
        "licence": licence,
        "boxes": boxes is not None,
    }
    return content_sha256(header, [samples] if boxes is None else [samples, boxes])


@dataclass(frozen=True, slots=True)
class _First:
    """The first sample that came with certain bytes, as far as others may conflict with it."""

    label: int
    ambiguous: bool
    group: str
    name: str


class DataSetWriter:
    """Takes samples one by one; made by `dataset_writer`, or over unfinished work by an import."""

    def __init__(self, root: Path, *, drop_conflicts: bool = False) -> None:
        """Write below `root`.

        Args:
            root: A directory of the writer's own.
            drop_conflicts: Leave out identical bytes with conflicting labels or groups, all copies, instead of
                raising.
        """
        self._root = root
        self._drop_conflicts = drop_conflicts
        self._rows: dict[str, list[Any]] = {column.name: [] for column in (*SAMPLE_COLUMNS, BOXES_KNOWN)}
        self._boxes: dict[str, list[Any]] = {column.name: [] for column in BOX_COLUMNS}
        self._seen: dict[str, _First] = {}
        self._dropped: dict[str, list[tuple[str, str]]] = {}
        self.duplicates = 0
        """Samples left out because the same bytes came before."""

    def __len__(self) -> int:
        return len(self._seen) - len(self._dropped)

    def add(self, sample: NewSample, *, stored: bool = False) -> str:
        """Store one picture and its row; return its id.

        Args:
            sample: The picture.
            stored: Its bytes are where they belong already, left by an earlier attempt.

        Raises:
            DataError: The same bytes came before with another label or group, the picture's format is not
                known, or a value is out of range.
        """
        sample_id = sha256_bytes(sample.image)
        group = sample_id if sample.group is None else sample.group
        name = sample.origin or sample_id[:12]
        if self._is_duplicate(sample_id, _First(int(sample.label), sample.ambiguous, group, name)):
            return sample_id
        kind = sniff_format(sample.image)
        if kind is None:
            raise DataError(f"'{name}' begins with {sample.image[:8]!r}, which is no picture's signature.")
        _check(sample, name)
        self._add_boxes(sample, sample_id)
        path = _picture_path(sample_id, kind)
        if not stored:
            target = self._root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(sample.image)
        derived = {
            "id": sample_id,
            "path": path,
            "group": group,
            "label": int(sample.label),
            "boxes_known": sample.boxes is not None,
        }
        for column, values in self._rows.items():
            values.append(derived[column] if column in derived else getattr(sample, column))
        return sample_id

    def stored_picture(self, sample_id: str) -> bytes | None:
        """Return the bytes that an earlier attempt stored under an id, whole or not; None: there are none."""
        for kind in _SUFFIXES:
            path = self._root / _picture_path(sample_id, kind)
            if path.is_file():
                return path.read_bytes()
        return None

    def dropped(self) -> list[tuple[str, str]]:
        """Return what was left out because identical bytes conflict: (name, reason), every copy."""
        return [copy for copies in self._dropped.values() for copy in copies]

    def origins(self) -> Iterator[tuple[str, str]]:
        """Yield (id, what messages call it) of every sample that is kept, in the order they came."""
        for sample_id, first in self._seen.items():
            if sample_id not in self._dropped:
                yield sample_id, first.name

    def attach(self, name: str, data: bytes) -> None:
        """Add a file of notes beside the tables; it is no part of the hash."""
        (self._root / name).write_bytes(data)

    def seal(self, name: str, revision: str, licence: str) -> None:
        """Write the tables, then the manifest."""
        if not len(self):
            raise DataError(f"The data set '{name}' would be empty: no sample was added.")
        known = {
            flag for flag, i in zip(self._rows["boxes_known"], self._rows["id"], strict=True) if self._kept(i)
        }
        columns = (*SAMPLE_COLUMNS, BOXES_KNOWN) if len(known) > 1 else SAMPLE_COLUMNS
        samples = build_table(columns, self._kept_rows(self._rows, "id")).sort_by("id")
        boxes = None
        if True in known:
            boxes = build_table(BOX_COLUMNS, self._kept_rows(self._boxes, "sample_id"))
            boxes = boxes.sort_by([(column.name, "ascending") for column in BOX_COLUMNS])
            write_table(self._root / BOXES, boxes)
        self._remove_dropped()
        write_table(self._root / SAMPLES, samples)
        manifest = DataSetManifest(
            schema_version=2 if len(known) > 1 else 1,
            name=name,
            revision=revision,
            licence=licence,
            sha256=content_hash(name, revision, licence, samples, boxes),
            samples=samples.num_rows,
            boxes=None if boxes is None else boxes.num_rows,
        )
        write_json(self._root / MANIFEST, manifest.model_dump())

    def _is_duplicate(self, sample_id: str, new: _First) -> bool:
        old = self._seen.setdefault(sample_id, new)
        if old is new:
            return False
        conflict = _conflict(old, new)
        if conflict is None:
            if sample_id in self._dropped:
                self._dropped[sample_id].append(
                    (new.name, f"identical bytes as '{old.name}', which was dropped")
                )
            else:
                self.duplicates += 1
            return True
        if not self._drop_conflicts:
            raise DataError(
                f"'{old.name}' and '{new.name}' have identical bytes, but {conflict}. "
                "One picture can have one only: correct one of the two, or leave out all copies of such pictures "
                "(--drop-conflicts)."
            )
        copies = self._dropped.setdefault(
            sample_id, [(old.name, f"identical bytes as '{new.name}', but {conflict}")]
        )
        copies.append((new.name, f"identical bytes as '{old.name}', but {conflict}"))
        return True

    def _kept(self, sample_id: str) -> bool:
        return sample_id not in self._dropped

    def _kept_rows(self, rows: dict[str, list[Any]], key: str) -> dict[str, list[Any]]:
        if not self._dropped:
            return rows
        keep = [self._kept(sample_id) for sample_id in rows[key]]
        return {name: list(compress(values, keep)) for name, values in rows.items()}

    def _remove_dropped(self) -> None:
        paths = dict(zip(self._rows["id"], self._rows["path"], strict=True))
        for sample_id in self._dropped:
            (self._root / paths[sample_id]).unlink()

    def _add_boxes(self, sample: NewSample, sample_id: str) -> None:
        for box in sample.boxes or ():
            self._boxes["sample_id"].append(sample_id)
            for field in _BOX_FIELDS:
                self._boxes[field].append(getattr(box, field))


def _picture_path(sample_id: str, kind: str) -> str:
    return f"images/{sample_id[:2]}/{sample_id}{_SUFFIXES[kind]}"


def _conflict(old: _First, new: _First) -> str | None:
    for what in ("label", "ambiguous", "group"):
        before, now = getattr(old, what), getattr(new, what)
        if before != now:
            return f"{what} {before!r} and {now!r}"
    return None


def _check(sample: NewSample, name: str) -> None:
    if sample.group == "":
        raise DataError(f"'{name}' has an empty group; give None where the group is not known.")
    if sample.width_px < 1 or sample.height_px < 1:
        raise DataError(f"'{name}' has the size {sample.width_px} × {sample.height_px} pixels.")
    for what, value, limit in (("lat", sample.lat, 90.0), ("lon", sample.lon, 180.0)):
        if value is not None and not abs(value) <= limit:
            raise DataError(f"'{name}' has {what} {value}, expected degrees from -{limit:g} to {limit:g}.")
    for box in sample.boxes or ():
        numbers = (box.x_px, box.y_px, box.width_px, box.height_px)
        if not all(map(math.isfinite, numbers)) or min(numbers[2:]) < 0 or not 0 <= box.visible <= 1:
            raise DataError(f"'{name}' has the box {box}; expected finite pixels and 'visible' in [0, 1].")


@contextmanager
def dataset_writer(
    path: Path, *, name: str, revision: str, licence: str, overwrite: bool = False
) -> Iterator[DataSetWriter]:
    """Yield a writer; when the block ends well the whole data set appears at `path`, else nothing does.

    Raises:
        ConfigError: `path` holds something already, and it is no data set or `overwrite` is not set.
        DataError: As `DataSetWriter.add`; or no sample was added.
    """
    check_free(path, overwrite=overwrite)
    with atomic_directory(path) as root:
        writer = DataSetWriter(root)
        yield writer
        writer.seal(name, revision, licence)


def refuse_inside(out: Path, source: Path, what: str) -> None:
    """Refuse to write a new data set into the directory that it is made from.

    Args:
        out: Where it is to go.
        source: What is read.
        what: What `source` is to `out`, for the message, as "data set that is to be fixed".

    Raises:
        ConfigError: See above.
    """
    if out.resolve().is_relative_to(source.resolve()):
        raise ConfigError(f"'{out}' lies in the {what}, '{source}'. Name a directory elsewhere.")


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse to write over something; only a data set is ever replaced, and only when asked to.

    Raises:
        ConfigError: See above.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / MANIFEST).is_file():
        raise ConfigError(
            f"'{path}' exists and is no data set: it is not written over. Choose another directory."
        )
    if not overwrite:
        raise ConfigError(f"'{path}' holds a data set already. Choose another directory, or remove it first.")
