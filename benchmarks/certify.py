"""Certifying: a thousand rules on a million scores, against a pass for each rule, and against MAPIE.

What is timed is the path and the walk from scores and labels: what a finer grid or more data makes grow. Every
picture is its own group, so nothing is hashed. MAPIE keeps a prediction for each rule and picture; it is compared
at a size at which that fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import REPEATS, Result, compare
from benchmarks.populations import Sample, Scored
from benchmarks.rivals import mapie_single
from workzone.calibration.threshold import threshold_path
from workzone.calibration.walk import WalkPlan, walk
from workzone.policy.binomial import binomial_cdf
from workzone.policy.risks import Risk
from workzone.policy.settings import Counting, RiskLimit

F64 = NDArray[np.float64]

T_HI = 2.0
ALPHA, DELTA = 0.05, 0.05
LIMIT = RiskLimit(Risk.SELECTIVE_FNR, ALPHA)
LARGE, LARGE_GRID = 1_000_000, 1000
SMALL, SMALL_GRID = 20_000, 200


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Scores and labels to certify a lower threshold on, and its grid."""

    sample: Sample
    grid: F64

    @classmethod
    def of_size(cls, n: int, points: int) -> Task:
        """Draw n pictures, and lay the grid over the range of scores below T_HI."""
        return cls(Scored().draw(np.random.default_rng(7), n), np.linspace(-6.0, T_HI, points))

    def walked(self) -> float | None:
        """Return the certified threshold by the project's path and walk."""
        plan = WalkPlan(0, np.full((1, len(self.grid)), 0.5))
        path = threshold_path(self.sample.logits, self.grid, T_HI)
        grouped = self.sample.grouped
        passed = walk(path, grouped, [LIMIT], DELTA, Counting.ONE_PER_GROUP, plan)
        return None if passed is None else float(self.grid[passed])

    def passed_one_by_one(self) -> float | None:
        """Return the same by a pass over all scores for each rule, up to the first that fails."""
        positives = self.sample.logits[self.sample.grouped.labels == 1]
        last = None
        for t_lo in self.grid.tolist():
            misses, called = int((positives < t_lo).sum()), int((positives >= T_HI).sum())
            if binomial_cdf(misses, misses + called, ALPHA) > DELTA:
                break
            last = t_lo
        return last

    def by_mapie(self) -> float:
        """Return the same by MAPIE's fixed sequence."""
        certify = mapie_single(Risk.SELECTIVE_FNR, ALPHA, DELTA, self.grid, T_HI)
        return certify(self.sample.logits, self.sample.grouped.labels)[0]


def run(repeats: int = REPEATS) -> list[Result]:
    """Compare at the large size with a pass for each rule, at the small one with MAPIE."""
    large, small = Task.of_size(LARGE, LARGE_GRID), Task.of_size(SMALL, SMALL_GRID)
    assert large.walked() == large.passed_one_by_one()
    assert small.walked() == small.by_mapie()
    same = "one picture a group, selective FNR, exact binomial test in fixed sequence; the same threshold"
    return [
        *compare(
            f"certify {LARGE_GRID:,} rules on {LARGE:,} scores",
            ("a pass for each rule, NumPy", large.passed_one_by_one),
            {"one pass for all rules": large.walked},
            repeats=repeats,
            note=f"{same}; the passes stop at the first rule that fails",
        ),
        *compare(
            f"certify {SMALL_GRID:,} rules on {SMALL:,} scores",
            ("MAPIE, BinaryClassificationController", small.by_mapie),
            {"one pass for all rules": small.walked},
            repeats=repeats,
            note=same,
        ),
    ]
