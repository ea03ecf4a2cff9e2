"""The frontier of cost, coverage and misses as the report shows it, with the certified policy marked.

A picture drawn on `test`, of the scores there; it chooses nothing, and a pair of thresholds read off it carries
no promise. Knows the policy of two thresholds; the frontier itself is `pareto`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workzone.core.errors import DataError
from workzone.core.scores import Scores
from workzone.core.types import Verdict
from workzone.evaluation.costs import EXAMPLE_PRICES, prices_in_words
from workzone.evaluation.grouped import Sampling
from workzone.evaluation.pareto import Frontier, pareto_frontier
from workzone.evaluation.policies import policy_measures
from workzone.evaluation.records import Measure, find_measure
from workzone.policy.risks import Risk
from workzone.policy.settings import Prices
from workzone.policy.threshold import ThresholdPolicy
from workzone.policy.verdicts import CODES

MAX_ROWS = 15
MAX_DRAWN = 400
GRID_SIZE = 60
"""Quantiles of the logits, for each of both thresholds."""

STATEMENT = (
    "Drawn on test, with its labels: what other thresholds would have given on these very pictures. It chooses "
    "nothing. A pair of thresholds taken from here has no certificate, and looks better here than it is."
)


@dataclass(frozen=True, slots=True)
class ParetoPoint:
    """One pair of thresholds, to be drawn."""

    cost: float
    coverage: float
    selective_fnr: float


@dataclass(frozen=True, slots=True)
class ParetoRow:
    """One pair of thresholds of the table."""

    chosen: bool
    """Whether it is the policy's."""
    none_below: float | None
    """None: never answers "none"."""
    roadwork_from: float | None
    """None: never answers "road work"."""
    measures: tuple[Measure, ...]
    """Of `policies.COLUMNS`, the cost among them."""


@dataclass(frozen=True, slots=True)
class ParetoFrontier:
    """The frontier as the report shows it."""

    statement: str
    costs: str
    """The prices in words."""
    example_prices: bool
    """Whether the prices are not the recipe's, but an example."""
    fnr_limit: float | None
    n_rules: int
    n_frontier: int
    points: tuple[ParetoPoint, ...]
    rows: tuple[ParetoRow, ...]
    policy: ParetoPoint
    policy_beaten: bool
    """Whether another pair of the grid is at least as good in all three, and better in one."""


def policy_frontier(
    scores: Scores, policy: ThresholdPolicy, prices: Prices | None, sampling: Sampling
) -> ParetoFrontier:
    """Return the frontier of the decided pictures of `scores`, with the policy marked.

    Args:
        scores: Of the test pictures.
        policy: Its own thresholds are part of the grid.
        prices: Of errors and deferrals; `EXAMPLE_PRICES` where the recipe states none.
        sampling: Of the intervals in the table.

    Raises:
        DataError: No picture is decided.
        ConfigError: As `pareto_frontier`.
    """
    decided = scores.decided()
    if not len(decided.ids):
        raise DataError("No test picture has a known, unambiguous label: there is no frontier.")
    stated = EXAMPLE_PRICES if prices is None else prices
    grid = np.quantile(decided.logits, np.linspace(0.0, 1.0, GRID_SIZE))
    found = pareto_frontier(
        decided.labels,
        decided.logits,
        stated,
        np.concatenate([[-np.inf, policy.t_lo], grid]),
        np.concatenate([[np.inf, policy.t_hi], grid]),
    )
    own = pareto_frontier(decided.labels, decided.logits, stated, [policy.t_lo], [policy.t_hi])
    points, (mark,) = _points(found), _points(own)
    limits = {limit.risk: limit.alpha for limit in policy.settings.limits}
    return ParetoFrontier(
        statement=STATEMENT,
        costs=prices_in_words(stated),
        example_prices=prices is None,
        fnr_limit=limits.get(Risk.SELECTIVE_FNR),
        n_rules=found.n_rules,
        n_frontier=len(points),
        points=tuple(points[place] for place in _thinned(len(points), MAX_DRAWN)),
        rows=_rows(found, policy, decided, stated, sampling),
        policy=mark,
        policy_beaten=any(_beats(point, mark) for point in points),
    )


def _rows(
    found: Frontier, policy: ThresholdPolicy, decided: Scores, prices: Prices, sampling: Sampling
) -> tuple[ParetoRow, ...]:
    """Return some pairs of the frontier, evenly along it, and the policy's, by rising coverage."""
    own = (policy.t_lo, policy.t_hi)
    places = _thinned(len(found.cost), MAX_ROWS - 1)
    shown = {(float(found.t_lo[place]), float(found.t_hi[place])) for place in places} | {own}
    rows = []
    for low, high in sorted(shown):
        codes = np.full(len(decided.logits), CODES[Verdict.DEFER], dtype=np.int8)
        codes[decided.logits < low] = CODES[Verdict.NONE]
        codes[decided.logits >= high] = CODES[Verdict.ROADWORK]
        measures = policy_measures(decided, codes, prices, sampling)
        rows.append(ParetoRow((low, high) == own, _finite(low), _finite(high), measures))
    return tuple(sorted(rows, key=lambda row: find_measure(row.measures, "coverage").estimate or 0.0))


def _beats(point: ParetoPoint, other: ParetoPoint) -> bool:
    ours, theirs = (np.array([p.cost, -p.coverage, p.selective_fnr]) for p in (point, other))
    return bool((ours <= theirs).all() and (ours < theirs).any())


def _points(found: Frontier) -> list[ParetoPoint]:
    columns = (found.cost.tolist(), found.coverage.tolist(), found.risk.tolist())
    return [ParetoPoint(*values) for values in zip(*columns, strict=True)]


def _thinned(n: int, most: int) -> list[int]:
    """Return at most `most` of n places, evenly, the first and the last among them."""
    if n <= most:
        return list(range(n))
    return sorted({round(place) for place in np.linspace(0, n - 1, most).tolist()})


def _finite(threshold: float) -> float | None:
    return threshold if math.isfinite(threshold) else None
