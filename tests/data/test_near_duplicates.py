"""Near-duplicates against comparing all with all, and data that are out to break the search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import ConfigError, DataError
from workzone.data import near_duplicates
from workzone.data.facts import PictureFacts
from workzone.data.near_duplicates import (
    NearDuplicates,
    comparable,
    find_near_duplicates,
    near_duplicates_of,
)

HASHES = np.array([0, 1, 3, 0xFF, 0xFFFF, 2**63, 2**64 - 1, 0x0F0F0F0F0F0F0F0F], dtype=np.uint64)
VECTORS = np.array(
    [[1, 0, 0], [0.8, 0.6, 0], [0.6, 0.8, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [-1, 0, 0]], dtype=np.float32
)


def brute_force(hashes, embeddings, max_distance, min_similarity):
    pairs = {}
    for i in range(len(hashes)):
        for j in range(i + 1, len(hashes)):
            bits = (int(hashes[i]) ^ int(hashes[j])).bit_count()
            cosine = float(embeddings[i].astype(np.float64) @ embeddings[j].astype(np.float64))
            if bits <= max_distance and cosine >= min_similarity - 1e-5:
                pairs[i, j] = bits, cosine
    cluster = list(range(len(hashes)))
    for _ in cluster:  # as often as the longest chain may be
        for i, j in pairs:
            cluster[i] = cluster[j] = min(cluster[i], cluster[j])
    return pairs, cluster


def check(found: NearDuplicates, hashes, embeddings, max_distance, min_similarity) -> None:
    pairs, cluster = brute_force(hashes, embeddings, max_distance, min_similarity)
    assert found.cluster.tolist() == cluster
    listed = [tuple(pair) for pair in found.pairs.tolist()]
    if found.complete:
        assert listed == sorted(pairs)
    assert len(set(listed)) == len(listed)
    for pair, bits, cosine in zip(listed, found.distance, found.similarity, strict=True):
        assert pairs[pair][0] == bits
        assert pairs[pair][1] == pytest.approx(cosine, abs=1e-5)


rows = st.lists(
    st.tuples(st.sampled_from(HASHES.tolist()), st.integers(0, len(VECTORS) - 1)), min_size=0, max_size=30
)


@given(rows, st.sampled_from([0, 1, 2, 8]), st.sampled_from([0.1, 0.7, 0.95, 1.0]))
def test_pairs_and_clusters_are_those_of_all_with_all(chosen, max_distance, min_similarity):
    hashes = np.array([h for h, _ in chosen], dtype=np.uint64)
    embeddings = VECTORS[[v for _, v in chosen]]
    found = find_near_duplicates(hashes, embeddings, max_distance=max_distance, min_similarity=min_similarity)
    assert found.complete
    check(found, hashes, embeddings, max_distance, min_similarity)


@given(rows, st.sampled_from([0, 2, 8]), st.sampled_from([0.1, 0.7]), st.integers(1, 20), st.integers(2, 5))
def test_crowds_and_bounds_leave_clusters_exact(chosen, max_distance, min_similarity, max_pairs, crowd):
    hashes = np.array([h for h, _ in chosen], dtype=np.uint64)
    embeddings = VECTORS[[v for _, v in chosen]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "_CROWD", crowd)
        patch.setattr("workzone.data.confirmed_pairs._BLOCK", 12)
        patch.setattr("workzone.data.confirmed_pairs._PART", 4)
        limits = {"max_distance": max_distance, "min_similarity": min_similarity}
        whole = find_near_duplicates(hashes, embeddings, **limits)
        bounded = find_near_duplicates(hashes, embeddings, **limits, max_pairs=max_pairs)
    check(whole, hashes, embeddings, max_distance, min_similarity)
    check(bounded, hashes, embeddings, max_distance, min_similarity)
    assert bounded.complete == (len(whole.pairs) < max_pairs)
    linked = np.arange(len(hashes))
    for _ in linked:  # what is listed joins every cluster
        for i, j in bounded.pairs:
            linked[[i, j]] = linked[[i, j]].min()
    assert linked.tolist() == whole.cluster.tolist()


def unit(rng: np.random.Generator, n: int, dimensions: int = 32) -> np.ndarray:
    vectors = rng.normal(size=(n, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_planted_clusters_are_found_among_strangers():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 3000, dtype=np.uint64)
    embeddings = unit(rng, 3000)
    for number in range(20):
        members = np.arange(100 * number, 100 * number + 5)
        for row in members[1:]:
            flips = rng.choice(64, 3, replace=False)
            hashes[row] = hashes[members[0]] ^ np.bitwise_or.reduce(np.uint64(1) << flips.astype(np.uint64))
            embeddings[row] = embeddings[members[0]]
    stranger = 2500  # hashes alike, looks different
    hashes[stranger] = hashes[0]
    found = find_near_duplicates(hashes, embeddings, max_distance=6, min_similarity=0.9)
    expected = np.arange(3000)
    for number in range(20):
        expected[100 * number : 100 * number + 5] = 100 * number
    np.testing.assert_array_equal(found.cluster, expected)
    assert found.sizes.tolist() == [5] * 20
    assert found.density == 1.0
    assert len(found.pairs) == 20 * 10


def test_a_chain_of_resemblances_shows_in_its_density():
    hashes = np.array([(1 << 4 * k) - 1 for k in range(16)], dtype=np.uint64)  # each 4 bits from the next
    embeddings = np.repeat(VECTORS[:1], 16, axis=0)
    found = find_near_duplicates(hashes, embeddings, max_distance=4, min_similarity=0.9)
    assert found.largest.tolist() == list(range(16))
    assert found.density == pytest.approx(15 / 120)


def test_a_crowd_of_blank_pictures_is_one_cluster_with_bounded_pairs():
    n = 20_000
    hashes = np.zeros(n, np.uint64)
    found = find_near_duplicates(hashes, np.repeat(VECTORS[:1], n, axis=0), max_pairs=50_000)
    assert not found.complete
    assert not found.cluster.any()
    assert len(found.pairs) <= 50_000 + 2**20 + n
    assert found.largest.tolist() == list(range(n))


def test_two_kinds_of_blank_pictures_stay_apart():
    n = 6000
    hashes = np.where(np.arange(n) % 3 == 0, 0, 7).astype(np.uint64)  # two crowds, three bits apart
    kinds = np.arange(n) % 2
    found = find_near_duplicates(hashes, VECTORS[[0, 3]][kinds], max_pairs=1000)
    assert not found.complete
    np.testing.assert_array_equal(found.cluster, kinds)


def test_hashes_in_one_bucket_are_searched_too():
    rng = np.random.default_rng(1)
    hashes = rng.permutation(1500).astype(np.uint64)  # they differ in 11 bits only
    embeddings = unit(rng, 1500, 4)
    found = find_near_duplicates(hashes, embeddings, max_distance=3, min_similarity=0.97)
    near = np.bitwise_count(hashes[:, None] ^ hashes[None]) <= 3
    near &= (embeddings @ embeddings.T >= 0.97) & (np.arange(1500)[:, None] < np.arange(1500)[None])
    np.testing.assert_array_equal(found.pairs, np.argwhere(near))


def test_a_picture_without_an_embedding_is_near_nothing():
    found = find_near_duplicates(np.zeros(4, np.uint64), VECTORS[[5, 0, 5, 0]], min_similarity=0.1)
    assert found.pairs.tolist() == [[1, 3]]
    assert found.cluster.tolist() == [0, 1, 2, 1]


def test_nothing_is_near_nothing():
    found = find_near_duplicates(np.zeros(0, np.uint64), np.zeros((0, 3), np.float32))
    assert found.complete
    assert len(found.pairs) == len(found.cluster) == len(found.sizes) == len(found.largest) == 0
    assert np.isnan(found.density)


@pytest.mark.parametrize("min_similarity", [0.0, -0.5, 1.01, float("nan")])
def test_cosines_out_of_range_are_refused(min_similarity):
    with pytest.raises(ConfigError, match=r"cosine in \(0, 1\]"):
        find_near_duplicates(HASHES[:2], VECTORS[:2], min_similarity=min_similarity)


def test_no_pairs_at_all_are_refused():
    with pytest.raises(ConfigError, match="max_pairs"):
        find_near_duplicates(HASHES[:2], VECTORS[:2], max_pairs=0)


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(DataError, match="one hash and one embedding"):
        find_near_duplicates(HASHES[:3], VECTORS[:2])


@pytest.mark.parametrize("factor", [2.0, 0.5, float("nan"), float("inf")])
def test_embeddings_of_another_length_are_refused(factor):
    embeddings = VECTORS[:3].copy()
    embeddings[1] = (factor, 0, 0)
    with pytest.raises(DataError, match=r"Embedding 1 .*Normalise"):
        find_near_duplicates(HASHES[:3], embeddings)


def facts_of(n: int, **columns) -> PictureFacts:
    """N pictures that are all one, where a column does not say otherwise."""
    numbers = {
        name: np.zeros(n)
        for name in ("width_px", "height_px", "n_bytes", "brightness", "sharpness", "colour_histogram")
    }
    fields = {
        "decoded": np.ones(n, bool),
        "bytes_changed": np.zeros(n, bool),
        "contrast": np.full(n, 50, np.float32),
        "perceptual_hash": np.zeros(n, np.uint64),
        "descriptor": np.repeat(VECTORS[:1], n, axis=0),
        **dict.fromkeys(("problem", "file_format", "mode", "pixels_sha256"), np.full(n, "")),
        "has_exif": np.zeros(n, bool),
        **numbers,
    }
    return PictureFacts(**{**fields, **columns})


@pytest.mark.parametrize(
    "column",
    [
        {"decoded": np.array([True, False, True, False])},
        {"bytes_changed": np.array([False, True, False, True])},
        {"contrast": np.array([2.0, 1.99, 50.0, 0.0], np.float32)},
    ],
)
def test_what_shows_nothing_is_near_nothing(column):
    facts = facts_of(4, **column)
    assert comparable(facts).tolist() == [True, False, True, False]
    found = near_duplicates_of(facts)
    assert found.pairs.tolist() == [[0, 2]]
    assert found.cluster.tolist() == [0, 1, 0, 3]
    assert near_duplicates_of(facts, max_pairs=1).complete is False
