"""All pairs of 64-bit hashes that differ in few bits, found without comparing all with all.

Multi-index hashing (Norouzi, Punjani & Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012;
arXiv 1307.2982): cut into four parts of 16 bits, two hashes that differ in at most d = 4r + a bits agree up to r
bits in one of the first a + 1 parts, or up to r − 1 bits in one of the others. So each part is an index of 65,536
buckets, and only buckets near each other are compared. The answer is exact. How much is compared depends on
how evenly buckets fill; in the worst case (all hashes share a part) it is all with all, in bounded memory.

NumPy does it faster than FAISS's `IndexBinaryMultiHash` (benchmarks/near_duplicates.py), which answers queries one
by one. The bits of a part are taken from all over the hash: neighbouring ones depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError
from workzone.core.observer import NullObserver, Observer, track

MAX_DISTANCE = 15
"""Beyond it an index would look at half of its buckets."""
CANDIDATES = 2**19
"""Pairs that are compared at once, about 40 MB."""
_TABLES, _BITS = 4, 16

HashPairs = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64]]
"""Rows of the one, rows of the other, and in how many bits they differ."""


def hamming_pairs(
    hashes: NDArray[np.uint64], max_distance: int, observer: Observer | None = None
) -> Iterator[HashPairs]:
    """Yield every pair of different hashes that differ in at most `max_distance` bits, once, in parts.

    Args:
        hashes: uint64 [N], no two of them equal.
        max_distance: 0 to 15.
        observer: Told of the progress in pairs of buckets' patterns.

    Raises:
        ConfigError: `max_distance` is out of range.
    """
    if not 0 <= max_distance <= MAX_DISTANCE:
        raise ConfigError(
            f"Hashes may differ in 0 to {MAX_DISTANCE} bits to count as near; found {max_distance}."
        )
    spread = _spread(hashes)
    radii = _radii(max_distance)
    steps = [(table, mask) for table, radius in enumerate(radii) for mask in _masks(radius)]
    index: _Index | None = None
    for table, mask in track(steps, observer or NullObserver(), "compare hashes"):
        if index is None or index.table != table:
            index = _Index(spread, table)
        for left, right in index.candidates(mask):
            different = spread[left] ^ spread[right]
            distance = np.bitwise_count(different)
            near = distance <= max_distance
            near[near] = _not_found_before(different[near], table, radii)
            if near.any():
                yield left[near], right[near], distance[near].astype(np.int64)


def _radii(max_distance: int) -> list[int]:
    """In how many bits each part may differ; −1 where the other parts suffice."""
    radius, rest = divmod(max_distance, _TABLES)
    return [radius if table <= rest else radius - 1 for table in range(_TABLES)]


def _masks(radius: int) -> list[int]:
    """All patterns of at most `radius` bits of a part."""
    return [
        sum(1 << bit for bit in bits)
        for size in range(radius + 1)
        for bits in combinations(range(_BITS), size)
    ]


def _spread(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Reorder bits so that each part of 16 gets every fourth bit."""
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)
    parts = bits.reshape(-1, _BITS, _TABLES).transpose(0, 2, 1).reshape(-1, 64)
    spread: NDArray[np.uint64] = np.packbits(parts, axis=1).view(">u8")[:, 0].astype(np.uint64)
    return spread


def _part(spread: NDArray[np.uint64], table: int) -> NDArray[np.uint64]:
    part: NDArray[np.uint64] = (spread >> np.uint64(_BITS * table)) & np.uint64(2**_BITS - 1)
    return part


def _not_found_before(different: NDArray[np.uint64], table: int, radii: list[int]) -> NDArray[np.bool_]:
    """Whether no earlier part has led to the pair already."""
    new = np.ones(len(different), dtype=np.bool_)
    for earlier in range(table):
        new &= np.bitwise_count(_part(different, earlier)) > radii[earlier]
    return new


class _Index:
    """Hashes in the order of one of their parts, and where each bucket starts."""

    def __init__(self, spread: NDArray[np.uint64], table: int) -> None:
        self.table = table
        keys = _part(spread, table).astype(np.intp)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=2**_BITS))])

    def candidates(self, mask: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the pairs whose parts differ by exactly `mask`, each once."""
        if mask == 0:
            rows = np.arange(len(self._keys))
            first, last = rows + 1, self._starts[self._keys + 1]
        else:  # each pair from the side that lacks the mask's highest bit
            rows = np.flatnonzero(self._keys & (1 << (mask.bit_length() - 1)) == 0)
            other = self._keys[rows] ^ mask
            first, last = self._starts[other], self._starts[other + 1]
        for left, right in expanded(rows, first, last - first):
            yield self._order[left], self._order[right]


def expanded(
    rows: NDArray[np.intp], first: NDArray[np.intp], counts: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield each row beside `first`, `first` + 1 … up to its count, about `CANDIDATES` pairs at once."""
    some = counts > 0
    rows, first, counts = rows[some], first[some], counts[some]
    ends = np.cumsum(counts)
    start = 0
    while start < len(rows):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + CANDIDATES, side="right")))
        part = slice(start, stop)
        left = np.repeat(rows[part], counts[part])
        offset = np.repeat(first[part] - (ends[part] - counts[part]), counts[part])
        yield left, np.arange(before, before + len(left)) + offset
        start = stop
