"""Not merely safe but tight: how much is answered at the same promise, beside MAPIE and crepes.

Every contender gets the same scores, risk, limit, confidence and grid; what is frozen comes from one draw of
`select`. Coverage is that of certified rules, on pictures that nobody fitted on; a draw that certifies nothing
counts as 0, whoever's it is, because what is then done instead is not what is compared. A run's own predictions
can be added (`python -m benchmarks tightness --redraws 30 --scores RUN`): its `calib` and `test` groups are then
split anew each time, which is a comparison of methods, not an evaluation of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.averages import thresholds
from benchmarks.populations import Sample, Scored
from benchmarks.promise_tables import markdown
from benchmarks.redraws import SELECT_GROUPS, as_scores
from benchmarks.rivals import F64, Rival, crepes_sets, mapie_pairs, mapie_single
from workzone.calibration.groups import group_pictures
from workzone.calibration.path import picture_counts
from workzone.calibration.threshold import freeze_thresholds, threshold_path
from workzone.calibration.walk import WalkPlan, plan_walk, walk
from workzone.calibration.walked import populations
from workzone.core.scores import Scores
from workzone.policy.risks import RISKS, Population, Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    Counting,
    RiskLimit,
    ThresholdSettings,
)
from workzone.storage.scores import read_scores

SEED = 43
MAX_REDRAWS = 30
CALIB_GROUPS, TEST_GROUPS = 1000, 20_000
DELTA, ALPHA = 0.05, 0.05
LIMITS: tuple[tuple[tuple[Risk, float], ...], ...] = (
    ((Risk.SELECTIVE_FNR, ALPHA),),
    ((Risk.FALSE_OMISSION_RATE, 0.08),),
    ((Risk.SELECTIVE_FNR, ALPHA), (Risk.FALSE_ALARM_RATE, 0.1)),
)
PAIR_GRID = 24
"""Points in either direction for MAPIE's search over both thresholds: learning the order takes minutes beyond."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Where the pictures come from: what is frozen on, and calibration and test pictures drawn anew."""

    name: str
    select: Sample
    redraw: Callable[[np.random.Generator], tuple[Sample, Sample]]


@dataclass(frozen=True, slots=True)
class TightRow:
    """One contender at one promise on one source."""

    source: str
    promise: str
    contender: str
    redraws: int
    certified: float
    """Share of redraws with a certificate."""
    coverage: float
    """Mean share of test pictures that the certified rule answers; 0 where nothing was certified."""
    ahead: float
    """Mean of ours minus this one's `coverage`, on the same draws."""
    standard_error: float
    """Of `ahead`."""


def run(redraws: int, scores: Path | None = None) -> dict[str, Any]:
    """Compare on three synthetic distributions, and on a run's predictions; print the table; return JSON."""
    sources = [synthetic(Scored(shape)) for shape in ("normal", "heavy", "skewed")]
    if scores is not None:
        sources.append(of_run(scores))
    n = min(redraws, MAX_REDRAWS)
    rows: list[TightRow] = []
    for source in sources:
        for limits in LIMITS:
            rows += compare_pac(source, limits, n)
        rows += compare_average(source, n)
    table = [asdict(row) for row in rows]
    print(markdown("tightness", table), flush=True)
    libraries = {name: version(name) for name in ("mapie", "crepes")}
    return {"redraws": n, "seed": SEED, "libraries": libraries, "rows": table}


def synthetic(population: Scored) -> Source:
    """Return a population whose test pictures are many and always the same."""
    generator = np.random.default_rng(SEED)
    select, test = population.draw(generator, SELECT_GROUPS), population.draw(generator, TEST_GROUPS)
    return Source(population.words, select, lambda g: (population.draw(g, CALIB_GROUPS), test))


def of_run(run_directory: Path) -> Source:
    """Return a finished run's predictions; `calib` and `test` are pooled and split anew by group."""
    select, calib, test = (
        read_scores(run_directory / f"predictions-{split}").decided() for split in ("select", "calib", "test")
    )
    pooled = {name: np.concatenate([getattr(calib, name), getattr(test, name)]) for name in calib.__slots__}
    both, names = Scores(**pooled), np.unique(pooled["groups"])
    n_calib = len(np.unique(calib.groups))

    def redraw(generator: np.random.Generator) -> tuple[Sample, Sample]:
        of_calib = np.isin(both.groups, generator.permutation(names)[:n_calib])
        return _sample(both.take(of_calib)), _sample(both.take(~of_calib))

    return Source(f"run '{run_directory.name}'", _sample(select), redraw)


def compare_pac(source: Source, limits: Sequence[tuple[Risk, float]], redraws: int) -> list[TightRow]:
    """Compare certified coverage of the threshold policy with MAPIE's controllers."""
    settings = ThresholdSettings(tuple(RiskLimit(risk, alpha) for risk, alpha in limits), DELTA)
    t_hi, grid = freeze_thresholds(settings, as_scores(source.select))
    generator = np.random.default_rng(SEED)
    start = _plan(settings, source.select, source.redraw(generator)[0], grid, t_hi).start
    rivals = mapie_rivals(source.select, limits, grid, t_hi, start)
    found: dict[str, list[tuple[bool, float]]] = {name: [] for name in ("workzone", *rivals)}
    wider = _wider(limits)
    if wider is not None:
        found[f"workzone, β = {wider.beta:g}"] = []
        wider_t_hi, wider_grid = freeze_thresholds(wider, as_scores(source.select))
    for _ in range(redraws):
        calib, test = source.redraw(generator)
        t_lo = ours(settings, source.select, calib, grid, t_hi)
        found["workzone"].append((np.isfinite(t_lo), _answered(test.logits, t_lo, t_hi)))
        if wider is not None:
            t_lo = ours(wider, source.select, calib, wider_grid, wider_t_hi)
            answered = _answered(test.logits, t_lo, wider_t_hi)
            found[f"workzone, β = {wider.beta:g}"].append((np.isfinite(t_lo), answered))
        rows = calib.grouped.chosen[_population(limits)]
        for name, rival in rivals.items():
            lower, upper = rival(calib.logits[rows], calib.grouped.labels[rows])
            found[name].append((np.isfinite(lower), _answered(test.logits, lower, upper)))
    promise = " and ".join(f"{risk} ≤ {alpha:g}" for risk, alpha in limits) + f", pac, δ = {DELTA:g}"
    return _rows(source.name, promise, found)


def ours(settings: ThresholdSettings, select: Sample, calib: Sample, grid: F64, t_hi: float) -> float:
    """Return the certified lower threshold; -inf without one."""
    plan = _plan(settings, select, calib, grid, t_hi)
    path = threshold_path(calib.logits, grid, t_hi)
    passed = walk(path, calib.grouped, settings.limits, settings.delta, Counting.ONE_PER_GROUP, plan)
    return -np.inf if passed is None else float(grid[passed])


def mapie_rivals(
    select: Sample, limits: Sequence[tuple[Risk, float]], grid: F64, t_hi: float, start: int
) -> dict[str, Rival]:
    """Return MAPIE's ways to make the same promise, by name.

    It is given no rule under which nothing of `select` counts: its p-value would be NaN, and its learnt order
    would begin, and end, there (MAPIE 1.6.0).
    """
    rows = select.grouped.chosen[_population(limits)]
    learn = (select.logits[rows], select.grouped.labels[rows])
    if len(limits) == 1:
        (risk, alpha), *_ = limits
        definition = RISKS[risk]
        path = threshold_path(select.logits, grid, t_hi)
        counted, _ = picture_counts(path, select.grouped, definition, rows)
        some = grid[counted > 0]
        ways = {
            "MAPIE fixed_sequence": mapie_single(risk, alpha, DELTA, some, t_hi),
            "MAPIE split_fixed_sequence": mapie_single(risk, alpha, DELTA, some, t_hi, learn),
        }
        if start:
            ways["MAPIE fixed_sequence, from our start"] = mapie_single(
                risk, alpha, DELTA, grid[start:], t_hi
            )
        return ways
    axis = np.unique(np.quantile(select.logits, np.linspace(0.0, 1.0, PAIR_GRID)))
    free = [(float(low), float(high)) for low in axis for high in axis if low <= high]
    frozen = [(float(low), t_hi) for low in grid]
    return {
        "MAPIE split_fixed_sequence, t_hi frozen": mapie_pairs(limits, DELTA, frozen, learn),
        "MAPIE split_fixed_sequence, both thresholds": mapie_pairs(limits, DELTA, free, learn),
    }


def compare_average(source: Source, redraws: int) -> list[TightRow]:
    """Compare the answered share of class-conditional sets with crepes'."""
    errors = (RiskLimit(Risk.COMMITTED_MISS_RATE, ALPHA), RiskLimit(Risk.FALSE_ALARM_RATE, ALPHA))
    settings = ConformalSettings(ConformalMethod.SETS, errors)
    names = ("workzone", "crepes", "crepes, smoothed")
    found: dict[str, list[tuple[bool, float]]] = {name: [] for name in names}
    generator = np.random.default_rng(SEED)
    for index in range(redraws):
        calib, test = source.redraw(generator)
        t_lo, t_hi = thresholds(settings, calib, np.inf)
        found["workzone"].append((np.isfinite(t_lo), _answered(test.logits, t_lo, t_hi)))
        chosen = calib.grouped.chosen
        rows = np.union1d(chosen[Population.POSITIVES], chosen[Population.NEGATIVES])
        for name in names[1:]:
            sets = crepes_sets(
                calib.logits[rows],
                calib.grouped.labels[rows],
                ALPHA,
                test.logits,
                smoothing=name.endswith("smoothed"),
                seed=index,
            )
            found[name].append((True, float(np.mean(np.asarray(sets).sum(axis=1) == 1))))
    return _rows(source.name, f"class-conditional sets, both classes {ALPHA:g}, average", found)


def certified_coverage(results: Sequence[tuple[bool, float]]) -> F64:
    """Return the answered share of each draw, [R]; 0 where nothing was certified, for every contender."""
    return np.array([answered if held else 0.0 for held, answered in results])


def _rows(source: str, promise: str, found: dict[str, list[tuple[bool, float]]]) -> list[TightRow]:
    base = certified_coverage(found["workzone"])
    rows = []
    for name, results in found.items():
        coverage = certified_coverage(results)
        ahead = base - coverage
        error = float(ahead.std(ddof=1) / np.sqrt(len(ahead))) if len(ahead) > 1 else 0.0
        certified = float(np.mean([held for held, _ in results]))
        mean = float(coverage.mean())
        rows.append(
            TightRow(source, promise, name, len(results), certified, round(mean, 4),
                     round(float(ahead.mean()), 4), round(error, 4))
        )  # fmt: skip
    return rows


def _plan(settings: ThresholdSettings, select: Sample, calib: Sample, grid: F64, t_hi: float) -> WalkPlan:
    counts = populations(settings.limits, calib.grouped)
    path = threshold_path(select.logits, grid, t_hi)
    return plan_walk(path, select.grouped, counts, settings.limits, settings.delta)


def _wider(limits: Sequence[tuple[Risk, float]]) -> ThresholdSettings | None:
    """Return settings that use up a limit of the false-alarm rate, where there is one."""
    alarms = [alpha for risk, alpha in limits if risk is Risk.FALSE_ALARM_RATE]
    if not alarms:
        return None
    return ThresholdSettings(tuple(RiskLimit(risk, a) for risk, a in limits), DELTA, beta=0.75 * alarms[0])


def _answered(logits: F64, t_lo: float, t_hi: float) -> float:
    return float(np.mean((logits < t_lo) | (logits >= t_hi)))


def _population(limits: Sequence[tuple[Risk, float]]) -> Population:
    """Return the pictures that a rival is given: those of the risk, or of all risks."""
    of_risks = {RISKS[risk].population for risk, _ in limits}
    return of_risks.pop() if len(of_risks) == 1 else Population.ALL


def _sample(decided: Scores) -> Sample:
    return Sample(decided.logits, decided.features, group_pictures(decided, "benchmark"))
