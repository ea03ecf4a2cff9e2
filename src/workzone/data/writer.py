"""A data set on its way to disk: pictures as they come, tables and manifest last, then one rename.

Holds one picture and the rows seen so far, never all pictures. Knows nothing of where pictures come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from workzone.core.errors import ConfigError, DataError
from workzone.data.schema import BOX_COLUMNS, SAMPLE_COLUMNS, DataSetManifest, NewBox, NewSample
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


class DataSetWriter:
    """Takes samples one by one; made by `dataset_writer`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._rows: dict[str, list[Any]] = {column.name: [] for column in SAMPLE_COLUMNS}
        self._boxes: dict[str, list[Any]] = {column.name: [] for column in BOX_COLUMNS}
        self._seen: dict[str, tuple[int, bool, str, str]] = {}
        self._boxes_known: bool | None = None
        self.duplicates = 0
        """Samples left out because the same bytes came before."""

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, sample: NewSample) -> str:
        """Store one picture and its row; return its id.

        Raises:
            DataError: The same bytes came before with another label or group, the picture's format is not
                known, a value is out of range, or objects are known for some samples only.
        """
        sample_id = sha256_bytes(sample.image)
        group = sample_id if sample.group is None else sample.group
        name = sample.origin or sample_id[:12]
        if self._is_duplicate(sample_id, (int(sample.label), sample.ambiguous, group, name)):
            self.duplicates += 1
            return sample_id
        kind = sniff_format(sample.image)
        if kind is None:
            raise DataError(f"'{name}' begins with {sample.image[:8]!r}, which is no picture's signature.")
        self._check(sample, name)
        self._add_boxes(sample, sample_id, name)
        path = f"images/{sample_id[:2]}/{sample_id}{_SUFFIXES[kind]}"
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(sample.image)
        derived = {"id": sample_id, "path": path, "group": group, "label": int(sample.label)}
        for column, values in self._rows.items():
            values.append(derived[column] if column in derived else getattr(sample, column))
        return sample_id

    def attach(self, name: str, data: bytes) -> None:
        """Add a file of notes beside the tables; it is no part of the hash."""
        (self._root / name).write_bytes(data)

    def seal(self, name: str, revision: str, licence: str) -> None:
        """Write the tables, then the manifest."""
        if not self._seen:
            raise DataError(f"The data set '{name}' would be empty: no sample was added.")
        samples = build_table(SAMPLE_COLUMNS, self._rows).sort_by("id")
        boxes = build_table(BOX_COLUMNS, self._boxes) if self._boxes_known else None
        if boxes is not None:
            boxes = boxes.sort_by([(column.name, "ascending") for column in BOX_COLUMNS])
            write_table(self._root / BOXES, boxes)
        write_table(self._root / SAMPLES, samples)
        manifest = DataSetManifest(
            name=name,
            revision=revision,
            licence=licence,
            sha256=content_hash(name, revision, licence, samples, boxes),
            samples=samples.num_rows,
            boxes=None if boxes is None else boxes.num_rows,
        )
        write_json(self._root / MANIFEST, manifest.model_dump())

    def _is_duplicate(self, sample_id: str, new: tuple[int, bool, str, str]) -> bool:
        old = self._seen.setdefault(sample_id, new)
        if old is new:
            return False
        for what, before, now in zip(("label", "ambiguous", "group"), old, new, strict=False):
            if before != now:
                raise DataError(
                    f"'{old[3]}' and '{new[3]}' have identical bytes, but {what} {before!r} and {now!r}. "
                    "One picture can have one only: correct one of the two, or leave both out."
                )
        return True

    def _check(self, sample: NewSample, name: str) -> None:
        if sample.group == "":
            raise DataError(f"'{name}' has an empty group; give None where the group is not known.")
        if sample.width_px < 1 or sample.height_px < 1:
            raise DataError(f"'{name}' has the size {sample.width_px} × {sample.height_px} pixels.")
        for what, value, limit in (("lat", sample.lat, 90.0), ("lon", sample.lon, 180.0)):
            if value is not None and not abs(value) <= limit:
                raise DataError(
                    f"'{name}' has {what} {value}, expected degrees from -{limit:g} to {limit:g}."
                )

    def _add_boxes(self, sample: NewSample, sample_id: str, name: str) -> None:
        known = sample.boxes is not None
        if self._boxes_known is None:
            self._boxes_known = known
        if self._boxes_known != known:
            raise DataError(
                f"'{name}' comes {'with' if known else 'without'} boxes, unlike the samples before it: "
                "a picture without objects and one whose objects are not known could not be told apart."
            )
        for box in sample.boxes or ():
            numbers = (box.x_px, box.y_px, box.width_px, box.height_px)
            if not all(map(math.isfinite, numbers)) or min(numbers[2:]) < 0 or not 0 <= box.visible <= 1:
                raise DataError(
                    f"'{name}' has the box {box}; expected finite pixels and 'visible' in [0, 1]."
                )
            self._boxes["sample_id"].append(sample_id)
            for field in _BOX_FIELDS:
                self._boxes[field].append(getattr(box, field))


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
