"""Pictures that show the same: near by perceptual hash, and confirmed by an embedding.

The hash finds candidates fast and exactly (`hamming`); the embedding's cosine throws out what only happens to hash
alike, such as two empty roads under one sky. Knows neither files nor labels: what a near-duplicate means for a
split is for who asks. Whoever compares the pictures of a data set does it by `near_duplicates_of`, so that check, split
and audit agree.

The decision a reader would question: blank pictures are near nothing, not even one another. All of them have one hash
and one descriptor, so that they would make one scene of every group that holds a covered lens.

Resemblance is not transitive, clusters are: A may be near B, B near C, and A not near C. Frames of a video that
each resemble the next are one cluster, which is right for keeping them on one side of a split; a cluster of
strangers is what limits set too loosely give. `largest` and `density` show which it is.

Degenerate data are foreseen: equal hashes are one to the search, and where there are more near pairs than `max_pairs`
(two thousand blank pictures make as many), clusters stay exact and further pairs are listed only where they join.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, DataError
from workzone.core.observer import Observer
from workzone.data.confirmed_pairs import ConfirmedPairs
from workzone.data.hamming import CANDIDATES, HashPairs, expanded, hamming_pairs
from workzone.data.picture_facts import PictureFacts

DEFAULT_MAX_DISTANCE = 10
DEFAULT_MIN_SIMILARITY = 0.97
"""Of descriptors; another embedding has another scale."""
MAX_PAIRS = 2_000_000
BLANK_CONTRAST = 2.0
"""Standard deviation of luma under which a picture is one plain colour: see `checks.exposure`."""
_CROWD = 1024
"""So many pictures of one hash, or the square of it in pairs of two, are compared in blocks."""


@dataclass(frozen=True, slots=True, eq=False)
class NearDuplicates:
    """What is near what among N pictures.

    Attributes:
        pairs: intp [P, 2], the smaller row first, sorted.
        distance: int64 [P], bits in which their hashes differ.
        similarity: float32 [P], cosine of their embeddings.
        cluster: intp [N], the smallest row of each picture's cluster; its own where it is near nothing.
        complete: Whether all near pairs are listed; if not, clusters are exact all the same, and the pairs are
            some of them, enough to join each cluster.
    """

    pairs: NDArray[np.intp]
    distance: NDArray[np.int64]
    similarity: NDArray[np.float32]
    cluster: NDArray[np.intp]
    complete: bool

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Pictures of each cluster of at least two, the largest first: intp [C]."""
        counts = np.bincount(self.cluster)
        return np.sort(counts[counts > 1])[::-1].astype(np.intp)

    @property
    def largest(self) -> NDArray[np.intp]:
        """Rows of the largest cluster; empty where no picture is near another."""
        if not len(self.pairs):
            return np.zeros(0, dtype=np.intp)
        return np.flatnonzero(self.cluster == np.argmax(np.bincount(self.cluster)))

    @property
    def density(self) -> float:
        """Share of the largest cluster's pairs that are listed as near; NaN where there is no cluster.

        1 where all resemble each other; near 0 where a chain of resemblances joins strangers, or where pairs are
        not `complete`.
        """
        rows = self.largest
        if not len(rows):
            return float("nan")
        inside = np.count_nonzero(self.cluster[self.pairs[:, 0]] == rows[0])
        return inside / (len(rows) * (len(rows) - 1) / 2)


def find_near_duplicates(
    hashes: NDArray[np.uint64],
    embeddings: NDArray[np.float32],
    *,
    max_distance: int = DEFAULT_MAX_DISTANCE,
    min_similarity: float = DEFAULT_MIN_SIMILARITY,
    max_pairs: int = MAX_PAIRS,
    observer: Observer | None = None,
) -> NearDuplicates:
    """Find all pairs with near hashes and similar embeddings, and the clusters that they make.

    Args:
        hashes: uint64 [N], such as `PictureFacts.perceptual_hash`.
        embeddings: float32 [N, D], each of length 1, such as `PictureFacts.descriptor`; a row of zeros is near
            nothing, as of a picture that cannot be decoded.
        max_distance: The most bits in which near hashes differ, 0 to 15; docs/measured.md has the measurements
            behind this and the next.
        min_similarity: The least cosine of similar embeddings, in (0, 1].
        max_pairs: About as many are listed; see `NearDuplicates.complete`.
        observer: Told of progress.

    Raises:
        ConfigError: A limit is out of range.
        DataError: The arrays are of different lengths, or embeddings are not of length 1.
    """
    if not 0 < min_similarity <= 1:
        raise ConfigError(f"Similar embeddings have a cosine in (0, 1]; found {min_similarity}.")
    if max_pairs < 1:
        raise ConfigError(f"max_pairs is at least 1; found {max_pairs}.")
    _check(hashes, embeddings)
    confirmed = ConfirmedPairs(embeddings, min_similarity, max_pairs)
    alike = _Alike(hashes, np.flatnonzero(embeddings.any(axis=1)))
    alike.add_within(confirmed)
    for pairs in hamming_pairs(alike.hashes, max_distance, observer):
        alike.add_between(pairs, confirmed)
    left, right, similarity, distance = confirmed.pairs()
    return NearDuplicates(
        pairs=np.stack([left, right], axis=1),
        distance=distance,
        similarity=similarity,
        cluster=confirmed.clusters(),
        complete=not confirmed.full,
    )


def comparable(facts: PictureFacts) -> NDArray[np.bool_]:
    """Return which pictures are what was imported and show anything: bool [N].

    Not those that cannot be decoded, whose bytes were changed (what is decoded is another picture than the sample), or
    that are blank.
    """
    shows: NDArray[np.bool_] = facts.decoded & ~facts.bytes_changed & (facts.contrast >= BLANK_CONTRAST)
    return shows


def near_duplicates_of(
    facts: PictureFacts, *, max_pairs: int = MAX_PAIRS, observer: Observer | None = None
) -> NearDuplicates:
    """Find the near-duplicates of a data set by hash and descriptor; what is not `comparable` is near nothing.

    Args:
        facts: Of N pictures.
        max_pairs: As of `find_near_duplicates`.
        observer: Told of progress.
    """
    embeddings = np.where(comparable(facts)[:, None], facts.descriptor, np.float32(0))
    return find_near_duplicates(facts.perceptual_hash, embeddings, max_pairs=max_pairs, observer=observer)


class _Alike:
    """Pictures of equal hash together.

    Attributes:
        hashes: uint64 [H], each once.
    """

    def __init__(self, hashes: NDArray[np.uint64], rows: NDArray[np.intp]) -> None:
        chosen = hashes[rows]
        order = np.argsort(chosen, kind="stable")
        self.hashes, starts = np.unique(chosen[order], return_index=True)
        self._rows = rows[order]
        self._starts = starts.astype(np.intp)
        self._sizes = np.diff(self._starts, append=len(rows))

    def add_within(self, confirmed: ConfirmedPairs) -> None:
        """Confirm the pairs of equal hash."""
        at = np.arange(len(self._rows))
        ends = np.repeat(self._starts + self._sizes, self._sizes)
        few = np.repeat(self._sizes < _CROWD, self._sizes)
        for left, right in expanded(at[few], at[few] + 1, ends[few] - at[few] - 1):
            confirmed.add(self._rows[left], self._rows[right], np.zeros(len(left), np.int64))
        for which in np.flatnonzero(self._sizes >= _CROWD):
            confirmed.add_crowd(self._members(which))

    def add_between(self, pairs: HashPairs, confirmed: ConfirmedPairs) -> None:
        """Confirm the pairs of pictures behind pairs of hashes."""
        one, other, distance = pairs
        swap = self._sizes[one] > self._sizes[other]
        one, other = np.where(swap, other, one), np.where(swap, one, other)
        crowded = self._sizes[one] * self._sizes[other] >= _CROWD**2
        for k in np.flatnonzero(crowded):
            confirmed.add_crowds(self._members(one[k]), self._members(other[k]), int(distance[k]))
        for part in self._bounded(one[~crowded], other[~crowded], distance[~crowded]):
            self._add_few(part, confirmed)

    def _bounded(
        self, one: NDArray[np.intp], other: NDArray[np.intp], distance: NDArray[np.int64]
    ) -> Iterator[HashPairs]:
        """Cut pairs of hashes so that the pictures of the smaller sides are about `CANDIDATES` at once."""
        ends = np.cumsum(self._sizes[one])
        cuts = np.flatnonzero(np.diff(ends // CANDIDATES)) + 1
        yield from zip(np.split(one, cuts), np.split(other, cuts), np.split(distance, cuts), strict=True)

    def _add_few(self, pairs: HashPairs, confirmed: ConfirmedPairs) -> None:
        one, other, distance = pairs
        sizes = self._sizes[one]
        behind = np.repeat(
            np.arange(len(one)), sizes
        )  # which pair of hashes each picture of `one` stands for
        place = np.arange(len(behind)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = self._starts[one][behind] + place
        counts = self._sizes[other][behind]
        for k, right in expanded(np.arange(len(behind)), self._starts[other][behind], counts):
            confirmed.add(self._rows[rows[k]], self._rows[right], distance[behind[k]])

    def _members(self, which: int | np.intp) -> NDArray[np.intp]:
        start = self._starts[which]
        return self._rows[start : start + self._sizes[which]]


def _check(hashes: NDArray[np.uint64], embeddings: NDArray[np.float32]) -> None:
    if hashes.ndim != 1 or embeddings.ndim != 2 or len(hashes) != len(embeddings):
        raise DataError(
            f"Near-duplicates need one hash and one embedding a picture; found hashes {list(hashes.shape)} "
            f"and embeddings {list(embeddings.shape)}."
        )
    squares = np.einsum("ij,ij->i", embeddings, embeddings)
    wrong = np.flatnonzero(~((squares == 0) | (np.abs(squares - 1) < 1e-3)))
    if len(wrong):
        raise DataError(
            f"Embedding {wrong[0]} has the squared length {squares[wrong[0]]:.4g}, and {len(wrong)} of "
            f"{len(squares)} have not length 1; expected 1, or 0 of a picture without one. Normalise them."
        )
