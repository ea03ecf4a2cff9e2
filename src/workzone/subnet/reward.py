"""What the validators pay for a sequence of answers, step by step, exactly as they compute it.

Knows predictions and labels; does not know pictures, models or the chain. Of the last 100 answers Matthews' correlation
counts, of the last 10 the accuracy; half of each, cubed. An answer of -1 takes a slot of both windows and is then left
out of them, so it pushes an older answer out; its own step pays nothing. So does the step of an answer outside [0, 1],
but that answer stays in the windows.

What a reader would question: an answer that does not round to 0 or 1 (1.7, nan) makes scikit-learn's precision raise in
the validators' code, and a window in which it raises counts as 0 for both measures, until that answer has left it.

Windows are differences of cumulative counts, so a step costs the same however long they are; only windows with such a
broken answer in them are looked at one by one.

Source: the performance tracker of natixnetwork/streetvision-subnet (commit b3d83bb) and the cubed reward as in its fork
ykatyhoney/streetvision-subnet (commit a368202).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import DataError
from workzone.metrics.classification import mcc_from_counts
from workzone.subnet.protocol import NO_ANSWER

F64 = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

MCC_WINDOW = 100
"""Answers over which Matthews' correlation is taken."""
ACCURACY_WINDOW = 10
"""Answers over which accuracy is taken."""
REWARD_EXPONENT = 3
"""The mean of the two is raised to this."""
SCORE_ALPHA = 0.05
"""Weight of the newest reward in a validator's moving average."""
_INTEGERS = 2.0**63  # scikit-learn tells classes from continuous values by a cast to 64-bit integers


def step_rewards(predictions: ArrayLike, labels: ArrayLike) -> F64:
    """Return what each answer is paid, from the first answer of a new hotkey on.

    Args:
        predictions: [..., T] in the order of the challenges; -1 where there was no answer. Leading axes are
            sequences of their own.
        labels: [..., T] of 0 and 1.

    Returns:
        float64 [..., T], each in [0, 1].

    Raises:
        DataError: Shapes differ or a label is neither 0 nor 1.
    """
    windows = Windows(predictions, labels)
    level = 0.5 * windows.mcc() + 0.5 * windows.accuracy()
    rewards: F64 = np.where(windows.valid, level, 0.0) ** REWARD_EXPONENT
    return rewards


def score_ema(rewards: ArrayLike) -> F64:
    """Return a new hotkey's score with a validator after each of its rewards: their moving average, begun at 0.

    Args:
        rewards: [..., T]; leading axes are hotkeys of their own.

    >>> score_ema([1.0, 1.0, 0.0]).round(4).tolist()
    [0.05, 0.0975, 0.0926]
    """
    paid = np.asarray(rewards, dtype=np.float64)
    scores = np.empty_like(paid)
    score = np.zeros(paid.shape[:-1])
    for step in range(paid.shape[-1]):
        score = SCORE_ALPHA * paid[..., step] + (1 - SCORE_ALPHA) * score
        scores[..., step] = score
    return scores


class Windows:
    """The last answers after each step, as cumulative counts of what is taken of them.

    Arguments and errors are those of `step_rewards`.
    """

    def __init__(self, predictions: ArrayLike, labels: ArrayLike) -> None:
        values = np.atleast_1d(np.asarray(predictions, dtype=np.float64))
        positive = _labels(labels)
        if values.shape != positive.shape:
            raise DataError(
                f"There are predictions of shape {list(values.shape)} for labels of shape "
                f"{list(positive.shape)}."
            )
        # Written as the penalty is: nan is neither below 0 nor above 1, but its windows are worth 0.
        self.valid: Flags = ~((values < 0) | (values > 1))
        kept: Flags = values != NO_ANSWER
        rounded = np.round(values)  # half to even: exactly 0.5 is "none"
        called: Flags = kept & (rounded == 1)
        called_not: Flags = kept & (rounded == 0)
        self._rounded, self._positive, self._kept = rounded, positive, kept
        self._broken: Flags = kept & ~called & ~called_not
        self._tp = _cumulative(called & positive)
        self._fp = _cumulative(called & ~positive)
        self._tn = _cumulative(called_not & ~positive)
        self._fn = _cumulative(called_not & positive)

    def mcc(self) -> F64:
        """Return Matthews' correlation of the last 100 answers after each step: float64 [..., T], at least 0.

        It is 0 unless both labels and both decisions occur among them.
        """
        tp, fp, tn, fn = self._counts(MCC_WINDOW)
        found: F64 = np.maximum(0.0, mcc_from_counts(tp, fp, tn, fn))
        for index, _ in self._odd_windows(MCC_WINDOW):
            found[index] = 0.0  # more than two classes, or one label only: see `_odd_accuracy`
        return found

    def accuracy(self) -> F64:
        """Return the share of right ones among the last 10 answers: float64 [..., T]; 0 where there are none."""
        tp, fp, tn, fn = self._counts(ACCURACY_WINDOW)
        right, n = tp + tn, tp + fp + tn + fn
        found: F64 = np.divide(right, n, out=np.zeros(n.shape), where=n > 0)
        for index, span in self._odd_windows(ACCURACY_WINDOW):
            found[index] = _odd_accuracy(self._rounded[span], self._positive[span], self._kept[span])
        return found

    def _counts(self, window: int) -> tuple[Counts, Counts, Counts, Counts]:
        return (
            _last(self._tp, window),
            _last(self._fp, window),
            _last(self._tn, window),
            _last(self._fn, window),
        )

    def _odd_windows(self, window: int) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Index of each step whose window holds a broken answer, and the span of that window."""
        odd = np.argwhere(_last(_cumulative(self._broken), window) > 0)
        return [
            ((*where, last), (*where, slice(max(0, last + 1 - window), last + 1)))
            for *where, last in odd.tolist()
        ]


def _odd_accuracy(rounded: F64, positive: Flags, kept: Flags) -> float:
    """Accuracy of a window with a broken answer, where scikit-learn's binary measures take it, else 0.

    They take two classes, one of which is 1: so labels that are all 1, and one other value than 1.
    """
    decisions, labels = rounded[kept], positive[kept]
    classes = np.union1d(decisions, labels.astype(np.float64))
    usable = bool(np.isfinite(decisions).all() and (np.abs(decisions) < _INTEGERS).all())
    if not usable or len(classes) > 2 or 1.0 not in classes:
        return 0.0
    return float((decisions == labels).mean())


def _labels(labels: ArrayLike) -> Flags:
    found = np.atleast_1d(np.asarray(labels))
    positive = found == 1
    if not np.array_equal(positive, found):
        others = ", ".join(str(value) for value in np.unique(found[(found != 0) & (found != 1)])[:3])
        raise DataError(f"Labels hold {others}; a challenge's label is 0 or 1.")
    return np.asarray(positive, dtype=np.bool_)


def _cumulative(flags: Flags) -> Counts:
    """int64 [..., T + 1]: how many are set before each step."""
    total = np.zeros((*flags.shape[:-1], flags.shape[-1] + 1), dtype=np.int64)
    np.cumsum(flags, axis=-1, dtype=np.int64, out=total[..., 1:])
    return total


def _last(cumulative: Counts, window: int) -> Counts:
    """int64 [..., T]: how many are set among the last `window` steps, this one included."""
    steps = cumulative.shape[-1] - 1
    begin = np.maximum(0, np.arange(1, steps + 1) - window)
    counts: Counts = cumulative[..., 1:] - cumulative[..., begin]
    return counts
