"""Percentiles, ratios with their spread, growth, and the search for a capacity: pure arithmetic.

Does not know servers or loads; each is tested on numbers whose answer is known.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times larger one thing was than another.

    Attributes:
        ratio: Of the medians.
        low: Smallest ratio of one interleaved pair.
        high: Largest.
        pairs: How many there were.
    """

    ratio: float
    low: float
    high: float
    pairs: int

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
        """Compare values that were measured in turn, one pair a round.

        Raises:
            ValueError: They are not pairs, there are none, or one of theirs is not above 0.
        """
        if len(ours) != len(theirs) or not ours or min(theirs) <= 0:
            raise ValueError(f"cannot compare {list(ours)} with {list(theirs)}")
        pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
        ratio = statistics.median(ours) / statistics.median(theirs)
        return cls(round(ratio, 3), round(min(pairs), 3), round(max(pairs), 3), len(pairs))


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest and largest of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one value."""
        return cls(round(statistics.median(values), 3), round(min(values), 3), round(max(values), 3))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of the values do not exceed (nearest rank).

    An interpolated 99th percentile of sixty values would be a number that none of them was.

    Raises:
        ValueError: There are no values, or `percent` is not in (0, 100].
    """
    if not values or not 0 < percent <= 100:
        raise ValueError(f"no {percent}th percentile of {len(values)} values")
    ordered = sorted(values)
    return ordered[math.ceil(percent / 100 * len(ordered)) - 1]


def growth_percent(at_s: Sequence[float], values: Sequence[float], per_s: float = 600.0) -> float:
    """Return how much the values grow in `per_s` seconds, in percent of where the fitted line begins.

    Ordinary least squares; a level that jumps once and stays counts as growth, which is the cautious side.

    Raises:
        ValueError: There are fewer than two times, or the line does not begin above 0.
    """
    if len(at_s) != len(values) or len(set(at_s)) < 2:
        raise ValueError("growth needs values at two times at least")
    slope, _ = statistics.linear_regression(at_s, values)
    begins = statistics.fmean(values) + slope * (min(at_s) - statistics.fmean(at_s))
    if begins <= 0:
        raise ValueError(f"the fitted line begins at {begins}")
    return 100 * slope * per_s / begins


def thirds(at_s: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float], list[float]]:
    """Return the values of the first, second and last third of the time, by when they were."""
    end = max(at_s)
    parts: tuple[list[float], list[float], list[float]] = ([], [], [])
    for at, value in zip(at_s, values, strict=True):
        parts[min(2, int(3 * at / end)) if end > 0 else 0].append(value)
    return parts


def highest_passing(
    passes: Callable[[float], bool], low: float, high: float, resolution: float = 0.03
) -> float:
    """Return the highest rate that passes, by bisection; 0 where not even a hundredth of `low` does.

    Args:
        passes: Whether a rate is borne; taken to be true below a rate and false above, up to noise.
        low: Expected to pass; halved until it does.
        high: Expected to fail; where it passes, it is raised by a half until it does not.
        resolution: Ends when the two are closer than this share of the lower one, above 0.

    Raises:
        ValueError: Not 0 < low < high, or the resolution is not above 0.
    """
    if not 0 < low < high or resolution <= 0:
        raise ValueError(f"expected 0 < low < high and a resolution above 0; got {low}, {high}, {resolution}")
    least = low / 100
    while not passes(low):
        low, high = low / 2, low
        if low < least:
            return 0.0
    while passes(high) and high < 1e6:
        low, high = high, 1.5 * high
    while high - low > resolution * low:
        middle = (low + high) / 2
        low, high = (middle, high) if passes(middle) else (low, middle)
    return low
