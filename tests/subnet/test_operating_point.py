"""The threshold against all thresholds, the map against its promise in floating point, and misuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import DataError
from workzone.subnet.expectation import steady_reward
from workzone.subnet.operating_point import fit_threshold, judge, map_to_half

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def sample(n: int = 400, offset: float = 1.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits whose classes meet at `offset`, labels, and groups of four of one label."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) // 4
    labels = groups % 2
    logits = offset + np.where(labels == 1, 1.5, -1.5) + 0.9 * rng.standard_normal(n)
    return logits, labels, np.array([f"{seed}-{group}" for group in groups])


@given(FINITE, FINITE)
def test_above_one_half_exactly_where_the_logit_is_above_the_threshold(
    logit: float, threshold: float
) -> None:
    found = float(map_to_half([logit], threshold)[0])
    assert 0 <= found <= 1
    assert (found > 0.5) is (logit > threshold)
    assert (np.round(found) == 1) == (logit > threshold)


@given(FINITE, st.integers(1, 4))
def test_next_to_the_threshold_too(threshold: float, steps: int) -> None:
    above, below = threshold, threshold
    for _ in range(steps):
        above, below = math.nextafter(above, math.inf), math.nextafter(below, -math.inf)
    if math.isfinite(above) and math.isfinite(below):
        found = map_to_half([below, threshold, above], threshold)
        assert found[0] <= found[1] == 0.5 < found[2]


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=30), st.floats(-10, 10))
def test_it_never_falls_and_rises_where_floats_can_tell(logits: list[float], threshold: float) -> None:
    ordered = np.sort(logits)
    found = map_to_half(ordered, threshold)
    assert (np.diff(found) >= 0).all()
    apart = np.diff(ordered) > 1e-3
    assert (np.diff(found)[apart & (np.abs(ordered[1:] - threshold) < 25)] > 0).all()


def test_the_map_is_the_logistic_function_and_survives_the_ends() -> None:
    logits = np.linspace(-8, 8, 41).reshape(-1, 1)
    assert map_to_half(logits, 0.75) == pytest.approx(1 / (1 + np.exp(-(logits - 0.75))), abs=1e-15)
    assert map_to_half([-math.inf, math.inf, -1e308, 1e308], 1e308).tolist() == [0, 1, 0, 0.5]
    for wrong, threshold in (([math.nan], 0.0), ([1.0], math.nan), ([1.0], math.inf)):
        with pytest.raises(DataError, match="not finite"):
            map_to_half(wrong, threshold)


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_middle_of_what_lies_within_one_standard_error_of_the_best(weighted: bool) -> None:
    logits, labels, groups = sample(n=1200)
    weights = np.random.default_rng(1).random(len(logits)) if weighted else np.ones(len(logits))
    fitted = fit_threshold(logits, labels, groups, weights=weights)

    def reward(threshold: float, rows: np.ndarray) -> float:
        called = logits > threshold
        rates = [
            np.average(called[rows & (labels == y)], weights=weights[rows & (labels == y)]) for y in (1, 0)
        ]
        return float(steady_reward(rates[:1], rates[1:])[0])

    everything = np.ones(len(logits), dtype=bool)
    grid = np.linspace(0, 3, 301)
    rewards = np.array([reward(t, everything) for t in grid])
    best = float(grid[rewards.argmax()])
    # The standard error by another way: leaving out one group at a time (the jackknife).
    without = np.array([reward(best, groups != name) for name in np.unique(groups)])
    error = math.sqrt((len(without) - 1) * without.var())
    within = grid[rewards >= rewards.max() - error]
    assert fitted.in_sample_reward == pytest.approx(reward(fitted.threshold, everything))
    assert fitted.in_sample_reward >= rewards.max() - 1.2 * error
    assert fitted.threshold == pytest.approx((within[0] + within[-1]) / 2, abs=0.1)
    assert fitted.threshold == pytest.approx(1.5, abs=0.2)
    assert fitted.groups == set(groups)


def test_it_is_the_middle_of_a_gap() -> None:
    logits = [0.0, 0.5, 1.0, 3.0, 3.5, 4.0]
    fitted = fit_threshold(logits, [0, 0, 0, 1, 1, 1], list("abcdef"))
    assert fitted.threshold == 2.0
    assert fitted.in_sample_reward == pytest.approx(1.0)
    tie = fit_threshold([0.0, 1.0, 2.0, 6.0, 9.0, 10.0], [0, 0, 1, 0, 1, 1], list("abcdef"))
    assert (
        tie.threshold == 7.5
    )  # between 1 and 2 would do as well; the middle of both, 5, is nearer to 6 than to 2
    reversed_classes = fit_threshold([0.0, 1.0, 2.0, 4.0], [1, 1, 0, 0], list("abcd"))
    assert math.isfinite(reversed_classes.threshold)
    narrow = np.nextafter(1.0, 2.0)
    between = fit_threshold([0.0, 1.0, narrow, 2.0], [0, 0, 1, 1], list("abcd"))
    assert 1.0 <= between.threshold < narrow


def test_the_point_is_steadier_than_the_best_in_sample_and_earns_more() -> None:
    """Of a population whose rewards are known: Gaussian logits about 0 and 3, alike by fours."""

    def truth(thresholds: list[float]) -> np.ndarray:
        above = [
            [0.5 * math.erfc((t - mean) / 0.9 / math.sqrt(2)) for t in thresholds] for mean in (3.0, 0.0)
        ]
        return steady_reward(*above)

    def best_in_sample(logits: np.ndarray, labels: np.ndarray) -> float:
        ordered = np.sort(logits)
        middles = (ordered[1:] + ordered[:-1]) / 2
        above = [(logits[labels == y] > middles[:, None]).mean(axis=1) for y in (1, 0)]
        return float(middles[steady_reward(*above).argmax()])

    samples = [sample(seed=seed) for seed in range(40)]
    chosen = [fit_threshold(*one).threshold for one in samples]
    best = [best_in_sample(logits, labels) for logits, labels, _ in samples]
    assert np.std(chosen) < 0.85 * np.std(best)
    assert np.mean(chosen) == pytest.approx(1.5, abs=0.1)
    lost, lost_by_best = (float((truth([1.5]) - truth(one)).mean()) for one in (chosen, best))
    assert 0 < lost < 0.6 * lost_by_best


def test_the_gain_is_cross_fitted() -> None:
    """Where there is nothing to gain, the choice itself looks like a gain in sample, and not across folds."""
    in_sample, crossed = [], []
    for seed in range(30):
        logits, labels, groups = sample(n=60, offset=0.0, seed=seed)
        fitted = fit_threshold(logits, labels, groups)
        at_zero = [((logits > 0) & (labels == y)).sum() / (labels == y).sum() for y in (1, 0)]
        in_sample.append(fitted.in_sample_reward - steady_reward(at_zero[:1], at_zero[1:])[0])
        crossed.append(fitted.cross_fitted_gain)
    assert np.mean(in_sample) > 0.02
    assert np.mean(crossed) < 0.005
    shifted = fit_threshold(*sample(offset=1.5))
    assert shifted.cross_fitted_gain > 0.2
    assert shifted.cross_fitted_reward <= shifted.in_sample_reward
    assert fit_threshold(*sample(offset=1.5), baseline=1.5).cross_fitted_gain == pytest.approx(0, abs=0.03)


def test_no_group_helps_to_choose_what_it_is_judged_by() -> None:
    """Rows of a group are copies: known where rows are left out, unknown where groups are."""
    flattered = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels = np.repeat(np.arange(30) % 2, 5)
        logits = np.repeat(rng.standard_normal(30), 5) + 0.5 * labels
        by_group = fit_threshold(logits, labels, np.repeat(np.arange(30), 5).astype(str))
        by_row = fit_threshold(logits, labels, np.arange(150).astype(str))
        flattered.append(by_row.cross_fitted_reward - by_group.cross_fitted_reward)
    assert np.mean(flattered) > 0.01


def test_judging_on_other_groups() -> None:
    fitted = fit_threshold(*sample(seed=0))
    logits, labels, groups = sample(n=800, seed=1)
    judged = judge(fitted.threshold, logits, labels, groups, fitted_on=fitted.groups, n_resamples=300)
    rates = [((logits > fitted.threshold) & (labels == y)).sum() / (labels == y).sum() for y in (1, 0)]
    assert judged.reward.estimate == pytest.approx(steady_reward(rates[:1], rates[1:])[0])
    assert judged.gain.estimate == pytest.approx(judged.reward.estimate - judged.baseline_reward.estimate)
    assert 0 < judged.gain.low < judged.gain.estimate < judged.gain.high
    # The two are judged on the same resamples, so the gain is known better than either.
    assert judged.gain.high - judged.gain.low < (judged.reward.high - judged.reward.low) + (
        judged.baseline_reward.high - judged.baseline_reward.low
    )


def test_a_threshold_is_not_judged_on_what_it_was_fitted_on() -> None:
    logits, labels, groups = sample()
    fitted = fit_threshold(logits, labels, groups)
    others = groups.astype("<U9")
    others[4:] = np.char.add("other-", groups[4:])
    with pytest.raises(DataError, match=r"fitted on 1 of these groups, '0-0' among them"):
        judge(fitted.threshold, logits, labels, others, fitted_on=fitted.groups)
    numbered = fit_threshold(logits, labels, np.arange(400) // 4)
    with pytest.raises(DataError, match="fitted on 100 of these groups"):
        judge(
            numbered.threshold,
            logits,
            labels,
            (np.arange(400) // 4).astype(str),
            fitted_on=numbered.groups,
        )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"logits": np.ones(8)}, "All logits are equal"),
        ({"logits": np.array([np.nan, *range(7)])}, "not finite"),
        ({"weights": -np.ones(8)}, "below 0"),
        ({"weights": np.ones(7)}, "expected one row of each"),
        ({"labels": np.ones(8)}, "needs pictures of both"),
        ({"labels": np.full(8, -1)}, "only 0 and 1"),
        ({"groups": np.array(list("aaaabbbb"))}, r"1 group\(s\)"),
        ({"weights": np.array([1.0, 0, 0, 0, 1, 1, 1, 1])}, r"1 group\(s\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change: dict, why: str) -> None:
    given = {
        "logits": np.arange(8.0),
        "labels": np.array([0] * 4 + [1] * 4),
        "groups": np.array(list("abcdefgh")),
    }
    with pytest.raises(DataError, match=why):
        fit_threshold(**(given | change))
