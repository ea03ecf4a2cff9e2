"""Percentile intervals by resampling groups with replacement. Pure numpy.

Frames of one sequence resemble one another, so the group is what is drawn, with all its rows; resampling
frames would give intervals that are too narrow. Knows rows and groups; the measures come as functions.
One set of resamples serves any number of measures, and a paired comparison of two models is a measure
that looks both up at the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import DataError
from workzone.core.observer import NullObserver, Observer

F64 = NDArray[np.float64]
Rows = NDArray[np.intp]

TASK = "bootstrap"
_REPORT_EVERY = 64


@dataclass(frozen=True, slots=True)
class Interval:
    """A measure with its percentile bootstrap interval."""

    estimate: float
    """On the rows as they are."""
    low: float
    """nan when there are fewer than two groups, or no resample in which the measure is defined."""
    high: float
    confidence: float = 0.95
    n_resamples: int = 0
    n_degenerate: int = 0
    """Resamples in which the measure is undefined (nan); the interval leaves them out."""


def group_bootstrap(
    groups: ArrayLike,
    statistic: Callable[[Rows], float],
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    observer: Observer | None = None,
) -> Interval:
    """Return one measure with its interval; see `bootstrap_statistics`."""

    def vector(rows: Rows) -> F64:
        return np.array([statistic(rows)], dtype=np.float64)

    return bootstrap_statistics(groups, vector, n_resamples, confidence, seed, observer)[0]


def bootstrap_statistics(
    groups: ArrayLike,
    statistic: Callable[[Rows], F64],
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    observer: Observer | None = None,
) -> list[Interval]:
    """Return an interval for each of several measures, all from one set of resamples.

    Args:
        groups: [N], which group each row belongs to.
        statistic: Given row indices [M] (a group drawn twice comes twice), returns the measures [S];
            nan where one is undefined.
        n_resamples: How often groups are drawn; 2,000 or more for a 95 % interval.
        confidence: In (0, 1).
        seed: Of the draws.
        observer: Is told how many resamples are done.

    Raises:
        DataError: There are no rows, or an argument is out of range.
    """
    table = _GroupTable(groups, n_resamples, confidence)
    estimates = np.asarray(statistic(np.arange(table.n_rows, dtype=np.intp)), dtype=np.float64)
    draws = np.full((n_resamples, len(estimates)), np.nan)
    watcher = observer or NullObserver()
    if table.n_groups > 1:
        for index, picked in enumerate(table.draws(n_resamples, seed)):
            draws[index] = statistic(table.rows(picked))
            if index % _REPORT_EVERY == 0:
                watcher.progress(TASK, index, n_resamples)
    watcher.progress(TASK, n_resamples, n_resamples)
    return _intervals(estimates, draws, confidence)


def bootstrap_totals(
    groups: ArrayLike,
    columns: ArrayLike,
    statistic: Callable[[F64], F64],
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> list[Interval]:
    """Return intervals for measures that depend on the rows only through column totals.

    Counts of a confusion table are such totals, and so MCC, rates, coverage and Brier are such measures.
    The resamples are those of `bootstrap_statistics` with the same seed, at a small part of the cost.

    Args:
        groups: [N], which group each row belongs to.
        columns: [N, C], what is summed; for counts, indicators.
        statistic: Given totals [R, C], returns the measures [R, S]; nan where one is undefined.
        n_resamples: How often groups are drawn.
        confidence: In (0, 1).
        seed: Of the draws.

    Raises:
        DataError: There are no rows, lengths differ, or an argument is out of range.
    """
    table = _GroupTable(groups, n_resamples, confidence)
    values = np.asarray(columns, dtype=np.float64)
    if values.ndim != 2 or len(values) != table.n_rows:
        raise DataError(f"Columns have shape {list(values.shape)}; expected [{table.n_rows}, columns].")
    by_group = np.add.reduceat(values[table.order], table.starts, axis=0)
    estimates = np.asarray(statistic(values.sum(axis=0)[None]), dtype=np.float64)[0]
    if table.n_groups < 2:
        return _intervals(estimates, np.full((n_resamples, len(estimates)), np.nan), confidence)
    totals = np.empty((n_resamples, values.shape[1]))
    for index, picked in enumerate(table.draws(n_resamples, seed)):
        totals[index] = np.bincount(picked, minlength=table.n_groups) @ by_group
    return _intervals(estimates, np.asarray(statistic(totals), dtype=np.float64), confidence)


class _GroupTable:
    """Rows sorted by group, so that a draw of groups becomes a draw of rows without a loop over groups."""

    def __init__(self, groups: ArrayLike, n_resamples: int, confidence: float) -> None:
        names: NDArray[Any] = np.asarray(groups)
        if names.ndim != 1 or names.size == 0:
            raise DataError(f"Groups have shape {list(names.shape)}; expected one name for each row.")
        if n_resamples < 1 or not 0 < confidence < 1:
            raise DataError(
                f"{n_resamples} resamples at confidence {confidence}; "
                "expected at least 1 resample and a confidence between 0 and 1."
            )
        _, member, counts = np.unique(names, return_inverse=True, return_counts=True)
        self.n_rows = len(names)
        self.n_groups = len(counts)
        self.order: Rows = np.argsort(member, kind="stable")
        self.counts: Rows = counts.astype(np.intp)
        self.starts: Rows = np.cumsum(self.counts) - self.counts

    def draws(self, n_resamples: int, seed: int) -> Iterator[Rows]:
        """Yield `n_resamples` draws of groups, [n_groups] indices each."""
        rng = np.random.default_rng(seed)
        for _ in range(n_resamples):
            yield rng.integers(self.n_groups, size=self.n_groups, dtype=np.intp)

    def rows(self, picked: Rows) -> Rows:
        """Return the rows of the picked groups, group after group."""
        lengths = self.counts[picked]
        ends = np.cumsum(lengths)
        offsets = np.repeat(self.starts[picked] - (ends - lengths), lengths)
        drawn: Rows = self.order[offsets + np.arange(ends[-1], dtype=np.intp)]
        return drawn


def _intervals(estimates: F64, draws: F64, confidence: float) -> list[Interval]:
    tail = 100 * (1 - confidence) / 2
    result = []
    for estimate, values in zip(estimates, draws.T, strict=True):
        defined = values[~np.isnan(values)]
        low, high = np.percentile(defined, [tail, 100 - tail]) if defined.size else (math.nan, math.nan)
        result.append(
            Interval(
                estimate=float(estimate),
                low=float(low),
                high=float(high),
                confidence=confidence,
                n_resamples=len(values),
                n_degenerate=len(values) - defined.size,
            )
        )
    return result
