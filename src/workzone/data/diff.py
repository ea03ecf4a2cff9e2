"""What differs between two data sets, or two revisions of one: pictures, values, groups, objects.

Works on the tables: a sample's id is the hash of its bytes, so a picture whose bytes were changed is one removed and
one added. That the pictures on disk still are what the tables say is `dataset.verify_pictures`'s to find. Renaming all
groups is no merge: groups are compared by who is together in them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.data.dataset import DataSet, boxes_known
from workzone.data.lookup import find_rows
from workzone.data.schema import BOX_COLUMNS, BOXES_KNOWN
from workzone.data.tables import strings

EXAMPLES = 5
Value = str | int | float | bool | None
"""A value of a column as it is shown; a time is its ISO text."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures that only one of the two has: how many, and the first by id."""

    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangedValue:
    """A sample whose value of some column differs."""

    sample_id: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class ChangedColumn:
    """A column in which samples that both have differ.

    Attributes:
        column: Its name, or `name`, `revision`, `licence` of the whole.
        count: Samples that differ.
        examples: The first by id.
    """

    column: str
    count: int
    examples: tuple[ChangedValue, ...]


@dataclass(frozen=True, slots=True)
class Regrouped:
    """Groups whose samples are together otherwise: one that was split, or several that were merged."""

    group: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupChanges:
    """How the samples that both have are grouped.

    Attributes:
        renamed: Groups of the same samples under another name.
        n_split: Groups of the first whose samples are in several groups of the second.
        n_merged: Groups of the second with samples of several groups of the first.
        splits: The first of them by name: a group of the first, and what it became.
        merges: The first of them by name: a group of the second, and what it was made of.
    """

    renamed: int
    n_split: int
    n_merged: int
    splits: tuple[Regrouped, ...]
    merges: tuple[Regrouped, ...]


@dataclass(frozen=True, slots=True)
class BoxChanges:
    """How the objects of the samples differ that both have.

    Attributes:
        samples: Samples with other objects; of those whose objects both know.
        learned: Samples whose objects only the second knows.
        forgotten: Samples whose objects only the first knows.
        added: Objects that only the second has, by type.
        removed: Objects that only the first has, by type. A box that was moved is one removed and one added.
        examples: Ids of the first samples with other objects.
    """

    samples: int
    learned: int
    forgotten: int
    added: tuple[tuple[str, int], ...]
    removed: tuple[tuple[str, int], ...]
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataSetDiff:
    """What differs.

    Attributes:
        identical: Whether both have the same hash: the same name, revision, licence, rows and bytes.
        sha256: Hashes of the first and of the second.
        whole: Where name, revision or licence differ; `sample_id` is "" there.
        common: Samples that both have.
        added: Only in the second.
        removed: Only in the first.
        columns: Where the values of common samples differ, in the order of the schema.
        groups: How common samples are grouped.
        boxes: How their objects differ.
    """

    identical: bool
    sha256: tuple[str, str]
    whole: tuple[ChangedColumn, ...]
    common: int
    added: Pictures
    removed: Pictures
    columns: tuple[ChangedColumn, ...]
    groups: GroupChanges
    boxes: BoxChanges


def diff_datasets(first: DataSet, second: DataSet, examples: int = EXAMPLES) -> DataSetDiff:
    """Compare two data sets; `examples` of each kind of difference are kept."""
    ids = strings(first.samples, "id")
    there = find_rows(second, ids)
    rows_a, rows_b = np.flatnonzero(there >= 0), there[there >= 0]
    common = ids[rows_a]
    added = strings(second.samples, "id")
    added = added[find_rows(first, added) < 0]
    return DataSetDiff(
        identical=first.sha256 == second.sha256,
        sha256=(first.sha256, second.sha256),
        whole=tuple(
            ChangedColumn(name, 1, (ChangedValue("", getattr(first, name), getattr(second, name)),))
            for name in ("name", "revision", "licence")
            if getattr(first, name) != getattr(second, name)
        ),
        common=len(common),
        added=_pictures(added, examples),
        removed=_pictures(ids[there < 0], examples),
        columns=_columns(first, second, rows_a, rows_b, common, examples),
        groups=_groups(
            strings(first.samples, "group")[rows_a], strings(second.samples, "group")[rows_b], examples
        ),
        boxes=_boxes(first, second, rows_a, rows_b, common, examples),
    )


def _pictures(ids: NDArray[np.str_], examples: int) -> Pictures:
    return Pictures(len(ids), tuple(ids[:examples].tolist()))


def _columns(
    first: DataSet,
    second: DataSet,
    rows_a: NDArray[np.intp],
    rows_b: NDArray[np.intp],
    ids: NDArray[np.str_],
    examples: int,
) -> tuple[ChangedColumn, ...]:
    one, other = first.samples.take(rows_a), second.samples.take(rows_b)
    changed = []
    for name in one.column_names:
        if name in ("id", BOXES_KNOWN.name):
            continue
        before, after = (
            np.array([*table[name].to_pylist(), None], dtype=object)[:-1] for table in (one, other)
        )
        differs = np.flatnonzero(before != after)
        if len(differs):
            shown = tuple(
                ChangedValue(str(ids[i]), _shown(before[i]), _shown(after[i])) for i in differs[:examples]
            )
            changed.append(ChangedColumn(name, len(differs), shown))
    return tuple(changed)


def _shown(value: Any) -> Value:
    return value.isoformat() if isinstance(value, datetime) else value


def _groups(before: NDArray[np.str_], after: NDArray[np.str_], examples: int) -> GroupChanges:
    became: dict[str, set[str]] = defaultdict(set)
    came_from: dict[str, set[str]] = defaultdict(set)
    for old, new in set(zip(before.tolist(), after.tolist(), strict=True)):
        became[old].add(new)
        came_from[new].add(old)
    splits = _several(became)
    merges = _several(came_from)
    renamed = sum(
        len(new) == 1 and new != {old} and len(came_from[next(iter(new))]) == 1 for old, new in became.items()
    )
    return GroupChanges(renamed, len(splits), len(merges), splits[:examples], merges[:examples])


def _several(groups: Mapping[str, set[str]]) -> tuple[Regrouped, ...]:
    return tuple(
        Regrouped(group, tuple(sorted(others))) for group, others in sorted(groups.items()) if len(others) > 1
    )


def _boxes(
    first: DataSet,
    second: DataSet,
    rows_a: NDArray[np.intp],
    rows_b: NDArray[np.intp],
    ids: NDArray[np.str_],
    examples: int,
) -> BoxChanges:
    known_a, known_b = boxes_known(first)[rows_a], boxes_known(second)[rows_b]
    compared = set(ids[known_a & known_b].tolist())
    before, after = _box_counts(first, compared), _box_counts(second, compared)
    removed, added = before - after, after - before
    samples = sorted({box[0] for box in (*removed, *added)})
    return BoxChanges(
        samples=len(samples),
        learned=int((~known_a & known_b).sum()),
        forgotten=int((known_a & ~known_b).sum()),
        added=_by_type(added),
        removed=_by_type(removed),
        examples=tuple(samples[:examples]),
    )


def _box_counts(dataset: DataSet, ids: set[str]) -> Counter[tuple[Any, ...]]:
    """Count equal rows of the boxes of some samples; the id comes first, then the type."""
    if dataset.boxes is None:
        return Counter()
    columns = [dataset.boxes[column.name].to_pylist() for column in BOX_COLUMNS]
    return Counter(row for row in zip(*columns, strict=True) if row[0] in ids)


def _by_type(boxes: Counter[tuple[Any, ...]]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for row, count in boxes.items():
        counts[row[1]] += count
    return tuple(sorted(counts.items()))


def differences(diff: DataSetDiff) -> Sequence[str]:
    """Return what differs in words, one sentence each; none where the two are identical."""
    found = [
        f"{change.column}: {change.examples[0].before} became {change.examples[0].after}"
        for change in diff.whole
    ]
    found += [
        f"{pictures.count:,} pictures {what}"
        for pictures, what in ((diff.added, "added"), (diff.removed, "removed"))
        if pictures.count
    ]
    found += [f"{change.column}: {change.count:,} samples differ" for change in diff.columns]
    groups, boxes = diff.groups, diff.boxes
    for count, sentence in (
        (groups.renamed, "groups renamed"),
        (groups.n_split, "groups split"),
        (groups.n_merged, "groups merged out of several"),
        (boxes.samples, "samples with other objects"),
        (boxes.learned, "samples whose objects are now known"),
        (boxes.forgotten, "samples whose objects are no longer known"),
    ):
        if count:
            found.append(f"{count:,} {sentence}")
    return found
