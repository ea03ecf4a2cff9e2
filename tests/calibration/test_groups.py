"""One picture per group: independent of order, seed and score, and each picture as likely as another."""

import hashlib

import numpy as np
import pytest
from scipy import stats

from workzone.calibration.groups import group_pictures, one_per_group
from workzone.core.errors import ConfigError, DataError
from workzone.policy.risks import Population


def one_positive_per_group(scores, split):
    return one_per_group(scores, Population.POSITIVES, split)


def one_negative_per_group(scores, split):
    return one_per_group(scores, Population.NEGATIVES, split)


def test_the_choice_is_the_least_hash(scores_of):
    scores = scores_of([0.0] * 6, [1, 1, 0, 1, 0, 1], groups=["a", "a", "a", "b", "b", "c"])

    def least(rows, group):
        return min(rows, key=lambda r: hashlib.sha256(f"SPLIT|{group}|{scores.ids[r]}".encode()).hexdigest())

    assert one_positive_per_group(scores, "SPLIT").tolist() == [least([0, 1], "a"), 3, 5]
    assert one_negative_per_group(scores, "SPLIT").tolist() == [2, 4]


def test_unknown_and_ambiguous_pictures_are_never_chosen(scores_of):
    scores = scores_of(
        [0.0] * 5, [1, -1, 1, 0, 0], groups=["a", "a", "b", "b", "c"], ambiguous=[0, 0, 1, 0, 1]
    )
    assert one_positive_per_group(scores, "s").tolist() == [0]
    assert one_negative_per_group(scores, "s").tolist() == [3]


def test_neither_order_nor_score_changes_the_choice(scores_of):
    rng = np.random.default_rng(3)
    scores = scores_of(
        rng.normal(size=200), rng.integers(0, 2, 200), groups=rng.integers(0, 40, 200).astype(str)
    )
    chosen = scores.ids[one_positive_per_group(scores, "s")].tolist()
    shuffled = scores.take(rng.permutation(200))
    assert shuffled.ids[one_positive_per_group(shuffled, "s")].tolist() == chosen
    other = scores_of(-scores.logits, scores.labels, groups=scores.groups)
    assert other.ids[one_positive_per_group(other, "s")].tolist() == chosen


def test_over_splits_every_picture_of_a_group_is_as_likely(scores_of):
    scores = scores_of([0.0] * 4, 1, groups=["a"] * 4)
    counts = np.bincount([one_positive_per_group(scores, f"split{i}")[0] for i in range(4000)], minlength=4)
    assert stats.chisquare(counts).pvalue > 0.001


def test_a_picture_that_occurs_twice_is_refused(scores_of):
    scores = scores_of([0.0, 1.0], 1, groups=["a", "b"], ids=["same", "same"])
    with pytest.raises(DataError, match="'same' occurs twice"):
        one_positive_per_group(scores, "s")


def test_the_hash_of_the_split_is_needed(scores_of):
    with pytest.raises(ConfigError, match="hash of the split"):
        one_positive_per_group(scores_of([0.0], 1), "")


def test_no_positives_give_no_rows(scores_of):
    assert one_positive_per_group(scores_of([0.0, 1.0], 0), "s").tolist() == []


def test_of_all_pictures_of_a_group_one_is_chosen_whatever_its_label(scores_of):
    scores = scores_of([0.0] * 40, [0, 1] * 20, groups=np.repeat(np.arange(10), 4).astype(str))
    rows = one_per_group(scores, Population.ALL, "s")
    assert scores.groups[rows].tolist() == sorted({str(i) for i in range(10)})
    assert 0 < scores.labels[rows].sum() < 10


def test_groups_are_numbered_and_their_pictures_counted(scores_of):
    scores = scores_of([0.0] * 5, [1, 1, 0, 0, 1], groups=["b", "b", "b", "a", "c"])
    grouped = group_pictures(scores, "s")
    assert grouped.groups.tolist() == [1, 1, 1, 0, 2]
    assert grouped.sizes(Population.POSITIVES).tolist() == [0, 2, 1]
    assert grouped.sizes(Population.NEGATIVES).tolist() == [1, 1, 0]
    assert grouped.sizes(Population.ALL).tolist() == [1, 3, 1]
    assert [len(grouped.chosen[p]) for p in Population] == [2, 2, 3]
