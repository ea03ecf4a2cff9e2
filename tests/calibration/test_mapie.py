"""The same certificate by MAPIE's Learn-then-Test controller, as an independent answer."""

import math

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from workzone.calibration.fit import fit_policy
from workzone.policy.risks import Risk
from workzone.policy.settings import RiskLimit, ThresholdSettings


def fitted(scores_of, risk, seed, alpha, delta):
    """Fit on a `select`, certify on a `calib`; return the policy and what it was certified on."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(2000) < 0.5).astype(int)
    logits = rng.normal(3.0 * labels - 0.5, 1.3)
    scores = scores_of(logits, labels)
    settings = ThresholdSettings((RiskLimit(risk, alpha),), delta=delta, grid_size=80)
    hashes = {"split_sha256": "s", "dataset_sha256": "d"}
    policy = fit_policy(settings, scores.take(np.arange(500)), scores.take(np.arange(500, 2000)), **hashes)
    return policy, logits[500:], labels[500:]


def by_mapie(policy, risk, target, delta, logits, told):
    """Let MAPIE walk the policy's own sequence from the policy's own start."""
    from mapie.risk_control import BinaryClassificationController

    walk = policy.certificate.walk
    controller = BinaryClassificationController(
        lambda x: np.stack([1 - expit(x), expit(x)], axis=1),
        risk,
        target_level=target,
        confidence_level=1 - delta,
        list_predict_params=expit(np.array(walk.sequence[walk.start :])),
        fwer_method="fixed_sequence",
        best_predict_param_choice=risk,
    )
    return controller.calibrate(logits, told)


def same(policy, theirs, alpha):
    """MAPIE passes exactly the rules that the policy passed, with its p-value.

    Where n · (k / n) is rounded up past k, MAPIE (1.6.0) tests with one event more than there were.
    """
    walk, (claim,) = policy.certificate.walk, policy.certificate.claims
    valid = np.asarray(theirs.valid_predict_params, dtype=float)
    assert 0 < len(valid) < len(walk.sequence) - walk.start
    assert expit(policy.t_lo) == pytest.approx(valid.max(), rel=1e-12)
    assert walk.passed - walk.start == len(valid) - 1
    p_value = float(np.ravel(theirs.p_values)[len(valid) - 1])
    told = math.ceil(claim.n * (claim.events / claim.n))
    assert told - claim.events in {0, 1}
    assert p_value == pytest.approx(binom.cdf(told, claim.n, alpha), rel=1e-6)
    assert claim.p_value == pytest.approx(binom.cdf(claim.events, claim.n, alpha), rel=1e-6)
    assert claim.bound <= alpha


@pytest.mark.parametrize(
    ("seed", "alpha", "delta"), [(0, 0.05, 0.05), (1, 0.02, 0.1), (2, 0.1, 0.01), (3, 0.05, 0.2)]
)
def test_mapie_certifies_the_same_selective_fnr(scores_of, seed, alpha, delta):
    from mapie.risk_control import BinaryRisk

    policy, logits, labels = fitted(scores_of, Risk.SELECTIVE_FNR, seed, alpha, delta)
    # In fixed sequence MAPIE knows one threshold and no abstention: a positive above t_hi, answered whatever
    # the lower threshold, is told to it as a label of its own.
    above, below = 2, 1
    told = np.where((labels == 1) & (logits >= policy.t_hi), above, labels)
    selective_miss = BinaryRisk(
        risk_occurrence=lambda y_true, y_pred: (y_true == below) & (y_pred == 0),
        risk_condition=lambda y_true, y_pred: (y_true == above) | ((y_true == below) & (y_pred == 0)),
        higher_is_better=False,
    )
    same(policy, by_mapie(policy, selective_miss, alpha, delta, logits, told), alpha)


@pytest.mark.filterwarnings("ignore:Fixed sequence testing requires a monotonic risk:UserWarning")
@pytest.mark.parametrize(("seed", "alpha", "delta"), [(4, 0.06, 0.05), (5, 0.08, 0.01), (6, 0.1, 0.1)])
def test_mapie_certifies_the_same_false_omission_rate(scores_of, seed, alpha, delta):
    """Not by MAPIE's own `negative_predictive_value`: one minus a share is more often rounded up too far."""
    from mapie.risk_control import BinaryRisk

    policy, logits, labels = fitted(scores_of, Risk.FALSE_OMISSION_RATE, seed, alpha, delta)
    omission = BinaryRisk(
        risk_occurrence=lambda y_true, y_pred: (y_true == 1) & (y_pred == 0),
        risk_condition=lambda _y_true, y_pred: y_pred == 0,
        higher_is_better=False,
    )
    same(policy, by_mapie(policy, omission, alpha, delta, logits, labels), alpha)


@pytest.mark.parametrize(("seed", "alpha", "delta"), [(7, 0.05, 0.05), (8, 0.02, 0.1)])
def test_mapie_certifies_the_same_committed_miss_rate(scores_of, seed, alpha, delta):
    from mapie.risk_control import BinaryRisk

    policy, logits, labels = fitted(scores_of, Risk.COMMITTED_MISS_RATE, seed, alpha, delta)
    miss = BinaryRisk(
        risk_occurrence=lambda y_true, y_pred: (y_true == 1) & (y_pred == 0),
        risk_condition=lambda y_true, _y_pred: y_true == 1,
        higher_is_better=False,
    )
    same(policy, by_mapie(policy, miss, alpha, delta, logits, labels), alpha)
