"""One promise on one known population: its rules frozen once, then certified on draw after draw.

Knows how a cell of the table becomes draws and the rules that they certify; what is counted of them is the
tables' business (`promise`, `printed`).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.naive import last_below
from benchmarks.populations import Sample, Scored, TwoFeatures, ungrouped
from benchmarks.promise_cells import Cell
from benchmarks.redraws import (
    Family,
    freeze_gate,
    freeze_selective,
    freeze_threshold,
    freeze_upper,
    frozen_plan,
    walked,
)
from benchmarks.unequal_groups import UnequalGroups
from workzone.calibration.cost import path_costs
from workzone.calibration.walk import WalkPlan, walk
from workzone.policy.risks import Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    GateSettings,
    Objective,
    Prices,
    RiskLimit,
    ThresholdSettings,
)

SEED = 41
EDGE = 1.02
"""By how much the true risk is above a limit that no rule keeps."""
BETA = 0.05
GRID = 200

AnyPopulation = Scored | TwoFeatures | UnequalGroups


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A cell with everything that `select` decides."""

    cell: Cell
    family: Family
    limits: tuple[RiskLimit, ...]
    plan: WalkPlan

    @classmethod
    def of(cls, cell: Cell) -> Trial:
        """Freeze the population's rules, the start of the walk and its stakes."""
        family = _frozen(cell.policy, cell.population, cell.prices)
        limits = tuple(_limit(family, risk, alpha) for risk, alpha in cell.limits)
        plan = frozen_plan(family, limits, cell.delta, cell.groups, cell.population.group_shares)
        return cls(cell, family, limits, plan)

    @property
    def policy(self) -> str:
        """The policy in words, with the prices of a miss, a false alarm and a deferral."""
        prices = self.cell.prices
        if prices is None:
            return self.cell.policy
        costs = " : ".join(f"{price:g}" for price in (prices.miss, prices.false_alarm, prices.deferral))
        return f"{self.cell.policy}, cheapest at {costs}"

    @property
    def promise(self) -> str:
        """The limits in words."""
        return " and ".join(f"{limit.risk} ≤ {limit.alpha:.3g}" for limit in self.limits)

    def draws(self, redraws: int) -> Iterator[tuple[Sample, int | None]]:
        """Yield so many calibration draws, each with the rule it certifies (None: none)."""
        generator = draws_of(self.cell.population)
        for _ in range(redraws):
            sample = self.cell.population.draw(generator, self.cell.groups)
            yield sample, self.certified(sample)

    def certified(self, sample: Sample) -> int | None:
        """Return the rule that is used after this draw; None where nothing is certified."""
        cell, limits, path = self.cell, self.limits, self.family.path_of(sample)
        if cell.way == "last below":
            return last_below(path, sample.grouped, limits[0], cell.delta)
        if cell.way != "walk":  # every picture its own group
            return walk(path, ungrouped(sample.grouped), limits, cell.delta, cell.counting, self.plan)
        passed = walked(self.family, sample, limits, cell.delta, cell.counting, self.plan)
        if passed is None or cell.prices is None:
            return passed
        costs = path_costs(path, sample.grouped.labels, cell.prices)
        return self.plan.start + int(np.argmin(costs[self.plan.start : passed + 1]))


def select_of(population: AnyPopulation) -> np.random.Generator:
    """Return the generator of the one draw of `select` that a population's rules are frozen on."""
    return np.random.default_rng((SEED, 0, zlib.crc32(population.words.encode())))


def draws_of(population: AnyPopulation) -> np.random.Generator:
    """Return the generator of the calibration draws: the same for all that is certified of a population."""
    return np.random.default_rng((SEED, 1, zlib.crc32(population.words.encode())))


@lru_cache(maxsize=1)  # cells of one population follow one another; the gate's truth takes a second
def _frozen(policy: str, population: AnyPopulation, prices: Prices | None) -> Family:
    generator = select_of(population)
    if isinstance(population, TwoFeatures):
        return freeze_gate(population, GateSettings(), generator)
    if policy == "threshold":
        objective = Objective.COVERAGE if prices is None else Objective.COST
        settings = ThresholdSettings(beta=BETA, grid_size=GRID, objective=objective, prices=prices)
        return freeze_threshold(population, settings, generator)
    assert isinstance(population, Scored)
    if policy == "scrc":
        some = (RiskLimit(Risk.SELECTIVE_FNR, 0.05),)  # the limits play no part in what is frozen
        return freeze_selective(population, ConformalSettings(ConformalMethod.SCRC, some), generator)
    return freeze_upper(population, GRID, generator)


def _limit(family: Family, risk: Risk, alpha: float | None) -> RiskLimit:
    if alpha is not None:
        return RiskLimit(risk, alpha)
    true: NDArray[np.float64] = family.risks(risk)
    return RiskLimit(risk, float(true.min()) / EDGE)
