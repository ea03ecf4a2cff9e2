"""Calibrators applied: against SciPy's expit, strictly increasing, and strict in JSON."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from workzone.core.errors import BundleError
from workzone.policy.calibrators import (
    CALIBRATORS,
    PlattCalibrator,
    TemperatureCalibrator,
    calibrator_from_json,
    calibrator_to_json,
)

EXAMPLES = [TemperatureCalibrator(1.7), PlattCalibrator(slope=0.6, intercept=-1.25)]


def test_apply_is_the_formula_and_never_overflows():
    logits = np.array([[-1e4, -3.0], [0.0, 2.5], [40.0, 1e4]])
    assert np.allclose(TemperatureCalibrator(2.0).apply(logits), expit(logits / 2), rtol=1e-12)
    assert np.allclose(PlattCalibrator(0.5, -1.0).apply(logits), expit(logits / 2 - 1), rtol=1e-12)


@given(a=st.floats(-20, 20), step=st.floats(0.01, 5), slope=st.floats(0.1, 1.5), intercept=st.floats(-3, 3))
def test_calibrators_rise_strictly(a, step, slope, intercept):
    for calibrator in (TemperatureCalibrator(1 / slope), PlattCalibrator(slope, intercept)):
        low, high = calibrator.apply([a, a + step])
        assert 0.0 <= low < high <= 1.0 or low == high == 1.0  # saturated in float64


@pytest.mark.parametrize("calibrator", EXAMPLES)
def test_json_round_trip(calibrator):
    text = json.dumps(calibrator_to_json(calibrator), allow_nan=False)
    assert calibrator_from_json(json.loads(text)) == calibrator
    assert calibrator_to_json(calibrator)["kind"] in CALIBRATORS


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ({"kind": "temperature"}, "temperature"),
        ({"kind": "temperature", "temperature": "1"}, "temperature"),
        ({"kind": "temperature", "temperature": True}, "temperature"),
        ({"kind": "temperature", "temperature": math.nan}, "temperature"),
        ({"kind": "temperature", "temperature": 0.0}, "temperature"),
        ({"kind": "temperature", "temperature": -2}, "temperature"),
        ({"kind": "temperature", "temperature": 1.0, "bias": 0.0}, "bias"),
        ({"kind": "platt", "slope": -1.0, "intercept": 0.0}, "slope"),
        ({"kind": "platt", "slope": 1.0, "intercept": math.inf}, "intercept"),
        ({"kind": "plat", "slope": 1.0, "intercept": 0.0}, "Did you mean 'platt'"),
        ({"slope": 1.0, "intercept": 0.0}, "kind"),
        ([1.0], "kind"),
    ],
)
def test_bad_json_is_refused_by_key(value, key):
    with pytest.raises(BundleError, match=key):
        calibrator_from_json(value)
