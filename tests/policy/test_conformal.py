"""Conformal policies: what each region of the logit answers, and what JSON is taken."""

import json
import math

import numpy as np
import pytest

from workzone.core.errors import BundleError, ConfigError
from workzone.policy.conformal import ConformalPolicy
from workzone.policy.policies import policy_from_json, policy_to_json
from workzone.policy.risks import Risk
from workzone.policy.settings import ConformalMethod, ConformalSettings, RiskLimit

SETS = ConformalSettings(
    ConformalMethod.SETS, (RiskLimit(Risk.COMMITTED_MISS_RATE, 0.02), RiskLimit(Risk.FALSE_ALARM_RATE, 0.05))
)
SCRC = ConformalSettings(ConformalMethod.SCRC, (RiskLimit(Risk.SELECTIVE_FNR, 0.02),))
WHY = "not enough groups"


def test_sets_answer_at_the_ends_and_defer_between():
    policy = ConformalPolicy(-1.0, 2.0, math.inf, math.inf, SETS, None, WHY)
    assert policy.decide([-2.0, -1.0, 1.9, 2.0]).tolist() == [0, -1, -1, 1]
    assert policy.thresholds == (-1.0, 2.0)


@pytest.mark.parametrize(
    ("t", "codes"),
    [(-3.0, [0, 1, -1, 1]), (0.0, [0, 0, -1, 1]), (3.0, [0, 0, -1, 0]), (-math.inf, [1, 1, -1, 1])],
)
def test_selective_risk_control_defers_the_band_and_answers_the_rest(t, codes):
    policy = ConformalPolicy(t, t, -1.0, 1.0, SCRC, None, WHY)
    assert policy.decide([-4.0, -2.0, 0.5, 2.0]).tolist() == codes
    assert "none" in policy.rule


@pytest.mark.parametrize(
    "policy",
    [
        ConformalPolicy(-1.0, 2.0, math.inf, math.inf, SETS, None, WHY),
        ConformalPolicy(-math.inf, math.inf, math.inf, math.inf, SETS, None, WHY),
        ConformalPolicy(0.5, 0.5, -1.0, 1.0, SCRC, None, WHY),
        ConformalPolicy(-math.inf, -math.inf, -1.0, 1.0, SCRC, None, WHY),
    ],
)
def test_json_round_trip(policy):
    text = json.dumps(policy_to_json(policy), allow_nan=False)
    again = policy_from_json(json.loads(text))
    assert json.dumps(policy_to_json(again)) == text
    logits = np.linspace(-5, 5, 41)
    assert np.array_equal(again.decide(logits), policy.decide(logits))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"none_below": 3.0}, "none_below"),
        ({"band": [1.0, -1.0]}, "band_low"),
        ({"band": [1.0]}, "band"),
        ({"settings": 1}, "settings"),
        ({"refusal": None}, "refusal"),
        ({"extra": 1}, "extra"),
    ],
)
def test_bad_json_is_refused_by_key(change, key):
    value = policy_to_json(ConformalPolicy(-1.0, 2.0, math.inf, math.inf, SETS, None, WHY))
    with pytest.raises(BundleError, match=key):
        policy_from_json({**value, **change})


def test_a_ratio_has_no_conformal_average():
    with pytest.raises(ConfigError, match="scrc"):
        ConformalSettings(ConformalMethod.CRC, (RiskLimit(Risk.SELECTIVE_FNR, 0.02),))
    with pytest.raises(ConfigError, match="one level for each class"):
        ConformalSettings(ConformalMethod.SETS, (RiskLimit(Risk.COMMITTED_MISS_RATE, 0.02),))


def test_a_certificate_of_the_other_kind_is_refused(certificate):
    with pytest.raises(BundleError, match="certificate"):
        ConformalPolicy(-1.0, 2.0, math.inf, math.inf, SETS, certificate, None)
    average = ConformalSettings(ConformalMethod.CRC, (RiskLimit(Risk.COMMITTED_MISS_RATE, 0.02),))
    with pytest.raises(BundleError, match="certificate"):
        ConformalPolicy(-1.0, 2.0, math.inf, math.inf, average, certificate, None)
