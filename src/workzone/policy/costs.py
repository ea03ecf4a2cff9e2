"""What answers and deferrals cost a picture, in expectation, from the prices of errors and deferrals.

cost = P(y=1) · (miss · P(none | 1) + deferral · P(defer | 1)) + P(y=0) · (false alarm · P(road work | 0) +
deferral · P(defer | 0)), with P(y=1) as it occurs or as the prices state it. Chow 1970; with a next stage,
Jitkrittum et al. 2023 (arXiv 2307.02764). On arrays of counts, so that one pass serves all rules of a path, or
all resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.types import Label, Verdict
from workzone.policy.settings import Prices
from workzone.policy.verdicts import CODES

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Pictures by what they show and what was said of them; arrays of one shape, or numbers."""

    misses: F64
    """Road work answered "none"."""
    deferred_positives: F64
    positives: F64
    false_alarms: F64
    """Pictures without, answered "road work"."""
    deferred_negatives: F64
    negatives: F64


def indicators(positive: NDArray[np.bool_], codes: NDArray[np.int8]) -> tuple[NDArray[np.bool_], ...]:
    """Return for pictures [N] which of the `Counts` each is in, in their order."""
    none, roadwork, defer = (codes == CODES[v] for v in (Verdict.NONE, Verdict.ROADWORK, Verdict.DEFER))
    return (positive & none, positive & defer, positive, ~positive & roadwork, ~positive & defer, ~positive)


def expected_costs(counts: Counts, prices: Prices) -> F64:
    """Return the expected cost of one picture; nan where there is none of a class that has a stated share."""
    positive = prices.miss * counts.misses + prices.deferral * counts.deferred_positives
    negative = prices.false_alarm * counts.false_alarms + prices.deferral * counts.deferred_negatives
    if prices.prevalence is None:
        return _divide(positive + negative, counts.positives + counts.negatives)
    share = prices.prevalence
    return share * _divide(positive, counts.positives) + (1 - share) * _divide(negative, counts.negatives)


def expected_cost(labels: ArrayLike, codes: ArrayLike, prices: Prices) -> float:
    """Return the expected cost of one picture of labels [N] (1 road work, 0 none) under verdict codes [N]."""
    positive = np.asarray(labels) == Label.ROADWORK
    totals = [np.array(float(mask.sum())) for mask in indicators(positive, np.asarray(codes, dtype=np.int8))]
    return float(expected_costs(Counts(*totals), prices))


def _divide(part: F64, whole: F64) -> F64:
    share: F64 = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
    return share
