"""What becomes of every sample when data sets are fused: which copy is kept, in which group, from which source.

Works on the tables alone: a sample's id is the hash of its bytes, so no picture is read to find those that two data
sets share. The decision a reader would question: groups that share a picture become one group. They show one scene,
and dealt apart by a split one of them would leak into the other.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Label
from workzone.data.dataset import DataSet, boxes_known

Place = tuple[int, int]
"""(which data set, which row of its samples)."""
Group = tuple[int, str]
"""(which data set, its group's name there)."""

SHOWN = 10
"""Conflicts that a message lists."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One picture that data sets label differently."""

    sample_id: str
    said: tuple[tuple[str, str], ...]
    """(data set, label), in the order of the data sets."""

    def sentence(self) -> str:
        """Return it in words."""
        return f"{self.sample_id[:12]} is {' and '.join(f'{label} in {name}' for name, label in self.said)}"


@dataclass(frozen=True, slots=True)
class FusionPlan:
    """What becomes of the samples of D data sets.

    Attributes:
        names: D names, all different, without "/": the prefixes of groups.
        rows: For each data set the rows that are kept, rising; each picture once over all.
        groups: From a group that shares a picture with others to the one of these whose name all take.
        shared_sources: Names of sources that several data sets use for their own.
        n_shared: Pictures that are in more than one data set.
        n_split_differently: Of these, those whose data sets publish different splits for them.
        conflicts: Pictures that are labelled differently; they are in no `rows`.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    groups: Mapping[Group, Group]
    shared_sources: frozenset[str]
    n_shared: int
    n_split_differently: int
    conflicts: tuple[Conflict, ...]

    def group(self, which: int, group: str) -> str:
        """Return the name that a group of data set `which` gets."""
        which, group = self.groups.get((which, group), (which, group))
        return f"{self.names[which]}/{group}"

    def source(self, which: int, source: str | None) -> str:
        """Return the source that a sample of data set `which` gets: stated always, and of one data set only."""
        own = source or self.names[which]
        return f"{self.names[which]}/{own}" if own in self.shared_sources else own


def plan_fusion(datasets: Sequence[DataSet]) -> FusionPlan:
    """Return what fusing data sets would do; the first named wins where all say the same.

    Of a picture in several data sets the copy is kept whose label is known, then whose objects are known, then of the
    data set that comes first. An unknown label contradicts none.

    Raises:
        ConfigError: There are fewer than two data sets, or one is given twice.
    """
    names = distinct_names(datasets)
    places = _places(datasets)
    shared = {sample_id: copies for sample_id, copies in places.items() if len(copies) > 1}
    facts = _Facts(datasets, shared.values())
    conflicts = tuple(
        conflict
        for sample_id in sorted(shared)
        if (conflict := facts.conflict(sample_id, shared[sample_id], names))
    )
    left_out = {conflict.sample_id for conflict in conflicts}
    rows: list[list[int]] = [[] for _ in datasets]
    for sample_id, copies in places.items():
        if sample_id not in left_out:
            which, row = copies[0] if len(copies) == 1 else min(copies, key=facts.preference)
            rows[which].append(row)
    return FusionPlan(
        names=names,
        rows=tuple(tuple(sorted(kept)) for kept in rows),
        groups=_merged_groups(facts.groups_of(copies) for copies in shared.values()),
        shared_sources=_shared_sources(datasets, names),
        n_shared=len(shared),
        n_split_differently=sum(facts.split_differently(copies) for copies in shared.values()),
        conflicts=conflicts,
    )


def refuse_conflicts(plan: FusionPlan) -> None:
    """Refuse data sets that label a picture differently.

    Raises:
        DataError: There is such a picture; lists them, the first `SHOWN`.
    """
    if not plan.conflicts:
        return
    listed = "; ".join(conflict.sentence() for conflict in plan.conflicts[:SHOWN])
    more = len(plan.conflicts) - SHOWN
    raise DataError(
        f"{len(plan.conflicts)} pictures are in several data sets, byte for byte, under different labels: {listed}"
        f"{f'; and {more} more' if more > 0 else ''}. Correct them, or add --drop-conflicts to leave them out."
    )


def distinct_names(datasets: Sequence[DataSet]) -> tuple[str, ...]:
    """Return a name for each data set, all different, fit for a directory: its own, with revision or hash at need.

    Raises:
        ConfigError: There are fewer than two data sets, or one comes twice.
    """
    if len(datasets) < 2:
        raise ConfigError(f"Found {len(datasets)} data set; expected at least two.")
    hashes = Counter(dataset.sha256 for dataset in datasets)
    twice = [dataset.name for dataset in datasets if hashes[dataset.sha256] > 1]
    if twice:
        raise ConfigError(f"The data set '{twice[0]}' is given more than once; name each data set once.")
    plain = [_file_name(dataset.name) for dataset in datasets]
    dated = [_file_name(f"{dataset.name}@{dataset.revision}") for dataset in datasets]
    for candidates in (plain, dated):
        if len(set(candidates)) == len(candidates):
            return tuple(candidates)
    return tuple(f"{name}@{dataset.sha256[:12]}" for name, dataset in zip(plain, datasets, strict=True))


class _Facts:
    """What the tables say of the pictures that several data sets have."""

    def __init__(self, datasets: Sequence[DataSet], shared: Iterable[Sequence[Place]]) -> None:
        self._columns: list[dict[str, list[Any]]] = [{} for _ in datasets]
        for which in {which for copies in shared for which, _ in copies}:
            table = datasets[which].samples
            self._columns[which] = {
                name: table[name].to_pylist() for name in ("label", "ambiguous", "group", "published_split")
            }
            self._columns[which]["boxes_known"] = boxes_known(datasets[which]).tolist()

    def preference(self, place: Place) -> tuple[bool, bool, int]:
        """The copy with the least is kept."""
        which, row = place
        columns = self._columns[which]
        return (columns["label"][row] == Label.UNKNOWN, not columns["boxes_known"][row], which)

    def conflict(self, sample_id: str, copies: Sequence[Place], names: Sequence[str]) -> Conflict | None:
        """Labels that are known must agree, and so must whether they are in doubt."""
        said = [(names[which], self._said(which, row)) for which, row in copies]
        return (
            Conflict(sample_id, tuple(said)) if len({label for _, label in said} - {"unknown"}) > 1 else None
        )

    def groups_of(self, copies: Sequence[Place]) -> list[Group]:
        """The groups that share a picture."""
        return [(which, self._columns[which]["group"][row]) for which, row in copies]

    def split_differently(self, copies: Sequence[Place]) -> bool:
        """Whether two data sets publish different splits for a picture."""
        return len({self._columns[which]["published_split"][row] for which, row in copies} - {None}) > 1

    def _said(self, which: int, row: int) -> str:
        label = Label(self._columns[which]["label"][row])
        if label is Label.UNKNOWN:
            return "unknown"
        name = "road work" if label is Label.ROADWORK else "none"
        return f"{name} (ambiguous)" if self._columns[which]["ambiguous"][row] else name


def _places(datasets: Sequence[DataSet]) -> dict[str, list[Place]]:
    places: dict[str, list[Place]] = defaultdict(list)
    for which, dataset in enumerate(datasets):
        for row, sample_id in enumerate(dataset.samples["id"].to_pylist()):
            places[sample_id].append((which, row))
    return places


def _merged_groups(together: Iterable[Sequence[Group]]) -> dict[Group, Group]:
    """Groups that share a picture, directly or through others, take the name of the first of them."""
    parent: dict[Group, Group] = {}

    def root(group: Group) -> Group:
        parent.setdefault(group, group)
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for groups in together:
        roots = sorted({root(group) for group in groups})
        for other in roots[1:]:
            parent[other] = roots[0]
    first = {group: root(group) for group in list(parent)}
    return {group: name for group, name in first.items() if name != group}


def _shared_sources(datasets: Sequence[DataSet], names: Sequence[str]) -> frozenset[str]:
    counts: Counter[str] = Counter()
    for dataset, name in zip(datasets, names, strict=True):
        counts.update({source or name for source in dataset.samples["source"].to_pylist()})
    return frozenset(source for source, count in counts.items() if count > 1)


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.@+-]+", "-", text, flags=re.ASCII).strip(".-")[:80] or "data"
