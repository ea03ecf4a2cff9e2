"""Percentiles, ratios and growth against known answers; the search for a capacity on a queue that is simulated."""

from __future__ import annotations

import random

import numpy as np
import pytest
from benchmarks.serving.arithmetic import (
    Ratio,
    Spread,
    growth_percent,
    highest_passing,
    percentile,
    thirds,
)
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=60)


@given(VALUES, st.integers(1, 100))
def test_percentile_is_numpys_inverted_distribution_function(values: list[float], percent: int) -> None:
    assert percentile(values, percent) == np.percentile(values, percent, method="inverted_cdf")


def test_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([5.0], 99) == 5.0
    assert percentile([float(i) for i in range(1, 101)], 99) == 99.0
    assert percentile([1.0, float("inf")], 99) == float("inf")


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_percentile_refuses_what_has_none(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


def test_ratio_is_of_medians_and_its_range_of_pairs() -> None:
    assert Ratio.of([8.0, 6.0, 10.0], [2.0, 3.0, 1.0]) == Ratio(4.0, 2.0, 10.0, 3)


def test_a_slow_spell_that_hits_both_of_a_pair_leaves_the_ratio() -> None:
    assert Ratio.of([10.0, 1.0, 10.0], [5.0, 0.5, 5.0]) == Ratio(2.0, 2.0, 2.0, 3)


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([1.0], [1.0, 2.0]), ([1.0], [0.0])])
def test_ratio_refuses_what_cannot_be_compared(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="cannot compare"):
        Ratio.of(ours, theirs)


def test_spread() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


@given(st.floats(100, 1000), st.floats(-20, 20))
def test_growth_of_a_line_is_its_slope(start: float, percent: float) -> None:
    at_s = [10.0 * i for i in range(1, 100)]
    begins = at_s[0]
    values = [start * (1 + percent / 100 * (at - begins) / 600) for at in at_s]
    assert growth_percent(at_s, values) == pytest.approx(percent, abs=1e-6)


def test_growth_is_fitted_through_noise_as_numpy_fits_it() -> None:
    draw = np.random.default_rng(4)
    at_s = np.arange(0.0, 1800.0, 10.0)
    values = 300.0 + 0.002 * at_s + draw.normal(0, 0.5, len(at_s))
    slope, intercept = np.polyfit(at_s, values, 1)
    found = growth_percent(list(at_s), list(values))
    assert found == pytest.approx(100 * slope * 600 / intercept, rel=1e-6)
    assert 0.2 < found < 0.6  # 0.4 % is true


@pytest.mark.parametrize(
    ("at_s", "values"), [([], []), ([1.0], [2.0]), ([1.0, 1.0], [2.0, 3.0]), ([1.0, 2.0], [2.0])]
)
def test_growth_needs_two_times(at_s: list[float], values: list[float]) -> None:
    with pytest.raises(ValueError, match="two times"):
        growth_percent(at_s, values)


def test_thirds_go_by_time_not_by_number() -> None:
    at_s = [0.0, 1.0, 2.0, 3.5, 8.0, 9.0]
    assert thirds(at_s, [1, 2, 3, 4, 5, 6]) == ([1, 2, 3], [4], [5, 6])


@given(st.floats(1.0, 500.0))
def test_search_ends_just_below_a_sharp_edge(edge: float) -> None:
    found = highest_passing(lambda rate: rate <= edge, 50.0, 100.0, 0.03)
    assert found <= edge < found * 1.0301


def test_search_gives_up_where_nothing_passes() -> None:
    assert highest_passing(lambda rate: False, 10.0, 20.0) == 0.0


@pytest.mark.parametrize(("low", "high", "resolution"), [(0.0, 1.0, 0.1), (2.0, 1.0, 0.1), (1.0, 2.0, 0.0)])
def test_search_refuses_an_empty_range(low: float, high: float, resolution: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        highest_passing(lambda rate: True, low, high, resolution)


def waits(rate: float, service_s: float, n: int) -> list[float]:
    """Times in a queue of one server with Poisson arrivals and a fixed service (Lindley's recursion)."""
    draw = random.Random(7)
    backlog_s, times = 0.0, []
    for _ in range(n):
        times.append(backlog_s + service_s)
        backlog_s = max(0.0, backlog_s + service_s - draw.expovariate(rate))
    return times


def test_search_finds_the_capacity_of_a_simulated_queue() -> None:
    service_s, deadline_s = 0.07, 1.0

    def passes(rate: float) -> bool:
        return percentile(waits(rate, service_s, 40_000), 99) <= deadline_s

    found = highest_passing(passes, 0.5 / service_s, 1.1 / service_s, 0.01)
    # Cramer-Lundberg for M/D/1: P(wait > t) ~ C exp(-x t / D), where load (exp(x) - 1) = x and
    # C = (1 - load) / (load exp(x) - 1). At a load of 0.84: x = 0.340, C = 0.89, and the 99th percentile is 0.99 s.
    assert found * service_s == pytest.approx(0.84, abs=0.03)
