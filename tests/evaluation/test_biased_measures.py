"""Which interval holds a calibration error's true value, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workzone.evaluation.biased_measures import (
    BIASED,
    REFLECTED,
    UNRESAMPLED,
    reflected,
    without_biased_interval,
)
from workzone.evaluation.measures import TITLES
from workzone.evaluation.records import Measure
from workzone.metrics.bootstrap import Interval, bootstrap_statistics
from workzone.metrics.brier_decomposition import brier_decomposition


def drawn(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities."""
    probs = 1 / (1 + np.exp(-rng.normal(0, 2, n)))
    return (rng.random(n) < probs).astype(float), probs


def test_percentiles_miss_what_the_basic_interval_holds_and_no_percentile_holds_the_reliability() -> None:
    rng, n, draws = np.random.default_rng(0), 300, 50
    labels, probs = drawn(rng, 400_000)
    truth = brier_decomposition(labels, probs, 15)
    held = {"percentile": 0, "basic": 0, "reliability": 0}
    for seed in range(draws):
        y, p = drawn(rng, n)

        def parts(rows: np.ndarray, y: np.ndarray = y, p: np.ndarray = p) -> np.ndarray:
            found = brier_decomposition(y[rows], p[rows], 15)
            return np.array([found.resolution, found.reliability])

        resolution, reliability = bootstrap_statistics(np.arange(n), parts, 100, 0.95, seed)
        basic = reflected("brier_resolution", resolution)
        held["percentile"] += resolution.low <= truth.resolution <= resolution.high
        held["basic"] += basic.low <= truth.resolution <= basic.high
        held["reliability"] += reliability.low <= truth.reliability <= reliability.high
    assert held["basic"] >= 0.85 * draws
    assert held["percentile"] < held["basic"]
    assert held["reliability"] <= 0.1 * draws  # so it comes without an interval


def test_reflection_mirrors_at_the_estimate_within_the_range() -> None:
    found = reflected("brier_resolution", Interval(0.10, 0.09, 0.14))
    assert (found.low, found.high) == pytest.approx((0.06, 0.11))
    cut = reflected("brier_resolution", Interval(0.24, 0.20, 0.245))
    assert (cut.low, cut.high) == pytest.approx((0.235, 0.25))
    plain = Interval(0.1, 0.09, 0.14)
    assert reflected("auroc", plain) is plain
    assert math.isnan(reflected("auroc", Interval(math.nan, math.nan, math.nan)).low)


def test_what_is_biased_says_so_and_keeps_other_reasons() -> None:
    assert UNRESAMPLED | set(REFLECTED) <= set(TITLES)
    assert not UNRESAMPLED & set(REFLECTED)
    found = without_biased_interval(Measure("brier_reliability", 0.01, 0.01, 0.03, 300, 300, "bootstrap"))
    assert (found.estimate, found.low, found.high, found.interval, found.reason) == (
        0.01,
        None,
        None,
        None,
        BIASED,
    )
    single = Measure("ece_equal_mass", 0.01, None, None, 9, 1, reason="no interval: all from one group")
    assert without_biased_interval(single) is single
    other = Measure("brier", 0.01, 0.0, 0.03, 300, 300, "bootstrap")
    assert without_biased_interval(other) is other
