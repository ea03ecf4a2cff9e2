"""The promise by simulation: how often a certificate is wrong, where the truth is known.

A `pac` certificate may be wrong in at most δ of the calibration draws; an `average` one bounds the mean risk
over them. Every row draws a calibration set anew, again and again, from a known population. The naive rows
are there so that the simulation is seen to be able to fail; the printed ones try what stands beside a promise.

`python -m benchmarks promise --redraws 2000` writes `benchmarks/results/promise.json` and prints the tables of
docs/guarantee.md; `--only TEXT` simulates the cells whose description has the text, and keeps the other rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmarks.averages import draw_averages
from benchmarks.naive import TwoFree
from benchmarks.populations import Scored
from benchmarks.printed import simulate_printed
from benchmarks.promise_cells import (
    AverageCell,
    Cell,
    TwoFreeCell,
    average_cells,
    naive_average_cells,
    naive_cells,
    pac_cells,
    printed_cells,
)
from benchmarks.promise_tables import AverageRow, PacRow, PrintedRow, allowed_share, markdown
from benchmarks.redraws import SELECT_GROUPS, as_scores
from benchmarks.trials import BETA, SEED, Trial, draws_of, select_of
from workzone.calibration.threshold import freeze_upper_threshold
from workzone.core.errors import ConfigError
from workzone.policy.risks import Risk
from workzone.policy.settings import ConformalMethod, ConformalSettings, Counting, RiskLimit

TWO_FREE_GRID, TWO_FREE_SELECT = 400, 5000
"""Points in either direction, and pictures they are quantiles of: a coarse grid is safer by accident."""

AnyCell = Cell | TwoFreeCell | AverageCell
Row = dict[str, Any]
PARTS: Mapping[str, Callable[[], Iterable[AnyCell]]] = MappingProxyType(
    {
        "pac": pac_cells,
        "average": average_cells,
        "naive": naive_cells,
        "naive_average": naive_average_cells,
        "printed": printed_cells,
    }
)
"""Name of a table → its cells."""
_MEASURED = frozenset(
    {
        "certified", "wrong", "allowed", "reach", "coverage", "mean_risk", "standard_error",
        "above_limit", "above_bound", "alarms_above_bound", "as_expected",
    }
)  # fmt: skip
"""What a row found; the rest says what was tried."""


def run(redraws: int, _scores: Path | None = None) -> dict[str, Any]:
    """Simulate every cell, print the tables as Markdown, and return them as JSON."""
    return _document(redraws, {name: _rows(name, list(cells()), redraws) for name, cells in PARTS.items()})


def rerun(redraws: int, only: Sequence[str], document: Mapping[str, Any]) -> dict[str, Any]:
    """Simulate the cells whose table and description have one of the texts; keep the other rows.

    Raises:
        ConfigError: The rows that are there had another number of redraws.
    """
    if document["redraws"] != redraws:
        raise ConfigError(
            f"The rows to keep had {document['redraws']} redraws, not {redraws}: ask for as many, or for all."
        )
    tables = {}
    for name, cells in PARTS.items():
        some = [cell for cell in cells() if any(text in f"{name} {cell}" for text in only)]
        tables[name] = merged(document.get(name, []), _rows(name, some, redraws))
    return _document(redraws, tables)


def merged(kept: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Return the rows with the new ones in the place of those of the same cell, or at the end."""
    rows = {tuple(row[key] for key in sorted(row.keys() - _MEASURED)): row for row in (*kept, *new)}
    return list(rows.values())


def _document(redraws: int, tables: Mapping[str, list[Row]]) -> dict[str, Any]:
    for name, rows in tables.items():
        print(f"{markdown(name, rows)}\n", flush=True)
        for row in rows:
            if not row["as_expected"]:
                print(f"NOT AS EXPECTED: {row}\n", flush=True)
    return {"redraws": redraws, "seed": SEED, **tables}


def _rows(name: str, cells: Iterable[AnyCell], redraws: int) -> list[Row]:
    found = (row for cell in cells for row in _simulated(name, cell, redraws))
    return [_rounded(asdict(row)) | {"as_expected": row.as_expected} for row in found]


def _simulated(name: str, cell: AnyCell, redraws: int) -> Iterator[PacRow | AverageRow | PrintedRow]:
    if isinstance(cell, AverageCell):
        yield from simulate_average(cell, redraws)
    elif isinstance(cell, TwoFreeCell):
        yield simulate_two_free(cell, redraws)
    else:
        yield simulate_printed(cell, redraws) if name == "printed" else simulate(cell, redraws)


def simulate(cell: Cell, redraws: int) -> PacRow:
    """Freeze the population's rules once, then certify on so many draws."""
    trial = Trial.of(cell)
    family, limits = trial.family, trial.limits
    rules = np.array([index for _, index in trial.draws(redraws) if index is not None], dtype=np.intp)
    broken = np.zeros(len(family.coverage), dtype=np.bool_)
    for limit in limits:
        broken |= family.risks(limit.risk) > limit.alpha
    return PacRow(
        policy=trial.policy,
        population=cell.population.words,
        limits=trial.promise,
        counting=str(cell.counting),
        way=cell.way,
        groups=cell.groups,
        delta=cell.delta,
        redraws=redraws,
        certified=len(rules) / redraws,
        wrong=float(broken[rules].sum()) / redraws,
        allowed=allowed_share(cell.delta, redraws),
        reach=max(
            float(family.risks(limit.risk)[trial.plan.start :].max()) / limit.alpha for limit in limits
        ),
        coverage=float(family.coverage[rules].mean()) if len(rules) else None,
        expected=cell.expected,
    )


def simulate_two_free(cell: TwoFreeCell, redraws: int) -> PacRow:
    """Let both thresholds be chosen on each draw."""
    generator = draws_of(cell.population)
    select = cell.population.draw(select_of(cell.population), TWO_FREE_SELECT)
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
        population=cell.population.words,
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
    limits = [RiskLimit(Risk.COMMITTED_MISS_RATE, cell.alpha)]
    alarms = cell.alpha if cell.method is ConformalMethod.SETS else cell.alarms
    if alarms is not None:
        limits.append(RiskLimit(Risk.FALSE_ALARM_RATE, alarms))
    settings = ConformalSettings(cell.method, tuple(limits), beta=BETA)
    select = as_scores(cell.population.draw(select_of(cell.population), SELECT_GROUPS))
    t_hi = freeze_upper_threshold(select, BETA)
    generator, alike = draws_of(cell.population), cell.pictures_alike
    draws = draw_averages(
        settings, cell.population, cell.groups, redraws, t_hi, generator, pictures_alike=alike
    )
    equal = isinstance(cell.population, Scored)
    policy = str(cell.method) + (" of two risks" if cell.alarms is not None else "")
    for limit in limits:
        true = draws.risks(cell.population, limit.risk)
        yield AverageRow(
            policy=f"{policy}, every picture weighs the same" if alike else policy,
            population=cell.population.words,
            risk=str(limit.risk),
            alpha=limit.alpha,
            groups=cell.groups,
            redraws=redraws,
            mean_risk=float(true.mean()),
            standard_error=float(true.std() / np.sqrt(redraws)),
            wrong=float(np.mean(true > limit.alpha)),
            coverage=float(cell.population.coverage(draws.t_lo, draws.t_hi).mean()),
            expected="holds" if not alike else "harmless" if equal else "fails",
        )


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()}
