"""Checks of pictures that are there more than once: the same pixels in two files, and near-duplicates.

Frames of one sequence are near-duplicates of one another, which is what groups are for: what is judged is a pair that
crosses the roles of a split, or that has two labels. A pair in two groups is only warned of: the next split may cut it.

Where there are too many near pairs to list (`NearDuplicates.complete`), clusters are judged whole: a picture then
counts as near one with another label, role or group when any picture of its cluster has that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.types import Label, Status
from workzone.data.checks.outcome import CheckResult, share
from workzone.data.checks.subject import LABEL_WORDS, Subject, by_value

LARGEST_SHARE = 0.05
"""Of all pictures: a larger cluster means that the data set shows one thing over and over."""
LEAST_LARGE = 10
"""Pictures that a cluster must have before its share is judged."""


def same_pixels(subject: Subject) -> Iterator[NDArray[np.intp]]:
    """Yield the rows of each set of two or more pictures that decode to the same pixels."""
    decoded = np.flatnonzero(subject.facts.decoded)
    for _, places in by_value(subject.facts.pixels_sha256[decoded]):
        if len(places) > 1:
            yield decoded[places]


def in_conflict(subject: Subject, rows: NDArray[np.intp]) -> bool:
    """Whether some of the pictures are labelled road work and some none, ambiguous ones apart."""
    labels = set(subject.labels[rows[subject.decided[rows]]].tolist())
    return {int(Label.ROADWORK), int(Label.NONE)} <= labels


def crosses(subject: Subject, rows: NDArray[np.intp]) -> bool:
    """Whether the pictures have more than one role."""
    return len(set(subject.roles[rows].tolist()) - {""}) > 1


def exact_duplicates(subject: Subject) -> CheckResult:
    """WARN where files decode to the same pixels; FAIL where they cross roles or have conflicting labels."""
    details: dict[int, str] = {}
    severe: list[int] = []
    mild: list[int] = []
    for rows in same_pixels(subject):
        conflict, crossing = in_conflict(subject, rows), crosses(subject, rows)
        for row in rows.tolist():
            other = int(rows[0] if row != rows[0] else rows[1])
            details[row] = f"same pixels as {subject.ids[other][:12]}{_apart(subject, row, other)}"
        (severe if conflict or crossing else mild).extend(rows.tolist())
    n = len(severe) + len(mild)
    return subject.result(
        "exact_duplicates",
        [*severe, *mild],
        status=Status.FAIL if severe else Status.WARN,
        summary=f"{share(n, len(subject))} have the same pixels as another file; {len(severe):,} of them cross "
        "the split or have conflicting labels.",
        advice="Keep one of each: --fix does, and leaves out all of those with conflicting labels.",
        detail=details.__getitem__,
        of=int(subject.facts.decoded.sum()),
        figures=(("conflicting_or_crossing", len(severe)),),
    )


def near_duplicates(subject: Subject) -> CheckResult:
    """FAIL where near-duplicates cross roles or have conflicting labels, or one cluster holds over 5 % of the set.

    WARN where they are in different groups only.
    """
    pairs = judged_pairs(subject)
    conflict, crossing, between = differing(subject, pairs)
    like, whole = likeness(subject), ""
    if not subject.duplicates.complete:
        whole = " There are too many near pairs to list them all, so clusters are judged whole."
    order = np.flatnonzero(conflict | crossing | between)
    order = order[np.argsort(-(2 * conflict[order] + crossing[order]), kind="stable")]
    details: dict[int, str] = {}
    for pair in order.tolist():
        for row, other in (pairs[pair], pairs[pair][::-1]):
            details.setdefault(
                int(row), f"{like} {subject.ids[other][:12]}{_apart(subject, int(row), int(other))}"
            )
    rows, largest = list(details), subject.duplicates.largest
    large = len(largest) >= LEAST_LARGE and len(largest) > LARGEST_SHARE * len(subject)
    if large:
        for row in largest.tolist():
            details.setdefault(row, f"one of {len(largest):,} pictures of the largest cluster")
    severe = conflict | crossing
    n_severe = len(np.unique(pairs[severe]))
    return subject.result(
        "near_duplicates",
        list(details),
        status=Status.FAIL if large or severe.any() else Status.WARN,
        summary=f"{share(len(rows), len(subject))} have a near-duplicate in another group or with the other label; "
        f"{n_severe:,} of them cross the split or have conflicting labels. The largest cluster holds "
        f"{share(len(largest), len(subject))}.{whole}",
        advice="Merge the groups that share near-duplicates before splitting (--fix, or 'workzone data regroup'), and "
        "label alike what looks alike; --fix leaves out those with conflicting labels.",
        detail=details.__getitem__,
        of=int(subject.facts.decoded.sum()),
        figures=(
            ("pairs", len(subject.duplicates.pairs)),
            ("pairs_with_conflicting_labels", int(conflict.sum())),
            ("pairs_across_roles", int(crossing.sum())),
            ("pairs_across_groups", int(between.sum())),
            ("largest_cluster", len(largest)),
        ),
    )


def judged_pairs(subject: Subject, among: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
    """Return the pairs of near-duplicates that are judged: intp [P, 2], the smaller row first.

    All of them where they are `complete`. Else for each picture up to three that stand for its cluster: one with the
    other label, one with another role, one in another group, where the cluster has any.

    Args:
        subject: Whose.
        among: bool [N], the pictures that count; None for all.
    """
    found = subject.duplicates
    among = np.ones(len(subject), dtype=np.bool_) if among is None else among
    if found.complete:
        return found.pairs[among[found.pairs].all(axis=1)]
    stand_ins = (
        _counterparts(found.cluster, subject.labels, among & subject.decided),
        _counterparts(found.cluster, subject.roles, among & (subject.roles != "")),
        _counterparts(found.cluster, subject.groups, among),
    )
    return np.unique(np.concatenate(stand_ins), axis=0)


def likeness(subject: Subject) -> str:
    """Return in words what the two of a judged pair are to each other."""
    return "like" if subject.duplicates.complete else "in one cluster with"


def differing(
    subject: Subject, pairs: NDArray[np.intp]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return of each pair whether its labels conflict, its roles differ, and its groups differ: bool [P] each."""
    a, b = pairs.T
    conflict = subject.decided[a] & subject.decided[b] & (subject.labels[a] != subject.labels[b])
    roles = subject.roles
    crossing = (roles[a] != roles[b]) & (roles[a] != "") & (roles[b] != "")
    return conflict, crossing, subject.groups[a] != subject.groups[b]


def _counterparts(
    cluster: NDArray[np.intp], values: NDArray[Any], counted: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """Pair each counted picture with the first of its cluster that has another value: intp [P, 2], each row sorted."""
    rows = np.flatnonzero(counted)
    first = _first_of(cluster, rows)[cluster[rows]]
    differs = values[rows] != values[first]
    second = _first_of(cluster, rows[differs])[cluster[rows]]
    other = np.where(differs, first, second)
    return np.sort(np.stack([rows, other], axis=1)[other >= 0], axis=1)


def _first_of(cluster: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """The smallest of ascending rows in each cluster, -1 where it has none: intp [N]."""
    first = np.full(len(cluster), -1, dtype=np.intp)
    first[cluster[rows[::-1]]] = rows[::-1]  # the last of equal indices stays
    return first


def _apart(subject: Subject, row: int, other: int) -> str:
    """What two pictures that look alike do not share."""
    said = []
    if subject.labels[row] != subject.labels[other]:
        mine, theirs = (LABEL_WORDS[int(subject.labels[at])] for at in (row, other))
        said.append(f"labelled {mine}, not {theirs}")
    if subject.roles[row] != subject.roles[other] and subject.roles[row] and subject.roles[other]:
        said.append(f"in {subject.roles[row]}, not {subject.roles[other]}")
    if subject.groups[row] != subject.groups[other]:
        said.append("in another group")
    return "".join(f"; {one}" for one in said)
