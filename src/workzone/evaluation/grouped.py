"""Measures that depend on pictures only through sums, all over one set of group resamples.

Knows masks and sums; does not know what a verdict is. Rates, MCC, Brier, NLL and the equal-width ECE are such
measures, for all pictures and for every slice, so thousands of resamples cost one matrix product each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.evaluation.records import Measure
from workzone.metrics.bootstrap import Interval, bootstrap_totals
from workzone.metrics.classification import mcc_from_counts

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Formula = Callable[[F64], F64]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How intervals are made."""

    n_resamples: int
    confidence: float
    seed: int


@dataclass(frozen=True, slots=True)
class Minimum:
    """From how many pictures and groups in its denominator a measure is worth stating."""

    n: int = 1
    n_groups: int = 1


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    formula: Formula
    n: int
    n_groups: int
    proportion: bool
    minimum: Minimum


class GroupedMeasures:
    """Collects measures, then gives all of them their intervals from the same resamples."""

    def __init__(self, groups: NDArray[np.str_], minimum: Minimum | None = None) -> None:
        self._groups = groups
        self._minimum = minimum or Minimum()
        self._columns: list[F64] = []
        self._entries: list[_Entry] = []

    def rate(self, name: str, part: Mask, whole: Mask) -> None:
        """Add the share of `whole` that is in `part` as well."""
        above, below = self._column(part & whole), self._column(whole)
        self._add(name, lambda totals: _divide(totals[:, above], totals[:, below]), whole, proportion=True)

    def mean(self, name: str, values: F64) -> None:
        """Add the mean of `values` over all pictures."""
        everyone = np.ones(len(values), dtype=np.bool_)
        above, below = self._column(values), self._column(everyone)
        self._add(name, lambda totals: _divide(totals[:, above], totals[:, below]), everyone)

    def mcc(self, name: str, positive: Mask, called: Mask, among: Mask | None = None) -> None:
        """Add the MCC of `called` against `positive`, among some pictures only if so asked."""
        whole = np.ones(len(positive), dtype=np.bool_) if among is None else among
        self._add(name, self._mcc_formula(positive, called, whole), whole)

    def mcc_difference(self, name: str, positive: Mask, called: Mask, other: Mask) -> None:
        """Add the MCC of `called` minus that of `other`, over the same pictures."""
        whole = np.ones(len(positive), dtype=np.bool_)
        first = self._mcc_formula(positive, called, whole)
        second = self._mcc_formula(positive, other, whole)
        self._add(name, lambda totals: first(totals) - second(totals), whole)

    def ece(self, name: str, labels: F64, probs: F64, n_bins: int) -> None:
        """Add the expected calibration error over bins of equal width."""
        # Σ_b n_b |rate_b - mean_b| / n = Σ_b |Σ_{i in b} (y_i - p_i)| / n
        index = np.clip(
            np.searchsorted(np.linspace(0, 1, n_bins + 1), probs, side="right") - 1, 0, n_bins - 1
        )
        gaps = [self._column(np.where(index == b, labels - probs, 0.0)) for b in range(n_bins)]
        everyone = np.ones(len(labels), dtype=np.bool_)
        below = self._column(everyone)
        self._add(
            name, lambda totals: _divide(np.abs(totals[:, gaps]).sum(axis=1), totals[:, below]), everyone
        )

    def solve(self, sampling: Sampling) -> list[Measure]:
        """Return the measures in the order they were added."""
        entries = self._entries

        def statistic(totals: F64) -> F64:
            return np.stack([entry.formula(totals) for entry in entries], axis=1)

        intervals = bootstrap_totals(
            self._groups,
            np.stack(self._columns, axis=1),
            statistic,
            sampling.n_resamples,
            sampling.confidence,
            sampling.seed,
        )
        return [
            as_measure(e.name, interval, e.n, e.n_groups, proportion=e.proportion, minimum=e.minimum)
            for e, interval in zip(entries, intervals, strict=True)
        ]

    def _column(self, values: F64 | Mask) -> int:
        self._columns.append(values.astype(np.float64))
        return len(self._columns) - 1

    def _mcc_formula(self, positive: Mask, called: Mask, whole: Mask) -> Formula:
        tp = self._column(whole & positive & called)
        fp = self._column(whole & ~positive & called)
        tn = self._column(whole & ~positive & ~called)
        fn = self._column(whole & positive & ~called)

        def formula(totals: F64) -> F64:
            counts = totals[:, [tp, fp, tn, fn]]
            mcc = mcc_from_counts(*counts.T)
            return np.where(counts.sum(axis=1) > 0, mcc, np.nan)

        return formula

    def _add(self, name: str, formula: Formula, whole: Mask, *, proportion: bool = False) -> None:
        n_groups = len(np.unique(self._groups[whole]))
        self._entries.append(_Entry(name, formula, int(whole.sum()), n_groups, proportion, self._minimum))


def as_measure(
    name: str,
    interval: Interval,
    n: int,
    n_groups: int,
    *,
    proportion: bool = False,
    minimum: Minimum | None = None,
    undefined: str = "no picture in its denominator",
) -> Measure:
    """Return an interval as a `Measure`, with what must be said where a number is missing.

    The interval is widened to hold the estimate, where resampling shifts a measure (ECE rises under it).
    """
    least = minimum or Minimum()

    def without(reason: str, estimate: float | None = None) -> Measure:
        return Measure(name, estimate, None, None, n, n_groups, reason=reason)

    if n == 0:
        return without("no picture in its denominator")
    if n < least.n or n_groups < least.n_groups:
        return without(f"too few: {counted(n, 'picture')} from {counted(n_groups, 'group')}")
    if math.isnan(interval.estimate):
        return without(undefined)
    if n_groups < 2:
        return without("no interval: all from one group", interval.estimate)
    if interval.n_degenerate * 2 > interval.n_resamples:
        return without("no interval: undefined in most resamples", interval.estimate)
    low, high = min(interval.low, interval.estimate), max(interval.high, interval.estimate)
    if proportion and low == high and low in (0.0, 1.0):
        # Clopper-Pearson with nothing seen, in closed form, on groups.
        width = -math.expm1(math.log((1 - interval.confidence) / 2) / n_groups)
        low, high = (0.0, width) if low == 0.0 else (1.0 - width, 1.0)
        return Measure(name, interval.estimate, low, high, n, n_groups, "exact")
    return Measure(name, interval.estimate, low, high, n, n_groups, "bootstrap")


def counted(n: int, noun: str) -> str:
    """Return "1 picture", "2 pictures", "1,000 pictures"."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _divide(part: F64, whole: F64) -> F64:
    share: F64 = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return share
