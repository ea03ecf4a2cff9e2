"""Candidates confirmed by the cosine of their embeddings, and the clusters that they join, in bounded memory.

Up to `max_pairs` every confirmed pair is kept. From then on only pairs that join two clusters are, which are fewer
than there are pictures: what is already in one cluster need not be compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workzone.core.lazy import require

_PART = 2**14
"""Pairs whose embeddings are compared at once."""
_BLOCK = 2**20
"""Cosines of a block of a crowd."""
_ROUNDING = 1e-6
"""Of a cosine in float32: what is equal has the cosine 1."""

Confirmed = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32], NDArray[np.int64]]
"""Rows of the one, rows of the other, cosine, bits in which their hashes differ."""


class ConfirmedPairs:
    """What was confirmed so far.

    Attributes:
        full: Whether `max_pairs` were kept, and not all that follow are.
    """

    def __init__(self, embeddings: NDArray[np.float32], min_similarity: float, max_pairs: int) -> None:
        self.full = False
        self._embeddings = embeddings
        self._min_similarity = min_similarity
        self._max_pairs = max_pairs
        self._kept: list[Confirmed] = []
        self._n_kept = 0
        self._component = np.arange(len(embeddings))

    def add(self, left: NDArray[np.intp], right: NDArray[np.intp], distance: NDArray[np.int64]) -> None:
        """Confirm candidates one by one."""
        for start in range(0, len(left), _PART):
            part = slice(start, start + _PART)
            one, other, bits = left[part], right[part], distance[part]
            if self.full:
                apart = self._component[one] != self._component[other]
                one, other, bits = one[apart], other[apart], bits[apart]
            cosine = np.einsum("ij,ij->i", self._embeddings[one], self._embeddings[other])
            near = self._are_near(cosine)
            self._keep((one[near], other[near], cosine[near], bits[near]))

    def add_crowd(self, rows: NDArray[np.intp]) -> None:
        """Confirm all pairs among many pictures of one hash.

        Sorted by their angle to one of them, only those within the angle of `min_similarity` of each other can
        be near (the triangle inequality of angles), so that unlike kinds of blank pictures are kept apart cheaply.
        Of several kinds that are as far from that one, all are compared with all: in time the worst case.
        """
        cosine = self._embeddings[rows] @ self._embeddings[rows[0]]
        angle = np.arccos(np.clip(cosine, -1.0, 1.0))
        order = np.argsort(angle, kind="stable")
        rows, angle = rows[order], angle[order]
        reach = float(np.arccos(self._min_similarity)) + 1e-3
        vectors = self._embeddings[rows]
        step = max(1, _BLOCK // len(rows))
        for start in range(0, len(rows), step):
            if self._are_one(rows[start:]):
                return
            stop = min(start + step, len(rows))
            end = int(np.searchsorted(angle, angle[stop - 1] + reach, side="right"))
            columns = self._not_joined(rows, start, stop, end)
            later = np.arange(start, stop)[:, None] < columns[None]
            self._add_block(rows[start:stop], rows[columns], vectors[start:stop], vectors[columns], 0, later)

    def add_crowds(self, rows: NDArray[np.intp], others: NDArray[np.intp], distance: int) -> None:
        """Confirm all pairs between many pictures of one hash and many of another."""
        vectors = self._embeddings[others]
        step = max(1, _BLOCK // len(others))
        for start in range(0, len(rows), step):
            if self._are_one(np.concatenate([rows[start:], others])):
                return
            part = rows[start : start + step]
            self._add_block(part, others, self._embeddings[part], vectors, distance)

    def clusters(self) -> NDArray[np.intp]:
        """Return the smallest row of each row's cluster: intp [N]."""
        if not self.full:
            self._join(*self.pairs()[:2])
        _, first, label = np.unique(self._component, return_index=True, return_inverse=True)
        return first[label].astype(np.intp)

    def pairs(self) -> Confirmed:
        """Return what was kept, the smaller row first, sorted by rows."""
        if not self._kept:
            nothing = np.zeros(0, dtype=np.intp)
            return nothing, nothing, np.zeros(0, np.float32), np.zeros(0, np.int64)
        one, other, cosine, bits = (np.concatenate(column) for column in zip(*self._kept, strict=True))
        left, right = np.minimum(one, other), np.maximum(one, other)
        order = np.lexsort((right, left))
        return left[order], right[order], cosine[order], bits[order]

    def _are_near(self, cosine: NDArray[np.float32]) -> NDArray[np.bool_]:
        near: NDArray[np.bool_] = cosine >= self._min_similarity - _ROUNDING
        return near

    def _are_one(self, rows: NDArray[np.intp]) -> bool:
        """Whether these rows are known to be in one cluster already, and pairs are not listed any more."""
        return self.full and bool((self._component[rows] == self._component[rows[0]]).all())

    def _not_joined(self, rows: NDArray[np.intp], start: int, stop: int, end: int) -> NDArray[np.intp]:
        """Return from `start` to `end`, without what the rows up to `stop` are all known to be joined with."""
        columns = np.arange(start, end)
        own = self._component[rows[start:stop]]
        if not self.full or (own != own[0]).any():
            return columns
        apart: NDArray[np.intp] = columns[self._component[rows[start:end]] != own[0]]
        return apart

    def _add_block(
        self,
        rows: NDArray[np.intp],
        others: NDArray[np.intp],
        vectors: NDArray[np.float32],
        other_vectors: NDArray[np.float32],
        distance: int,
        mask: NDArray[np.bool_] | None = None,
    ) -> None:
        cosine = vectors @ other_vectors.T
        near = self._are_near(cosine)
        if mask is not None:
            near &= mask
        if self.full:
            near &= self._component[rows][:, None] != self._component[others][None]
        i, j = np.nonzero(near)
        self._keep((rows[i], others[j], cosine[i, j], np.full(len(i), distance, np.int64)))

    def _keep(self, found: Confirmed) -> None:
        if self.full and len(found[0]):
            chosen = _spanning(self._component[found[0]], self._component[found[1]], len(self._component))
            found = found[0][chosen], found[1][chosen], found[2][chosen], found[3][chosen]
            self._join(found[0], found[1])
        if not len(found[0]):
            return
        self._kept.append(found)
        self._n_kept += len(found[0])
        if not self.full and self._n_kept >= self._max_pairs:
            self._join(*self.pairs()[:2])
            self.full = True

    def _join(self, left: NDArray[np.intp], right: NDArray[np.intp]) -> None:
        if not len(left):
            return
        sparse = require("scipy.sparse", "data")
        graph = require("scipy.sparse.csgraph", "data")
        n = len(self._component)
        edges = (np.ones(len(left), np.int8), (self._component[left], self._component[right]))
        _, label = graph.connected_components(sparse.coo_array(edges, shape=(n, n)), directed=False)
        self._component = label[self._component]


def _spanning(left: NDArray[np.intp], right: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Return which of these edges make a spanning forest: enough to join what all of them join."""
    sparse = require("scipy.sparse", "data")
    graph = require("scipy.sparse.csgraph", "data")
    low, high = np.minimum(left, right), np.maximum(left, right)
    _, first = np.unique(low * n + high, return_index=True)  # of parallel edges one
    weights = np.arange(1, len(first) + 1, dtype=np.float64)
    tree = graph.minimum_spanning_tree(sparse.csr_array((weights, (low[first], high[first])), shape=(n, n)))
    chosen: NDArray[np.intp] = first[tree.tocoo().data.astype(np.intp) - 1]
    return chosen
