"""The closed form of the unequal groups, against a large draw weighted as the estimand says."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.populations import of_groups
from benchmarks.redraws import as_scores
from benchmarks.unequal_groups import KINDS, UnequalGroups

from workzone.calibration.groups import group_pictures
from workzone.core.types import Verdict
from workzone.policy.risks import RISKS, Population, Risk
from workzone.policy.verdicts import CODES

N = 100_000
RULES = [(-1.0, 0.8), (0.0, 1.2), (0.6, 0.6)]


@pytest.fixture(scope="module")
def sample():
    return UnequalGroups().draw(np.random.default_rng(21), N)


def said(logits, t_lo, t_hi):
    codes = np.where(logits < t_lo, CODES[Verdict.NONE], CODES[Verdict.DEFER])
    return np.where(logits >= t_hi, CODES[Verdict.ROADWORK], codes).astype(np.int8)


def exact(risk, t_lo, t_hi):
    return UnequalGroups().risk(risk, np.array([t_lo]), np.array([t_hi]))[0]


@pytest.mark.parametrize("risk", Risk)
@pytest.mark.parametrize(("t_lo", "t_hi"), RULES)
def test_a_risk_is_that_of_a_group_with_such_a_picture_then_one_of_them(sample, risk, t_lo, t_hi):
    definition, codes = RISKS[risk], said(sample.logits, t_lo, t_hi)
    rows = sample.grouped.rows(definition.population)
    weights = 1.0 / sample.grouped.sizes(definition.population)[sample.grouped.groups[rows]]
    counted = definition.counts(codes[rows])
    events = definition.events(sample.grouped.labels[rows], codes[rows])
    error = np.sqrt(0.25 / (weights * counted).sum())
    weighted = (weights * events).sum() / (weights * counted).sum()
    assert exact(risk, t_lo, t_hi) == pytest.approx(weighted, abs=3 * error)
    one = sample.grouped.chosen[definition.population]  # the picture that stands for its group
    single = (
        definition.events(sample.grouped.labels[one], codes[one]).sum() / definition.counts(codes[one]).sum()
    )
    assert exact(risk, t_lo, t_hi) == pytest.approx(single, abs=3 * error)


def test_every_picture_alike_is_another_and_smaller_risk(sample):
    """Else a wrong weighting could not show."""
    for risk in (Risk.SELECTIVE_FNR, Risk.COMMITTED_MISS_RATE, Risk.FALSE_OMISSION_RATE):
        definition, codes = RISKS[risk], said(sample.logits, 0.0, 1.2)
        rows = sample.grouped.rows(definition.population)
        events = definition.events(sample.grouped.labels[rows], codes[rows]).sum()
        assert events / definition.counts(codes[rows]).sum() < 0.6 * exact(risk, 0.0, 1.2)


def test_groups_are_of_three_sizes_and_hold_both_classes(sample):
    grouped = sample.grouped
    sizes, positives = grouped.sizes(Population.ALL), grouped.sizes(Population.POSITIVES)
    assert set(sizes.tolist()) == {1, 2, 16}
    assert np.mean((positives > 0) & (positives < sizes)) > 0.3
    assert sum(kind.probability for kind in KINDS) == pytest.approx(1.0)
    for population, share in UnequalGroups().group_shares.items():
        assert np.mean(grouped.sizes(population) > 0) == pytest.approx(share, abs=0.01)
    answered = said(sample.logits, 0.0, 1.2)[grouped.chosen[Population.ALL]] != CODES[Verdict.DEFER]
    coverage = UnequalGroups().coverage(np.array([0.0]), np.array([1.2]))[0]
    assert coverage == pytest.approx(answered.mean(), abs=0.01)


def test_the_picture_a_hash_chooses_follows_the_same_law():
    drawn = UnequalGroups().draw(np.random.default_rng(22), 8000)
    grouped = group_pictures(as_scores(drawn), "split")
    rows = grouped.chosen[Population.POSITIVES]
    codes = said(drawn.logits, 0.0, 1.2)[rows]
    answered = codes != CODES[Verdict.DEFER]
    misses = codes[answered] == CODES[Verdict.NONE]
    true = exact(Risk.SELECTIVE_FNR, 0.0, 1.2)
    assert misses.mean() == pytest.approx(true, abs=4 * np.sqrt(true / answered.sum()))


def test_the_first_of_each_population_stands_for_its_group():
    labels, groups = np.array([0, 1, 1, 0, 1], dtype=np.int8), np.array([0, 0, 1, 2, 2], dtype=np.intp)
    chosen = of_groups(labels, groups, 3).chosen
    assert chosen[Population.POSITIVES].tolist() == [1, 2, 4]
    assert chosen[Population.NEGATIVES].tolist() == [0, 3]
    assert chosen[Population.ALL].tolist() == [0, 2, 3]
