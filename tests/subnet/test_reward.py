"""Rewards against a step-by-step tracker with scikit-learn's measures, as validators keep it."""

from __future__ import annotations

import warnings
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, matthews_corrcoef, precision_score

from workzone.core.errors import DataError
from workzone.subnet.reward import Windows, score_ema, step_rewards


def measures(predictions: list[float], labels: list[int]) -> tuple[float, float]:
    """MCC and accuracy of one window: answers of -1 out, and 0 for both where scikit-learn raises."""
    kept = [(p, y) for p, y in zip(predictions, labels, strict=True) if p != -1]
    if not kept:
        return 0.0, 0.0
    probs, truth = np.array([p for p, _ in kept]), np.array([y for _, y in kept])
    decided = np.round(probs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            accuracy = accuracy_score(truth, decided)
            precision_score(truth, decided, zero_division=0)  # of theirs, what raises first
            mcc = max(0.0, matthews_corrcoef(truth, decided)) if len(np.unique(truth)) > 1 else 0.0
        except ValueError:
            return 0.0, 0.0
    return mcc, accuracy


def literal(predictions: list[float], labels: list[int]) -> list[float]:
    past: deque[tuple[float, int]] = deque(maxlen=100)
    rewards = []
    for p, y in zip(predictions, labels, strict=True):
        past.append((p, y))
        window = list(past)
        mcc, _ = measures(*map(list, zip(*window, strict=True)))
        _, accuracy = measures(*map(list, zip(*window[-10:], strict=True)))
        penalty = 0.0 if p < 0 or p > 1 else 1.0
        rewards.append(0.0 if p == -1 else ((0.5 * mcc + 0.5 * accuracy) * penalty) ** 3)
    return rewards


ODD = [
    -1.0,
    0.5,
    0.0,
    1.0,
    -0.0,
    -0.3,
    1.3,
    1.5,
    2.0,
    7.0,
    -0.6,
    -1.2,
    np.nextafter(0.5, 1),
    np.nan,
    np.inf,
    1e30,
]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.one_of(st.floats(0, 1), st.sampled_from(ODD)), st.integers(0, 1)),
        min_size=1,
        max_size=30,
    )
)
def test_any_sequence_is_paid_as_by_the_tracker(steps: list[tuple[float, int]]) -> None:
    predictions, labels = map(list, zip(*steps, strict=True))
    assert step_rewards(predictions, labels) == pytest.approx(literal(predictions, labels), abs=1e-12)


@pytest.mark.parametrize("odd", [0.02, 0.3])
def test_long_sequences_with_a_skilled_model(odd: float) -> None:
    rng = np.random.default_rng(11)
    labels = rng.integers(2, size=170)
    predictions = np.clip(labels + rng.normal(0, 0.4, 170), 0, 1)
    strange = rng.random(170) < odd
    predictions[strange] = rng.choice(ODD[:-3], strange.sum())
    found = step_rewards(predictions, labels)
    assert found == pytest.approx(literal(predictions.tolist(), labels.tolist()), abs=1e-12)
    assert found.max() > 0.05


@pytest.mark.parametrize("labels", [[1] * 14, [0] * 14, [1] * 8 + [0] * 6])
@pytest.mark.parametrize("value", ODD)
def test_one_odd_answer_among_right_ones(labels: list[int], value: float) -> None:
    predictions = [float(label) for label in labels]
    predictions[3] = value
    assert step_rewards(predictions, labels) == pytest.approx(literal(predictions, labels), abs=1e-12)


def test_no_answer_takes_a_slot_and_is_then_left_out() -> None:
    labels = [0, 1] * 60
    right = [float(y) for y in labels]
    silent = [*right[:110], *[-1.0] * 10]
    assert step_rewards(silent, labels)[-1] == 0
    assert Windows(silent, labels).accuracy()[-1] == 0  # ten slots, none of them counts
    assert Windows(silent, labels).accuracy()[-2] == 1  # one answer is left among the ten slots
    assert Windows(silent, labels).mcc()[-1] == 1
    # 91 silent steps leave nine old answers in the hundred slots, and the older ones are gone for good
    older = [1.0 - y for y in labels[:100]] + [float(y) for y in labels[100:109]] + [-1.0] * 91
    assert Windows(older, [0, 1] * 100).mcc()[-1] == 1


def test_exactly_one_half_is_none() -> None:
    assert Windows([0.5], [0]).accuracy()[0] == 1
    assert Windows([0.5], [1]).accuracy()[0] == 0
    assert Windows([np.nextafter(0.5, 1)], [1]).accuracy()[0] == 1


def test_one_label_or_one_decision_has_no_mcc() -> None:
    assert step_rewards([1.0] * 12, [1] * 12)[-1] == 0.5**3
    assert step_rewards([1.0] * 12, [0, 1] * 6)[-1] == 0.25**3
    assert step_rewards([0.0, 1.0], [0, 1]).tolist() == [0.5**3, 1.0]
    assert Windows([1.0, 0.0] * 5, [0, 1] * 5).mcc()[-1] == 0  # -1, and the validators take at least 0


def test_an_answer_out_of_range_pays_nothing_but_stays_in_the_windows() -> None:
    found = step_rewards([0.0, 1.3, 1.0], [0, 1, 1])
    assert found[1] == 0
    assert found[2] == 1  # 1.3 rounds to road work, and was right
    broken = step_rewards([0.0, 1.0, 2.0, *[0.0, 1.0] * 60], [0, 1, 1, *[0, 1] * 60])
    assert broken[2:12].max() == 0  # neither measure is computed
    assert broken[12:102] == pytest.approx(0.5**3)  # it has left the ten
    assert broken[102:] == pytest.approx(1.0)  # and the hundred


def test_leading_axes_are_sequences_of_their_own() -> None:
    rng = np.random.default_rng(2)
    predictions, labels = rng.random((2, 3, 120)), rng.integers(2, size=(2, 3, 120))
    predictions[0, 0, 7], predictions[1, 2, 50] = 4.0, -1.0
    both = step_rewards(predictions, labels)
    for index in np.ndindex(2, 3):
        assert np.array_equal(both[index], step_rewards(predictions[index], labels[index]))


def test_the_reward_is_the_cube_of_the_mean() -> None:
    """Four misses in a hundred: MCC 0.92, and the last ten right."""
    labels = np.tile([0, 1], 50)
    predictions = labels.astype(float)
    predictions[[1, 3, 5, 7]] = 0.0
    mcc = matthews_corrcoef(labels, predictions)
    assert mcc == pytest.approx(0.923, abs=0.001)
    assert Windows(predictions, labels).accuracy()[-1] == 1
    assert step_rewards(predictions, labels)[-1] == pytest.approx((mcc / 2 + 0.5) ** 3)


def test_the_score_follows_by_a_twentieth() -> None:
    assert score_ema([1.0, 1.0, 0.0]) == pytest.approx([0.05, 0.0975, 0.092625])
    assert score_ema(np.ones((2, 200)))[:, -1] == pytest.approx(1 - 0.95**200)


def test_what_is_no_sequence_is_refused() -> None:
    with pytest.raises(DataError, match="shape"):
        step_rewards([0.5, 0.5], [1])
    with pytest.raises(DataError, match="Labels hold -1"):
        step_rewards([0.5, 0.5], [1, -1])
