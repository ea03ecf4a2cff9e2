"""The closed forms of the known populations, against counts of what they draw."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.populations import Scored, TwoFeatures, exact_risk, in_groups, ungrouped
from benchmarks.shapes import SHAPES

from workzone.core.types import Verdict
from workzone.policy.risks import Population, Risk, empirical_risk
from workzone.policy.verdicts import CODES

N = 200_000
RULES = [(-2.0, 0.5), (-0.4, 1.3), (0.75, 0.75), (1.2, 3.0)]


def said(logits, t_lo, t_hi, band=None):
    codes = np.full(len(logits), CODES[Verdict.DEFER], dtype=np.int8)
    codes[logits < t_lo] = CODES[Verdict.NONE]
    codes[logits >= t_hi] = CODES[Verdict.ROADWORK]
    if band is not None:
        codes[(logits >= band[0]) & (logits < band[1])] = CODES[Verdict.DEFER]
    return codes


def agrees(exact, events, counted):
    """Within four standard errors of the count."""
    assert counted > 1000
    error = np.sqrt(max(exact * (1 - exact), 1 / counted) / counted)
    assert events / counted == pytest.approx(exact, abs=4 * error)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("risk", Risk)
def test_every_risk_of_every_shape_is_what_is_counted(shape, risk):
    population = Scored(shape, prevalence=0.3)
    sample = population.draw(np.random.default_rng(11), N)
    for t_lo, t_hi in RULES:
        exact = population.risk(risk, np.array([t_lo]), np.array([t_hi]))[0]
        agrees(exact, *empirical_risk(risk, sample.grouped.labels, said(sample.logits, t_lo, t_hi)))


@pytest.mark.parametrize("risk", Risk)
@pytest.mark.parametrize("t", [-1.5, 0.3, 1.9])
def test_a_deferred_band_is_taken_out(risk, t):
    population, band = Scored("skewed"), (-0.2, 1.0)
    sample = population.draw(np.random.default_rng(12), N)
    exact = population.risk(risk, np.array([t]), np.array([t]), band)[0]
    agrees(exact, *empirical_risk(risk, sample.grouped.labels, said(sample.logits, t, t, band)))


@pytest.mark.parametrize("shape", SHAPES)
def test_coverage_is_what_is_counted(shape):
    population = Scored(shape, prevalence=0.3)
    sample = population.draw(np.random.default_rng(13), N)
    for t_lo, t_hi in RULES:
        exact = population.coverage(np.array([t_lo]), np.array([t_hi]))[0]
        agrees(exact, int((said(sample.logits, t_lo, t_hi) != CODES[Verdict.DEFER]).sum()), N)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_law_runs_from_0_to_1_and_never_falls(shape):
    thresholds = np.concatenate([[-np.inf], np.linspace(-30, 30, 2001), [np.inf]])
    for label in (0, 1):
        below = SHAPES[shape].below(thresholds, label)
        assert below[0] == 0.0
        assert below[-1] == 1.0
        assert (np.diff(below) >= -1e-15).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_scores_rise_with_the_latent_and_are_finite(shape):
    latent = np.linspace(-8, 8, 4001)
    for label in (0, 1):
        scores = SHAPES[shape].scores(latent, label)
        assert np.isfinite(scores).all()
        assert (np.diff(scores) >= 0).all()


def test_three_steps_have_a_stretch_along_which_the_false_omission_rate_stays():
    thresholds = np.linspace(-4.0, -1.0, 50)
    flat = Scored("three_steps").risk(Risk.FALSE_OMISSION_RATE, thresholds, np.full(50, 9.0))
    np.testing.assert_allclose(flat, 0.041 / 0.741, rtol=1e-12)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_frames_of_a_group_share_label_and_correlation_but_not_the_law(correlation):
    population = Scored(frames=4, correlation=correlation)
    sample = population.draw(np.random.default_rng(14), 50_000)
    labels = sample.grouped.labels.reshape(-1, 4)
    assert (labels == labels[:, :1]).all()
    positives = sample.logits.reshape(-1, 4)[labels[:, 0] == 1]
    assert np.corrcoef(positives[:, 0], positives[:, 3])[0, 1] == pytest.approx(correlation, abs=0.02)
    t_lo, t_hi = np.array([0.5]), np.array([1.5])
    single = Scored().risk(Risk.SELECTIVE_FNR, t_lo, t_hi)
    assert population.risk(Risk.SELECTIVE_FNR, t_lo, t_hi) == single
    frame = empirical_risk(
        Risk.SELECTIVE_FNR, labels[:, 2], said(sample.logits.reshape(-1, 4)[:, 2], 0.5, 1.5)
    )
    agrees(single[0], *frame)


def test_the_two_features_show_the_difficulty():
    sample = TwoFeatures(frames=4, correlation=0.9).draw(np.random.default_rng(15), 20_000)
    positive = sample.grouped.labels == 1
    hard = sample.features[:, 1] > 1.0
    assert sample.features.shape == (80_000, 2)
    assert sample.logits[positive & hard].std() > 1.5 * sample.logits[positive & ~hard].std()


def test_one_picture_of_each_group_is_chosen_and_the_naive_count_takes_all():
    labels = np.repeat(np.array([1, 0, 1], dtype=np.int8), 4)
    grouped = in_groups(labels, 4)
    assert grouped.n_groups == 3
    assert grouped.chosen[Population.POSITIVES].tolist() == [0, 8]
    assert grouped.chosen[Population.NEGATIVES].tolist() == [4]
    assert grouped.chosen[Population.ALL].tolist() == [0, 4, 8]
    assert grouped.groups.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    naive = ungrouped(grouped)
    assert naive.n_groups == 12
    assert naive.chosen[Population.POSITIVES].tolist() == [0, 1, 2, 3, 8, 9, 10, 11]


def test_a_risk_of_a_rule_that_says_nothing_is_0_and_a_nan_is_not_hidden():
    nothing, nan = [np.zeros(1), np.zeros(1)], [np.array([np.nan])] * 2
    assert exact_risk(Risk.FALSE_OMISSION_RATE, 0.5, nothing, nothing).tolist() == [0.0]
    assert np.isnan(exact_risk(Risk.FALSE_OMISSION_RATE, 0.5, nan, nan)).all()
