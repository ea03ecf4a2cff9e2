"""Fitted pools: weights against SciPy's constrained minimiser, and what is left out or refused."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from workzone.calibration import pool
from workzone.calibration.logistic import cross_entropy
from workzone.calibration.pool import fit_pool, pool_weights
from workzone.core.errors import ConfigError, DataError
from workzone.policy.calibrators import IsotonicCalibrator, PlattCalibrator, calibrator_kind


@pytest.fixture
def drawn(scores_of):
    """A slope that differs on both sides of 0, so that neither temperature nor Platt is the truth."""
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, 1500)
    return scores_of(z, rng.random(1500) < expit(np.where(z > 0, 2 * z, z / 2) + 0.3))


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_the_minimum_over_the_simplex(seed):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 2, 600)
    logits = truth * rng.uniform(0.3, 1.5, (4, 1)) + rng.normal(0, 1, (4, 600))
    labels = (rng.random(600) < expit(truth)).astype(float)
    best = minimize(
        lambda w: cross_entropy(w @ logits, labels) / 600,
        np.full(4, 0.25),
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14},
    )
    weights = pool_weights(logits, labels)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert cross_entropy(weights @ logits, labels) / 600 <= best.fun + 4e-6  # a member must gain 1e-6
    assert weights == pytest.approx(best.x, abs=5e-3)


def test_the_same_member_twice_gets_one_weight():
    logits = np.array([[-2.0, 1.0, 3.0, -1.0]] * 2)
    assert pool_weights(logits, np.array([0.0, 1, 1, 1])).tolist() == [1.0, 0.0]


def test_a_pool_is_no_worse_than_its_best_member_when_held_out(drawn):
    from workzone.calibration.folds import group_folds, held_out_probs
    from workzone.policy.pool import clipped_logits

    fitted = fit_pool(drawn)
    folds, labels = group_folds(drawn), drawn.labels.astype(float)
    logits = {n: clipped_logits(held_out_probs(n, drawn, folds)) for n in pool.MEMBERS}
    pooled = sum(w * logits[calibrator_kind(m)] for w, m in zip(fitted.weights, fitted.members, strict=True))
    best = min(cross_entropy(z, labels) for z in logits.values())
    assert cross_entropy(pooled, labels) <= best + 1e-9


def test_the_members_are_fitted_on_all_pictures(drawn):
    from workzone.calibration.isotonic import fit_isotonic

    fitted = fit_pool(drawn, ("isotonic",))
    assert fitted.members == (fit_isotonic(drawn),)
    assert fitted.weights == (1.0,)


def test_a_member_that_cannot_be_fitted_is_left_out(scores_of):
    rng = np.random.default_rng(0)
    z = rng.normal(size=600)
    scores = scores_of(z + 5, rng.random(600) < expit(3 * z - 4))  # all logits say road work, few show it
    fitted = fit_pool(scores, ("temperature", "platt"))
    assert [type(m) for m in fitted.members] == [PlattCalibrator]
    with pytest.raises(DataError, match="No temperature fits"):
        fit_pool(scores, ("temperature",))


def test_undecided_pictures_are_not_used(scores_of, drawn):
    more = scores_of(
        np.append(drawn.logits, [9.0, -9.0]),
        np.append(drawn.labels, [-1, 1]),
        ambiguous=[False] * 1501 + [True],
    )
    again = fit_pool(more, ("platt", "isotonic"))
    assert again.apply([-1.0, 2.0]) == pytest.approx(
        fit_pool(drawn, ("platt", "isotonic")).apply([-1.0, 2.0]), rel=1e-9
    )
    assert any(isinstance(m, IsotonicCalibrator) for m in again.members)


@pytest.mark.parametrize(
    "members", [(), ("platt", "platt"), ("platt", "pool"), tuple("abcdefg"), ("platt", "plat")]
)
def test_no_list_of_members_is_refused(drawn, members):
    with pytest.raises(ConfigError, match=r"pool|plat"):
        fit_pool(drawn, members)
