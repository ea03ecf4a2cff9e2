"""A data set on disk: opened, verified, written.

Opening checks the manifest, the tables against their hash, and that every picture is where its row says;
it does not read pictures: `verify_pictures` does.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.observer import NullObserver, Observer, track
from workzone.core.types import Label
from workzone.data.schema import (
    BOX_CATEGORIES,
    BOX_COLUMNS,
    BOXES_KNOWN,
    SAMPLE_COLUMNS,
    DataSetManifest,
    NewSample,
)
from workzone.data.tables import read_json, read_table, strings
from workzone.data.writer import BOXES, MANIFEST, SAMPLES, content_hash, dataset_writer
from workzone.storage.hashing import sha256_file

if TYPE_CHECKING:
    import pyarrow as pa

_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """Pictures with their metadata.

    Attributes:
        root: The directory.
        name: What it is called.
        revision: Which state of it this is.
        licence: Of the whole; a sample may name its own.
        sha256: Over name, revision, licence and every value of the tables.
        samples: `schema.SAMPLE_COLUMNS`, and `BOXES_KNOWN` where that differs, sorted by id.
        boxes: `schema.BOX_COLUMNS`, or None where objects are not known.
    """

    root: Path
    name: str
    revision: str
    licence: str
    sha256: str
    samples: pa.Table
    boxes: pa.Table | None

    def __len__(self) -> int:
        return int(self.samples.num_rows)

    def paths(self) -> list[Path]:
        """Return where the pictures are, in the order of `samples`."""
        return [self.root / path for path in self.samples["path"].to_pylist()]


def boxes_known(dataset: DataSet) -> NDArray[np.bool_]:
    """Return for each sample whether its objects are known, bool [N]; one that has none is known too."""
    if dataset.boxes is None:
        return np.zeros(len(dataset), dtype=np.bool_)
    if BOXES_KNOWN.name not in dataset.samples.column_names:
        return np.ones(len(dataset), dtype=np.bool_)
    return np.asarray(dataset.samples[BOXES_KNOWN.name].to_numpy(), dtype=np.bool_)


def open_dataset(path: Path | str) -> DataSet:
    """Open a data set and check its tables.

    Raises:
        DataError: Something is missing, too large, out of range or changed; says what and where.
    """
    root = Path(path)
    if not (root / MANIFEST).is_file():
        raise DataError(
            f"'{root}' is no data set: it has no {MANIFEST}. Make one with 'workzone data render' or "
            "'workzone data import'."
        )
    manifest: DataSetManifest = read_json(root / MANIFEST, DataSetManifest)
    samples = read_table(root / SAMPLES, SAMPLE_COLUMNS, optional=(BOXES_KNOWN,)).sort_by("id")
    boxes = None if manifest.boxes is None else read_table(root / BOXES, BOX_COLUMNS)
    _check_samples(root, samples)
    if boxes is not None:
        _check_boxes(root, boxes, samples)
    held = (samples.num_rows, None if boxes is None else boxes.num_rows)
    found = content_hash(manifest.name, manifest.revision, manifest.licence, samples, boxes)
    if found != manifest.sha256 or held != (manifest.samples, manifest.boxes):
        raise DataError(
            f"'{root}' was changed: its {held[0]} samples have the hash {found[:12]}, {MANIFEST} says "
            f"{manifest.samples} and {manifest.sha256[:12]}. Restore it, or make it again as a new revision."
        )
    _check_pictures(root, samples)
    return DataSet(root, manifest.name, manifest.revision, manifest.licence, manifest.sha256, samples, boxes)


def write_dataset(
    path: Path,
    samples: Iterable[NewSample],
    *,
    name: str,
    revision: str = "1",
    licence: str = "unknown",
    overwrite: bool = False,
    total: int | None = None,
    observer: Observer | None = None,
) -> DataSet:
    """Write samples as they come; the data set appears whole, or not at all.

    Args:
        path: A directory that does not exist, is empty, or (with `overwrite`) holds a data set.
        samples: In any order; identical bytes are stored once.
        name: What to call it.
        revision: Which state of it this is.
        licence: Of the whole.
        overwrite: Replace a data set that is there.
        total: How many samples will come, for the progress, where known.
        observer: Told of progress and of duplicates.

    Raises:
        ConfigError: `path` is taken.
        DataError: Identical bytes have conflicting labels or groups, a value is out of range, or there is no
            sample.
    """
    observer = observer or NullObserver()
    with dataset_writer(path, name=name, revision=revision, licence=licence, overwrite=overwrite) as writer:
        for sample in track(samples, observer, "write pictures", total):
            writer.add(sample)
        if writer.duplicates:
            observer.note(
                f"{writer.duplicates} pictures came more than once, byte for byte; each is one sample."
            )
    return open_dataset(path)


def verify_pictures(dataset: DataSet, observer: Observer | None = None) -> None:
    """Read every picture and compare its hash with its id.

    Raises:
        DataError: A picture was changed; says how many and names the first.
    """
    rows = list(zip(dataset.samples["id"].to_pylist(), dataset.paths(), strict=True))
    changed = [
        path
        for sample_id, path in track(rows, observer or NullObserver(), "verify pictures")
        if sha256_file(path) != sample_id
    ]
    if changed:
        raise DataError(
            f"{len(changed)} of {len(rows)} pictures of '{dataset.root}' were changed; the first is "
            f"'{changed[0]}'. Restore them, or import again under a new revision."
        )


def _check_samples(root: Path, samples: pa.Table) -> None:
    file = root / SAMPLES
    ids = samples["id"].to_pylist()
    if not ids:
        raise DataError(f"'{file}' has no rows.")
    if len(set(ids)) != len(ids):
        twice = next(a for a, b in pairwise(ids) if a == b)
        raise DataError(f"'{file}' has the id {twice} more than once; a picture is one row.")
    bad_id = next((i for i in ids if not _ID.fullmatch(i)), None)
    if bad_id is not None:
        raise DataError(f"'{file}' has the id '{bad_id[:80]}', expected 64 hexadecimal digits.")
    labels = samples["label"].to_numpy()
    wrong = np.flatnonzero(~np.isin(labels, [int(label) for label in Label]))
    if len(wrong):
        raise DataError(
            f"'{file}': sample {ids[wrong[0]][:12]} has the label {labels[wrong[0]]}, expected -1, 0 or 1."
        )
    for column in ("lat", "lon"):
        _check_range(
            file, samples, column, -180.0 if column == "lon" else -90.0, 180.0 if column == "lon" else 90.0
        )
    for column in ("width_px", "height_px"):
        _check_range(file, samples, column, 1, np.inf)
    if "" in set(samples["group"].to_pylist()):
        raise DataError(f"'{file}' has a sample with an empty group.")


def _check_boxes(root: Path, boxes: pa.Table, samples: pa.Table) -> None:
    file = root / BOXES
    strangers = set(boxes["sample_id"].to_pylist()) - set(samples["id"].to_pylist())
    if strangers:
        raise DataError(
            f"'{file}' has boxes of the sample '{min(strangers)[:80]}', which {SAMPLES} does not know."
        )
    categories = set(boxes["category"].to_pylist()) - set(BOX_CATEGORIES)
    if categories:
        raise DataError(
            f"'{file}' has the category '{min(categories)}', expected {', '.join(BOX_CATEGORIES)}."
        )
    for column in ("x_px", "y_px"):
        _check_range(file, boxes, column, -np.inf, np.inf)
    for column in ("width_px", "height_px"):
        _check_range(file, boxes, column, 0, np.inf)
    _check_range(file, boxes, "visible", 0, 1)


def _check_range(file: Path, table: pa.Table, column: str, low: float, high: float) -> None:
    values = table[column].drop_null().to_numpy().astype(np.float64)
    bad = values[~(np.isfinite(values) & (values >= low) & (values <= high))]
    if len(bad):
        raise DataError(f"'{file}': column '{column}' has the value {bad[0]}, expected {low:g} to {high:g}.")


def _check_pictures(root: Path, samples: pa.Table) -> None:
    """Every picture must be a file inside the directory; one listing a directory, not one look a picture."""
    by_directory: dict[PurePosixPath, list[str]] = defaultdict(list)
    for text in strings(samples, "path"):
        path = PurePosixPath(text)
        if path.is_absolute() or ".." in path.parts or "\\" in text or "\0" in text or not path.name:
            raise DataError(f"'{root / SAMPLES}' has the path '{text}', which is not inside the data set.")
        by_directory[path.parent].append(path.name)
    inside = root.resolve()
    for parent, names in by_directory.items():
        directory = root / parent
        if not directory.resolve().is_relative_to(inside):
            raise DataError(f"'{directory}' is a link that leads out of the data set.")
        if not directory.is_dir():
            raise DataError(f"'{directory}' does not exist; {SAMPLES} names {len(names)} pictures there.")
        with os.scandir(directory) as entries:
            found = {entry.name: entry.is_symlink() for entry in entries if entry.is_file()}
        for name in names:
            if name not in found:
                raise DataError(
                    f"'{directory / name}' does not exist; {SAMPLES} names it. Restore the picture."
                )
            if found[name] and not (directory / name).resolve().is_relative_to(inside):
                raise DataError(f"'{directory / name}' is a link that leads out of the data set.")
