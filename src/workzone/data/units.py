"""Units: groups that must not be parted, because they are close in place or share near-duplicate pictures.

Groups that are linked, directly or over others, are one unit and are dealt as one. A unit is called by the smallest
name among its groups. Knows links between rows and places; how near-duplicates are found is `near_duplicates`'
business, so that a split does not read pictures unless it was asked to.

The decision a reader would question: links are followed from group to group without end (single linkage). In a street
that was driven every day, pictures 100 m apart in a row make the whole street one place. Anything less would put two
pictures that are closer than the stated distance into different roles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, DataError
from workzone.core.observer import NullObserver, Observer
from workzone.data.dataset import DataSet
from workzone.data.places import MOST_DISTANCE_M, place_links, places_of, smallest_members
from workzone.data.tables import strings


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Which groups of one data set are dealt as one.

    Attributes:
        of_group: Group → the name of its unit, which is its own where it is linked to none.
        within_m: Groups closer than this were linked, in metres; None where places played no part.
        near_duplicates: Whether groups with near-duplicate pictures were linked.
    """

    of_group: Mapping[str, str]
    within_m: float | None
    near_duplicates: bool

    def names(self, groups: Sequence[str]) -> list[str]:
        """Return the unit of each of `groups`."""
        return [self.of_group[group] for group in groups]

    def merged(self) -> dict[str, list[str]]:
        """Return the units of several groups: name → its groups, sorted."""
        members: dict[str, list[str]] = {}
        for group, unit in sorted(self.of_group.items()):
            members.setdefault(unit, []).append(group)
        return {unit: groups for unit, groups in members.items() if len(groups) > 1}


def link_groups(
    dataset: DataSet,
    *,
    near_duplicates: NDArray[np.intp] | None = None,
    within_m: float | None = None,
    observer: Observer | None = None,
) -> Units:
    """Join the groups that share near-duplicate pictures, or have pictures close in place.

    Args:
        dataset: Whose groups.
        near_duplicates: Pairs of rows of `dataset.samples`, intp [P, 2]; None to leave them out of account.
        within_m: Groups with pictures this close, in metres, are linked; None to leave places out of account.
        observer: Told how many groups have no place, and how large the units became.

    Raises:
        ConfigError: The distance is not above 0 and at most a thousand kilometres.
        DataError: Places are to count, and no picture has one.
    """
    observer = observer or NullObserver()
    groups, group_of = np.unique(strings(dataset.samples, "group"), return_inverse=True)
    links = [np.empty((0, 2), dtype=np.intp)]
    if near_duplicates is not None:
        links.append(group_of[near_duplicates].astype(np.intp).reshape(-1, 2))
    if within_m is not None:
        links.append(_near_groups(dataset, group_of, within_m, observer))
    names = groups.tolist()
    unit_of = smallest_members(len(names), np.concatenate(links)).tolist()
    units = Units(
        of_group={group: names[unit] for group, unit in zip(names, unit_of, strict=True)},
        within_m=within_m,
        near_duplicates=near_duplicates is not None,
    )
    _note_sizes(dataset, units, observer)
    return units


def _near_groups(
    dataset: DataSet, group_of: NDArray[np.intp], within_m: float, observer: Observer
) -> NDArray[np.intp]:
    if not 0 < within_m <= MOST_DISTANCE_M:
        raise ConfigError(
            f"Groups are to be linked within {within_m:g} m; expected more than 0 and at most "
            f"{MOST_DISTANCE_M:,.0f} m."
        )
    degrees, placed = places_of(dataset.samples)
    if not placed.any():
        raise DataError(
            f"No picture of '{dataset.name}' has a place (lat, lon), so groups cannot be kept apart by place. Import "
            "them with places, or split by group, source or time."
        )
    n_unplaced = len(np.unique(group_of)) - len(np.unique(group_of[placed]))
    if n_unplaced:
        observer.note(
            f"{n_unplaced} groups of '{dataset.name}' have no place: each is dealt by itself, and may lie beside "
            "another role."
        )
    return place_links(degrees[placed], group_of[placed].astype(np.intp), within_m)


def _note_sizes(dataset: DataSet, units: Units, observer: Observer) -> None:
    sizes = Counter(units.of_group.values())
    largest, size = max(sizes.items(), key=lambda item: (item[1], item[0]))
    if size > 1:
        observer.note(
            f"The {len(units.of_group)} groups of '{dataset.name}' form {len(sizes)} units; the largest, that of "
            f"'{largest}', holds {size} groups."
        )
