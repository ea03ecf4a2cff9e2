"""Logistic regression against scikit-learn's and against its first-order conditions."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from workzone.calibration.logistic import cross_entropy, fit_logistic
from workzone.core.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 3)) * [1.0, 4.0, 0.2] + [0.0, 2.0, 0.0]
    labels = rng.random(800) < expit(x @ [1.0, -0.5, 3.0] + 0.4)
    return np.column_stack([x, np.ones(800)]), labels.astype(float)


@pytest.mark.parametrize("l2", [0.01, 1.0, 30.0])
def test_the_penalised_fit_is_scikit_learns(drawn, l2):
    design, labels = drawn
    theirs = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=1000).fit(design[:, :-1], labels)
    expected = np.append(theirs.coef_[0], theirs.intercept_)
    assert fit_logistic(design, labels, l2) == pytest.approx(expected, rel=1e-5)


def test_the_free_fit_is_scikit_learns(drawn):
    design, labels = drawn
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(design[:, :-1], labels)
    expected = np.append(theirs.coef_[0], theirs.intercept_)
    assert fit_logistic(design, labels) == pytest.approx(expected, rel=1e-5)


def test_soft_targets_and_an_offset_meet_the_first_order_conditions(drawn):
    design, _ = drawn
    rng = np.random.default_rng(1)
    targets, offset = rng.random(800), rng.normal(size=800)
    weights = fit_logistic(design, targets, 0.5, offset=offset)
    gradient = design.T @ (expit(design @ weights + offset) - targets)
    assert gradient == pytest.approx([-0.5 * w for w in weights[:3]] + [0.0], abs=1e-8)


def test_known_weights_in_the_offset_leave_nothing_to_learn(drawn):
    design, _ = drawn
    truth = np.array([0.7, -0.2, 1.5, 0.1])
    targets = expit(design @ truth)
    assert fit_logistic(design, targets) == pytest.approx(truth, rel=1e-8)
    assert fit_logistic(design, targets, offset=design @ truth) == pytest.approx([0] * 4, abs=1e-8)


def test_a_constant_model_gives_the_base_rate():
    weights = fit_logistic(np.ones((10, 1)), [1.0] * 3 + [0.0] * 7, l2=100.0)  # the intercept is free
    assert expit(weights[0]) == pytest.approx(0.3, rel=1e-12)


def test_separated_classes_give_large_weights_or_penalised_ones():
    design, labels = np.column_stack([[-2.0, -1.0, 1.0, 2.0], np.ones(4)]), np.array([0.0, 0, 1, 1])
    free, penalised = fit_logistic(design, labels), fit_logistic(design, labels, 1.0)
    assert np.isfinite(free).all()
    assert free[0] > 10
    theirs = LogisticRegression(C=1.0, tol=1e-10).fit(design[:, :1], labels)
    assert penalised == pytest.approx([theirs.coef_[0, 0], theirs.intercept_[0]], abs=1e-6)


def test_copies_and_columns_of_zeros_are_no_obstacle(drawn):
    design, labels = drawn
    doubled = np.column_stack([design, design[:, 0], np.zeros(800)])
    weights = fit_logistic(doubled, labels)
    once = fit_logistic(design, labels)
    assert weights[0] + weights[4] == pytest.approx(once[0], rel=1e-6)
    assert weights[5] == 0.0


def test_the_cross_entropy_of_an_undecided_logit_is_ln_2():
    assert cross_entropy(np.zeros(3), np.array([0.0, 1.0, 0.3])) == pytest.approx(3 * np.log(2))


@pytest.mark.parametrize(
    ("design", "targets", "word"),
    [
        (np.empty((0, 2)), [], "at least one row"),
        (np.empty((2, 0)), [0, 1], "at least one row"),
        ([1.0, 2.0], [0, 1], "\\[N, D\\]"),
        ([[1.0], [2.0]], [0, 1, 1], "\\[N, D\\]"),
        ([[1.0], [np.nan]], [0, 1], "not finite"),
        ([[1.0], [2.0]], [0, np.nan], "outside"),
        ([[1.0], [2.0]], [0, 1.5], "outside"),
    ],
)
def test_bad_input_is_refused(design, targets, word):
    with pytest.raises(DataError, match=word):
        fit_logistic(design, targets)


@pytest.mark.parametrize("l2", [-1.0, np.nan, np.inf])
def test_a_bad_penalty_is_refused(l2):
    with pytest.raises(ConfigError, match="l2"):
        fit_logistic([[1.0], [2.0]], [0, 1], l2)
