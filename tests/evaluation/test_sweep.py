"""A sweep answers as the metrics say, passes through the policy, and its oracle is the best by brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workzone.core.scores import Scores
from workzone.evaluation.sweep import oracle_coverage, policy_sweep, sweep_curve
from workzone.metrics.selective import fnr_coverage, for_coverage, selective_counts
from workzone.policy.risks import RISKS, Risk, empirical_risk
from workzone.policy.settings import RiskLimit

ALL_KINDS = ("threshold", "frames", "two", "precision", "gate", "sets", "crc", "scrc")


@pytest.fixture(scope="module")
def scores(role):
    rng = np.random.default_rng(0)
    n = 240
    labels = (np.arange(n) % 2).astype(np.int8)
    logits = np.round(np.where(labels == 1, 1.2, -1.2) + rng.normal(size=n), 1)  # many ties
    return role("test", _scores(n, labels, logits))


def _scores(n, labels, logits):
    ids = np.array([f"{i:04d}" for i in range(n)])
    return Scores(ids, labels, np.zeros(n, bool), ids, logits, np.zeros((n, 2), np.float32))


def test_two_thresholds_sweep_as_the_metrics_do(scores, kinds):
    policy = kinds["threshold"]
    sweep = policy_sweep(policy, scores.logits, scores.features)
    for risk, metric in ((Risk.SELECTIVE_FNR, fnr_coverage), (Risk.FALSE_OMISSION_RATE, for_coverage)):
        found = sweep_curve(sweep, scores.labels, RISKS[risk])
        expected = metric(scores.labels, scores.logits, policy.t_hi)
        np.testing.assert_allclose(found.coverage, expected.coverage)
        np.testing.assert_allclose(found.risk, expected.risk)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_sweep_passes_through_its_policy_and_ends_with_everything(scores, kinds, kind):
    policy = kinds[kind]
    codes = policy.decide(scores.logits, scores.features)
    sweep = policy_sweep(policy, scores.logits, scores.features)
    counts = selective_counts(scores.labels, codes)
    for risk in Risk:
        curve = sweep_curve(sweep, scores.labels, RISKS[risk])
        place = int(np.argmin(np.abs(curve.coverage - counts.coverage)))
        events, counted = empirical_risk(risk, scores.labels, codes)
        assert curve.coverage[place] == pytest.approx(counts.coverage)
        assert curve.risk[place] == pytest.approx(events / counted)
        assert curve.coverage[-1] == 1.0
        assert (np.diff(curve.coverage) > 0).all()


@pytest.mark.parametrize("kind", ["threshold", "gate"])
@pytest.mark.parametrize("alpha", [0.001, 0.03, 0.1, 0.5])
def test_the_oracle_is_the_best_of_all_rules_by_brute_force(scores, kinds, kind, alpha):
    policy = kinds[kind]
    limits = (RiskLimit(Risk.SELECTIVE_FNR, alpha), RiskLimit(Risk.FALSE_OMISSION_RATE, 2 * alpha - 1e-9))
    best = 0.0
    if kind == "gate":
        score = policy.score(scores.logits, scores.features)
        rules = [replace(policy, tau=tau, certificate=None, refusal="-") for tau in [*score, np.inf]]
    else:
        lows = np.unique(np.append(scores.logits[scores.logits <= policy.t_hi], [-np.inf, policy.t_hi]))
        rules = [replace(policy, t_lo=t, certificate=None, refusal="-") for t in lows]
    for rule in rules:
        codes = rule.decide(scores.logits, scores.features)
        risks = [(empirical_risk(limit.risk, scores.labels, codes), limit.alpha) for limit in limits]
        if all(not n or k / n <= a for (k, n), a in risks):
            best = max(best, float(np.mean(codes != -1)))
    sweep = policy_sweep(policy, scores.logits, scores.features)
    assert oracle_coverage(sweep, scores.labels, limits) == pytest.approx(best)


def test_weights_are_repetitions(scores, kinds):
    rows = np.random.default_rng(3).integers(len(scores.ids), size=len(scores.ids))
    weights = np.bincount(rows, minlength=len(scores.ids))
    policy, definition = kinds["gate"], RISKS[Risk.COMMITTED_MISS_RATE]
    found = sweep_curve(
        policy_sweep(policy, scores.logits, scores.features), scores.labels, definition, weights
    )
    drawn = scores.take(rows)
    again = sweep_curve(policy_sweep(policy, drawn.logits, drawn.features), drawn.labels, definition)
    points = dict(zip(np.round(again.coverage, 9).tolist(), again.risk.tolist(), strict=True))
    seen = dict(zip(np.round(found.coverage, 9).tolist(), found.risk.tolist(), strict=True))
    assert points == pytest.approx({c: seen[c] for c in points}, nan_ok=True)


@pytest.mark.parametrize("n", [1, 2])
def test_few_pictures_and_one_class_are_swept(kinds, n):
    few = _scores(n, np.zeros(n, np.int8), np.full(n, -3.0))
    sweep = policy_sweep(kinds["threshold"], few.logits, few.features)
    curve = sweep_curve(sweep, few.labels, RISKS[Risk.SELECTIVE_FNR])
    assert curve.coverage.tolist() == [0.0, 1.0]
    assert np.isnan(curve.risk).all()
    assert oracle_coverage(sweep, few.labels, (RiskLimit(Risk.SELECTIVE_FNR, 0.1),)) == 1.0
