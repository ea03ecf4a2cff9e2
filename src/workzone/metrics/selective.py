"""Measures of a classifier that may defer. Pure numpy.

Knows labels and verdict codes; does not know thresholds, probabilities' meaning or certificates. The three
"miss rates" have different denominators and must not be mixed up: selective FNR (answered road work),
committed miss rate (all road work), false-omission rate (everything answered "none").
A rate whose denominator is 0 is nan.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import DataError
from workzone.core.types import Verdict
from workzone.metrics.classification import Confusion, binary

F64 = NDArray[np.float64]

ROADWORK_CODE = 1
NONE_CODE = 0
DEFER_CODE = -1

_CODES = {Verdict.ROADWORK: ROADWORK_CODE, Verdict.NONE: NONE_CODE, Verdict.DEFER: DEFER_CODE}


@dataclass(frozen=True, slots=True)
class SelectiveCounts:
    """How the pictures of each class were answered."""

    tp: int
    """Road work, answered road work."""
    fn: int
    """Road work, answered none: misses."""
    deferred_positives: int
    fp: int
    """None, answered road work: false alarms."""
    tn: int
    """None, answered none."""
    deferred_negatives: int

    @property
    def n(self) -> int:
        """All pictures."""
        return self.n_positives + self.n_negatives

    @property
    def n_positives(self) -> int:
        """All road work."""
        return self.tp + self.fn + self.deferred_positives

    @property
    def n_negatives(self) -> int:
        """All without road work."""
        return self.fp + self.tn + self.deferred_negatives

    @property
    def n_answered(self) -> int:
        """Not deferred."""
        return self.tp + self.fn + self.fp + self.tn

    @property
    def selective_fnr(self) -> float:
        """Share answered "none" among answered road work: what a certificate bounds."""
        return _ratio(self.fn, self.tp + self.fn)

    @property
    def committed_miss_rate(self) -> float:
        """Share answered "none" among all road work."""
        return _ratio(self.fn, self.n_positives)

    @property
    def false_omission_rate(self) -> float:
        """Share of road work among what was answered "none"."""
        return _ratio(self.fn, self.fn + self.tn)

    @property
    def false_alarm_rate(self) -> float:
        """Share answered "road work" among all negatives, deferred ones included."""
        return _ratio(self.fp, self.n_negatives)

    @property
    def coverage(self) -> float:
        """Share of pictures that are answered."""
        return _ratio(self.n_answered, self.n)

    @property
    def positive_coverage(self) -> float:
        """Share of road work that is answered."""
        return _ratio(self.tp + self.fn, self.n_positives)

    @property
    def answered_accuracy(self) -> float:
        """Share of right answers among the answers."""
        return _ratio(self.tp + self.tn, self.n_answered)

    @property
    def answered(self) -> Confusion:
        """The answers alone, for MCC and the like."""
        return Confusion(tp=self.tp, fp=self.fp, tn=self.tn, fn=self.fn)


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Error rate against coverage when the least confident pictures are deferred first."""

    coverage: F64
    """Rising to 1, one point for each distinct confidence."""
    risk: F64
    """Share of errors among the answered, at each coverage."""
    aurc: float
    """Mean over k of the error rate among the k most confident; equal confidences in random order."""
    augrc: float
    """Area under the share of all pictures that are answered wrongly, against coverage; in [0, 1/2]."""


@dataclass(frozen=True, slots=True)
class SelectiveCurve:
    """A risk against coverage while more and more pictures are answered."""

    coverage: F64
    """Share of all pictures that are answered, rising."""
    risk: F64
    """nan where nothing is in its denominator: there is no error to be made yet."""


def verdict_codes(verdicts: Iterable[Verdict | str]) -> NDArray[np.int8]:
    """Return int8 codes: 1 road work, 0 none, -1 defer.

    Raises:
        DataError: A word is no verdict.
    """
    try:
        return np.array([_CODES[Verdict(v)] for v in verdicts], dtype=np.int8)
    except ValueError as error:
        raise DataError(f"{error}; expected {', '.join(Verdict)}.") from error


def selective_counts(labels: ArrayLike, codes: ArrayLike) -> SelectiveCounts:
    """Count answers by class.

    Args:
        labels: [N] of 0 and 1.
        codes: [N], 1 road work, 0 none, -1 defer.

    Raises:
        DataError: Lengths differ, or a value is none of these.
    """
    y = binary(labels, "labels")
    c = np.asarray(codes)
    if c.shape != y.shape:
        raise DataError(f"There are {len(y)} labels for verdict codes of shape {list(c.shape)}.")
    if not np.isin(c, (ROADWORK_CODE, NONE_CODE, DEFER_CODE)).all():
        raise DataError("Verdict codes must be 1 (road work), 0 (none) or -1 (defer).")
    positive, negative = c[y], c[~y]
    return SelectiveCounts(
        tp=int((positive == ROADWORK_CODE).sum()),
        fn=int((positive == NONE_CODE).sum()),
        deferred_positives=int((positive == DEFER_CODE).sum()),
        fp=int((negative == ROADWORK_CODE).sum()),
        tn=int((negative == NONE_CODE).sum()),
        deferred_negatives=int((negative == DEFER_CODE).sum()),
    )


def risk_coverage(errors: ArrayLike, confidences: ArrayLike) -> RiskCoverage:
    """Return the risk-coverage curve with AURC (Geifman & El-Yaniv) and AUGRC (Traub et al. 2024).

    Args:
        errors: [N], 1 where the answer would be wrong. Give road work alone, with 1 for "none", to draw
            misses against coverage.
        confidences: [N]; the higher, the later it is deferred.

    Raises:
        DataError: Lengths differ, or a confidence is not finite.
    """
    wrong = binary(errors, "errors")
    c = np.asarray(confidences, dtype=np.float64)
    if c.shape != wrong.shape or not np.isfinite(c).all():
        raise DataError(f"Confidences must be {len(wrong)} finite numbers.")
    n = len(c)
    order = np.argsort(-c, kind="stable")
    last = np.append(np.flatnonzero(np.diff(c[order])), n - 1)
    answered = last + 1.0
    wrong_answers = np.cumsum(wrong[order], dtype=np.float64)[last]
    k = np.arange(1, n + 1, dtype=np.float64)
    # Inside a run of equal confidences in random order, the expected number of errors rises linearly.
    expected = np.interp(k, np.append(0.0, answered), np.append(0.0, wrong_answers))
    area = np.trapezoid(np.append(0.0, wrong_answers / n), np.append(0.0, answered / n))
    return RiskCoverage(
        coverage=answered / n,
        risk=wrong_answers / answered,
        aurc=float(np.mean(expected / k)),
        augrc=float(area),
    )


def fnr_coverage(labels: ArrayLike, logits: ArrayLike, t_hi: float) -> SelectiveCurve:
    """Return selective FNR against coverage while the lower threshold rises from the safe end to `t_hi`.

    Args:
        labels: [N] of 0 and 1.
        logits: [N], finite.
        t_hi: From this logit on a picture is called road work, whatever the lower threshold; inf: none is.

    Returns:
        A point for "nothing is answered none", then one for each distinct logit below `t_hi` (equal logits
        are answered together); the last has coverage 1.

    Raises:
        DataError: Lengths differ, a label is not 0 or 1, a logit is not finite, or `t_hi` is nan.
    """
    answered = _answered_below(labels, logits, t_hi)
    return SelectiveCurve(
        answered.coverage, _shares(answered.misses, answered.called_positives + answered.misses)
    )


def for_coverage(labels: ArrayLike, logits: ArrayLike, t_hi: float) -> SelectiveCurve:
    """Return the false-omission rate (1 - NPV) against coverage; as `fnr_coverage`."""
    answered = _answered_below(labels, logits, t_hi)
    return SelectiveCurve(answered.coverage, _shares(answered.misses, answered.none))


def coverage_at_risk(curve: SelectiveCurve | RiskCoverage, risk: float) -> float:
    """Return the largest coverage at which the risk is at most `risk`; 0 where there is none.

    A point without a denominator has made no error and counts. The point is chosen by looking at the labels:
    it describes these pictures and promises nothing about others, which takes a certificate.

    Raises:
        DataError: `risk` is outside [0, 1].
    """
    if not 0 <= risk <= 1:
        raise DataError(f"A risk lies in [0, 1], got {risk}.")
    good = np.isnan(curve.risk) | (curve.risk <= risk)
    return float(curve.coverage[good].max()) if good.any() else 0.0


@dataclass(frozen=True, slots=True)
class _Answered:
    coverage: F64
    misses: F64
    none: F64
    called_positives: int


def _answered_below(labels: ArrayLike, logits: ArrayLike, t_hi: float) -> _Answered:
    """What is answered "none", and wrongly so, as the lower threshold rises past every distinct logit."""
    y = binary(labels, "labels")
    values = np.asarray(logits, dtype=np.float64)
    if values.shape != y.shape or not np.isfinite(values).all() or math.isnan(t_hi):
        raise DataError(f"Logits must be {len(y)} finite numbers, and the threshold no nan.")
    called = values >= t_hi
    order = np.argsort(values[~called], kind="stable")
    rest, positive = values[~called][order], y[~called][order]
    # A threshold separates two different logits only: keep the last of each run of equal ones.
    last = np.append(np.diff(rest) > 0, True) if len(rest) else np.zeros(0, dtype=np.bool_)
    none = np.append(0.0, np.arange(1, len(rest) + 1, dtype=np.float64)[last])
    return _Answered(
        coverage=(called.sum() + none) / len(y),
        misses=np.append(0.0, np.cumsum(positive, dtype=np.float64)[last]),
        none=none,
        called_positives=int((called & y).sum()),
    )


def _shares(part: F64, whole: F64) -> F64:
    share: F64 = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return share


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
