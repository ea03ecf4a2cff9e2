"""Calibration measures against scikit-learn, formulas and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from workzone.core.errors import DataError
from workzone.metrics.calibration_error import Binning, brier, ece, nll, reliability_bins


def sample(n: int = 500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probs = rng.beta(0.7, 0.9, n)
    return (rng.random(n) < probs).astype(int), probs


def test_brier_and_nll_equal_scikit_learns() -> None:
    labels, probs = sample()
    assert brier(labels, probs) == pytest.approx(sk.brier_score_loss(labels, probs))
    assert nll(labels, probs) == pytest.approx(sk.log_loss(labels, probs))


def test_check_values() -> None:
    labels = np.tile([0, 1], 50)
    assert brier(labels, np.full(100, 0.5)) == 0.25
    assert nll(labels, np.full(100, 0.5)) == pytest.approx(math.log(2))
    assert nll([1, 0], [1.0, 0.0]) == 0
    assert nll([1, 0], [0.0, 0.0]) == math.inf
    labels, probs = sample(200_000)
    assert brier(labels, probs) == pytest.approx(np.mean(probs * (1 - probs)), abs=2e-3)


def test_equal_width_bins_equal_scikit_learns() -> None:
    labels, probs = sample()
    rates, means = calibration_curve(labels, probs, n_bins=15)
    bins = [b for b in reliability_bins(labels, probs, 15) if b.count]
    np.testing.assert_allclose([b.positive_rate for b in bins], rates)
    np.testing.assert_allclose([b.mean_prob for b in bins], means)
    expected = sum(b.count / 500 * abs(r - m) for b, r, m in zip(bins, rates, means, strict=True))
    assert ece(labels, probs) == pytest.approx(expected)


def test_edges_belong_to_the_upper_bin_and_one_to_the_last() -> None:
    bins = reliability_bins([0, 1, 1, 0, 1], [0.0, 0.25, 0.5, 0.75, 1.0], 4)
    assert [b.count for b in bins] == [1, 1, 1, 2]
    assert [(b.low, b.high) for b in bins] == [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)]


def test_empty_bins_are_listed_and_do_not_count() -> None:
    bins = reliability_bins([0, 1], [0.05, 0.95], 10)
    assert len(bins) == 10
    assert sum(b.count for b in bins) == 2
    assert math.isnan(bins[4].mean_prob)
    assert ece([0, 1], [0.05, 0.95], 10) == pytest.approx(0.05)


def test_equal_mass_bins_hold_equally_many() -> None:
    labels, probs = sample(300)
    bins = reliability_bins(labels, probs, 10, Binning.MASS)
    assert [b.count for b in bins] == [30] * 10
    rates, means = calibration_curve(labels, probs, n_bins=10, strategy="quantile")
    np.testing.assert_allclose([b.positive_rate for b in bins], rates)
    np.testing.assert_allclose([b.mean_prob for b in bins], means)


def test_equal_probabilities_stay_in_one_bin_of_equal_mass() -> None:
    labels = np.array([0, 1] * 10)
    probs = np.array([0.3] * 15 + [0.6] * 5)
    bins = reliability_bins(labels, probs, 4, Binning.MASS)
    assert [b.count for b in bins] == [15, 5]
    assert ece(labels, probs, 4, Binning.MASS) == pytest.approx((abs(7 - 4.5) + abs(3 - 3.0)) / 20)
    few = reliability_bins([0, 1], [0.2, 0.8], 15, Binning.MASS)
    assert [b.count for b in few] == [1, 1]


def test_calibrated_probabilities_have_little_error_and_shifted_ones_have_the_shift() -> None:
    labels, probs = sample(100_000)
    for binning in Binning:
        assert ece(labels, probs, binning=binning) < 0.01
        constant = np.full(100_000, min(1.0, labels.mean() + 0.2))
        assert ece(labels, constant, binning=binning) == pytest.approx(0.2)


@pytest.mark.parametrize("probs", [[0.5, 1.2], [-0.1, 0.5], [np.nan, 0.5]])
def test_what_is_no_probability_is_refused(probs) -> None:
    with pytest.raises(DataError, match="outside"):
        brier([0, 1], probs)
    with pytest.raises(DataError, match="labels for"):
        nll([0, 1], [0.5])
    with pytest.raises(DataError, match="bins"):
        ece([0, 1], [0.5, 0.5], 0)
