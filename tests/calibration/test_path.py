"""The counts along a path, in one pass, are those of every rule by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.calibration.conformal import _selective_path
from workzone.calibration.groups import group_pictures
from workzone.calibration.path import falling_path, group_counts, picture_counts
from workzone.calibration.threshold import threshold_path
from workzone.policy.risks import RISKS, Risk, empirical_risk

GRID = np.array([-2.0, -1.0, 0.0, 0.5, 1.0])


def naive_threshold(logits, t):
    return np.where(logits >= 1.0, 1, np.where(logits < t, 0, -1))


def naive_selective(logits, t):
    return np.where((logits >= -0.5) & (logits < 0.5), -1, np.where(logits < t, 0, 1))


@given(seed=st.integers(0, 10**6), n=st.integers(1, 80), risk=st.sampled_from(list(Risk)))
def test_counts_along_the_path_are_those_of_each_rule(scores_of, seed, n, risk):
    rng = np.random.default_rng(seed)
    logits = np.round(2 * rng.normal(0, 1.5, n)) / 2  # many lie on thresholds
    scores = scores_of(logits, rng.integers(0, 2, n), groups=rng.integers(0, n, n).astype(str))
    grouped = group_pictures(scores, "s")
    rows = np.flatnonzero(RISKS[risk].population.members(scores.labels))
    for path, naive in (
        (threshold_path(logits, GRID, 1.0), naive_threshold),
        (_selective_path(logits, GRID, -0.5, 0.5), naive_selective),
    ):
        counted, events = picture_counts(path, grouped, RISKS[risk], rows)
        for j, t in enumerate(GRID):
            codes = naive(logits, t)
            assert np.array_equal(path.codes(j), codes)
            assert (events[j], counted[j]) == empirical_risk(risk, scores.labels, codes)
            pictures, by_group, hits = group_counts(codes.astype(np.int8), grouped, RISKS[risk])
            assert (pictures.sum(), by_group.sum(), hits.sum()) == (len(rows), counted[j], events[j])


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=40))
def test_a_falling_path_answers_from_the_value_on(scores):
    values = np.array([3.0, 1.0, 0.0, -2.0])
    s = np.array(scores, dtype=float)
    before, after = np.full(len(s), -1, np.int8), np.ones(len(s), np.int8)
    path = falling_path("tau", values, s, before, after)
    for j, tau in enumerate(values):
        assert np.array_equal(path.codes(j) == 1, s >= tau)


def test_a_picture_that_no_rule_reaches_never_changes():
    path = threshold_path(np.array([0.9]), GRID[:3], 1.0)
    assert path.switch.tolist() == [3]
    assert [path.codes(j).tolist() for j in range(3)] == [[-1]] * 3


@pytest.mark.parametrize("risk", Risk)
def test_no_pictures_give_no_counts(scores_of, risk):
    scores = scores_of([], [])
    path = threshold_path(scores.logits, GRID, 1.0)
    counted, events = picture_counts(path, group_pictures(scores, "s"), RISKS[risk], np.empty(0, np.intp))
    assert counted.tolist() == events.tolist() == [0] * 5
