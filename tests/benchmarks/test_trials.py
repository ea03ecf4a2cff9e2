"""That a trial uses the rule that the fit would, prints what the certificate prints, and merges its rows."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.printed import printed_bound, simulate_printed
from benchmarks.promise import merged, rerun
from benchmarks.promise_cells import CHEAP_MISSES, FNR, SINGLE, Cell
from benchmarks.redraws import as_scores
from benchmarks.trials import BETA, GRID, Trial

from workzone.calibration.threshold import certify_threshold, freeze_thresholds
from workzone.core.errors import ConfigError
from workzone.policy.risks import Risk
from workzone.policy.settings import Objective, ThresholdSettings


@pytest.mark.parametrize("prices", [None, CHEAP_MISSES])
def test_a_trial_uses_the_fits_rule_and_its_printed_bounds_are_the_certificates(prices):
    trial = Trial.of(Cell("threshold", SINGLE, ((FNR, 0.05),), prices=prices))
    objective = Objective.COVERAGE if prices is None else Objective.COST
    settings = ThresholdSettings(trial.limits, beta=BETA, grid_size=GRID, objective=objective, prices=prices)
    t_hi, grid = freeze_thresholds(settings, as_scores(trial.family.select))
    inside = 0
    for sample, index in trial.draws(6):
        policy = certify_threshold(
            settings,
            as_scores(sample),
            t_hi=t_hi,
            grid=grid,
            plan=trial.plan,
            split_sha256="s",
            dataset_sha256="d",
        )
        certificate, path = policy.certificate, trial.family.path_of(sample)
        assert certificate.walk.chosen == index
        inside += index < certificate.walk.passed
        bounds = [printed_bound(path, sample.grouped, index, r, 0.05) for r in (FNR, Risk.FALSE_ALARM_RATE)]
        assert bounds == [certificate.claims[0].bound, certificate.false_alarms.bound]
    assert (inside > 0) == (prices is not None)


def test_printed_bounds_are_counted_among_certified_draws():
    row = simulate_printed(Cell("threshold", SINGLE, ((FNR, 0.05),), groups=300), 100)
    assert 0.0 < row.certified <= 1.0
    assert row.above_bound >= row.above_limit  # the printed bound of a certified rule is at most the limit
    none = simulate_printed(Cell("threshold", SINGLE, ((FNR, 0.001),), groups=100), 5)
    assert (none.certified, none.above_bound, none.alarms_above_bound) == (0.0, None, None)


def test_new_rows_take_the_place_of_those_of_the_same_cell():
    old = [{"policy": "a", "wrong": 0.1}, {"policy": "b", "wrong": 0.2}]
    new = [{"policy": "b", "wrong": 0.3}, {"policy": "c", "wrong": 0.4}]
    assert merged(old, new) == [old[0], *new]


def test_some_cells_again_keep_the_other_rows_and_their_number_of_redraws():
    kept = {"policy": "kept", "population": "p", "limits": "l", "counting": "c", "groups": 1, "delta": 0.1}
    kept |= {
        "certified": 1.0,
        "coverage": None,
        "reach": 1.0,
        "wrong": 0.0,
        "allowed": 0.2,
        "as_expected": True,
    }
    document = rerun(
        3, ["UnequalGroups(correlation=0.0), limits=((<Risk.SELECTIVE"], {"redraws": 3, "pac": [kept]}
    )
    assert document["pac"][0] == kept
    assert [row["counting"] for row in document["pac"][1:]] == ["one_per_group", "all_frames"]
    assert len(document["naive"]) == 2
    assert document["printed"] == []
    assert np.all([row["redraws"] == 3 for row in document["naive"]])
    with pytest.raises(ConfigError, match="3 redraws, not 4"):
        rerun(4, [], {"redraws": 3})
