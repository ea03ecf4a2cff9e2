"""Intervals of differences that are the same in every resample.

Resampling cannot see beyond "no group differs", so its interval is then a point, which would claim certainty. Knows
how far a share of unseen groups could move a rate or an MCC; does not know systems. A reader may ask why the share of
groups is taken as one of pictures: it is where groups are of about one size, and says so nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workzone.evaluation.records import Measure
from workzone.metrics.classification import mcc_from_counts

F64 = NDArray[np.float64]

_STEPS = 201
"""In how many ways the unseen share is dealt between pictures with and without road work, in each round."""
_ROUNDS = 4


def without_width(measure: Measure) -> Measure:
    """Return the measure without an interval that is a point."""
    if not _is_point(measure):
        return measure
    reason = "no interval: the same in every resample"
    return replace(measure, low=None, high=None, interval=None, reason=reason)


def widened_rate(difference: Measure, confidence: float) -> Measure:
    """Return the difference of two rates with a point widened by the share of groups that may differ unseen."""
    d = difference
    if d.estimate is None or not _is_point(d):
        return d
    width = unseen_share(d.n_groups, confidence) * (1 if d.estimate == 0 else 2)
    low, high = max(-1.0, d.estimate - width), min(1.0, d.estimate + width)
    return replace(d, low=low, high=high, interval="exact")


def widened_mcc(difference: Measure, confidence: float, counts: Sequence[float]) -> Measure:
    """Return the MCC difference, 0, of two systems that answer alike, with its point widened in the same way.

    Args:
        difference: Of the two.
        confidence: Of the interval, in (0, 1).
        counts: tp, fp, tn, fn of either, as shares of all pictures.
    """
    if not _is_point(difference):
        return difference
    least, most = mcc_reach(counts, unseen_share(difference.n_groups, confidence))
    tp, fp, tn, fn = (np.array(count, dtype=np.float64) for count in counts)
    here = float(mcc_from_counts(tp, fp, tn, fn))
    return replace(difference, low=min(0.0, least - here), high=max(0.0, most - here), interval="exact")


def unseen_share(n_groups: int, confidence: float) -> float:
    """Return w: if a larger share differed, none of G groups would show it with a chance below (1 - confidence) / 2.

    That chance is (1 - w)^G. Clopper-Pearson with nothing seen.
    """
    return float(1 - ((1 - confidence) / 2) ** (1 / n_groups))


def mcc_reach(counts: Sequence[float], share: float) -> tuple[float, float]:
    """Return the least and the largest MCC that are possible where answers change on some of the pictures.

    Args:
        counts: tp, fp, tn, fn, as shares of all pictures.
        share: Of the pictures, at most this many answers change, in [0, 1]; the labels stay.
    """
    tp, fp, tn, fn = counts
    # MCC falls with each right answer that is lost, so all of the share is used; only how it is dealt is open.

    def worse(positives: F64) -> F64:
        missed, alarmed = np.minimum(positives, tp), np.minimum(share - positives, tn)
        return _mcc(tp - missed, fp + alarmed, tn - alarmed, fn + missed)

    def better(positives: F64) -> F64:
        found, calmed = np.minimum(positives, fn), np.minimum(share - positives, fp)
        return _mcc(tp + found, fp - calmed, tn + calmed, fn - found)

    corners = np.array([min(share, count) for count in counts])
    first = np.concatenate([np.linspace(0.0, share, _STEPS), corners, share - corners])
    return -_largest(lambda positives: -worse(positives), first, share), _largest(better, first, share)


def _largest(value: Callable[[F64], F64], first: F64, share: float) -> float:
    """Return the largest value over [0, share], looked for ever closer around the best of `first`."""
    points, width, best = first, share / (_STEPS - 1), -np.inf
    for _ in range(_ROUNDS):
        values = value(points)
        best = max(best, float(values.max()))
        centre = float(points[np.argmax(values)])
        points = np.linspace(max(0.0, centre - width), min(share, centre + width), _STEPS)
        width /= (_STEPS - 1) / 2
    return best


def _mcc(*shares: F64) -> F64:
    """Return MCC of shares; what rounding leaves of an emptied cell is none, or MCC would not be 0 there."""
    return mcc_from_counts(*(np.where(np.abs(share) < 1e-12, 0.0, share) for share in shares))


def _is_point(measure: Measure) -> bool:
    return measure.low is not None and measure.low == measure.high
