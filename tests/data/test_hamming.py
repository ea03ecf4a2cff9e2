"""All near pairs of hashes, each once, against comparing all with all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import ConfigError
from workzone.data import hamming
from workzone.data.hamming import MAX_DISTANCE, hamming_pairs


def found(hashes: np.ndarray, max_distance: int) -> dict[tuple[int, int], int]:
    pairs: dict[tuple[int, int], int] = {}
    for left, right, distance in hamming_pairs(hashes, max_distance):
        for one, other, bits in zip(left.tolist(), right.tolist(), distance.tolist(), strict=True):
            key = (min(one, other), max(one, other))
            assert key not in pairs, "a pair came twice"
            pairs[key] = bits
    return pairs


def brute_force(hashes: np.ndarray, max_distance: int) -> dict[tuple[int, int], int]:
    values = [int(h) for h in hashes]
    return {
        (i, j): (values[i] ^ values[j]).bit_count()
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if (values[i] ^ values[j]).bit_count() <= max_distance
    }


@st.composite
def families(draw):
    """Hashes a few bits off a few others: near pairs at every distance, in every part."""
    roots = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    flips = st.lists(st.integers(0, 63), max_size=10)
    members = draw(st.lists(st.tuples(st.sampled_from(roots), flips), max_size=25))
    values = set(roots)
    for value, bits in members:
        for bit in bits:
            value ^= 1 << bit
        values.add(value)
    return np.array(sorted(values), dtype=np.uint64)


@given(families(), st.integers(0, MAX_DISTANCE))
def test_pairs_are_those_of_all_with_all(hashes, max_distance):
    assert found(hashes, max_distance) == brute_force(hashes, max_distance)


@pytest.mark.parametrize("max_distance", [0, 3, 4, 7, 8, 11, 15])
def test_every_way_to_spread_the_bits_is_found(max_distance):
    """The pigeonhole's worst cases: differing bits dealt out evenly, or all in one part."""
    rng = np.random.default_rng(max_distance)
    root = int(rng.integers(0, 2**63))
    hashes = {root}
    for start in range(64):
        for stride in (1, 4, 16, 17):
            value = root
            for k in range(max_distance):
                value ^= 1 << (start + k * stride) % 64
            hashes.add(value)
    array = np.array(sorted(hashes), dtype=np.uint64)
    assert found(array, max_distance) == brute_force(array, max_distance)


@pytest.mark.parametrize("candidates", [1, 7, 1000])
def test_the_size_of_the_parts_changes_nothing(monkeypatch, candidates):
    monkeypatch.setattr(hamming, "CANDIDATES", candidates)
    hashes = np.unique(np.random.default_rng(0).integers(0, 2**12, 300, dtype=np.uint64))
    assert found(hashes, 4) == brute_force(hashes, 4)


def test_few_hashes_have_few_pairs():
    assert found(np.zeros(0, np.uint64), 8) == {}
    assert found(np.array([5], np.uint64), 8) == {}
    assert found(np.array([0, 2**64 - 1], np.uint64), MAX_DISTANCE) == {}
    assert found(np.array([2**63, 2**63 + 1], np.uint64), 1) == {(0, 1): 1}


@pytest.mark.parametrize("max_distance", [-1, MAX_DISTANCE + 1])
def test_distances_beyond_the_index_are_refused(max_distance):
    with pytest.raises(ConfigError, match="0 to 15"):
        list(hamming_pairs(np.arange(3, dtype=np.uint64), max_distance))


def test_progress_is_told(observer):
    list(hamming_pairs(np.arange(100, dtype=np.uint64), 5, observer))
    assert observer.steps[-1][1] == observer.steps[-1][2] > 1
