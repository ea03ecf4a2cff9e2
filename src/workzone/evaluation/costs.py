"""What answers and deferrals cost a picture, from counts. Pure numpy.

The formula of `workzone.calibration.cost`, on arrays of counts, so that one pass serves all resamples, or all
pairs of thresholds. With a stated share of road work each class is weighted by it, not by how often it occurs
here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.core.types import Verdict
from workzone.evaluation.grouped import Sampling, as_measure
from workzone.evaluation.records import Measure
from workzone.metrics.bootstrap import bootstrap_totals
from workzone.policy.settings import Prices
from workzone.policy.verdicts import CODES

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

EXAMPLE_PRICES = Prices(miss=100.0, false_alarm=5.0, next_stage=1.0)
"""Where a recipe states no prices and a picture of costs is drawn all the same; called an example."""


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


def expected_costs(counts: Counts, prices: Prices) -> F64:
    """Return the expected cost of one picture; nan where there is none of a class that has a stated share."""
    positive = prices.miss * counts.misses + prices.deferral * counts.deferred_positives
    negative = prices.false_alarm * counts.false_alarms + prices.deferral * counts.deferred_negatives
    if prices.prevalence is None:
        return _divide(positive + negative, counts.positives + counts.negatives)
    share = prices.prevalence
    return share * _divide(positive, counts.positives) + (1 - share) * _divide(negative, counts.negatives)


def cost_measure(
    groups: NDArray[np.str_], positive: Mask, codes: NDArray[np.int8], prices: Prices, sampling: Sampling
) -> Measure:
    """Return the measure `expected_cost` of verdict codes [N], with its interval over resampled groups."""
    none, roadwork, defer = (codes == CODES[v] for v in (Verdict.NONE, Verdict.ROADWORK, Verdict.DEFER))
    columns = (
        positive & none, positive & defer, positive, ~positive & roadwork, ~positive & defer, ~positive
    )  # fmt: skip

    def statistic(totals: F64) -> F64:
        return expected_costs(Counts(*totals.T), prices)[:, None]

    found = bootstrap_totals(
        groups,
        np.stack(columns, axis=1),
        statistic,
        sampling.n_resamples,
        sampling.confidence,
        sampling.seed,
    )
    n_groups = len(np.unique(groups))
    undefined = "it takes pictures of both classes"
    return as_measure("expected_cost", found[0], len(groups), n_groups, undefined=undefined)


def prices_in_words(prices: Prices) -> str:
    """Return "a miss costs 100, a false alarm 5, a deferred picture 1"."""
    deferral = f"a deferred picture {prices.deferral:g}"
    if prices.person and prices.person_share:
        deferral += (
            f" (the next stage {prices.next_stage:g}, and a person {prices.person:g} for "
            f"{100 * prices.person_share:g} % of them)"
        )
    text = f"a miss costs {prices.miss:g}, a false alarm {prices.false_alarm:g}, {deferral}"
    if prices.prevalence is None:
        return f"{text}; road work as common as in these pictures"
    return f"{text}; {100 * prices.prevalence:g} % of the pictures show road work"


def _divide(part: F64, whole: F64) -> F64:
    share: F64 = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
    return share
