"""Measures of a two-class classifier: counts, MCC, ranking measures and curves. Pure numpy.

Road work is the positive class (1). Knows labels and scores; does not know verdicts that defer (see
`selective`) or intervals (see `bootstrap`).

Conventions where a measure is undefined: MCC is 0 when any of its four factors is 0, as scikit-learn has it;
a rate whose denominator is 0, AUROC without both classes and average precision without positives are nan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import DataError

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many answers were right and wrong, by class."""

    tp: int
    """Road work, called road work."""
    fp: int
    """None, called road work: false alarms."""
    tn: int
    """None, called none."""
    fn: int
    """Road work, called none: misses."""

    @property
    def n(self) -> int:
        """All pictures."""
        return self.tp + self.fp + self.tn + self.fn

    @property
    def mcc(self) -> float:
        """Matthews correlation coefficient in [-1, 1]; 0 when a row or column of the table is empty."""
        return float(
            mcc_from_counts(np.array(self.tp), np.array(self.fp), np.array(self.tn), np.array(self.fn))
        )

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return _ratio(self.tp + self.tn, self.n)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of recall and specificity."""
        return (self.recall + self.specificity) / 2

    @property
    def precision(self) -> float:
        """Share of road work among what was called road work."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """Share of road work that was called road work."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """Share of none that was called none."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


@dataclass(frozen=True, slots=True)
class RocCurve:
    """Points of the receiver operating characteristic, thresholds falling; the first point is (0, 0)."""

    false_positive_rate: F64
    true_positive_rate: F64
    thresholds: F64
    """A score is called road work from this value on; the first is inf."""


@dataclass(frozen=True, slots=True)
class PrecisionRecallCurve:
    """Points of precision against recall, thresholds falling, one for each distinct score."""

    precision: F64
    recall: F64
    thresholds: F64
    """A score is called road work from this value on."""


def mcc_from_counts(tp: NDArray[Any], fp: NDArray[Any], tn: NDArray[Any], fn: NDArray[Any]) -> F64:
    """Return Matthews' correlation for arrays of counts of one shape; 0 where any factor is 0."""
    tp, fp, tn, fn = (np.asarray(x, dtype=np.float64) for x in (tp, fp, tn, fn))
    # Roots of pairs: exactly 1 for perfect answers, and no overflow for any number of pictures.
    below = np.sqrt((tp + fp) * (tp + fn)) * np.sqrt((tn + fp) * (tn + fn))
    above = tp * tn - fp * fn
    mcc: F64 = np.divide(above, below, out=np.zeros_like(below), where=below > 0)
    return mcc


def confusion(labels: ArrayLike, predictions: ArrayLike) -> Confusion:
    """Count right and wrong answers.

    Args:
        labels: [N] of 0 and 1.
        predictions: [N] of 0 and 1 (or bool).

    Raises:
        DataError: Lengths differ, or there is another value than 0 and 1.
    """
    y = binary(labels, "labels")
    called = binary(predictions, "predictions")
    _same_length(y, called)
    tp = int((y & called).sum())
    fp = int(called.sum()) - tp
    fn = int(y.sum()) - tp
    return Confusion(tp=tp, fp=fp, tn=len(y) - tp - fp - fn, fn=fn)


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the chance that a positive scores above a negative, ties counting half; nan with one class.

    Raises:
        DataError: Lengths differ, a label is not 0 or 1, or a score is not finite.
    """
    tp, fp, _ = _cumulative(labels, scores)
    if tp[-1] == 0 or fp[-1] == 0:
        return math.nan
    return float(np.trapezoid(tp, fp) / (tp[-1] * fp[-1]))


def auprc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return average precision, the step-wise area under precision against recall; nan without positives.

    Raises:
        DataError: As `auroc`.
    """
    tp, fp, _ = _cumulative(labels, scores)
    if tp[-1] == 0:
        return math.nan
    precision = tp[1:] / (tp[1:] + fp[1:])
    return float(np.sum(np.diff(tp) * precision) / tp[-1])


def best_mcc_threshold(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """Return (threshold, mcc): where calling `score >= threshold` road work gives the highest MCC.

    The threshold is mid-way between two neighbouring scores, or the lowest score (everything is road work,
    MCC 0) when no cut does better. Of equal cuts the lowest wins: it misses least.

    Raises:
        DataError: As `auroc`.
    """
    tp, fp, falling = _cumulative(labels, scores)
    mcc = mcc_from_counts(tp, fp, fp[-1] - fp, tp[-1] - tp)
    cuts = len(falling) - 1  # the last distinct score: everything is road work
    rising = mcc[1:][::-1]
    best = cuts - int(np.argmax(rising))
    upper = falling[best]
    if best == cuts:
        return float(upper), float(mcc[best + 1])
    lower = falling[best + 1]
    middle = lower + (upper - lower) / 2
    return float(middle if middle > lower else upper), float(mcc[best + 1])


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """Return every point of the ROC; a rate without its class is nan.

    Raises:
        DataError: As `auroc`.
    """
    tp, fp, falling = _cumulative(labels, scores)
    return RocCurve(
        false_positive_rate=_share(fp, fp[-1]),
        true_positive_rate=_share(tp, tp[-1]),
        thresholds=np.concatenate([[np.inf], falling]),
    )


def precision_recall_curve(labels: ArrayLike, scores: ArrayLike) -> PrecisionRecallCurve:
    """Return precision and recall at every distinct score; recall without positives is nan.

    Raises:
        DataError: As `auroc`.
    """
    tp, fp, falling = _cumulative(labels, scores)
    return PrecisionRecallCurve(
        precision=tp[1:] / (tp[1:] + fp[1:]), recall=_share(tp[1:], tp[-1]), thresholds=falling
    )


def binary(values: ArrayLike, what: str) -> NDArray[np.bool_]:
    """Return 0/1 values as bool [N].

    Raises:
        DataError: There are none, or other values than 0 and 1.
    """
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise DataError(f"The {what} have shape {list(array.shape)}; expected one row of at least one.")
    flags = array.astype(bool)
    if not np.array_equal(flags, array):
        found = ", ".join(str(v) for v in np.unique(array)[:5])
        raise DataError(f"The {what} hold {found}; only 0 and 1 are measured, leave the others out first.")
    return flags


def _cumulative(labels: ArrayLike, scores: ArrayLike) -> tuple[F64, F64, F64]:
    """True and false positives [K + 1] from nothing called to all called, and the K scores, falling."""
    y = binary(labels, "labels")
    s = np.asarray(scores, dtype=np.float64)
    _same_length(y, s)
    if not np.isfinite(s).all():
        raise DataError(f"{int((~np.isfinite(s)).sum())} of {len(s)} scores are not finite.")
    order = np.argsort(-s, kind="stable")
    s, y = s[order], y[order]
    last = np.append(np.flatnonzero(np.diff(s)), len(s) - 1)  # the last of each run of equal scores
    tp = np.concatenate([[0.0], np.cumsum(y, dtype=np.float64)[last]])
    called = np.concatenate([[0.0], last + 1.0])
    return tp, called - tp, s[last]


def _same_length(labels: NDArray[Any], others: NDArray[Any]) -> None:
    if labels.shape != others.shape:
        raise DataError(f"There are {len(labels)} labels for values of shape {list(others.shape)}.")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _share(part: F64, whole: float) -> F64:
    return part / whole if whole else np.full_like(part, np.nan)
