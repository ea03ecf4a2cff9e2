"""The expected reward against simulated sequences, scored step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workzone.core.errors import DataError
from workzone.subnet.expectation import steady_reward, steady_reward_with_gaps
from workzone.subnet.reward import step_rewards


def simulated(recall: float, false_alarms: float, answered: tuple[float, float]) -> tuple[float, float]:
    """Mean reward of steps 101 to 200 of 3,000 sequences, and its standard error."""
    rng = np.random.default_rng(17)
    labels = rng.integers(2, size=(3000, 200))
    decisions = (rng.random(labels.shape) < np.where(labels == 1, recall, false_alarms)).astype(float)
    silent = rng.random(labels.shape) >= np.array(answered)[labels]
    means = step_rewards(np.where(silent, -1.0, decisions), labels)[:, 100:].mean(axis=1)
    return float(means.mean()), float(means.std() / np.sqrt(3000))


@pytest.mark.parametrize(
    ("recall", "false_alarms"),
    [(0.93, 0.07), (0.996, 0.132), (0.6, 0.02), (0.5, 0.5), (0.1, 0.9), (1.0, 0.3)],
)
def test_it_is_what_sequences_earn(recall: float, false_alarms: float) -> None:
    mean, error = simulated(recall, false_alarms, (1.0, 1.0))
    assert steady_reward([recall], [false_alarms])[0] == pytest.approx(mean, abs=4 * error + 1e-9)


@pytest.mark.parametrize(
    ("recall", "false_alarms", "answered"),
    [(0.97, 0.03, (0.9, 0.8)), (0.7, 0.2, (0.3, 0.5)), (0.9, 0.1, (0.02, 0.02)), (0.9, 0.1, (1.0, 0.0))],
)
def test_with_gaps_too(recall: float, false_alarms: float, answered: tuple[float, float]) -> None:
    mean, error = simulated(recall, false_alarms, answered)
    rng = np.random.default_rng(3)
    found = steady_reward_with_gaps([recall], [false_alarms], [answered], rng, n_windows=100_000)[0]
    assert found == pytest.approx(mean, abs=4 * error + 0.004)


def test_without_gaps_both_ways_agree() -> None:
    drawn = steady_reward_with_gaps([0.9], [0.2], [[1.0, 1.0]], np.random.default_rng(1), n_windows=100_000)
    assert drawn == pytest.approx(steady_reward([0.9], [0.2]), abs=0.003)


def test_windows_with_gaps_are_of_ten_and_of_a_hundred() -> None:
    """All called road work: the third moment of a binomial tells ten answers from eleven."""
    rng = np.random.default_rng(0)
    found = steady_reward_with_gaps([1.0], [1.0], [[1.0, 1.0]], rng, n_windows=400_000)[0]
    assert found == pytest.approx((0.125 + 3 * 0.125 / 10) / 8, abs=1e-4)
    # Hardly ever an answer: it is alone in both windows, so there is no correlation.
    alone = steady_reward_with_gaps([0.8], [0.2], [[1e-5, 1e-5]], rng, n_windows=100_000)[0]
    assert alone == pytest.approx(1e-5 * 0.8 / 8, rel=0.02)


def test_the_ends() -> None:
    assert steady_reward([1.0], [0.0])[0] == pytest.approx(1.0, abs=1e-9)
    # All called road work: no MCC, and the cube of half the accuracy of ten even labels.
    right = np.random.default_rng(0).binomial(10, 0.5, 400_000) / 10
    assert steady_reward([1.0], [1.0])[0] == pytest.approx(((0.5 * right) ** 3).mean(), abs=1e-4)
    assert steady_reward([0.0], [1.0])[0] == 0
    rng = np.random.default_rng(0)
    assert steady_reward_with_gaps([np.nan], [np.nan], [[0.0, 0.0]], rng)[0] == 0  # never an answer


def test_what_is_unknown_stays_unknown() -> None:
    assert np.isnan(steady_reward([0.9, np.nan], [np.nan, 0.1])).all()
    found = steady_reward_with_gaps(
        [0.9, np.nan], [0.1, 0.1], [[0.5, 0.5], [0.5, 0.5]], np.random.default_rng(0)
    )
    assert np.isnan(found).tolist() == [False, True]


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.2))
def test_swapping_the_labels_changes_nothing_and_better_rates_earn_more(
    recall: float, false_alarms: float, better: float
) -> None:
    one, swapped = steady_reward([recall, 1 - false_alarms], [false_alarms, 1 - recall])
    assert one == pytest.approx(swapped, abs=1e-12)
    if recall > false_alarms:  # below that the MCC is cut off at 0
        more = steady_reward([min(1.0, recall + better)], [max(0.0, false_alarms - better)])[0]
        assert more >= one - 1e-12


def test_many_rates_at_once_are_each_alone() -> None:
    recall, false_alarms = np.random.default_rng(5).random((2, 700))
    at_once = steady_reward(recall, false_alarms)
    for row in (0, 511, 512, 699):
        assert at_once[row] == pytest.approx(steady_reward(recall[row], false_alarms[row])[0], abs=1e-14)


def test_a_rate_outside_0_to_1_is_refused() -> None:
    with pytest.raises(DataError, match=r"recall of 1\.1"):
        steady_reward([1.1], [0.0])
    with pytest.raises(DataError, match=r"false-alarm rate of -0\.5"):
        steady_reward([1.0], [-0.5])
    with pytest.raises(DataError, match="answered share of 2"):
        steady_reward_with_gaps([1.0], [0.5], [[1.0, 2.0]], np.random.default_rng(0))
