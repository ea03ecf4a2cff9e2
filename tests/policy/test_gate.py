"""The gate: its features by their formulas, its verdicts, and what it refuses."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from workzone.core.errors import BundleError, ConfigError, DataError, InferenceError
from workzone.policy.gate import GatePolicy
from workzone.policy.gate_features import GATE_FEATURES, FeatureStatistics, FirstAnswers, gate_matrix
from workzone.policy.policies import policy_from_json, policy_to_json
from workzone.policy.settings import GateSettings

STATISTICS = FeatureStatistics(np.array([[0.0, 0.0], [4.0, 4.0]]), np.array([[1.0, 2.0], [1.0, 1.0]]))


def gate(tau=0.5, features=("logit_norm",), **more):
    n = len(features)
    fields = {
        "decision": 1.0,
        "centre": (0.0,) * n,
        "scale": (1.0,) * n,
        "weights": (1.0,) * n,
        "intercept": -1.0,
        "statistics": STATISTICS if "feature_distance" in features else None,
        "settings": GateSettings(features=features),
        "certificate": None,
        "refusal": "too few groups",
    }
    return GatePolicy(tau, **{**fields, **more})


def test_features_by_scipy():
    z = np.array([-700.0, -2.0, 0.0, 1.5, 700.0])
    p = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
    first = FirstAnswers(z)
    names = ("max_prob", "margin", "entropy", "logit_norm", "roadwork")
    matrix = gate_matrix(names, first)
    assert np.allclose(matrix[:, 0], np.maximum(p, 1 - p))
    assert np.allclose(matrix[:, 1], np.abs(2 * p - 1))
    assert np.allclose(matrix[:, 2], [stats.entropy([q, 1 - q]) for q in p], atol=1e-12)
    assert np.allclose(matrix[:, 3], np.abs(z))
    assert matrix[:, 4].tolist() == [0, 0, 1, 1, 1]


def test_the_distance_is_that_from_the_nearer_class():
    features = np.array([[0.0, 0.0], [1.0, 2.0], [4.0, 4.0], [4.0, 7.0]], dtype=np.float32)
    first = FirstAnswers(np.zeros(4), features, STATISTICS)
    expected = [0.0, 1.0, 0.0, math.sqrt(9 / 2)]
    assert np.allclose(gate_matrix(("feature_distance",), first)[:, 0], expected)


def test_a_feature_that_never_moved_says_nothing():
    still = FeatureStatistics(np.zeros((2, 2)), np.array([[0.0, 1.0], [0.0, 1.0]]))
    first = FirstAnswers(np.zeros(1), np.array([[1e-6, 1.0]], dtype=np.float32), still)
    assert gate_matrix(("feature_distance",), first)[0, 0] == pytest.approx(math.sqrt(0.5), rel=1e-3)


def test_the_first_answer_stands_where_the_score_reaches_tau():
    # the score is |logit - 1| - 1
    assert gate(tau=0.5).decide([2.4, 2.5, 1.0, -0.4, -0.5]).tolist() == [-1, 1, -1, -1, 0]
    assert set(gate(tau=math.inf).decide(np.linspace(-99, 99, 50)).tolist()) == {-1}


def test_it_defers_what_is_far_from_training_however_sure_the_logit():
    policy = gate(0.0, ("logit_norm", "feature_distance"), weights=(1.0, -2.0), intercept=0.0)
    usual, strange = np.array([[4.0, 4.0]], np.float32), np.array([[40.0, 4.0]], np.float32)
    assert policy.decide([9.0], usual).tolist() == [1]
    assert policy.decide([9.0], strange).tolist() == [-1]


@pytest.mark.parametrize("features", [None, np.zeros((1, 3), np.float32), np.zeros(2, np.float32)])
def test_missing_or_foreign_features_are_an_error(features):
    with pytest.raises(InferenceError, match="gate"):
        gate(0.0, ("feature_distance",)).decide([1.0], features)


def test_what_a_later_model_says_has_its_place():
    assert {"epistemic", "aleatoric"} <= set(GATE_FEATURES)
    first = FirstAnswers(np.zeros(2), epistemic=np.array([0.1, 0.9]))
    assert gate_matrix(("epistemic",), first)[:, 0].tolist() == [0.1, 0.9]
    with pytest.raises(InferenceError, match="'aleatoric', which this model does not say"):
        gate_matrix(("aleatoric",), first)


def test_an_unknown_feature_names_the_nearest():
    with pytest.raises(ConfigError, match="max_prob"):
        gate_matrix(("max_probs",), FirstAnswers(np.zeros(1)))


def test_a_broken_logit_is_an_error():
    with pytest.raises(InferenceError, match="not finite"):
        gate().decide([math.nan])


@pytest.mark.parametrize("features", [("logit_norm",), ("logit_norm", "feature_distance")])
def test_json_round_trip(features):
    policy = gate(0.25, features)
    text = json.dumps(policy_to_json(policy), allow_nan=False)
    again = policy_from_json(json.loads(text))
    assert json.dumps(policy_to_json(again)) == text
    pictures = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    logits = np.linspace(-4, 4, 30)
    assert np.array_equal(again.decide(logits, pictures), policy.decide(logits, pictures))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"weights": [1.0]}, "weights"),
        ({"scale": [1.0, 0.0]}, "scale"),
        ({"scale": [1.0, -1.0]}, "scale"),
        ({"tau": "high"}, "tau"),
        ({"feature_std": [[1.0, 1.0], [1.0]]}, "lengths"),
        ({"feature_std": [[1.0, -1.0], [1.0, 1.0]]}, "negative"),
        ({"feature_mean": [[1.0, 1.0]]}, "shapes"),
        ({"decision": None}, "decision"),
    ],
)
def test_bad_json_is_refused(change, key):
    value = policy_to_json(gate(0.25, ("logit_norm", "feature_distance")))
    with pytest.raises(BundleError, match=key):
        policy_from_json({**value, **change})


def test_unknown_features_in_json_are_refused():
    value = json.loads(json.dumps(policy_to_json(gate())))
    value["settings"]["features"] = ["logit_norms"]
    with pytest.raises(BundleError, match="logit_norm"):
        policy_from_json(value)


def test_a_score_that_was_not_walked_is_refused(certificate):
    settings = replace(gate().settings, features=("logit_norm",))
    with pytest.raises(BundleError, match="tau"):
        gate(tau=-2.5, settings=settings, certificate=certificate, refusal=None)


@pytest.mark.parametrize("shape", [(2,), (1, 3), (3, 3), (2, 0)])
def test_statistics_of_another_shape_are_refused(shape):
    with pytest.raises(DataError, match="shapes"):
        FeatureStatistics(np.zeros(shape), np.zeros(shape))
