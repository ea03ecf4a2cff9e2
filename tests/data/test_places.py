"""Distances are the haversine formula's, and what is close is found wherever on Earth it lies."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.data.places import haversine_m, nearest_places, place_links, smallest_members


@pytest.mark.parametrize(
    ("one", "other", "expected_m"),
    [
        ((0.0, 0.0), (0.0, 1.0), 111_195.0),  # a degree of the equator of a sphere of 6,371.0088 km
        ((90.0, 0.0), (-90.0, 123.0), np.pi * 6_371_008.8),
        ((60.0, 179.9999), (60.0, -179.9999), 11.12),  # half as long as at the equator
        ((48.8584, 2.2945), (48.8530, 2.3499), 4_096.0),  # Eiffel tower, Notre-Dame
    ],
)
def test_known_distances(one, other, expected_m) -> None:
    assert haversine_m([one], [other])[0] == pytest.approx(expected_m, rel=1e-3)
    assert haversine_m([one], [one])[0] == 0


def brute(degrees: np.ndarray) -> np.ndarray:
    return np.stack([haversine_m(degrees, np.broadcast_to(point, degrees.shape)) for point in degrees])


@pytest.mark.parametrize("within_m", [3.0, 40.0, 5_000.0])
def test_links_and_nearest_agree_with_all_pairs(within_m) -> None:
    rng = np.random.default_rng(3)
    degrees = np.concatenate(
        [
            np.add([48.0, 11.0], rng.uniform(0, 0.01, (60, 2))),
            np.add([10.0, 179.995], rng.uniform(0, 0.01, (40, 2))),
            np.repeat([[48.005, 11.005]], 5, axis=0),
        ]
    )
    degrees[:, 1] = (degrees[:, 1] + 180) % 360 - 180
    members = rng.integers(0, 30, len(degrees)).astype(np.intp)
    distance = brute(degrees)
    label = np.arange(30)
    for one, other in np.argwhere(distance <= within_m):
        low, high = sorted((label[members[one]], label[members[other]]))
        label[label == high] = low
    found = smallest_members(30, place_links(degrees, members, within_m))
    assert found.tolist() == label.tolist()

    near_m, nearest = nearest_places(degrees[:50], degrees[50:], within_m)
    expected = distance[:50, 50:].min(axis=1)
    assert (nearest >= 0).tolist() == (expected <= within_m).tolist()
    assert near_m[nearest >= 0] == pytest.approx(expected[expected <= within_m], abs=1e-3)
    assert np.isinf(near_m[nearest < 0]).all()


def test_close_pairs_are_taken_in_parts(monkeypatch) -> None:
    degrees = np.stack([np.linspace(50, 50.001, 40), np.full(40, 8.0)], axis=1)
    members = np.arange(40, dtype=np.intp)
    whole = place_links(degrees, members, 10.0)
    monkeypatch.setattr("workzone.data.places._PAIRS_AT_ONCE", 3)
    assert set(map(tuple, place_links(degrees, members, 10.0))) == set(map(tuple, whole))
    assert set(smallest_members(40, whole)) == {0}


def test_without_points_there_is_nothing_near() -> None:
    nothing = np.empty((0, 2))
    assert place_links(nothing, np.empty(0, dtype=np.intp), 5.0).shape == (0, 2)
    distance, nearest = nearest_places(np.array([[1.0, 2.0]]), nothing, 5.0)
    assert np.isinf(distance).all()
    assert nearest.tolist() == [-1]
    assert smallest_members(3, np.empty((0, 2), dtype=np.intp)).tolist() == [0, 1, 2]
