"""What cannot be had at once: the pairs of thresholds that no other pair beats in cost, coverage and misses.

Knows counts of labels and logits; does not know policies or promises. A pair that is found with the labels of
some pictures describes these pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Label
from workzone.policy.costs import Counts, expected_costs
from workzone.policy.settings import Prices

F64 = NDArray[np.float64]
Rows = NDArray[np.intp]

_BLOCK = 512


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """F pairs of thresholds of which none is beaten, by rising coverage.

    Attributes:
        t_lo: float64 [F], none below; -inf never answers "none".
        t_hi: float64 [F], road work from here on; inf never answers "road work".
        cost: float64 [F], of a picture.
        coverage: float64 [F], in [0, 1].
        risk: float64 [F], selective FNR; 0 where no road work is answered.
        n_rules: How many pairs were compared.
    """

    t_lo: F64
    t_hi: F64
    cost: F64
    coverage: F64
    risk: F64
    n_rules: int


def non_dominated(losses: ArrayLike) -> Rows:
    """Return the rows that no other row beats: none at most as large everywhere and smaller somewhere.

    Args:
        losses: [J, K], each to be small. Of equal rows the first stands for all.

    Returns:
        intp [F], rising.

    Raises:
        DataError: It is no table of finite numbers.
    """
    table = np.asarray(losses, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        raise DataError(f"Losses must be finite numbers [rules, objectives], got shape {list(table.shape)}.")
    # Sorted by the first loss, then the next, a row can only be beaten by one before it.
    distinct, first = np.unique(table, axis=0, return_index=True)
    kept, indices = distinct[:0], first[:0]
    for start in range(0, len(distinct), _BLOCK):
        block, place = distinct[start : start + _BLOCK], first[start : start + _BLOCK]
        alive = ~_at_most(kept, block).any(axis=0)
        block, place = block[alive], place[alive]
        alive = _at_most(block, block).sum(axis=0) == 1  # itself alone: rows are distinct
        kept, indices = np.concatenate([kept, block[alive]]), np.concatenate([indices, place[alive]])
    return np.sort(indices).astype(np.intp)


def pareto_frontier(
    labels: ArrayLike, logits: ArrayLike, prices: Prices, t_lo: ArrayLike, t_hi: ArrayLike
) -> Frontier:
    """Return the pairs t_lo <= t_hi of a grid that no other pair beats.

    Lower cost, higher coverage and lower selective FNR are better. Counts come from the sorted logits, so the
    cost is that of the grid, not of the pictures times the grid.

    Args:
        labels: [N], 1 road work, 0 none; at least one picture.
        logits: [N], finite.
        prices: Of errors and deferrals.
        t_lo: [A], may hold -inf.
        t_hi: [B], may hold inf.

    Raises:
        DataError: Lengths differ, there is no picture, or a logit is not finite.
        ConfigError: There is no pair t_lo <= t_hi, or the prices state a share of road work and a class is
            missing.
    """
    known, values = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    if known.shape != values.shape or known.ndim != 1 or not len(known) or not np.isfinite(values).all():
        raise DataError(
            f"A frontier needs one finite logit for each label, got {known.shape}, {values.shape}."
        )
    low, high = _pairs(t_lo, t_hi)
    positive = known == Label.ROADWORK
    cost, coverage, risk = _losses(values[positive], values[~positive], low, high, prices)
    if np.isnan(cost).any():
        raise ConfigError("The prices state a share of road work, and the pictures lack a class.")
    kept = non_dominated(np.stack([cost, -coverage, risk], axis=1))
    kept = kept[np.lexsort((risk[kept], cost[kept], coverage[kept]))]
    return Frontier(low[kept], high[kept], cost[kept], coverage[kept], risk[kept], len(low))


def _pairs(t_lo: ArrayLike, t_hi: ArrayLike) -> tuple[F64, F64]:
    lows, highs = (np.unique(np.asarray(t, dtype=np.float64)) for t in (t_lo, t_hi))
    low, high = (side.ravel() for side in np.meshgrid(lows, highs, indexing="ij"))
    ordered = low <= high
    if not ordered.any():
        raise ConfigError("The grid has no pair of thresholds t_lo <= t_hi.")
    return low[ordered], high[ordered]


def _losses(positives: F64, negatives: F64, low: F64, high: F64, prices: Prices) -> tuple[F64, F64, F64]:
    """Return cost, coverage and selective FNR of each pair, from the logits of both classes."""
    misses, called = _below(positives, low), len(positives) - _below(positives, high)
    passed, alarms = _below(negatives, low), len(negatives) - _below(negatives, high)
    everyone = np.ones(len(low))
    counts = Counts(
        misses=misses,
        deferred_positives=len(positives) - misses - called,
        positives=len(positives) * everyone,
        false_alarms=alarms,
        deferred_negatives=len(negatives) - passed - alarms,
        negatives=len(negatives) * everyone,
    )
    coverage = (misses + called + passed + alarms) / (len(positives) + len(negatives))
    answered = misses + called
    risk = np.divide(misses, answered, out=np.zeros(len(low)), where=answered > 0)
    return expected_costs(counts, prices), coverage, risk


def _below(logits: F64, thresholds: F64) -> F64:
    return np.searchsorted(np.sort(logits), thresholds, side="left").astype(np.float64)


def _at_most(rows: F64, others: F64) -> NDArray[np.bool_]:
    """Return, [R, O], whether a row is at most another everywhere."""
    mask = np.ones((len(rows), len(others)), dtype=np.bool_)
    for column in range(rows.shape[1]):
        mask &= rows[:, None, column] <= others[None, :, column]
    return mask
