"""Measures with deferral: by hand, by identity, and the published check values of AURC and AUGRC."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from workzone.core.errors import DataError
from workzone.core.types import Verdict
from workzone.metrics.selective import (
    SelectiveCurve,
    coverage_at_risk,
    fnr_coverage,
    for_coverage,
    risk_coverage,
    selective_counts,
    verdict_codes,
)


def test_by_hand() -> None:
    labels = [1] * 10 + [0] * 20
    codes = [1] * 6 + [0] * 2 + [-1] * 2 + [1] * 3 + [0] * 12 + [-1] * 5
    counts = selective_counts(labels, codes)
    assert (counts.tp, counts.fn, counts.deferred_positives) == (6, 2, 2)
    assert (counts.fp, counts.tn, counts.deferred_negatives) == (3, 12, 5)
    assert counts.selective_fnr == 2 / 8
    assert counts.committed_miss_rate == 2 / 10
    assert counts.false_omission_rate == 2 / 14
    assert counts.false_alarm_rate == 3 / 20
    assert counts.coverage == 23 / 30
    assert counts.positive_coverage == 8 / 10
    assert counts.answered_accuracy == 18 / 23
    assert counts.answered.recall == 6 / 8
    assert (counts.n, counts.n_answered) == (30, 23)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-1, 1)), min_size=1, max_size=50))
def test_committed_miss_rate_is_selective_fnr_times_positive_coverage(rows) -> None:
    labels, codes = zip(*rows, strict=True)
    counts = selective_counts(labels, codes)
    assert counts.n == len(rows)
    if counts.tp + counts.fn:
        product = counts.selective_fnr * counts.positive_coverage
        assert counts.committed_miss_rate == pytest.approx(product)
        assert counts.committed_miss_rate <= counts.selective_fnr
    elif counts.n_positives:
        assert math.isnan(counts.selective_fnr)
        assert counts.committed_miss_rate == 0


def test_rates_without_a_denominator_are_nan() -> None:
    counts = selective_counts([0, 0], [-1, -1])
    for name in ("selective_fnr", "committed_miss_rate", "false_omission_rate", "answered_accuracy"):
        assert math.isnan(getattr(counts, name))
    assert counts.coverage == 0
    assert counts.false_alarm_rate == 0


def test_codes_of_verdicts() -> None:
    codes = verdict_codes([Verdict.ROADWORK, "none", Verdict.DEFER])
    assert codes.dtype == np.int8
    assert codes.tolist() == [1, 0, -1]
    with pytest.raises(DataError, match="perhaps"):
        verdict_codes(["perhaps"])
    with pytest.raises(DataError, match="Verdict codes"):
        selective_counts([0, 1], [0, 2])
    with pytest.raises(DataError, match="2 labels"):
        selective_counts([0, 1], [0])


def errors_and_confidence(n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    confidence = rng.random(n)
    return (rng.random(n) < 0.3 * (1 - confidence) + 0.01).astype(int), confidence


@pytest.mark.parametrize("decimals", [15, 1])
def test_augrc_equals_its_closed_form_ties_included(decimals: int) -> None:
    wrong, confidence = errors_and_confidence()
    confidence = confidence.round(decimals)
    accuracy = 1 - wrong.mean()
    ranking = roc_auc_score(1 - wrong, confidence)
    expected = (1 - ranking) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    assert risk_coverage(wrong, confidence).augrc == pytest.approx(expected, abs=1e-15)


def test_optimal_and_uninformative_confidence() -> None:
    wrong, _ = errors_and_confidence()
    rate = wrong.mean()
    best = risk_coverage(wrong, 1.0 - wrong)
    assert best.augrc == pytest.approx(rate**2 / 2)
    assert best.aurc == pytest.approx(rate + (1 - rate) * math.log(1 - rate), abs=2e-3)
    constant = risk_coverage(wrong, np.zeros(len(wrong)))
    assert constant.augrc == pytest.approx(rate / 2)
    assert constant.aurc == pytest.approx(rate)
    assert constant.coverage.tolist() == [1.0]


def test_the_curve_and_aurc_by_a_loop() -> None:
    wrong, confidence = errors_and_confidence(300)
    order = np.argsort(-confidence)
    running = [wrong[order][:k].mean() for k in range(1, 301)]
    curve = risk_coverage(wrong, confidence)
    np.testing.assert_allclose(curve.risk, running)
    np.testing.assert_allclose(curve.coverage, np.arange(1, 301) / 300)
    assert curve.aurc == pytest.approx(np.mean(running))


def test_ties_are_answered_in_random_order() -> None:
    wrong = np.array([0, 1, 0, 1, 1, 0])
    confidence = np.array([2.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    rng = np.random.default_rng(0)
    means = [risk_coverage(wrong, confidence + 1e-6 * rng.random(6)).aurc for _ in range(4000)]
    assert risk_coverage(wrong, confidence).aurc == pytest.approx(np.mean(means), abs=3e-3)


def test_confidences_must_be_finite() -> None:
    with pytest.raises(DataError, match="finite"):
        risk_coverage([0, 1], [0.1, np.nan])


def test_published_values_of_the_optimal_confidence() -> None:
    """4,000 pictures with 638 errors (15.95 %), all of them deferred first."""
    wrong = np.repeat([1, 0], [638, 3362])
    best = risk_coverage(wrong, 1.0 - wrong + 1e-9 * np.arange(4000) * (1 - wrong))
    assert best.augrc == pytest.approx(0.0127201, abs=5e-8)
    assert best.augrc == pytest.approx(0.1595**2 / 2, abs=1e-15)
    assert best.aurc == pytest.approx(0.013476, abs=5e-7)
    assert 0.1595 + 0.8405 * math.log(0.8405) == pytest.approx(0.013456, abs=5e-7)
    rng = np.random.default_rng(0)
    blind = [risk_coverage(wrong, rng.random(4000)).augrc for _ in range(50)]
    assert np.mean(blind) == pytest.approx(0.1595 / 2, abs=1e-3)
    assert pytest.approx(0.1595 / 2, abs=4 * np.std(blind)) == 0.0792


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=1, max_size=40),
    st.sampled_from([-9.0, 0.0, 1.5, math.inf]),
)
def test_every_point_of_the_curves_is_a_policys_counts(rows, t_hi) -> None:
    labels, logits = (np.array(column) for column in zip(*rows, strict=True))
    fnr, omission = fnr_coverage(labels, logits, t_hi), for_coverage(labels, logits, t_hi)
    lower = [-math.inf, *(np.unique(logits[logits < t_hi]) + 0.5)]
    assert len(fnr.coverage) == len(omission.coverage) == len(lower)
    for place, t_lo in enumerate(lower):
        codes = np.where(logits >= t_hi, 1, np.where(logits < t_lo, 0, -1))
        counts = selective_counts(labels, codes)
        assert fnr.coverage[place] == omission.coverage[place] == pytest.approx(counts.coverage)
        np.testing.assert_allclose(fnr.risk[place], counts.selective_fnr)
        np.testing.assert_allclose(omission.risk[place], counts.false_omission_rate)
    assert fnr.coverage[-1] == 1
    assert (np.diff(fnr.coverage) > 0).all()


def test_coverage_at_a_risk_is_the_largest_at_which_it_holds() -> None:
    curve = SelectiveCurve(np.array([0.4, 0.6, 0.8, 1.0]), np.array([np.nan, 0.01, 0.05, 0.02]))
    assert coverage_at_risk(curve, 0.0) == 0.4  # nothing answered "none" yet, nothing missed
    assert coverage_at_risk(curve, 0.01) == 0.6
    assert coverage_at_risk(curve, 0.02) == 1.0
    assert coverage_at_risk(SelectiveCurve(np.array([0.5, 1.0]), np.array([0.1, 0.2])), 0.05) == 0.0
    wrong, confidence = errors_and_confidence(500)
    whole = risk_coverage(wrong, confidence)
    assert coverage_at_risk(whole, 1.0) == 1.0
    found = coverage_at_risk(whole, 0.1)
    assert whole.risk[whole.coverage == found] <= 0.1
    assert (whole.risk[whole.coverage > found] > 0.1).all()


def test_curves_of_scores_without_order_or_class() -> None:
    constant = fnr_coverage([0, 1, 1], [2.0, 2.0, 2.0], 3.0)
    assert constant.coverage.tolist() == [0.0, 1.0]
    assert math.isnan(constant.risk[0])
    assert constant.risk[1] == 1
    assert for_coverage([0, 1, 1], [2.0, 2.0, 2.0], 3.0).risk[1] == pytest.approx(2 / 3)
    above = fnr_coverage([0, 1, 1], [2.0, 2.0, 2.0], 1.0)
    assert (above.coverage.tolist(), above.risk.tolist()) == ([1.0], [0.0])
    assert np.isnan(fnr_coverage([0, 0], [0.0, 1.0], 0.5).risk).all()


@pytest.mark.parametrize(("logits", "t_hi"), [([0.0, np.nan], 1.0), ([0.0], 1.0), ([0.0, 1.0], math.nan)])
def test_curves_refuse_what_is_no_logit(logits, t_hi) -> None:
    with pytest.raises(DataError, match="finite"):
        fnr_coverage([0, 1], logits, t_hi)


def test_a_risk_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match="risk"):
        coverage_at_risk(SelectiveCurve(np.ones(1), np.ones(1)), 1.5)
