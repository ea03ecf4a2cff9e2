"""Fitted calibrators against known truth, SciPy's minimiser and scikit-learn."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit

from workzone.calibration.calibrators import FITTERS, TEMPERATURES, fit_calibrator, fit_platt, fit_temperature
from workzone.core.errors import ConfigError, DataError
from workzone.core.lazy import resolve
from workzone.policy.calibrators import CALIBRATORS


@pytest.fixture
def drawn(scores_of):
    """Labels drawn from σ(z), logits z times and plus what the test asks for."""

    def draw(times=1.0, plus=0.0, n=4000, seed=0):
        rng = np.random.default_rng(seed)
        true_logits = rng.normal(0.0, 2.0, n)
        return scores_of(times * true_logits + plus, rng.random(n) < expit(true_logits))

    return draw


@pytest.mark.parametrize("times", [0.25, 1.0, 3.0, 8.0])
def test_temperature_recovers_the_factor(drawn, times):
    assert fit_temperature(drawn(times)).temperature == pytest.approx(times, rel=0.06)


def test_temperature_is_the_minimum_of_the_nll(drawn):
    scores = drawn(2.5)
    fitted = fit_temperature(scores)

    def nll(log_t):
        z = scores.logits / np.exp(log_t)
        return np.sum(np.logaddexp(0, z) - scores.labels * z)

    assert np.log(fitted.temperature) == pytest.approx(minimize_scalar(nll, bounds=(-3, 3)).x, abs=1e-4)
    gradient = np.dot(scores.logits, fitted.apply(scores.logits) - scores.labels)
    assert abs(gradient) < 1e-8 * np.abs(scores.logits).sum()


def test_temperature_agrees_with_scikit_learn(drawn):
    from sklearn.calibration import _TemperatureScaling

    scores = drawn(2.5)
    # scikit-learn takes (-x, x) for two classes, so half the logit is the same model
    theirs = _TemperatureScaling().fit(scores.logits / 2, scores.labels)
    assert fit_temperature(scores).temperature == pytest.approx(1 / float(theirs.beta_), rel=1e-5)


def test_platt_agrees_with_scikit_learn(drawn):
    from sklearn.calibration import _sigmoid_calibration

    scores = drawn(2.0, plus=5.0, n=700)
    a, b = _sigmoid_calibration(scores.logits, scores.labels)
    fitted = fit_platt(scores)
    assert fitted.slope == pytest.approx(-a, rel=1e-4)
    assert fitted.intercept == pytest.approx(-b, rel=1e-4)


def test_platt_recovers_scale_and_shift(drawn):
    fitted = fit_platt(drawn(4.0, plus=-3.0, n=20000))
    assert fitted.slope == pytest.approx(0.25, rel=0.05)
    assert fitted.intercept == pytest.approx(0.75, abs=0.08)


def test_platt_meets_its_first_order_conditions_on_skewed_data(scores_of):
    rng = np.random.default_rng(5)
    labels = rng.random(600) < 0.03
    scores = scores_of(1e3 * (rng.normal(size=600) + 2 * labels) + 1e5, labels)
    fitted = fit_platt(scores)
    n1 = labels.sum()
    targets = np.where(labels, (n1 + 1) / (n1 + 2), 1 / (600 - n1 + 2))
    residual = fitted.apply(scores.logits) - targets
    assert abs(residual.sum()) < 1e-6
    assert abs(np.dot(residual, scores.logits - 1e5)) < 1e-3


def test_platt_stays_finite_where_classes_are_separated(scores_of):
    scores = scores_of([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], [0, 0, 0, 1, 1, 1])
    probs = fit_platt(scores).apply([-1.0, 1.0])
    assert 0.2 < probs[0] < 0.45  # not 0: the targets are 1/5 and 4/5
    assert probs[1] == pytest.approx(1 - probs[0])


def test_platt_of_a_nearly_constant_score_gives_the_base_rate(scores_of):
    logits = np.array([0.0, 1.0] * 500)
    labels = np.array([0, 1] * 500)
    labels[:496] = 1 - labels[:496]  # 504 of 1000 agree with their logit
    probs = fit_platt(scores_of(logits, labels)).apply([0.0, 1.0])
    assert np.allclose(probs, 0.5, atol=0.01)


def test_separated_logits_keep_the_temperature_in_its_range(scores_of):
    scores = scores_of([-3.0, -2.0, 2.0, 3.0], [0, 0, 1, 1])
    assert fit_temperature(scores).temperature == TEMPERATURES[0]


def test_hardly_informative_logits_keep_the_temperature_in_its_range(scores_of):
    rng = np.random.default_rng(0)
    labels = np.array([0, 1] * 5000)
    logits = np.where(rng.permutation(10000) < 5030, 1, -1) * (2 * labels - 1) * 10.0
    assert fit_temperature(scores_of(logits, labels)).temperature == TEMPERATURES[1]


@pytest.mark.parametrize("name", FITTERS)
def test_swapped_labels_are_refused(scores_of, drawn, name):
    scores = drawn()
    with pytest.raises(DataError, match="swapped labels"):
        fit_calibrator(name, scores_of(scores.logits, 1 - scores.labels))


def test_a_model_at_chance_gets_the_base_rate_from_a_map_that_still_rises(scores_of):
    labels = np.array([0, 0, 0, 1] * 10)
    logits = np.where(labels == 1, -0.5, 0.5) + np.random.default_rng(0).normal(
        size=40
    )  # leans the wrong way
    assert np.corrcoef(logits, labels)[0, 1] < 0
    fitted = fit_platt(scores_of(logits, labels))
    assert fitted.slope > 0
    assert fitted.apply(logits) == pytest.approx(
        0.25, abs=0.03
    )  # Platt's targets draw it a little to one half


@pytest.mark.parametrize("name", FITTERS)
@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_refused(scores_of, name, label):
    with pytest.raises(DataError, match="both classes"):
        fit_calibrator(name, scores_of([1.0, 2.0], label))


def test_constant_logits_are_refused(scores_of):
    with pytest.raises(DataError, match="untrained"):
        fit_platt(scores_of([0.3] * 10, [0, 1] * 5))


@pytest.mark.parametrize("name", FITTERS)
def test_undecided_pictures_and_order_change_nothing(scores_of, drawn, name):
    scores = drawn(2.0, n=300)
    fitted = fit_calibrator(name, scores)
    more = scores_of(
        np.append(scores.logits, [50.0, -50.0]),
        np.append(scores.labels, [-1, 1]),
        ambiguous=np.append(scores.ambiguous, [False, True]),
    )
    again = fit_calibrator(name, more.take(np.random.default_rng(1).permutation(302)))
    assert np.allclose(again.apply([-1.0, 2.0]), fitted.apply([-1.0, 2.0]), rtol=1e-9)


def test_the_table_of_fitters_is_that_of_the_records():
    assert set(FITTERS) == set(CALIBRATORS)
    assert all(callable(resolve(dotted)) for dotted in FITTERS.values())
    with pytest.raises(ConfigError, match="Did you mean 'platt'"):
        fit_calibrator("plat", None)
