"""What a miner of given rates is paid on average in the long run: an expectation, without simulating.

Knows how often road work is called on either label, and how often nothing is answered; does not know pictures. Labels
are even and steps independent, as validators draw them. Where every challenge is answered the value is exact: all
counts that 100 steps can have are summed over, and given the counts, how many of the last 10 are right is
hypergeometric, because the order of independent steps says nothing. Where some are not answered the windows vary in
length, and independent pairs of windows are drawn instead.

The one decision to question: it is exact for a sequence that never ends. A hotkey's first hundred answers earn less
(see `simulator`).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import DataError
from workzone.metrics.classification import mcc_from_counts
from workzone.subnet.reward import ACCURACY_WINDOW, MCC_WINDOW, REWARD_EXPONENT

F64 = NDArray[np.float64]

_ROWS = 512  # rates worked on at once
_NEGLIGIBLE = 1e-12  # label counts less likely than this are left out
_BEFORE = (ACCURACY_WINDOW - 1, MCC_WINDOW - ACCURACY_WINDOW)


def steady_reward(recall: ArrayLike, false_alarm_rate: ArrayLike) -> F64:
    """Return the expected reward of a step when every challenge is answered, exactly.

    Args:
        recall: [R], share of road work that is called road work.
        false_alarm_rate: [R], share of none that is called road work.

    Returns:
        float64 [R] in [0, 1]; nan where a rate is nan.

    Raises:
        DataError: A rate is outside [0, 1].

    >>> steady_reward([1.0, 0.93], [0.0, 0.07]).round(3).tolist()
    [1.0, 0.725]
    """
    tpr, fpr = _rate(recall, "recall"), _rate(false_alarm_rate, "false-alarm rate")
    rewards = np.empty(len(tpr))
    for start in range(0, len(tpr), _ROWS):
        part = slice(start, start + _ROWS)
        rewards[part] = _expected(tpr[part], fpr[part])
    return np.clip(rewards, 0.0, 1.0)


def steady_reward_with_gaps(
    recall: ArrayLike,
    false_alarm_rate: ArrayLike,
    answered: ArrayLike,
    rng: np.random.Generator,
    n_windows: int = 1000,
) -> F64:
    """Return the expected reward of a step when some challenges are left without an answer (-1).

    Args:
        recall: [R], share of the answered road work that is called road work.
        false_alarm_rate: [R], the same of the answered none.
        answered: [R, 2], share that is answered of none and of road work.
        rng: Draws the windows.
        n_windows: How many; the standard error is about 0.2 divided by the root of it.

    Returns:
        float64 [R]; nan where a rate is. Where nothing is answered it is 0.

    Raises:
        DataError: A rate is outside [0, 1].
    """
    tpr, fpr = _rate(recall, "recall"), _rate(false_alarm_rate, "false-alarm rate")
    by_label = np.asarray(answered, dtype=np.float64)
    none, work = _rate(by_label[:, 0], "answered share") / 2, _rate(by_label[:, 1], "answered share") / 2
    tpr, fpr = np.where(work > 0, tpr, 0.0), np.where(none > 0, fpr, 0.0)
    outcomes = np.stack([work * tpr, none * fpr, none * (1 - fpr), work * (1 - tpr)], axis=1)
    defined = ~np.isnan(outcomes).any(axis=1)
    rewards = np.full(len(tpr), np.nan)
    for row in np.flatnonzero(defined):
        rewards[row] = _drawn(outcomes[row], rng, n_windows)
    return rewards


def _drawn(outcomes: F64, rng: np.random.Generator, n_windows: int) -> float:
    """Mean reward over drawn windows that end with an answer, times the share of steps that do."""
    answered = float(outcomes.sum())
    if answered <= 0:
        return 0.0
    with_gap = np.append(outcomes, max(0.0, 1.0 - answered))
    with_gap /= with_gap.sum()
    last = rng.multinomial(1, outcomes / answered, size=n_windows)
    short = last + rng.multinomial(_BEFORE[0], with_gap, size=n_windows)[:, :4]
    long = short + rng.multinomial(_BEFORE[1], with_gap, size=n_windows)[:, :4]
    accuracy = (short[:, 0] + short[:, 2]) / short.sum(axis=1)
    mcc = np.maximum(0.0, mcc_from_counts(*long.T))
    return answered * float(((0.5 * mcc + 0.5 * accuracy) ** REWARD_EXPONENT).mean())


def _expected(tpr: F64, fpr: F64) -> F64:
    total = np.zeros(len(tpr))
    powers = [_powers(rate) for rate in (tpr, 1 - tpr, fpr, 1 - fpr)]
    for n_positive in range(MCC_WINDOW + 1):
        chance = math.comb(MCC_WINDOW, n_positive) / 2.0**MCC_WINDOW
        if chance < _NEGLIGIBLE:
            continue
        found = _binomial(n_positive, powers[0], powers[1])
        called = _binomial(MCC_WINDOW - n_positive, powers[2], powers[3])
        total += chance * ((found @ _given_counts(n_positive)) * called).sum(axis=1)
    return total


@cache
def _given_counts(n_positive: int) -> F64:
    """Expected reward given true and false positives [n_positive + 1, 100 - n_positive + 1] of the window."""
    n_negative = MCC_WINDOW - n_positive
    tp, fp = np.arange(n_positive + 1.0)[:, None], np.arange(n_negative + 1.0)[None, :]
    mcc = np.maximum(0.0, mcc_from_counts(*np.broadcast_arrays(tp, fp, n_negative - fp, n_positive - tp)))
    first, second, third = _accuracy_moments(tp + n_negative - fp)
    return np.asarray((mcc**3 + 3 * mcc**2 * first + 3 * mcc * second + third) / 8)


def _accuracy_moments(right: F64) -> tuple[F64, F64, F64]:
    """Mean of the accuracy of the last 10, of its square and of its cube, given how many of 100 are right."""
    size, drawn = float(MCC_WINDOW), float(ACCURACY_WINDOW)
    falling1 = drawn * right / size
    falling2 = falling1 * (drawn - 1) * (right - 1) / (size - 1)
    falling3 = falling2 * (drawn - 2) * (right - 2) / (size - 2)
    return (
        falling1 / drawn,
        (falling2 + falling1) / drawn**2,
        (falling3 + 3 * falling2 + falling1) / drawn**3,
    )


def _powers(rate: F64) -> F64:
    return np.asarray(rate[:, None] ** np.arange(MCC_WINDOW + 1.0))


def _binomial(n: int, hits: F64, misses: F64) -> F64:
    """Chance of each count 0..n, [R, n + 1], from powers of the chance of a hit and of a miss."""
    ways = np.array([math.comb(n, k) for k in range(n + 1)], dtype=np.float64)
    return np.asarray(ways * hits[:, : n + 1] * misses[:, n::-1])


def _rate(values: ArrayLike, what: str) -> F64:
    found = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if ((found < 0) | (found > 1)).any():
        raise DataError(f"A {what} of {found[(found < 0) | (found > 1)][0]} is none; expected 0 to 1.")
    return found
