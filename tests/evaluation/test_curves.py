"""The drawn curves pass through the measured points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from workzone.evaluation.curves import MAX_POINTS


def test_fnr_coverage_passes_through_the_policy(draw, measured):
    found = measured(draw())
    curve = found.curves.fnr_coverage
    place = int(np.argmin(np.abs(np.array(curve.x) - found.measure("coverage").estimate)))
    assert curve.x[place] == pytest.approx(found.measure("coverage").estimate)
    assert curve.y[place] == pytest.approx(found.measure("selective_fnr").estimate)
    assert curve.y[0] == 0.0
    assert curve.x[-1] == 1.0


def test_for_coverage_passes_through_the_policy(draw, measured, kinds):
    for policy in kinds.values():
        scores = draw()
        scores = replace(scores, features=np.zeros((len(scores.ids), 2), dtype=np.float32))
        found = measured(scores, policy=policy, n_resamples=20)
        curve, coverage = found.curves.for_coverage, found.measure("coverage").estimate
        place = int(np.argmin(np.abs(np.array(curve.x) - coverage)))
        assert curve.x[place] == pytest.approx(coverage)
        assert curve.y[place] == pytest.approx(found.measure("false_omission_rate").estimate)


def test_risk_at_full_coverage_is_the_error_rate(draw, measured):
    found = measured(draw())
    assert found.curves.risk_coverage.x[-1] == 1.0
    assert found.curves.risk_coverage.y[-1] == pytest.approx(1 - found.measure("accuracy").estimate)


def test_thinned_curves_keep_their_ends_and_area(draw, measured):
    scores = draw(n_groups=1500, per_group=1)
    roc = measured(scores, n_resamples=20).curves.roc
    assert len(roc.x) <= MAX_POINTS
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert np.trapezoid(roc.y, roc.x) == pytest.approx(
        sk.roc_auc_score(scores.labels, scores.logits), abs=0.003
    )


def test_reliability_bins_hold_every_picture_once(draw, measured):
    found = measured(draw())
    bins = found.curves.reliability
    assert sum(b.positive_rate.n for b in bins) == found.n
    positives = sum(b.positive_rate.n * b.positive_rate.estimate for b in bins if b.positive_rate.n)
    assert positives == pytest.approx(found.n_positives)
    assert all(b.low_prob <= b.mean_prob <= b.high_prob for b in bins if b.mean_prob is not None)
    empty = [b for b in bins if b.positive_rate.n == 0]
    assert all(b.mean_prob is None and b.positive_rate.estimate is None for b in empty)


def test_curves_of_one_class_are_empty_not_nan(draw, measured):
    scores = draw()
    curves = measured(scores.take(scores.labels == 0)).curves
    assert curves.roc.x == ()
    assert curves.precision_recall.x == ()
