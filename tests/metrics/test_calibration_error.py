"""Calibration measures against scikit-learn, formulas and loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from workzone.core.errors import DataError
from workzone.metrics.calibration_error import (
    Binning,
    brier,
    debiased_calibration_error,
    ece,
    nll,
    reliability_bins,
)


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


def clustered(rng: np.random.Generator, n_groups: int = 60, frames: int = 10) -> tuple[np.ndarray, ...]:
    """Groups whose frames share their probability and, mostly, their label: calibrated, but far from independent."""
    groups = np.repeat(np.arange(n_groups), frames)
    probs = rng.uniform(0.05, 0.95, n_groups)[groups]
    shared, own = rng.random(n_groups)[groups], rng.random(len(groups))
    latent = np.where(rng.random(len(groups)) < 0.9, shared, own)
    return (latent < probs).astype(int), probs, groups


def test_plain_ece_of_calibrated_probabilities_is_biased_by_root_bins_over_n_and_the_debiased_is_not() -> (
    None
):
    """E|N(0, p(1-p)/n_b)| = sqrt(2 p(1-p) bins / (π n)) in each bin of n / bins pictures."""
    rng, n, bins = np.random.default_rng(0), 300, 15
    drawn = []
    for _ in range(600):
        probs = rng.random(n)
        labels = (rng.random(n) < probs).astype(int)
        found = debiased_calibration_error(labels, probs, bins)
        raw = sum(
            b.count / n * (b.positive_rate - b.mean_prob) ** 2
            for b in reliability_bins(labels, probs, bins)
            if b.count
        )
        drawn.append((ece(labels, probs, bins), found.ece, raw, found.squared))
    plain, debiased, squared, debiased_squared = np.mean(drawn, axis=0)
    error = np.std(drawn, axis=0) / math.sqrt(len(drawn))
    p = np.linspace(0, 1, 10_001)
    expected = np.mean(np.sqrt(2 * p * (1 - p) * bins / (math.pi * n)))
    assert plain == pytest.approx(expected, rel=0.04)
    assert debiased < 0.62 * plain  # 1 - (sqrt(2) - 1) of it is left in theory
    assert squared == pytest.approx(bins / n / 6, rel=0.05)  # mean of p (1 - p) is 1/6
    assert abs(debiased_squared) < 3 * error[3]


def test_the_squared_error_of_miscalibrated_probabilities_is_unbiased_too() -> None:
    rng, bins = np.random.default_rng(1), 10
    truths = np.array([0.1, 0.3, 0.5, 0.9])
    said = np.array([0.15, 0.25, 0.55, 0.75])
    found = []
    for _ in range(1500):
        which = rng.permutation(np.repeat(np.arange(4), 15))
        labels = (rng.random(60) < truths[which]).astype(int)
        found.append(debiased_calibration_error(labels, said[which], bins).squared)
    error = np.std(found) / math.sqrt(len(found))
    assert np.mean(found) == pytest.approx(np.mean((truths - said) ** 2), abs=3 * error)


def test_equal_probabilities_in_a_bin_give_the_formula_of_kumar_liang_and_ma() -> None:
    rng = np.random.default_rng(2)
    probs = np.repeat([0.1, 0.3, 0.7, 0.95], [20, 30, 40, 12])
    labels = (rng.random(len(probs)) < 0.5).astype(int)
    expected = 0.0
    for p in np.unique(probs):
        y = labels[probs == p]
        expected += len(y) / len(labels) * ((y.mean() - p) ** 2 - y.mean() * (1 - y.mean()) / (len(y) - 1))
    for binning in Binning:
        found = debiased_calibration_error(labels, probs, 10, binning)
        assert found.squared == pytest.approx(expected)
        assert found.n_left_out == 0


def test_the_bias_taken_off_the_ece_is_that_of_scipys_folded_normal() -> None:
    labels, probs = sample(400)
    expected = 0.0
    for b in range(5):
        inside = np.clip((probs * 5).astype(int), 0, 4) == b
        gap = labels[inside].mean() - probs[inside].mean()
        spread = np.std(labels[inside] - probs[inside], ddof=1) / math.sqrt(inside.sum())
        expected += inside.mean() * (2 * abs(gap) - stats.foldnorm(abs(gap) / spread, scale=spread).mean())
    assert debiased_calibration_error(labels, probs, 5).ece == pytest.approx(expected)


def test_groups_of_one_change_nothing_and_copies_count_once() -> None:
    labels, probs = sample(200)
    plain = debiased_calibration_error(labels, probs, 8)
    assert debiased_calibration_error(labels, probs, 8, groups=np.arange(200)) == plain
    copied = debiased_calibration_error(
        np.repeat(labels, 7), np.repeat(probs, 7), 8, groups=np.repeat(np.arange(200), 7)
    )
    assert copied.squared == pytest.approx(plain.squared)
    assert copied.ece == pytest.approx(plain.ece)


def test_frames_of_groups_need_the_cluster_robust_variance() -> None:
    rng = np.random.default_rng(3)
    with_groups, without = [], []
    for _ in range(400):
        labels, probs, groups = clustered(rng)
        with_groups.append(debiased_calibration_error(labels, probs, 5, groups=groups).squared)
        without.append(debiased_calibration_error(labels, probs, 5).squared)
    error = np.std(with_groups) / math.sqrt(len(with_groups))
    assert abs(np.mean(with_groups)) < 3 * error
    assert np.mean(without) > 10 * error


def test_bins_whose_chance_cannot_be_told_are_left_out_and_counted() -> None:
    found = debiased_calibration_error([0, 1, 1, 0], [0.05, 0.5, 0.5, 0.5], 10)
    assert found.n_left_out == 1
    alone = debiased_calibration_error([1], [0.4])
    assert math.isnan(alone.ece)
    assert math.isnan(alone.squared)
    assert math.isnan(alone.rms)
    assert alone.n_left_out == 1
    one_group = debiased_calibration_error([0, 1, 1], [0.4, 0.5, 0.6], 1, groups=["a", "a", "a"])
    assert one_group.n_left_out == 3
    two = debiased_calibration_error([1, 1], [1.0, 1.0])
    assert (two.ece, two.squared, two.rms, two.n_left_out) == (0.0, 0.0, 0.0, 0)
    constant = debiased_calibration_error([0, 1] * 50, [0.5] * 100, binning=Binning.MASS)
    assert constant.squared < 0  # the gap is 0, less than chance would make it
    assert constant.rms == 0


def test_debiasing_refuses_what_it_cannot_read() -> None:
    with pytest.raises(DataError, match="groups of shape"):
        debiased_calibration_error([0, 1], [0.5, 0.5], groups=["a"])
    with pytest.raises(DataError, match="bins"):
        debiased_calibration_error([0, 1], [0.5, 0.5], 0)
    with pytest.raises(DataError, match="outside"):
        debiased_calibration_error([0, 1], [0.5, np.nan])
    with pytest.raises(DataError):
        debiased_calibration_error([], [])
