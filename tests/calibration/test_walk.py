"""The walk in fixed sequence against a naive one by SciPy, for every risk, one or two, both ways of counting."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workzone.calibration.groups import group_pictures
from workzone.calibration.path import group_counts
from workzone.calibration.threshold import threshold_path
from workzone.calibration.walk import WalkPlan, most_events, plan_walk, walk
from workzone.policy.betting import betting_p_value, boundary_stake, outcomes_of
from workzone.policy.risks import RISKS, Risk, empirical_risk
from workzone.policy.settings import Counting, RiskLimit

GRID = np.linspace(-4, 1, 40)
ONE = Counting.ONE_PER_GROUP


def pictures(scores_of, seed, n=300, frames=1, name="g"):
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.random(n) < 0.5, frames)
    logits = rng.normal(np.where(labels, 2.5, -2.0), 1.2)
    return scores_of(logits, labels, groups=np.repeat([f"{name}{i}" for i in range(n)], frames))


@given(
    seed=st.integers(0, 10**6),
    limits=st.lists(
        st.tuples(st.sampled_from(list(Risk)), st.floats(0.02, 0.4)),
        min_size=1,
        max_size=2,
        unique_by=lambda x: x[0],
    ),
    start=st.integers(0, 20),
)
def test_the_walk_is_the_naive_one(scores_of, seed, limits, start):
    scores = pictures(scores_of, seed)
    grouped = group_pictures(scores, "s")
    path = threshold_path(scores.logits, GRID, 1.0)
    plan = WalkPlan(start, np.zeros((len(limits), len(GRID))))
    passed = walk(path, grouped, [RiskLimit(*x) for x in limits], 0.1, ONE, plan)
    expected = None
    for j in range(start, len(GRID)):
        codes = path.codes(j)
        p_values = []
        for risk, alpha in limits:
            rows = grouped.chosen[RISKS[risk].population]
            k, n = empirical_risk(risk, scores.labels[rows], codes[rows])
            p_values.append(stats.binom.cdf(k, n, alpha))
        if max(p_values) > 0.1:  # an intersection-union test: both must hold
            break
        expected = j
    assert passed == expected


@given(seed=st.integers(0, 10**6), risk=st.sampled_from(list(Risk)), alpha=st.floats(0.03, 0.3))
def test_the_betting_walk_is_that_of_each_rule_by_itself(scores_of, seed, risk, alpha):
    scores = pictures(scores_of, seed, n=120, frames=3)
    grouped = group_pictures(scores, "s")
    path = threshold_path(scores.logits, GRID, 1.0)
    stakes = np.random.default_rng(seed).uniform(0.2, 0.95, (1, len(GRID)))
    passed = walk(path, grouped, [RiskLimit(risk, alpha)], 0.1, Counting.ALL_FRAMES, WalkPlan(12, stakes))
    expected = None
    for j in range(12, len(GRID)):
        outcomes = outcomes_of(*group_counts(path.codes(j), grouped, RISKS[risk]))
        if betting_p_value(outcomes, alpha, float(stakes[0, j])) > 0.1:
            break
        expected = j
    assert passed == expected


def test_two_risks_cost_no_confidence(scores_of):
    """Where the second is easy, both together certify what the first does alone."""
    scores = pictures(scores_of, 3, n=1500)
    grouped = group_pictures(scores, "s")
    path = threshold_path(scores.logits, GRID, 1.0)
    miss, easy = RiskLimit(Risk.SELECTIVE_FNR, 0.03), RiskLimit(Risk.FALSE_ALARM_RATE, 0.5)
    alone = walk(path, grouped, [miss], 0.05, ONE, WalkPlan(0, np.zeros((1, 40))))
    both = walk(path, grouped, [miss, easy], 0.05, ONE, WalkPlan(0, np.zeros((2, 40))))
    assert alone is not None
    assert both == alone


@given(
    n=st.lists(st.integers(0, 3000), min_size=1, max_size=10),
    alpha=st.floats(0.005, 0.6),
    delta=st.floats(0.01, 0.4),
)
def test_most_events_by_scipy(n, alpha, delta):
    found = most_events(np.array(n, dtype=np.intp), alpha, delta)
    for events, groups in zip(found.tolist(), n, strict=True):
        assert events == -1 or stats.binom.cdf(events, groups, alpha) <= delta * (1 + 1e-7)
        assert stats.binom.cdf(events + 1, groups, alpha) > delta * (1 - 1e-7) or groups == 0


@pytest.mark.parametrize(
    ("n", "allowed"),
    [(100, (1, -1, -1, -1)), (200, (3, 1, 0, -1)), (300, (5, 2, 1, 0)), (500, (9, 5, 4, 3)),
     (1000, (19, 13, 12, 9)), (2000, (39, 31, 29, 25)), (5000, (99, 86, 83, 77))],
)  # fmt: skip
def test_published_numbers_of_tolerated_misses(n, allowed):
    """Methods §8.4: CRC, then delta 0.10, 0.05, 0.01, at alpha 0.02."""
    from workzone.calibration.conformal import allowed_misses

    assert allowed_misses(n, 0.02) == allowed[0]
    for delta, misses in zip((0.10, 0.05, 0.01), allowed[1:], strict=True):
        assert most_events(np.array([n], dtype=np.intp), 0.02, delta).tolist() == [misses]


def plan_of(scores_of, risk, alpha=0.03, n_calib=600):
    select = pictures(scores_of, 11, n=600, name="s")
    path = threshold_path(select.logits, GRID, 1.0)
    return plan_walk(path, group_pictures(select, "s"), [n_calib], [RiskLimit(risk, alpha)], 0.05)


def test_a_risk_that_only_grows_is_walked_from_the_safe_end(scores_of):
    assert plan_of(scores_of, Risk.SELECTIVE_FNR).start == 0


def test_a_ratio_of_few_answers_is_walked_from_where_it_can_pass(scores_of):
    """At the safe end hardly anything is answered none: the first test would fail however good the model."""
    assert plan_of(scores_of, Risk.FALSE_OMISSION_RATE).start > 10


def test_stakes_are_those_of_the_groups_that_are_expected_to_count(scores_of):
    plan = plan_of(scores_of, Risk.COMMITTED_MISS_RATE, 0.05, n_calib=400)
    assert plan.stakes == pytest.approx(np.full((1, 40), boundary_stake(400, 0.05, 0.05)))
    assert math.isclose(plan.stakes[0, 0], boundary_stake(400, 0.05, 0.05))


@given(seed=st.integers(0, 10**6), extra=st.integers(0, 4), risk=st.sampled_from(list(Risk)))
def test_extra_errors_are_added_at_every_rule(scores_of, seed, extra, risk):
    scores = pictures(scores_of, seed)
    grouped = group_pictures(scores, "s")
    path = threshold_path(scores.logits, GRID, 1.0)
    limits, plan = [RiskLimit(risk, 0.15)], WalkPlan(10, np.zeros((1, len(GRID))))
    passed = walk(path, grouped, limits, 0.1, ONE, plan, extra)
    rows = grouped.chosen[RISKS[risk].population]
    expected = None
    for j in range(10, len(GRID)):
        k, n = empirical_risk(risk, scores.labels[rows], path.codes(j)[rows])
        if stats.binom.cdf(min(k + extra, n), n, 0.15) > 0.1:
            break
        expected = j
    assert passed == expected


@given(seed=st.integers(0, 10**6), extra=st.integers(1, 3))
def test_extra_errors_of_all_frames_spoil_the_groups_that_gained_most(scores_of, seed, extra):
    scores = pictures(scores_of, seed, n=120, frames=3)
    grouped = group_pictures(scores, "s")
    path = threshold_path(scores.logits, GRID, 1.0)
    stakes = np.full((1, len(GRID)), 0.7)
    limits, plan = [RiskLimit(Risk.SELECTIVE_FNR, 0.15)], WalkPlan(0, stakes)
    passed = walk(path, grouped, limits, 0.1, Counting.ALL_FRAMES, plan, extra)
    expected = None
    for j in range(len(GRID)):
        sizes, counts, hits = group_counts(path.codes(j), grouped, RISKS[Risk.SELECTIVE_FNR])
        inside = sizes > 0
        gain = np.zeros(len(sizes))
        gain[inside] = (0.15 * counts[inside] - hits[inside]) / sizes[inside] / 0.85
        gain[np.argsort(gain)[-extra:]] = -1.0  # wholly wrong
        if -np.log1p(0.7 * gain).sum() > math.log(0.1):
            break
        expected = j
    assert passed == expected
