"""Isotonic and Venn–Abers maps applied: against scikit-learn, and at, between and beyond their knots."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from workzone.policy.step_calibrators import IsotonicCalibrator, VennAbersCalibrator

VENN_ABERS = VennAbersCalibrator((-2.0, 0.5, 1.0), (0.05, 0.3, 0.8), (0.2, 0.5, 0.97))


def test_isotonic_is_scikit_learns_map():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(x, rng.random(200) < 1 / (1 + np.exp(-2 * x)))
    ours = IsotonicCalibrator(tuple(theirs.X_thresholds_.tolist()), tuple(theirs.y_thresholds_.tolist()))
    grid = np.concatenate([np.linspace(-9, 9, 1001), x])
    assert ours.apply(grid) == pytest.approx(theirs.predict(grid), abs=1e-12)


def test_isotonic_at_between_and_beyond_its_knots():
    calibrator = IsotonicCalibrator((-1.0, 1.0, 2.0), (0.2, 0.4, 0.4))
    expected = [0.2, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4]
    assert calibrator.apply([-1e308, -1.0, 0.0, 1.0, 1.5, 2.0, 1e308]) == pytest.approx(expected)
    assert IsotonicCalibrator((0.0,), (0.7,)).apply([-1.0, 0.0, 1.0]).tolist() == [0.7] * 3


@given(logits=st.lists(st.floats(-1e-300, 1e-300), max_size=9))
def test_isotonic_stays_between_its_knots_however_close_they_are(logits):
    calibrator = IsotonicCalibrator((-1e-300, 5e-324, 1e-309), (0.1, 0.3, 0.9))
    probs = calibrator.apply(sorted(logits))
    assert ((probs >= 0.1) & (probs <= 0.9)).all()
    assert (np.diff(probs) >= 0).all()


def test_venn_abers_takes_p0_from_the_knot_below_and_p1_from_the_knot_above():
    p0, p1 = VENN_ABERS.interval([-3.0, -2.0, 0.0, 0.5, 0.75, 1.0, 1.5])
    assert p0.tolist() == [0.0, 0.05, 0.05, 0.3, 0.3, 0.8, 0.8]
    assert p1.tolist() == [0.2, 0.2, 0.5, 0.5, 0.97, 0.97, 1.0]


@given(logits=st.lists(st.floats(-1e3, 1e3), min_size=1))
def test_venn_abers_lies_between_its_two_probabilities(logits):
    p0, p1 = VENN_ABERS.interval(logits)
    p = VENN_ABERS.apply(logits)
    assert (p0 <= p1).all()
    assert ((p0 <= p) & (p <= p1)).all()
    assert p == pytest.approx(p1 / (1 - p0 + p1))
