"""The threshold policy: which side of each threshold answers what, and what JSON it accepts."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from workzone.core.errors import BundleError, InferenceError
from workzone.core.types import Verdict
from workzone.policy.policies import POLICIES, policy_from_json, policy_to_json
from workzone.policy.settings import ThresholdSettings
from workzone.policy.threshold import ThresholdPolicy
from workzone.policy.verdicts import CODES

REFUSED = ThresholdPolicy(-math.inf, 0.75, ThresholdSettings(), None, "29 more groups are needed")


def test_roadwork_from_t_hi_on_none_strictly_below_t_lo(policy):
    logits = [-3.0, np.nextafter(-2.5, -9), -2.5, 0.0, np.nextafter(0.75, -9), 0.75, 9.0]
    assert policy.decide(logits).tolist() == [0, 0, -1, -1, -1, 1, 1]
    assert policy.verdicts(logits[:4]) == [Verdict.NONE, Verdict.NONE, Verdict.DEFER, Verdict.DEFER]
    assert policy.decide([[-3.0], [1.0]]).shape == (2, 1)


def test_codes_are_those_of_the_metrics():
    from workzone.metrics.selective import verdict_codes

    assert verdict_codes(CODES).tolist() == list(CODES.values())


def test_equal_thresholds_defer_nothing(certificate, settings):
    walk = replace(certificate.walk, passed=3, chosen=3)
    policy = ThresholdPolicy(0.75, 0.75, settings, replace(certificate, walk=walk), None)
    assert policy.decide([0.7, 0.75]).tolist() == [0, 1]


def test_a_refused_policy_never_answers_none():
    assert set(REFUSED.decide(np.linspace(-1e30, 1e30, 1001)).tolist()) == {-1, 1}
    assert not REFUSED.certified


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_broken_logit_is_an_error_not_a_verdict(policy, bad):
    with pytest.raises(InferenceError, match="1 of 2 logits are not finite"):
        policy.decide([0.0, bad])


@pytest.mark.parametrize("index", [0, 1])
def test_json_round_trip(policy, index):
    one = (policy, REFUSED)[index]
    text = json.dumps(policy_to_json(one), allow_nan=False)
    again = policy_from_json(json.loads(text))
    assert again == one
    assert type(again) is POLICIES[again.kind]
    assert json.dumps(policy_to_json(again)) == text


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"t_hi": math.nan}, "t_hi"),
        ({"t_hi": math.inf}, "t_hi"),
        ({"t_hi": None}, "t_hi"),
        ({"t_hi": "1"}, "t_hi"),
        ({"t_hi": True}, "t_hi"),
        ({"t_hi": -3.0}, "t_lo"),
        ({"t_hi": 0.5}, "certificate.walk.sequence"),
        ({"t_lo": 0.8}, "t_lo"),
        ({"t_lo": -4.0}, "t_lo"),
        ({"t_lo": None}, "t_lo"),
        ({"t_lo": math.nan}, "t_lo"),
        ({"t_lo": -math.inf}, "t_lo"),
        ({"settings": {"surprise": 1}}, "settings"),
        ({"settings": None}, "settings"),
        ({"refusal": "both"}, "refusal"),
        ({"certificate": None}, "refusal"),
        ({"certificate": None, "refusal": ""}, "refusal"),
        ({"certificate": 5}, "certificate"),
        ({"certificate": {}}, "kind"),
        ({"kind": "gates"}, "kind"),
        ({"kind": None}, "kind"),
        ({"extra": 0}, "extra"),
    ],
)
def test_bad_json_is_refused_by_key(policy, change, key):
    with pytest.raises(BundleError, match=key):
        policy_from_json({**policy_to_json(policy), **change})


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"beta": 1.0}, "beta"),
        ({"beta": -0.1}, "beta"),
        ({"delta": 0.0}, "delta"),
        ({"delta": 0.04}, "certificate"),
        ({"limits": []}, "one risk"),
        ({"grid_size": 3}, "grid"),
        ({"counting": "all_frames"}, "certificate"),
        ({"objective": "cost"}, "prices"),
    ],
)
def test_settings_that_are_not_those_of_the_certificate_are_refused(policy, change, key):
    value = json.loads(json.dumps(policy_to_json(policy)))
    value["settings"].update(change)
    with pytest.raises(BundleError, match=key):
        policy_from_json(value)


@pytest.mark.parametrize("key", ["kind", "t_lo", "t_hi", "settings", "certificate", "refusal"])
def test_every_key_is_needed(policy, key):
    value = policy_to_json(policy)
    del value[key]
    with pytest.raises(BundleError, match=key):
        policy_from_json(value)


def test_reading_a_policy_derives_its_certificate_again(policy):
    value = policy_to_json(policy)
    value["certificate"]["claims"][0]["events"] = 0
    with pytest.raises(BundleError, match="rate"):
        policy_from_json(value)


def test_applying_needs_no_scipy():
    code = (
        "import sys, workzone.policy.policies, workzone.policy.calibrators, workzone.policy.binomial as b;"
        "b.clopper_pearson_upper(2, 313, 0.05);"
        "heavy = {'scipy', 'sklearn', 'torch', 'pyarrow', 'pydantic'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
