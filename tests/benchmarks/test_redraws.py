"""That a simulated redraw ends where the project's own fit ends, and that its truth is the truth."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.averages import thresholds
from benchmarks.naive import TwoFree, last_below
from benchmarks.populations import Scored, TwoFeatures
from benchmarks.redraws import (
    as_scores,
    feature_statistics,
    freeze_gate,
    freeze_selective,
    freeze_threshold,
    walked,
)
from benchmarks.unequal_groups import UnequalGroups

from workzone.calibration.fit import fit_policy
from workzone.calibration.path import picture_counts
from workzone.calibration.threshold import freeze_upper_threshold
from workzone.calibration.walk import plan_walk
from workzone.calibration.walked import populations
from workzone.policy.binomial import clopper_pearson_upper
from workzone.policy.risks import RISKS, Population, Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    Counting,
    GateSettings,
    RiskLimit,
    ThresholdSettings,
)

HASHES = {"split_sha256": "s", "dataset_sha256": "d"}
LIMITS = (RiskLimit(Risk.SELECTIVE_FNR, 0.06),)


def index_of(family, settings, sample):
    path = family.path_of(family.select)
    plan = plan_walk(
        path,
        family.select.grouped,
        populations(settings.limits, sample.grouped),
        settings.limits,
        settings.delta,
    )
    return walked(family, sample, settings.limits, settings.delta, settings.counting, plan)


def same_end(settings, family, population, parameter, statistics=None):
    """Certify a draw of single pictures both ways; return how often a certificate came out."""
    certified = 0
    for seed in range(4):
        sample = population.draw(np.random.default_rng(seed), 400)
        policy = fit_policy(
            settings, as_scores(family.select, "s"), as_scores(sample, "c"), **HASHES, statistics=statistics
        )
        index = index_of(family, settings, sample)
        assert (index is None) == (policy.certificate is None)
        if index is None:
            continue
        certified += 1
        assert family.path_of(sample).parameter == parameter == policy.certificate.walk.parameter
        assert policy.certificate.walk.passed == index
        np.testing.assert_array_equal(policy.certificate.walk.sequence, family.path_of(sample).values)
        np.testing.assert_array_equal(
            family.path_of(sample).codes(index), policy.decide(sample.logits, sample.features)
        )
    return certified


@pytest.mark.parametrize("counting", Counting)
def test_a_threshold_redraw_is_what_the_fit_certifies(counting):
    settings = ThresholdSettings(LIMITS, counting=counting)
    family = freeze_threshold(Scored(), settings, np.random.default_rng(1))
    assert same_end(settings, family, Scored(), "t_lo") > 0


def test_a_redraw_of_unequal_groups_is_what_the_fit_certifies():
    settings = ThresholdSettings(LIMITS, counting=Counting.ALL_FRAMES)  # the fit's one picture is a hash's
    family = freeze_threshold(UnequalGroups(), settings, np.random.default_rng(1))
    assert same_end(settings, family, UnequalGroups(), "t_lo") > 0


def test_a_selective_redraw_is_what_the_fit_certifies():
    settings = ConformalSettings(ConformalMethod.SCRC, LIMITS)
    family = freeze_selective(Scored(), settings, np.random.default_rng(1))
    assert same_end(settings, family, Scored(), "t") > 0


def test_a_gate_redraw_is_what_the_fit_certifies(monkeypatch):
    monkeypatch.setattr("benchmarks.redraws.TRUTH_PICTURES", 20_000)
    settings, population = GateSettings(LIMITS, delta=0.2), TwoFeatures()
    family = freeze_gate(population, settings, np.random.default_rng(1))
    again = np.random.default_rng(1)
    population.draw(again, 600)
    statistics = feature_statistics(population.draw(again, 600))
    assert same_end(settings, family, population, "tau", statistics) > 0


def test_the_gates_truth_is_what_another_large_sample_counts():
    settings, population = GateSettings(LIMITS), TwoFeatures()
    family = freeze_gate(population, settings, np.random.default_rng(3))
    other = population.draw(np.random.default_rng(4), 300_000)
    path = family.path_of(other)
    for risk in Risk:
        definition = RISKS[risk]
        rows = other.grouped.chosen[definition.population]
        counted, events = picture_counts(path, other.grouped, definition, rows)
        many = counted > 20_000
        np.testing.assert_allclose(family.risks(risk)[many], (events / counted)[many], atol=0.006)


@pytest.mark.parametrize("frames", [1, 4])
def test_average_thresholds_are_what_the_fit_finds(frames):
    errors = (RiskLimit(Risk.COMMITTED_MISS_RATE, 0.05), RiskLimit(Risk.FALSE_ALARM_RATE, 0.08))
    population = Scored("skewed", frames, 0.5)
    select, sample = (population.draw(np.random.default_rng(seed), 300) for seed in (1, 2))
    for settings in (
        ConformalSettings(ConformalMethod.SETS, errors),
        ConformalSettings(ConformalMethod.CRC, errors[:1]),
        ConformalSettings(ConformalMethod.CRC, errors),
    ):
        if settings.method is ConformalMethod.SETS and frames > 1:
            continue  # the fit chooses a picture by hash, a redraw the first
        t_hi = freeze_upper_threshold(as_scores(select), settings.beta)
        policy = fit_policy(settings, as_scores(select, "s"), as_scores(sample, "c"), **HASHES)
        assert thresholds(settings, sample, t_hi) == (policy.none_below, policy.roadwork_from)


def test_nothing_is_promised_to_too_few():
    errors = (RiskLimit(Risk.COMMITTED_MISS_RATE, 0.02), RiskLimit(Risk.FALSE_ALARM_RATE, 0.02))
    sample = Scored().draw(np.random.default_rng(0), 40)
    assert thresholds(ConformalSettings(ConformalMethod.SETS, errors), sample, 0.0) == (-np.inf, np.inf)
    assert thresholds(ConformalSettings(ConformalMethod.CRC, errors[:1]), sample, 0.5) == (-np.inf, 0.5)
    assert thresholds(ConformalSettings(ConformalMethod.CRC, errors), sample, 0.5) == (-np.inf, np.inf)


def test_the_last_rule_below_need_not_follow_an_unbroken_row():
    family = freeze_threshold(Scored("three_steps"), ThresholdSettings(), np.random.default_rng(1))
    sample = Scored("three_steps").draw(np.random.default_rng(2), 2000)
    path, limit = family.path_of(sample), RiskLimit(Risk.FALSE_OMISSION_RATE, 0.06)
    rows = sample.grouped.chosen[Population.ALL]
    counted, events = picture_counts(path, sample.grouped, RISKS[limit.risk], rows)
    bounds = [clopper_pearson_upper(int(k), int(n), 0.05) for k, n in zip(events, counted, strict=True)]
    below = [index for index, bound in enumerate(bounds) if bound <= limit.alpha]
    assert last_below(path, sample.grouped, limit, 0.05) == (below[-1] if below else None)


def test_a_free_pair_passes_where_its_own_bounds_hold():
    population = Scored()
    rules = TwoFree.over(population, population.draw(np.random.default_rng(1), 300), 15, 0.05, 0.1)
    sample = population.draw(np.random.default_rng(2), 500)
    passes, answered = rules.passing(sample, 0.05)
    positive = sample.grouped.labels == 1
    for i, t_lo in enumerate(rules.grid):
        for j, t_hi in enumerate(rules.grid):
            if t_lo > t_hi:
                assert not passes[i, j]
                continue
            none, called = sample.logits < t_lo, sample.logits >= t_hi
            misses, counted = int((none & positive).sum()), int(((none | called) & positive).sum())
            alarms = int((called & ~positive).sum())
            held = clopper_pearson_upper(misses, counted, 0.05) <= 0.05
            held &= clopper_pearson_upper(alarms, int((~positive).sum()), 0.05) <= 0.1
            assert passes[i, j] == held
            assert answered[i, j] == (none | called).sum()
