"""A new data set in which linked groups are one: same pictures, same labels, fewer groups.

A certificate counts groups as independent draws. Two groups that show the same place, or nearly the same pictures, are
not: dealing them as one unit keeps them on one side of a split, and only merging them makes them count once.

Nothing is changed in place. Pictures are hard-linked where the file system can, else copied; their bytes, and so their
ids, stay what they are. `regroup_log.jsonl` in the new data set says what was merged.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workzone.core.errors import DataError
from workzone.core.observer import NullObserver, Observer, track
from workzone.data.dataset import DataSet, open_dataset
from workzone.data.schema import DataSetManifest
from workzone.data.tables import read_json, write_table
from workzone.data.units import Units
from workzone.data.writer import BOXES, MANIFEST, SAMPLES, check_free, content_hash, refuse_inside
from workzone.storage.atomic import atomic_directory, write_json
from workzone.storage.hashing import canonical_json

if TYPE_CHECKING:
    import pyarrow as pa

REGROUP_LOG = "regroup_log.jsonl"
_SUFFIX = "-regrouped"
_MAX_REVISION = 200


@dataclass(frozen=True, slots=True)
class Regrouped:
    """What came of it.

    Attributes:
        dataset: The new data set.
        n_groups_before: Groups of the old one.
        n_groups: Groups of the new one.
        n_merged: New groups that were several.
        n_linked: Pictures that are hard links; the others were copied.
    """

    dataset: DataSet
    n_groups_before: int
    n_groups: int
    n_merged: int
    n_linked: int


def regroup_dataset(
    dataset: DataSet,
    units: Units,
    out: Path,
    *,
    revision: str | None = None,
    observer: Observer | None = None,
) -> Regrouped:
    """Write a new data set in which each unit is one group, called by its smallest group's name.

    Args:
        dataset: The old one; it stays as it is.
        units: Which of its groups belong together.
        out: Where the new one goes.
        revision: Of the new one; by default the old one's with "-regrouped".
        observer: Told of the progress in pictures, and where nothing was merged.

    Raises:
        ConfigError: `out` is taken, or lies in the data set.
        DataError: The data set changed meanwhile.
    """
    observer = observer or NullObserver()
    check_free(out, overwrite=False)
    refuse_inside(out, dataset.root, "data set that is to be regrouped")
    groups = dataset.samples["group"].to_pylist()
    names = units.names(groups)
    samples = _with_groups(dataset.samples, names)
    merged = units.merged()
    if not merged:
        observer.note(f"No groups of '{dataset.name}' are linked: the new data set has the same ones.")
    n_linked = 0
    with atomic_directory(out) as root:
        paths = dataset.samples["path"].to_pylist()
        for path in track(paths, observer, "link pictures"):
            n_linked += _link_or_copy(dataset.root / path, root / path)
        _write_tables(dataset, samples, revision or _revision(dataset), root)
        (root / REGROUP_LOG).write_bytes(_log(dataset, units, merged, Counter(names)))
    return Regrouped(open_dataset(out), len(set(groups)), len(set(names)), len(merged), n_linked)


def _with_groups(samples: pa.Table, names: list[str]) -> pa.Table:
    at = samples.schema.get_field_index("group")
    return samples.set_column(at, samples.schema.field(at), [names])


def _write_tables(dataset: DataSet, samples: pa.Table, revision: str, root: Path) -> None:
    old: DataSetManifest = read_json(dataset.root / MANIFEST, DataSetManifest)
    if old.sha256 != dataset.sha256:
        raise DataError(f"'{dataset.root}' was changed while it was read. Run the command again.")
    write_table(root / SAMPLES, samples)
    if dataset.boxes is not None:
        write_table(root / BOXES, dataset.boxes)
    sha256 = content_hash(dataset.name, revision, dataset.licence, samples, dataset.boxes)
    manifest = old.model_copy(update={"revision": revision, "sha256": sha256})
    write_json(root / MANIFEST, manifest.model_dump())


def _revision(dataset: DataSet) -> str:
    return f"{dataset.revision[: _MAX_REVISION - len(_SUFFIX)]}{_SUFFIX}"


def _link_or_copy(source: Path, target: Path) -> bool:
    """Return whether `target` is a hard link; where that cannot be, the bytes are copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
        return False
    return True


def _log(dataset: DataSet, units: Units, merged: dict[str, list[str]], pictures: Counter[str]) -> bytes:
    """Return a line on the whole, then one for each group that was several."""
    lines: list[dict[str, object]] = [
        {
            "from": dataset.sha256,
            "within_m": units.within_m,
            "near_duplicates": units.near_duplicates,
            "groups_before": len(units.of_group),
            "groups": len(set(units.of_group.values())),
        }
    ]
    lines += [
        {"group": name, "merged": groups, "pictures": pictures[name]} for name, groups in merged.items()
    ]
    return b"".join(canonical_json(line) + b"\n" for line in lines)
