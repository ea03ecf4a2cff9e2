"""The betting test of a risk, for groups whose frames all count: a bound without any law of the frames.

A group of P pictures of the population, c of which count and e of which are events, has a = c / P and
m = e / P, both in [0, 1], m <= a. "The risk E[m] / E[a] is above alpha" says E[m - alpha a] > 0. A gambler
who stakes the share b of the largest safe stake on the contrary multiplies his wealth with every group by
1 + b (alpha a - m) / (1 - alpha) > 0. If the risk is above alpha this is a supermartingale, so wealth of
1 / delta or more has at most probability delta (Markov): 1 / wealth is a p-value, whatever the frames of a
group have to do with each other (Waudby-Smith & Ramdas 2024, arXiv 2010.09686, here with one stake for all
groups and for a ratio of means).

The stake is fixed before the groups are seen. A deferred group leaves the wealth as it is. The product does
not depend on the order of the groups, so there is no order that could be tried again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError

Outcome = tuple[int, int, int, int]
"""(pictures, counted, events, groups): how many groups have so many pictures of the population, of which so
many count, of which so many are events."""

LARGEST_STAKE = 0.999
"""Of the largest safe one: a wholly missed group then costs much, but never everything."""


def boundary_stake(groups: float, alpha: float, delta: float) -> float:
    """Return the stake that grows fastest at the edge of what `groups` counted groups can certify.

    With whole groups right or wrong and a risk q, stake b grows the wealth by at most KL(q, alpha) a group,
    at b = 1 - q / alpha. The edge is the q with groups · KL(q, alpha) = ln(1 / delta).

    Args:
        groups: Expected number of counted groups, > 0; estimated without the calibration scores.
        alpha: Largest risk, in (0, 1).
        delta: Probability that the statement is wrong, in (0, 1).
    """
    if groups <= 0:
        return LARGEST_STAKE
    needed = -math.log(delta) / groups
    low, high = 0.0, alpha
    if -math.log1p(-alpha) <= needed:  # even without an event it does not suffice
        return LARGEST_STAKE
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _divergence(middle, alpha) > needed else (low, middle)
    return min(LARGEST_STAKE, 1.0 - high / alpha)


def log_wealth(outcomes: Sequence[Outcome], alpha: float, stake: float) -> float:
    """Return the logarithm of the wealth after all groups.

    Raises:
        ConfigError: A number is out of its range.
    """
    table = _table(outcomes)
    if not (0.0 < alpha < 1.0 and 0.0 < stake < 1.0):
        raise ConfigError(f"A betting test needs alpha and stake in (0, 1), got {alpha} and {stake}.")
    if not len(table):
        return 0.0
    pictures, counted, events, groups = table.T
    gain = (alpha * counted - events) / (pictures * (1.0 - alpha))
    return float(groups @ np.log1p(stake * gain))


def betting_p_value(outcomes: Sequence[Outcome], alpha: float, stake: float) -> float:
    """Return the p-value of "the risk is above alpha": 1 / wealth, at most 1."""
    return min(1.0, math.exp(min(700.0, -log_wealth(outcomes, alpha, stake))))


def betting_upper(outcomes: Sequence[Outcome], delta: float, stake: float) -> float:
    """Return the smallest alpha at which the test rejects: an upper bound at confidence 1 - delta.

    The wealth rises with alpha in every group, so bisection finds it; 1 where no alpha is rejected.
    """
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        rejected = log_wealth(outcomes, middle, stake) >= -math.log(delta)
        low, high = (low, middle) if rejected else (middle, high)
    return high


def outcomes_of(
    pictures: NDArray[np.intp], counted: NDArray[np.intp], events: NDArray[np.intp]
) -> tuple[Outcome, ...]:
    """Return the distinct outcomes of groups [G] and how many groups have each; empty groups are left out."""
    table = np.stack([pictures, counted, events], axis=1)[pictures > 0]
    rows, groups = np.unique(table, axis=0, return_counts=True)
    return tuple(
        (int(p), int(c), int(e), int(g)) for (p, c, e), g in zip(rows.tolist(), groups.tolist(), strict=True)
    )


def _table(outcomes: Sequence[Outcome]) -> NDArray[np.float64]:
    table = np.asarray(outcomes, dtype=np.float64).reshape(-1, 4)
    pictures, counted, events, groups = table.T
    if not (
        (events >= 0) & (events <= counted) & (counted <= pictures) & (pictures > 0) & (groups > 0)
    ).all():
        raise ConfigError("An outcome of groups needs 0 <= events <= counted <= pictures, and a group.")
    return table


def _divergence(q: float, alpha: float) -> float:
    """Return KL(q, alpha) of two Bernoulli laws, in nats."""
    first = q * math.log(q / alpha) if q > 0 else 0.0
    return first + (1.0 - q) * math.log((1.0 - q) / (1.0 - alpha))
