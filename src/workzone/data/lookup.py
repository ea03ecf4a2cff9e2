"""Finds pictures in a data set by their sample ids, whatever split they were in.

For checking what is sealed already: a bundle lists the pictures that it was certified on, and nothing is
learned or chosen on them again. Training and its like do not come this way, they ask a grant.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.data.dataset import DataSet
from workzone.data.tables import strings


def find_rows(dataset: DataSet, ids: NDArray[np.str_]) -> NDArray[np.intp]:
    """Return for each sample id its row of `dataset.samples`, intp [N]; -1 where the data set lacks it."""
    known = strings(dataset.samples, "id")  # sorted, and a data set has at least one
    places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    return np.where(known[places] == ids, places, -1).astype(np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class FoundPictures:
    """N pictures of a data set.

    Attributes:
        ids: str [N].
        labels: int8 [N], 1 road work, 0 none, -1 unknown.
        ambiguous: bool [N].
        groups: str [N].
        paths: Where they are, N of them.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int8]
    ambiguous: NDArray[np.bool_]
    groups: NDArray[np.str_]
    paths: list[Path]


def read_rows(dataset: DataSet, rows: NDArray[np.intp]) -> FoundPictures:
    """Return the pictures in the given rows of `dataset.samples`, as the data set has them now."""
    table = dataset.samples.take(rows)
    return FoundPictures(
        ids=strings(table, "id"),
        labels=table["label"].to_numpy().astype(np.int8),
        ambiguous=table["ambiguous"].to_numpy().astype(np.bool_),
        groups=strings(table, "group"),
        paths=[dataset.root / path for path in table["path"].to_pylist()],
    )
