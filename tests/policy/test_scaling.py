"""Beta calibration applied, against its definition; the logarithms against SciPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln, expit, log_expit

from workzone.metrics.calibration_error import brier, nll
from workzone.policy.scaling import BetaCalibrator, PlattCalibrator, TemperatureCalibrator, log_sigmoid

LOGITS = np.linspace(-40, 40, 801)


def test_the_logarithm_keeps_its_digits_in_both_tails():
    logits = np.array([-1e4, -40.0, 0.0, 40.0, 700.0])
    assert log_sigmoid(logits) == pytest.approx(log_expit(logits), rel=1e-14)
    assert log_sigmoid(np.array([40.0])) < 0  # where ln of σ itself is 0


def test_beta_with_a_b_1_and_c_0_is_the_identity():
    assert BetaCalibrator(1.0, 1.0, 0.0).apply(LOGITS) == pytest.approx(expit(LOGITS), rel=1e-13)


@given(slope=st.floats(0.01, 10), intercept=st.floats(-5, 5))
def test_beta_with_equal_slopes_is_platt(slope, intercept):
    beta, platt = BetaCalibrator(slope, slope, intercept), PlattCalibrator(slope, intercept)
    assert beta.apply(LOGITS) == pytest.approx(platt.apply(LOGITS), rel=1e-9)


def test_beta_is_the_formula_of_the_paper():
    probs = np.linspace(0.001, 0.999, 99)
    a, b, c = 0.4, 2.3, -0.7
    paper = 1 / (1 + 1 / (np.exp(c) * probs**a / (1 - probs) ** b))
    assert BetaCalibrator(a, b, c).apply(np.log(probs / (1 - probs))) == pytest.approx(paper, rel=1e-12)


def test_beta_recovers_the_posterior_of_two_beta_distributions():
    """Scores drawn from Beta(α₁, β₁) and Beta(α₀, β₀): a = α₁ − α₀, b = β₀ − β₁ (Kull et al., section 3)."""
    (a1, b1), (a0, b0) = (3.0, 1.5), (1.2, 4.0)
    s = np.linspace(0.01, 0.99, 50)
    ratio = (a1 - a0) * np.log(s) + (b1 - b0) * np.log1p(-s) - betaln(a1, b1) + betaln(a0, b0)
    calibrator = BetaCalibrator(a1 - a0, b0 - b1, float(betaln(a0, b0) - betaln(a1, b1)))
    assert calibrator.apply(np.log(s) - np.log1p(-s)) == pytest.approx(expit(ratio), rel=1e-12)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (1.0, 0.0), (0.2, 3.0)])
def test_beta_rises_strictly_also_with_one_slope(a, b):
    assert (np.diff(BetaCalibrator(a, b, 0.3).apply(np.linspace(-30, 11, 601))) > 0).all()


def test_one_half_has_brier_a_quarter_and_nll_ln_2():
    probs = TemperatureCalibrator(3.0).apply(np.zeros(4))
    assert brier([0, 1, 1, 0], probs) == 0.25
    assert nll([0, 1, 1, 0], probs) == pytest.approx(np.log(2), rel=1e-15)
