"""The promise by simulation: how often a certificate is wrong, where the truth is known.

A `pac` certificate may be wrong in at most δ of the calibration draws; an `average` one bounds the mean risk
over them. Every row draws a calibration set anew, again and again, from a known population. The naive rows
are there so that the simulation is seen to be able to fail.

`python -m benchmarks promise --redraws 2000` writes `benchmarks/results/promise.json` and prints the tables of
docs/guarantee.md.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.averages import draw_averages
from benchmarks.naive import TwoFree, last_below
from benchmarks.populations import Sample, Scored, TwoFeatures, ungrouped, words
from benchmarks.promise_cells import AverageCell, Cell, TwoFreeCell, average_cells, naive_cells, pac_cells
from benchmarks.promise_tables import AverageRow, PacRow, allowed_share, markdown
from benchmarks.redraws import (
    SELECT_GROUPS,
    Family,
    as_scores,
    freeze_gate,
    freeze_selective,
    freeze_threshold,
    freeze_upper,
    frozen_plan,
    walked,
)
from workzone.calibration.threshold import freeze_upper_threshold
from workzone.calibration.walk import walk
from workzone.policy.risks import Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    Counting,
    GateSettings,
    RiskLimit,
    ThresholdSettings,
)

SEED = 41
EDGE = 1.02
"""By how much the true risk is above a limit that no rule keeps."""
BETA = 0.05
GRID = 200
TWO_FREE_GRID, TWO_FREE_SELECT = 400, 5000
"""Points in either direction, and pictures they are quantiles of: a coarse grid is safer by accident."""


def run(redraws: int, _scores: Path | None = None) -> dict[str, Any]:
    """Simulate every cell, print the tables as Markdown, and return them as JSON."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for name, rows in (
        ("pac", _pac_rows(pac_cells(), redraws)),
        ("average", _average_rows(redraws)),
        ("naive", _pac_rows(naive_cells(), redraws)),
    ):
        tables[name] = [_rounded(asdict(row)) | {"as_expected": row.as_expected} for row in rows]
        print(f"{markdown(name, tables[name])}\n", flush=True)
        for row in tables[name]:
            if not row["as_expected"]:
                print(f"NOT AS EXPECTED: {row}\n", flush=True)
    return {"redraws": redraws, "seed": SEED, **tables}


def simulate(cell: Cell, redraws: int) -> PacRow:
    """Freeze the population's rules once, then certify on so many draws."""
    family, generator = _frozen(cell.policy, cell.population), _draws_of(cell.population)
    limits = [_limit(family, risk, alpha) for risk, alpha in cell.limits]
    population = cell.population
    plan = frozen_plan(family, limits, cell.delta, cell.groups, population.prevalence)

    def certify(sample: Sample) -> int | None:
        if cell.way == "last below":
            return last_below(family.path_of(sample), sample.grouped, limits[0], cell.delta)
        if cell.way == "frames as groups":
            naive = ungrouped(sample.grouped)
            return walk(family.path_of(sample), naive, limits, cell.delta, Counting.ONE_PER_GROUP, plan)
        return walked(family, sample, limits, cell.delta, cell.counting, plan)

    found = [certify(population.draw(generator, cell.groups)) for _ in range(redraws)]
    rules = np.array([index for index in found if index is not None], dtype=np.intp)
    broken = np.zeros(len(family.coverage), dtype=np.bool_)
    for limit in limits:
        broken |= family.risks(limit.risk) > limit.alpha
    return PacRow(
        policy=cell.policy,
        population=words(population),
        limits=" and ".join(f"{limit.risk} ≤ {limit.alpha:.3g}" for limit in limits),
        counting=str(cell.counting),
        way=cell.way,
        groups=cell.groups,
        delta=cell.delta,
        redraws=redraws,
        certified=len(rules) / redraws,
        wrong=float(broken[rules].sum()) / redraws,
        allowed=allowed_share(cell.delta, redraws),
        reach=max(float(family.risks(limit.risk)[plan.start :].max()) / limit.alpha for limit in limits),
        coverage=float(family.coverage[rules].mean()) if len(rules) else None,
        expected=cell.expected,
    )


def simulate_two_free(cell: TwoFreeCell, redraws: int) -> PacRow:
    """Let both thresholds be chosen on each draw."""
    generator = _draws_of(cell.population)
    select = cell.population.draw(_select_of(cell.population), TWO_FREE_SELECT)
    rules = TwoFree.over(cell.population, select, TWO_FREE_GRID, cell.misses, cell.alarms)
    unsafe = rules.unsafe()
    wrong, coverage = 0, []
    for _ in range(redraws):
        sample = cell.population.draw(generator, cell.groups)
        if cell.user == "any":
            wrong += bool((rules.passing(sample, cell.delta)[0] & unsafe).any())
            continue
        pair = rules.widest(sample, cell.delta)
        if pair is not None:
            wrong += bool(unsafe[pair])
            coverage.append(float(rules.coverage[pair]))
    limits = f"{Risk.SELECTIVE_FNR} ≤ {cell.misses:g}"
    if cell.alarms < 1.0:
        limits += f" and {Risk.FALSE_ALARM_RATE} ≤ {cell.alarms:g}"
    return PacRow(
        policy="threshold",
        population=words(cell.population),
        limits=limits,
        counting=str(Counting.ONE_PER_GROUP),
        way=f"both thresholds free, {'the widest rule' if cell.user == 'widest' else 'any rule'} that passes",
        groups=cell.groups,
        delta=cell.delta,
        redraws=redraws,
        certified=1.0 if cell.user == "any" else len(coverage) / redraws,
        wrong=wrong / redraws,
        allowed=allowed_share(cell.delta, redraws),
        reach=max(float(rules.fnr.max()) / cell.misses, float(rules.far.max()) / cell.alarms),
        coverage=float(np.mean(coverage)) if coverage else None,
        expected=cell.expected,
    )


def simulate_average(cell: AverageCell, redraws: int) -> Iterator[AverageRow]:
    """Fit the conformal policy on so many draws; yield a row for each of its risks."""
    risks = [Risk.COMMITTED_MISS_RATE]
    if cell.method is ConformalMethod.SETS:
        risks.append(Risk.FALSE_ALARM_RATE)
    settings = ConformalSettings(cell.method, tuple(RiskLimit(risk, cell.alpha) for risk in risks), beta=BETA)
    select = as_scores(cell.population.draw(_select_of(cell.population), SELECT_GROUPS))
    t_hi = freeze_upper_threshold(select, BETA)
    draws = draw_averages(settings, cell.population, cell.groups, redraws, t_hi, _draws_of(cell.population))
    for risk in risks:
        true = draws.risks(cell.population, risk)
        yield AverageRow(
            policy=str(cell.method),
            population=words(cell.population),
            risk=str(risk),
            alpha=cell.alpha,
            groups=cell.groups,
            redraws=redraws,
            mean_risk=float(true.mean()),
            standard_error=float(true.std() / np.sqrt(redraws)),
            wrong=float(np.mean(true > cell.alpha)),
            coverage=float(cell.population.coverage(draws.t_lo, draws.t_hi).mean()),
        )


def _pac_rows(cells: Iterator[Cell] | Iterator[Cell | TwoFreeCell], redraws: int) -> Iterator[PacRow]:
    for cell in cells:
        yield simulate(cell, redraws) if isinstance(cell, Cell) else simulate_two_free(cell, redraws)


def _average_rows(redraws: int) -> Iterator[AverageRow]:
    for cell in average_cells():
        yield from simulate_average(cell, redraws)


@lru_cache(maxsize=1)  # cells of one population follow one another; the gate's truth takes a second
def _frozen(policy: str, population: Scored | TwoFeatures) -> Family:
    generator = _select_of(population)
    if isinstance(population, TwoFeatures):
        return freeze_gate(population, GateSettings(), generator)
    if policy == "scrc":
        some = (RiskLimit(Risk.SELECTIVE_FNR, 0.05),)  # the limits play no part in what is frozen
        return freeze_selective(population, ConformalSettings(ConformalMethod.SCRC, some), generator)
    if policy == "upper":
        return freeze_upper(population, GRID, generator)
    return freeze_threshold(population, ThresholdSettings(beta=BETA, grid_size=GRID), generator)


def _select_of(population: Scored | TwoFeatures) -> np.random.Generator:
    """Return the generator of the one draw of `select` that a population's rules are frozen on."""
    return np.random.default_rng((SEED, 0, zlib.crc32(words(population).encode())))


def _draws_of(population: Scored | TwoFeatures) -> np.random.Generator:
    """Return the generator of the calibration draws: the same for all that is certified of a population."""
    return np.random.default_rng((SEED, 1, zlib.crc32(words(population).encode())))


def _limit(family: Family, risk: Risk, alpha: float | None) -> RiskLimit:
    if alpha is not None:
        return RiskLimit(risk, alpha)
    true: NDArray[np.float64] = family.risks(risk)
    return RiskLimit(risk, float(true.min()) / EDGE)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()}
