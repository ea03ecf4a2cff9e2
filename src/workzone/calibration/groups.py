"""The decided calibration pictures as numbers, and the one picture that stands for its group.

Frames of one sequence are near copies: counted one by one they would promise more than was seen. The picture
is chosen by a hash of split, group and sample, so neither a seed nor a score can be tried until the result
pleases; over the hash each picture of a group is as likely as another, which is the estimand: draw a group,
then one of its pictures of the population.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, DataError
from workzone.core.scores import Scores
from workzone.policy.risks import Population

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """N decided pictures, by number.

    Attributes:
        labels: int8 [N], 1 road work, 0 none.
        groups: intp [N], numbers 0..n_groups-1.
        n_groups: How many groups.
        chosen: Population → rows [G], one picture of it for each group that has one.
    """

    labels: NDArray[np.int8]
    groups: Rows
    n_groups: int
    chosen: Mapping[Population, Rows]

    def rows(self, population: Population) -> Rows:
        """Return the rows of all pictures of a population."""
        return np.flatnonzero(population.members(self.labels))

    def sizes(self, population: Population) -> Rows:
        """Return how many pictures of a population each group has, [n_groups]."""
        return np.bincount(self.groups[self.rows(population)], minlength=self.n_groups)


def group_pictures(decided: Scores, split_sha256: str) -> Grouped:
    """Number the groups of decided pictures and choose the picture that stands for each.

    Args:
        decided: Pictures with a known, unambiguous label (`Scores.decided`).
        split_sha256: Hash of the split; it chooses.

    Raises:
        ConfigError: `split_sha256` is empty.
        DataError: A sample occurs twice.
    """
    if not split_sha256:
        raise ConfigError("Choosing one picture per group needs the hash of the split, got an empty one.")
    ids, counts = np.unique(decided.ids, return_counts=True)
    if len(ids) < len(decided.ids):
        raise DataError(f"Sample '{ids[counts > 1][0]}' occurs twice in the scores; each picture is one row.")
    names, groups = np.unique(decided.groups, return_inverse=True)
    grouped = groups.astype(np.intp)
    digests = _digests(decided, grouped, len(names), split_sha256)
    chosen = {
        population: _least(digests, grouped, np.flatnonzero(population.members(decided.labels)))
        for population in Population
    }
    return Grouped(decided.labels, grouped, len(names), MappingProxyType(chosen))


def one_per_group(scores: Scores, population: Population, split_sha256: str) -> Rows:
    """Return one row of `scores` per group with a decided picture of the population, ordered by group."""
    decided = np.flatnonzero((scores.labels >= 0) & ~scores.ambiguous)
    return decided[group_pictures(scores.take(decided), split_sha256).chosen[population]]


def _digests(decided: Scores, groups: Rows, n_groups: int, split_sha256: str) -> NDArray[np.bytes_]:
    """Return the hash of each picture; empty where its group has no other picture to choose from."""
    alone = np.bincount(groups, minlength=n_groups)[groups] == 1
    digests = np.zeros(len(groups), dtype="S64")
    for row in np.flatnonzero(~alone):
        text = f"{split_sha256}|{decided.groups[row]}|{decided.ids[row]}"
        digests[row] = hashlib.sha256(text.encode()).hexdigest().encode()
    return digests


def _least(digests: NDArray[np.bytes_], groups: Rows, rows: Rows) -> Rows:
    """Return, for each group among `rows`, the row of the least hash."""
    order = rows[np.lexsort((digests[rows], groups[rows]))]
    if not len(order):
        return order
    first = np.append(True, np.diff(groups[order]) > 0)
    chosen: Rows = order[first]
    return chosen
