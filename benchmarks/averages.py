"""Calibration draws of the conformal policies whose promise is an average: thresholds, and their true risks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.populations import Sample, Scored, ungrouped
from benchmarks.unequal_groups import UnequalGroups
from workzone.calibration.conformal import conformal_lower, risk_control_lower
from workzone.policy.risks import Population, Risk
from workzone.policy.settings import ConformalMethod, ConformalSettings

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AverageDraws:
    """What so many draws gave.

    Attributes:
        t_lo: float64 [R], below it "none"; -inf where nothing could be promised.
        t_hi: float64 [R], from it on road work.
    """

    t_lo: F64
    t_hi: F64

    def risks(self, population: Scored | UnequalGroups, risk: Risk) -> F64:
        """Return the true risk of each draw's rule, [R]."""
        return population.risk(risk, self.t_lo, self.t_hi)


def thresholds(settings: ConformalSettings, sample: Sample, t_hi: float) -> tuple[float, float]:
    """Return (t_lo, t_hi) as `fit_policy` finds them on the draw.

    Args:
        settings: `sets`, or `crc` of the committed miss rate and perhaps of the false-alarm rate.
        sample: The calibration draw.
        t_hi: Frozen on `select`; `sets`, and `crc` of two risks, find their own.
    """
    limits = {limit.risk: limit.alpha for limit in settings.limits}
    grouped, logits = sample.grouped, sample.logits
    if settings.method is ConformalMethod.SETS:
        lower = conformal_lower(
            logits[grouped.chosen[Population.POSITIVES]], limits[Risk.COMMITTED_MISS_RATE]
        )
        upper = -conformal_lower(-logits[grouped.chosen[Population.NEGATIVES]], limits[Risk.FALSE_ALARM_RATE])
        after = float(np.nextafter(upper, np.inf))
        if not (np.isfinite(lower) and np.isfinite(upper)):
            return -np.inf, after if np.isfinite(upper) else np.inf
        return min(lower, after), max(lower, after)
    lower = _risk_control(sample, Population.POSITIVES, 1.0, limits[Risk.COMMITTED_MISS_RATE])
    if Risk.FALSE_ALARM_RATE not in limits:
        return min(lower, t_hi), t_hi
    beyond = -_risk_control(sample, Population.NEGATIVES, -1.0, limits[Risk.FALSE_ALARM_RATE])
    if not np.isfinite(beyond):
        return -np.inf, np.inf
    after = float(np.nextafter(beyond, np.inf))
    return min(lower, after), max(lower, after)


def _risk_control(sample: Sample, population: Population, sign: float, alpha: float) -> float:
    grouped = sample.grouped
    rows, sizes = grouped.rows(population), grouped.sizes(population)
    weights = 1.0 / sizes[grouped.groups[rows]]
    return risk_control_lower(sign * sample.logits[rows], weights, int((sizes > 0).sum()), alpha)


def draw_averages(
    settings: ConformalSettings,
    population: Scored | UnequalGroups,
    n_groups: int,
    redraws: int,
    t_hi: float,
    generator: np.random.Generator,
    *,
    pictures_alike: bool = False,
) -> AverageDraws:
    """Fit the policy on so many calibration draws; `pictures_alike` makes every picture its own group."""
    drawn = (population.draw(generator, n_groups) for _ in range(redraws))
    if pictures_alike:
        drawn = (replace(sample, grouped=ungrouped(sample.grouped)) for sample in drawn)
    pairs = [thresholds(settings, sample, t_hi) for sample in drawn]
    t_lo, upper = np.array(pairs).T
    return AverageDraws(t_lo, upper)
