"""Ways to choose a threshold that look like a certificate and are none, to be shown failing where theory says.

Each tests its rules by the same exact binomial test as the project and differs in one thing: what it takes for
an independent picture, or how many rules it may try. Knows nothing of what the project does instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.populations import Sample, Scored
from workzone.calibration.groups import Grouped
from workzone.calibration.path import Path, picture_counts
from workzone.calibration.walk import most_events
from workzone.policy.binomial import binomial_cdfs
from workzone.policy.risks import RISKS, Population, Risk
from workzone.policy.settings import RiskLimit

F64 = NDArray[np.float64]


def last_below(path: Path, grouped: Grouped, limit: RiskLimit, delta: float) -> int | None:
    """Return the last rule whose own bound is at most alpha, whatever failed before it.

    Right where the p-values can only rise along the path (then it is the walk); elsewhere it is the best of
    many tries.
    """
    definition = RISKS[limit.risk]
    counted, events = picture_counts(path, grouped, definition, grouped.chosen[definition.population])
    passes = np.flatnonzero(binomial_cdfs(events, counted, limit.alpha) <= delta)
    return int(passes[-1]) if len(passes) else None


@dataclass(frozen=True, slots=True, eq=False)
class TwoFree:
    """Every pair t_lo <= t_hi of a grid, each with its own Clopper–Pearson bound on the calibration draw.

    Attributes:
        grid: float64 [J], fixed beforehand.
        misses: Limit of the selective FNR.
        alarms: Limit of the false-alarm rate, tested at the same confidence on its own; 1 asks for nothing.
        fnr: True selective FNR of each pair, [J, J].
        far: True false-alarm rate of each t_hi, [J].
        coverage: True coverage of each pair, [J, J]; -1 where t_lo is above t_hi.
    """

    grid: F64
    misses: float
    alarms: float
    fnr: F64
    far: F64
    coverage: F64

    @classmethod
    def over(cls, population: Scored, select: Sample, size: int, misses: float, alarms: float) -> TwoFree:
        """Lay the grid over the logits of `select`."""
        grid = np.unique(np.quantile(select.logits, np.linspace(0.0, 1.0, size)))
        j = len(grid)
        t_lo, t_hi = np.repeat(grid, j), np.tile(grid, j)
        ordered = t_lo <= t_hi
        fnr = np.where(ordered, population.risk(Risk.SELECTIVE_FNR, t_lo, t_hi), 0.0)
        coverage = np.where(ordered, population.coverage(t_lo, t_hi), -1.0)
        far = population.risk(Risk.FALSE_ALARM_RATE, grid, grid)
        return cls(grid, misses, alarms, fnr.reshape(j, j), far, coverage.reshape(j, j))

    def passing(self, sample: Sample, delta: float) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Return the pairs whose bounds hold [J, J], and how many pictures each answers [J, J]."""
        chosen = sample.grouped.chosen
        positives = np.sort(sample.logits[chosen[Population.POSITIVES]])
        negatives = np.sort(sample.logits[chosen[Population.NEGATIVES]])
        missed, correct = (np.searchsorted(of_class, self.grid) for of_class in (positives, negatives))
        called, alarms = len(positives) - missed, len(negatives) - correct
        allowed = most_events(np.arange(len(positives) + 1), self.misses, delta)
        answered = np.minimum(missed[:, None] + called[None, :], len(positives))
        passes = (missed[:, None] <= allowed[answered]) & (self.coverage >= 0.0)
        if self.alarms < 1.0:
            most = most_events(np.array([len(negatives)]), self.alarms, delta)[0]
            passes &= (alarms <= most)[None, :]
        return passes, (missed + correct)[:, None] + (called + alarms)[None, :]

    def widest(self, sample: Sample, delta: float) -> tuple[int, int] | None:
        """Return the passing pair that answers most; None without any."""
        passes, answered = self.passing(sample, delta)
        if not passes.any():
            return None
        best = int(np.argmax(np.where(passes, answered, -1)))
        return best // len(self.grid), best % len(self.grid)

    def unsafe(self) -> NDArray[np.bool_]:
        """Return the pairs whose true risk is above a limit, [J, J]."""
        result: NDArray[np.bool_] = (self.fnr > self.misses) | (self.far > self.alarms)[None, :]
        return result & (self.coverage >= 0.0)
