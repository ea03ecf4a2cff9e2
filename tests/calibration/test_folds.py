"""Folds of whole groups, dealt by a hash."""

import numpy as np
import pytest
from scipy.special import expit

from workzone.calibration.calibrators import fit_platt
from workzone.calibration.folds import N_FOLDS, group_folds, held_out_probs
from workzone.core.errors import DataError


@pytest.fixture
def drawn(scores_of):
    rng = np.random.default_rng(0)
    groups = [f"g{i}" for i in np.repeat(np.arange(60), 4)]
    z = rng.normal(size=240)
    return scores_of(z, rng.random(240) < expit(z), groups=groups)


def test_groups_stay_whole_and_folds_are_even(drawn):
    folds = group_folds(drawn)
    assert set(folds) == set(range(N_FOLDS))
    assert all(len(set(folds[drawn.groups == g])) == 1 for g in np.unique(drawn.groups))
    assert np.bincount(folds).tolist() == [48] * N_FOLDS


def test_order_and_scores_do_not_move_a_group(scores_of, drawn):
    order = np.random.default_rng(1).permutation(240)
    assert (group_folds(drawn.take(order)) == group_folds(drawn)[order]).all()
    other = scores_of(-drawn.logits, drawn.labels, groups=drawn.groups)
    assert (group_folds(other) == group_folds(drawn)).all()


@pytest.mark.parametrize("labels", [[1, 1, 0, 0], [1, 1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 1, 0, 1, 0, 0]])
def test_no_training_part_lacks_a_class(scores_of, labels):
    folds = group_folds(scores_of(np.arange(len(labels)), labels))
    assert len(set(folds)) == min(N_FOLDS, len(labels))
    for fold in set(folds):
        assert set(np.array(labels)[folds != fold]) == {0, 1}


def test_positives_are_spread_over_the_folds(scores_of):
    labels = np.array([1] * 10 + [0] * 90)
    folds = group_folds(scores_of(np.arange(100), labels))
    assert np.bincount(folds[labels == 1]).tolist() == [2] * 5


@pytest.mark.parametrize("groups", [["a", "a", "b", "c"], ["a", "b", "c", "c"]])
def test_a_class_in_one_group_only_is_refused(scores_of, groups):
    with pytest.raises(DataError, match="two groups"):
        group_folds(scores_of([0.0, 1, 2, 3], [1, 1, 0, 0], groups=groups))


def test_nobody_is_judged_by_a_map_that_saw_its_group(drawn):
    folds = group_folds(drawn)
    probs = held_out_probs("platt", drawn, folds)
    for fold in range(N_FOLDS):
        seen = fit_platt(drawn.take(folds != fold))
        assert probs[folds == fold] == pytest.approx(seen.apply(drawn.logits[folds == fold]), rel=1e-12)
