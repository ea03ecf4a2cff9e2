"""Calibrators applied: against SciPy's expit, rising as they say, and strict in JSON."""

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
    MAX_KNOTS,
    BetaCalibrator,
    IsotonicCalibrator,
    PlattCalibrator,
    PoolCalibrator,
    TemperatureCalibrator,
    VennAbersCalibrator,
    calibrator_from_json,
    calibrator_kind,
    calibrator_to_json,
)

ISOTONIC = IsotonicCalibrator((-1.5, 0.25, 0.5, 3.0), (0.125, 0.125, 0.75, 0.9))
VENN_ABERS = VennAbersCalibrator((-2.0, 0.1, 1.0), (0.05, 0.3, 0.8), (0.2, 0.5, 0.97))
EXAMPLES = [
    TemperatureCalibrator(1.7),
    PlattCalibrator(slope=0.6, intercept=-1.25),
    BetaCalibrator(a=0.3, b=1.9, c=-0.1),
    ISOTONIC,
    VENN_ABERS,
    PoolCalibrator((TemperatureCalibrator(0.4), ISOTONIC, VENN_ABERS), (0.5, 0.2, 0.3)),
]
FLOATS = st.floats(-1e6, 1e6)
PROBS = st.floats(0, 1)


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
    value = calibrator_to_json(calibrator)
    assert json.loads(json.dumps(value, allow_nan=False)) == value  # lists, not tuples: a JSON value
    assert calibrator_from_json(value) == calibrator
    assert type(calibrator) is CALIBRATORS[value["kind"]]
    assert calibrator_kind(calibrator) == value["kind"]


def test_every_kind_has_an_example():
    assert {calibrator_kind(c) for c in EXAMPLES} == set(CALIBRATORS)


@given(data=st.data(), knots=st.lists(FLOATS, min_size=1, max_size=30, unique=True).map(sorted))
def test_json_round_trip_is_exact(data, knots):
    n = len(knots)
    low, high = (sorted(data.draw(st.lists(PROBS, min_size=n, max_size=n))) for _ in range(2))
    p0, p1 = np.minimum(low, high).tolist(), np.maximum(low, high).tolist()
    weight = data.draw(PROBS)
    members = (
        BetaCalibrator(data.draw(st.floats(0, 1e3)), data.draw(st.floats(1e-3, 1e3)), data.draw(FLOATS)),
        IsotonicCalibrator(tuple(knots), tuple(low)),
        VennAbersCalibrator(tuple(knots), tuple(p0), tuple(p1)),
    )
    for calibrator in (*members, PoolCalibrator(members[:2], (weight, 1.0 - weight))):
        text = json.dumps(calibrator_to_json(calibrator))
        assert calibrator_from_json(json.loads(text)) == calibrator


@pytest.mark.parametrize("calibrator", EXAMPLES)
@given(logits=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20).map(sorted))
def test_no_calibrator_ever_falls(calibrator, logits):
    probs = calibrator.apply(logits)
    assert ((probs >= 0) & (probs <= 1)).all()
    assert (np.diff(probs) >= -1e-15).all()  # the rounding of a logarithm


@pytest.mark.parametrize("calibrator", EXAMPLES)
def test_what_is_called_strictly_increasing_is(calibrator):
    probs = calibrator.apply(np.linspace(-30, 15, 500))
    assert calibrator.strictly_increasing == bool((np.diff(probs) > 0).all())


@pytest.mark.parametrize("calibrator", EXAMPLES)
def test_shapes_are_kept_and_scalars_and_nothing_are_taken(calibrator):
    logits = np.array([[-1.0, 0.0, 0.3], [0.25, 2.0, 9.0]])
    probs = calibrator.apply(logits)
    assert probs.shape == (2, 3)
    assert probs[1, 0] == calibrator.apply(0.25)
    assert calibrator.apply([]).shape == (0,)


def test_as_many_knots_as_are_allowed_fit_into_the_manifest():
    rng = np.random.default_rng(0)
    knots = np.sort(rng.normal(size=MAX_KNOTS))
    low, high = np.sort(rng.random((2, MAX_KNOTS)), axis=1)
    calibrator = VennAbersCalibrator(
        tuple(knots.tolist()), tuple(np.minimum(low, high).tolist()), tuple(np.maximum(low, high).tolist())
    )
    assert len(json.dumps({"calibrator": calibrator_to_json(calibrator)}, indent=2)) < 0.9 * (1 << 20)
    with pytest.raises(BundleError, match=str(MAX_KNOTS)):
        IsotonicCalibrator(tuple(float(i) for i in range(MAX_KNOTS + 1)), (0.5,) * (MAX_KNOTS + 1))


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
        ({"kind": "beta", "a": -0.1, "b": 1.0, "c": 0.0}, "'a'"),
        ({"kind": "beta", "a": 1.0, "b": math.inf, "c": 0.0}, "'b'"),
        ({"kind": "beta", "a": 1.0, "b": 1.0, "c": math.nan}, "'c'"),
        ({"kind": "beta", "a": 0.0, "b": 0.0, "c": 1.0}, "a \\+ b"),
        ({"kind": "isotonic", "knots": [], "probs": []}, "knots"),
        ({"kind": "isotonic", "knots": [0.0, 1.0], "probs": [0.5]}, "probs"),
        ({"kind": "isotonic", "knots": [0.0, math.nan], "probs": [0.1, 0.5]}, "knots"),
        ({"kind": "isotonic", "knots": [-math.inf, 0.0], "probs": [0.1, 0.5]}, "knots"),
        ({"kind": "isotonic", "knots": [-1.7e308, 1.7e308], "probs": [0.1, 0.5]}, "further apart"),
        ({"kind": "isotonic", "knots": [1.0, 1.0], "probs": [0.1, 0.5]}, "rise strictly"),
        ({"kind": "isotonic", "knots": [0.0, 1.0], "probs": [0.5, 0.1]}, "do not fall"),
        ({"kind": "isotonic", "knots": [0.0, 1.0], "probs": [0.5, 1.1]}, "\\[0, 1\\]"),
        ({"kind": "isotonic", "knots": [0.0, True], "probs": [0.5, 0.6]}, "knots"),
        ({"kind": "isotonic", "knots": "01", "probs": [0.5, 0.6]}, "knots"),
        ({"kind": "venn_abers", "knots": [0.0], "p0": [0.6], "p1": [0.5]}, "nowhere above"),
        ({"kind": "venn_abers", "knots": [0.0], "p0": [0.6]}, "p1"),
        ({"kind": "venn_abers", "knots": [0.0, 1.0], "p0": [0.1, 0.2], "p1": [0.9, 0.3]}, "do not fall"),
        ({"kind": "pool", "members": [], "weights": []}, "members"),
        ({"kind": "pool", "members": [calibrator_to_json(ISOTONIC)], "weights": [0.9]}, "sum to"),
        ({"kind": "pool", "members": [calibrator_to_json(ISOTONIC)], "weights": [math.nan]}, "weights"),
        ({"kind": "pool", "members": [calibrator_to_json(ISOTONIC)], "weights": [0.5, 0.5]}, "2 'weights'"),
        ({"kind": "pool", "members": [calibrator_to_json(ISOTONIC)] * 2, "weights": [1.5, -0.5]}, "weights"),
        ({"kind": "pool", "members": [{"kind": "cube"}], "weights": [1.0]}, "cube"),
        ({"kind": "pool", "members": [3], "weights": [1.0]}, "kind"),
        ({"kind": "pool", "members": [calibrator_to_json(EXAMPLES[-1])], "weights": [1.0]}, "no pools"),
        ({"kind": "pool", "members": [calibrator_to_json(ISOTONIC)] * 17, "weights": [1 / 17] * 17}, "16"),
    ],
)
def test_bad_json_is_refused_by_key(value, key):
    with pytest.raises(BundleError, match=key):
        calibrator_from_json(value)
