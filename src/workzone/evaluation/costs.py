"""What answers and deferrals cost a picture, as a measure and in words. The formula is `policy.costs`'."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workzone.evaluation.grouped import Sampling, as_measure
from workzone.evaluation.records import Measure
from workzone.metrics.bootstrap import bootstrap_totals
from workzone.policy.costs import Counts, expected_costs, indicators
from workzone.policy.settings import Prices

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

EXAMPLE_PRICES = Prices(miss=100.0, false_alarm=5.0, next_stage=1.0)
"""Where a recipe states no prices and a picture of costs is drawn all the same; called an example."""


def cost_measure(
    groups: NDArray[np.str_], positive: Mask, codes: NDArray[np.int8], prices: Prices, sampling: Sampling
) -> Measure:
    """Return the measure `expected_cost` of verdict codes [N], with its interval over resampled groups."""

    def statistic(totals: F64) -> F64:
        return expected_costs(Counts(*totals.T), prices)[:, None]

    found = bootstrap_totals(
        groups,
        np.stack(indicators(positive, codes), axis=1),
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
