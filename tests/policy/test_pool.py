"""The log-opinion pool: the check values of the literature, its symmetries, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit

from workzone.core.errors import BundleError, ConfigError
from workzone.policy.pool import CLIP, PoolCalibrator, log_opinion_pool
from workzone.policy.scaling import PlattCalibrator, TemperatureCalibrator
from workzone.policy.step_calibrators import MAX_KNOTS, IsotonicCalibrator

OPINIONS, WEIGHTS = [[0.9], [0.6], [0.7]], [0.5, 0.25, 0.25]
PROBS = st.floats(1e-5, 1 - 1e-5)


def test_the_pool_of_three_opinions():
    assert log_opinion_pool(OPINIONS, WEIGHTS)[0] == pytest.approx(0.804050, abs=5e-7)
    p, w = np.array(OPINIONS), np.array(WEIGHTS)[:, None]
    yes, no = np.prod(p**w), np.prod((1 - p) ** w)
    assert log_opinion_pool(OPINIONS, WEIGHTS)[0] == pytest.approx(yes / (yes + no), rel=1e-14)
    assert (np.array(WEIGHTS) @ p)[0] == pytest.approx(0.775)  # the linear pool is less sharp


@given(prob=PROBS, weight=st.floats(0, 1))
def test_identical_opinions_are_left_as_they_are(prob, weight):
    assert log_opinion_pool([[prob]] * 2, [weight, 1 - weight])[0] == pytest.approx(prob, rel=1e-9)


@given(opinions=st.lists(PROBS, min_size=4, max_size=4), order=st.permutations(range(4)))
def test_order_does_not_matter(opinions, order):
    p, w = np.array(opinions)[:, None], np.array([0.1, 0.2, 0.3, 0.4])
    assert log_opinion_pool(p[order], w[order]) == pytest.approx(log_opinion_pool(p, w), rel=1e-12)


@given(opinions=st.lists(st.floats(1e-3, 1 - 1e-3), min_size=3, max_size=3), odds=st.floats(0.01, 100))
def test_it_is_externally_bayesian(opinions, odds):
    """Evidence with the same likelihood ratio for all may come before or after pooling."""
    p = np.array(opinions)[:, None]
    before = log_opinion_pool(p * odds / (p * odds + 1 - p), WEIGHTS)
    pooled = log_opinion_pool(p, WEIGHTS)
    assert before == pytest.approx(pooled * odds / (pooled * odds + 1 - pooled), rel=1e-9)


def test_one_certain_opinion_does_not_veto_the_others():
    pooled = log_opinion_pool([[0.0], [0.9]], [0.5, 0.5])[0]
    assert logit(pooled) == pytest.approx((logit(1e-6) + logit(0.9)) / 2)
    assert log_opinion_pool([[0.0, 1.0]], [1.0]) == pytest.approx([CLIP, 1 - CLIP], rel=1e-12)


@pytest.mark.parametrize(
    ("probs", "weights", "word"),
    [
        ([0.5, 0.5], [0.5, 0.5], "\\[M, N\\]"),
        ([[0.5]], [0.5, 0.5], "\\[M, N\\]"),
        (np.empty((0, 3)), [], "\\[M, N\\]"),
        ([[0.5], [1.1]], [0.5, 0.5], "logits"),
        ([[0.5], [np.nan]], [0.5, 0.5], "logits"),
        ([[0.5], [0.5]], [0.5, 0.6], "sum to 1"),
        ([[0.5], [0.5]], [1.5, -0.5], "at least 0"),
        ([[0.5], [0.5]], [np.nan, 1.0], "at least 0"),
    ],
)
def test_what_is_no_pool_is_refused(probs, weights, word):
    with pytest.raises(ConfigError, match=word):
        log_opinion_pool(probs, weights)


def test_a_pool_of_platt_maps_is_their_mean_on_the_logit():
    pool = PoolCalibrator((PlattCalibrator(1.0, 2.0), PlattCalibrator(3.0, -1.0)), (0.25, 0.75))
    logits = np.array([[-2.0, 0.0], [0.5, 2.0]])
    assert pool.apply(logits) == pytest.approx(PlattCalibrator(2.5, -0.25).apply(logits))


def test_a_pool_ties_what_lies_beyond_its_clip():
    pool = PoolCalibrator((TemperatureCalibrator(1.0),), (1.0,))
    low, lower = pool.apply([-20.0, -30.0])
    assert low == lower == pytest.approx(CLIP)
    assert not pool.strictly_increasing


def test_the_knots_of_all_members_are_bounded_together():
    half = tuple(float(i) for i in range(MAX_KNOTS // 2 + 1))
    member = IsotonicCalibrator(half, (0.5,) * len(half))
    with pytest.raises(BundleError, match="knots"):
        PoolCalibrator((member, member), (0.5, 0.5))
