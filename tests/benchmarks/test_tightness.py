"""That every contender is asked for the same thing: what must agree does, and a run's predictions can be added."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.averages import thresholds
from benchmarks.populations import Scored
from benchmarks.redraws import as_scores
from benchmarks.rivals import crepes_sets, mapie_pairs, mapie_single
from benchmarks.tightness import certified_coverage, compare_pac, of_run, ours, synthetic

from workzone.calibration.threshold import freeze_thresholds
from workzone.core.errors import ConfigError
from workzone.policy.risks import Risk
from workzone.policy.settings import ConformalMethod, ConformalSettings, RiskLimit, ThresholdSettings
from workzone.storage.scores import write_scores

LIMITS = ((Risk.SELECTIVE_FNR, 0.05),)


def test_mapie_in_fixed_sequence_certifies_our_threshold_and_its_pairs_a_sound_one():
    settings = ThresholdSettings((RiskLimit(*LIMITS[0]),), grid_size=40)
    population = Scored()
    select, calib = (population.draw(np.random.default_rng(seed), 800) for seed in (1, 2))
    t_hi, grid = freeze_thresholds(settings, as_scores(select))
    logits, labels = calib.logits, calib.grouped.labels
    learn = (select.logits, select.grouped.labels)
    t_lo = ours(settings, select, calib, grid, t_hi)
    assert np.isfinite(t_lo)
    assert mapie_single(*LIMITS[0], 0.05, grid, t_hi)(logits, labels) == (t_lo, t_hi)
    frozen = mapie_pairs(LIMITS, 0.05, [(float(low), t_hi) for low in grid[::8]], learn)(logits, labels)
    assert frozen[0] in grid
    assert frozen[0] <= t_lo
    assert frozen[1] == t_hi


def test_mapie_that_certifies_nothing_never_says_none():
    population = Scored("ties")
    sample = population.draw(np.random.default_rng(3), 20)
    rival = mapie_single(Risk.SELECTIVE_FNR, 0.01, 0.05, np.linspace(-3.0, 1.0, 10), 1.0)
    assert rival(sample.logits, sample.grouped.labels) == (-np.inf, 1.0)


def test_a_draw_without_a_certificate_counts_as_0_whoevers_it_is():
    assert certified_coverage([(True, 0.8), (False, 0.5), (False, 0.0)]).tolist() == [0.8, 0.0, 0.0]
    limits = ((Risk.SELECTIVE_FNR, 1e-4), (Risk.FALSE_ALARM_RATE, 0.1))  # too strict for 1,000 groups
    rows = compare_pac(synthetic(Scored()), limits, 1)
    assert len(rows) == 4
    assert {(row.certified, row.coverage, row.ahead) for row in rows} == {(0.0, 0.0, 0.0)}


def test_mapie_is_not_asked_for_what_it_was_not_told_of():
    with pytest.raises(ConfigError, match="false_discovery_rate"):
        mapie_single(Risk.FALSE_DISCOVERY_RATE, 0.05, 0.05, np.linspace(-3.0, 1.0, 10), 1.0)


@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_crepes_draws_the_same_sets(shape):
    pytest.importorskip("crepes", reason="of the dependency group 'benchmark'")
    errors = (RiskLimit(Risk.COMMITTED_MISS_RATE, 0.1), RiskLimit(Risk.FALSE_ALARM_RATE, 0.1))
    calib, test = (Scored(shape).draw(np.random.default_rng(seed), 500) for seed in (4, 5))
    t_lo, t_hi = thresholds(ConformalSettings(ConformalMethod.SETS, errors), calib, np.inf)
    sets = crepes_sets(calib.logits, calib.grouped.labels, 0.1, test.logits, smoothing=False, seed=0)
    single = np.asarray(sets).sum(axis=1) == 1
    none, roadwork = test.logits < t_lo, test.logits >= t_hi
    np.testing.assert_array_equal(single, none | roadwork)
    np.testing.assert_array_equal(np.asarray(sets)[single, 1] == 1, roadwork[single])


def test_a_runs_predictions_are_split_anew_by_group(tmp_path):
    population = Scored(frames=2, correlation=0.5)
    for seed, split in enumerate(("select", "calib", "test")):
        directory = tmp_path / f"predictions-{split}"
        directory.mkdir()
        write_scores(directory, as_scores(population.draw(np.random.default_rng(seed), 300), split))
    source = of_run(tmp_path)
    generator = np.random.default_rng(0)
    first, second = source.redraw(generator), source.redraw(generator)
    assert source.select.grouped.n_groups == 300
    for calib, test in (first, second):
        assert calib.grouped.n_groups == test.grouped.n_groups == 300
        assert len(np.intersect1d(calib.logits, test.logits)) == 0
    assert not np.array_equal(np.sort(first[0].logits), np.sort(second[0].logits))
    rows = compare_pac(source, LIMITS, 2)
    assert [row.contender for row in rows][:2] == ["workzone", "MAPIE fixed_sequence"]
    assert all(row.redraws == 2 and 0 <= row.coverage <= 1 for row in rows)


def test_a_synthetic_source_keeps_its_test_pictures():
    source = synthetic(Scored())
    (one, test), (other, again) = (source.redraw(np.random.default_rng(seed)) for seed in (0, 1))
    assert test is again
    assert not np.array_equal(one.logits, other.logits)
