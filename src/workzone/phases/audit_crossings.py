"""What crosses from one role of a split to another: groups, near-duplicate pictures, places.

Counts the pictures of the later role that have a counterpart in the earlier one, and names the closest. From train to
calib or test nothing may cross: the certificate or the report would speak of what was learned by heart. Any other
crossing is a weakness (a warning): no model was fitted on either side of it, but thresholds were, or a certificate
and a report rest on the same pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from workzone.core.types import Role, Status
from workzone.data.near_duplicates import NearDuplicates
from workzone.data.places import nearest_places

MOST_SHOWN = 5
"""Pairs that are named of each crossing."""
MUST_NOT_KNOW = (Role.CALIB, Role.TEST)
"""Nothing of train may be in these."""


class Link(StrEnum):
    """In what way two pictures belong together."""

    GROUP = "group"
    NEAR_DUPLICATE = "near-duplicate"
    PLACE = "place"


@dataclass(frozen=True, slots=True)
class CrossingPair:
    """Two pictures that belong together and have different roles.

    Attributes:
        first: Path in the data set, of the earlier role.
        second: Path, of the later role.
        first_group: Its group.
        second_group: Its group.
        detail: How close they are.
    """

    first: str
    second: str
    first_group: str
    second_group: str
    detail: str


@dataclass(frozen=True, slots=True)
class Crossing:
    """What crosses between two roles by one kind of link.

    Attributes:
        link: In what way.
        first: The earlier role.
        second: The later role.
        status: PASS where nothing crosses; FAIL from train to calib or test, else WARN.
        pictures: Pictures of `second` with a counterpart in `first`.
        of: Pictures of `second` that could be looked at.
        groups: Groups of `second` that these are of.
        worst: The closest pairs, one for each such picture, a few.
    """

    link: Link
    first: Role
    second: Role
    status: Status
    pictures: int
    of: int
    groups: int
    worst: tuple[CrossingPair, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """All N pictures of a split, in the order of their data set.

    Attributes:
        paths: str [N], in the data set.
        groups: str [N].
        roles: str [N].
        degrees: float64 [N, 2], latitude and longitude.
        placed: bool [N], whether there is a place.
    """

    paths: NDArray[np.str_]
    groups: NDArray[np.str_]
    roles: NDArray[np.str_]
    degrees: NDArray[np.float64]
    placed: NDArray[np.bool_]


def find_crossings(
    pictures: Pictures, duplicates: NearDuplicates, comparable: NDArray[np.bool_], near_m: float
) -> tuple[Crossing, ...]:
    """Return what crosses between each two roles that have pictures, for each kind of link.

    Args:
        pictures: All N of the split.
        duplicates: Of the same N pictures.
        comparable: bool [N], whether a picture could be compared: `near_duplicates.comparable`.
        near_m: Pictures closer than this, in metres, are of one place.
    """
    held = [role for role in Role if (pictures.roles == role).any()]
    found = []
    for first, second in combinations(held, 2):
        found += [
            _by_group(pictures, first, second),
            _by_duplicate(pictures, first, second, duplicates, comparable),
            _by_place(pictures, first, second, near_m),
        ]
    return tuple(found)


def _by_group(pictures: Pictures, first: Role, second: Role) -> Crossing:
    rows, others = np.flatnonzero(pictures.roles == second), np.flatnonzero(pictures.roles == first)
    names, example = np.unique(pictures.groups[others], return_index=True)
    place = np.minimum(np.searchsorted(names, pictures.groups[rows]), len(names) - 1)
    shared = names[place] == pictures.groups[rows]
    pairs = np.stack([others[example[place[shared]]], rows[shared]], axis=1)
    return _crossing(pictures, Link.GROUP, first, second, len(rows), pairs, ["one group"] * len(pairs))


def _by_duplicate(
    pictures: Pictures,
    first: Role,
    second: Role,
    duplicates: NearDuplicates,
    comparable: NDArray[np.bool_],
) -> Crossing:
    """Take the most similar counterpart of each picture; where not all pairs are listed, those of its cluster too."""
    ends = np.concatenate([duplicates.pairs, duplicates.pairs[:, ::-1]])
    crosses = (pictures.roles[ends[:, 0]] == first) & (pictures.roles[ends[:, 1]] == second)
    similarity = np.concatenate([duplicates.similarity] * 2)[crosses]
    distance = np.concatenate([duplicates.distance] * 2)[crosses]
    ends = ends[crosses]
    order = np.lexsort((ends[:, 0], -similarity))
    _, best = np.unique(ends[order, 1], return_index=True)
    kept = order[np.sort(best)]
    details = [
        f"similarity {similarity[at]:.3f}, hashes {distance[at]} of 64 bits apart" for at in kept.tolist()
    ]
    pairs = ends[kept]
    if not duplicates.complete:
        more = _by_cluster(pictures, first, second, duplicates, pairs[:, 1])
        pairs, details = np.concatenate([pairs, more]), details + ["of one cluster"] * len(more)
    of = int((comparable & (pictures.roles == second)).sum())
    return _crossing(pictures, Link.NEAR_DUPLICATE, first, second, of, pairs, details)


def _by_cluster(
    pictures: Pictures,
    first: Role,
    second: Role,
    duplicates: NearDuplicates,
    known: NDArray[np.intp],
) -> NDArray[np.intp]:
    example = np.full(len(duplicates.cluster), -1, dtype=np.intp)
    others = np.flatnonzero(pictures.roles == first)
    example[duplicates.cluster[others]] = others
    rows = np.setdiff1d(np.flatnonzero(pictures.roles == second), known)
    counterpart = example[duplicates.cluster[rows]]
    return np.stack([counterpart, rows], axis=1)[counterpart >= 0]


def _by_place(pictures: Pictures, first: Role, second: Role, near_m: float) -> Crossing:
    rows, others = (np.flatnonzero((pictures.roles == role) & pictures.placed) for role in (second, first))
    distance_m, nearest = nearest_places(pictures.degrees[rows], pictures.degrees[others], near_m)
    near = np.flatnonzero(nearest >= 0)
    near = near[np.argsort(distance_m[near], kind="stable")]
    pairs = np.stack([others[nearest[near]], rows[near]], axis=1)
    details = [f"{distance:.1f} m apart" for distance in distance_m[near].tolist()]
    return _crossing(pictures, Link.PLACE, first, second, len(rows), pairs, details)


def _crossing(
    pictures: Pictures,
    link: Link,
    first: Role,
    second: Role,
    of: int,
    pairs: NDArray[np.intp],
    details: Sequence[str],
) -> Crossing:
    """Put a crossing together.

    Args:
        pictures: All of the split.
        link: In what way the pairs belong together.
        first: The role of the pairs' first.
        second: The role of the pairs' second; each occurs once.
        of: Pictures of `second` that could be looked at.
        pairs: Rows, intp [P, 2], the worst first.
        details: How close each is.
    """
    status = Status.PASS
    if len(pairs):
        status = Status.FAIL if first is Role.TRAIN and second in MUST_NOT_KNOW else Status.WARN
    worst = tuple(
        CrossingPair(
            first=str(pictures.paths[one]),
            second=str(pictures.paths[other]),
            first_group=str(pictures.groups[one]),
            second_group=str(pictures.groups[other]),
            detail=detail,
        )
        for (one, other), detail in zip(pairs[:MOST_SHOWN].tolist(), details[:MOST_SHOWN], strict=True)
    )
    groups = len(np.unique(pictures.groups[pairs[:, 1]]))
    return Crossing(link, first, second, status, len(pairs), of, groups, worst)
