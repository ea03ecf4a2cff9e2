"""Fitted beta calibration against known truth and SciPy's bounded minimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from workzone.calibration.beta import fit_beta
from workzone.calibration.calibrators import LEAST_SLOPE, fit_platt, platt_targets
from workzone.calibration.logistic import cross_entropy
from workzone.policy.calibrators import BetaCalibrator, log_sigmoid


def drawn(scores_of, a, b, c, n=20000, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, n)
    return scores_of(z, rng.random(n) < BetaCalibrator(a, b, c).apply(z))


@pytest.mark.parametrize(("a", "b", "c"), [(1.0, 1.0, 0.0), (0.3, 2.0, 0.2), (2.0, 0.5, -0.5)])
def test_beta_recovers_its_parameters(scores_of, a, b, c):
    fitted = fit_beta(drawn(scores_of, a, b, c))
    assert (fitted.a, fitted.b, fitted.c) == pytest.approx((a, b, c), abs=0.12)


@pytest.mark.parametrize(("a", "b"), [(0.3, 2.0), (0.0, 1.5), (1.5, 0.0)])
def test_beta_is_the_constrained_minimum(scores_of, a, b):
    scores = drawn(scores_of, a, b, 0.1, n=400, seed=3)
    columns = np.stack([log_sigmoid(scores.logits), -log_sigmoid(-scores.logits), np.ones(400)], axis=1)
    targets = platt_targets(scores.labels.astype(float))
    best = minimize(
        lambda w: cross_entropy(columns @ w, targets),
        np.ones(3),
        jac=lambda w: columns.T @ (expit(columns @ w) - targets),
        bounds=[(0, None), (0, None), (None, None)],
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-9},
    )
    fitted = fit_beta(scores)
    assert cross_entropy(columns @ [fitted.a, fitted.b, fitted.c], targets) <= best.fun * (1 + 1e-9)
    assert (fitted.a, fitted.b, fitted.c) == pytest.approx(best.x, abs=1e-3)


def test_an_active_constraint_leaves_its_term_out(scores_of):
    """Where a falling left side would fit best, its slope is 0 and not negative."""
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, 4000)
    labels = rng.random(4000) < expit(np.where(z > 0, 1.5 * z, -0.5 * z) - 0.5)
    fitted = fit_beta(scores_of(z, labels))
    assert fitted.a == 0.0
    assert fitted.b > 0.5


def test_a_model_at_chance_gets_the_base_rate(scores_of):
    labels = np.array([0, 0, 0, 1] * 10)
    logits = np.where(labels == 1, -0.5, 0.5) + np.random.default_rng(0).normal(size=40)
    fitted = fit_beta(scores_of(logits, labels))
    assert fitted.a == fitted.b == pytest.approx(LEAST_SLOPE / logits.std())
    assert fitted.apply(logits) == pytest.approx(0.25, abs=0.03)


def test_logits_far_on_one_side_are_left_to_platt(scores_of):
    rng = np.random.default_rng(0)
    z = 40 + rng.normal(size=500)
    scores = scores_of(z, rng.random(500) < expit(z - 40))
    beta, platt = fit_beta(scores), fit_platt(scores)
    assert beta.apply(z) == pytest.approx(platt.apply(z), rel=1e-9)
    assert 0.0 <= beta.apply([-1e3])[0] < 1e-6


def test_separated_classes_stay_finite(scores_of):
    fitted = fit_beta(scores_of([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], [0, 0, 0, 1, 1, 1]))
    assert np.isfinite([fitted.a, fitted.b, fitted.c]).all()
    assert 0.1 < fitted.apply([-2.0])[0] < 0.3  # the targets are 1/5 and 4/5


def test_beta_is_no_worse_than_platt_on_its_own_pictures(scores_of):
    scores = drawn(scores_of, 0.5, 1.5, 0.0, n=500)
    targets = platt_targets(scores.labels.astype(float))

    def loss(fitted):
        p = fitted.apply(scores.logits)
        return -np.sum(targets * np.log(p) + (1 - targets) * np.log1p(-p))

    assert loss(fit_beta(scores)) < loss(fit_platt(scores))
