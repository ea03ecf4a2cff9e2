"""Planted wrong labels are found, group by group, and cleanlab called directly says the same."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from workzone.core.errors import DataError, MissingExtraError
from workzone.data.checks.suspects import Ranking, Suspects, group_folds, label_suspects

cleanlab_rank = pytest.importorskip("cleanlab.rank")
cleanlab_filter = pytest.importorskip("cleanlab.filter")


def population(
    n_groups: int = 120, frames: int = 3, apart: float = 4.0, dimensions: int = 6, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two Gaussian clouds, `apart` standard deviations from one another; frames of a group are alike."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(n_groups) % 2, frames).astype(np.int8)
    places = np.repeat(rng.normal(0, 0.9, (n_groups, dimensions)), frames, axis=0)
    features = places + rng.normal(0, 0.3, places.shape)
    features[:, 0] += apart * truth
    groups = np.repeat([f"g{i:03d}" for i in range(n_groups)], frames)
    return features.astype(np.float32), truth, groups


def flipped(labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    given = labels.copy()
    given[rows] = 1 - given[rows]
    return given


def test_planted_flips_are_at_the_top_of_both_rankings_and_in_the_list() -> None:
    features, truth, groups = population(apart=8.0)
    wrong = np.random.default_rng(1).choice(len(truth), 18, replace=False)
    found = label_suspects(features, flipped(truth, wrong), groups)
    assert set(found.by_loss[:18]) == set(found.by_quality[:18]) == set(wrong)
    assert set(found.flagged) <= set(wrong)  # cleanlab counts only what is confidently another label
    assert len(found.flagged) >= 14
    assert {*found.listed(Ranking.LOSS), *found.listed(Ranking.CLEANLAB)} <= set(wrong)
    assert len(found.listed(Ranking.LOSS)) == len(found.listed(Ranking.CLEANLAB)) == len(found.flagged)
    assert found.loss[wrong].min() > np.delete(found.loss, wrong).max()
    assert found.judged.all()


def test_cleanlab_called_directly_says_the_same() -> None:
    features, truth, groups = population(apart=2.0, seed=2)
    given = flipped(truth, np.arange(0, 60, 4))
    found = label_suspects(features, given, groups)
    both = np.stack([1 - found.probs, found.probs], axis=1)
    mask = cleanlab_filter.find_label_issues(given.astype(int), both, n_jobs=1)
    assert sorted(found.flagged) == list(np.flatnonzero(mask))
    assert 0 < len(found.flagged) < len(given)
    scores = cleanlab_rank.get_label_quality_scores(given.astype(int), both, adjust_pred_probs=True)
    np.testing.assert_allclose(found.quality, scores)
    assert found.auroc == pytest.approx(
        (np.subtract.outer(*(found.probs[given == y] for y in (1, 0))) > 0).mean()
    )
    assert (np.diff(found.quality[found.by_quality]) >= 0).all()
    assert (np.diff(found.quality[found.flagged]) >= 0).all()


def test_confident_learning_is_the_loss_less_a_threshold_of_each_class() -> None:
    """Northcutt et al. 2021: with two classes the quality orders rows by p(given) − mean p(given) of the class."""
    features, truth, groups = population(apart=1.5, seed=3)
    unbalanced = np.flatnonzero((truth == 0) | (np.arange(len(truth)) % 9 < 3))
    features, given, groups = features[unbalanced], truth[unbalanced], groups[unbalanced]
    found = label_suspects(features, given, groups)
    chosen = np.where(given == 1, found.probs, 1 - found.probs)
    threshold = np.where(given == 1, chosen[given == 1].mean(), chosen[given == 0].mean())
    np.testing.assert_array_equal(found.by_quality, np.argsort(chosen - threshold, kind="stable"))
    np.testing.assert_allclose(found.loss, -np.log(chosen), rtol=1e-6)
    assert not np.array_equal(found.by_quality, found.by_loss)


@pytest.mark.parametrize("method", ["self_confidence", "normalized_margin", "confidence_weighted_entropy"])
def test_without_thresholds_cleanlab_orders_two_classes_as_the_loss_does(method: str) -> None:
    features, truth, groups = population(apart=1.5, seed=4)
    found = label_suspects(features, truth, groups)
    both = np.stack([1 - found.probs, found.probs], axis=1)
    scores = cleanlab_rank.get_label_quality_scores(truth.astype(int), both, method=method)
    np.testing.assert_array_equal(np.argsort(scores, kind="stable"), found.by_loss)


def test_a_feature_that_names_the_group_does_not_hide_its_wrong_label() -> None:
    """Whole groups are labelled wrongly, and features tell groups apart: neighbours must not vouch for them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold, cross_val_predict

    features, truth, groups = population(n_groups=60, frames=4, apart=8.0)
    member = np.unique(groups, return_inverse=True)[1]
    named = np.concatenate([features, 30 * np.eye(60, dtype=np.float32)[member]], axis=1)
    wrong = np.flatnonzero(np.isin(member, [5, 20, 44]))
    given = flipped(truth, wrong)
    blind = cross_val_predict(
        LogisticRegression(C=10, max_iter=2000), named, given, cv=KFold(5, shuffle=True)
    )
    assert (blind[wrong] == given[wrong]).all(), "cut groups do hide it: the test would see a leak"
    found = label_suspects(named.astype(np.float32), given, groups)
    assert set(found.by_loss[: len(wrong)]) == set(wrong)
    assert set(found.flagged) <= set(wrong)
    assert {groups[row] for row in found.flagged} == {"g005", "g020", "g044"}


def test_no_group_is_cut_and_every_row_is_held_once() -> None:
    _, truth, groups = population(n_groups=40, frames=5)
    held = group_folds(truth == 1, groups, 5, seed=3)
    assert sorted(np.concatenate(held)) == list(range(len(truth)))
    of = [set(groups[rows]) for rows in held]
    assert sum(len(names) for names in of) == len(set().union(*of)) == 40
    assert all(0.3 < truth[rows].mean() < 0.7 for rows in held)


def test_random_features_condemn_nobody_with_confidence() -> None:
    """Where nothing can be known the penalty shrinks predictions to the share of each label: no loss stands out."""
    rng = np.random.default_rng(5)
    _, truth, groups = population()
    found = label_suspects(rng.normal(size=(len(truth), 8)).astype(np.float32), truth, groups)
    assert np.nanmax(found.loss) < 1.0  # a fair coin's is 0.69
    assert 0.35 < found.auroc < 0.65
    planted = flipped(truth, np.arange(0, len(truth), 20))
    blind = label_suspects(rng.normal(size=(len(truth), 8)).astype(np.float32), planted, groups)
    hits = np.isin(blind.by_loss[:18], np.arange(0, len(truth), 20)).mean()
    assert hits < 0.3  # 18 of 360 are wrong: 5 % by chance


def test_unknown_ambiguous_and_unmeasured_rows_are_left_out() -> None:
    features, truth, groups = population()
    labels, ambiguous = truth.copy(), np.zeros(len(truth), dtype=bool)
    labels[0], ambiguous[7], features[11, 2] = -1, True, np.nan
    found = label_suspects(features, labels, groups, ambiguous=ambiguous)
    out = {0, 7, 11}
    assert set(np.flatnonzero(~found.judged)) == out
    for values in (found.probs, found.loss, found.quality):
        assert set(np.flatnonzero(np.isnan(values))) == out
    assert len(found.by_loss) == len(found.by_quality) == len(truth) - 3
    assert not out & {*found.by_loss, *found.by_quality, *found.flagged}
    rest = found.judged
    alone = label_suspects(features[rest], labels[rest], groups[rest])
    np.testing.assert_array_equal(alone.probs, found.probs[rest])


def test_the_same_seed_says_the_same(observer) -> None:
    features, truth, groups = population(apart=1.0)
    one, two = (label_suspects(features, truth, groups, seed=7, observer=observer) for _ in range(2))
    for field in Suspects.__slots__:
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
    other = label_suspects(features, truth, groups, seed=8)
    assert not np.array_equal(one.probs, other.probs)
    assert observer.steps[-1][1] == observer.steps[-1][2] == 20  # 5 folds, 4 penalties


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, y, g: (f, np.zeros_like(y), g), "0 groups have a picture labelled road work"),
        (lambda f, y, g: (f, np.full_like(y, -1), g), "0 groups"),
        (lambda f, y, g: (f, y, np.where(y == 1, "one", g)), "1 groups have a picture labelled road work"),
        (lambda f, y, g: (f[:-1], y, g), "one row of features"),
        (lambda f, y, g: (f[:, 0], y, g), "one row of features"),
        (lambda f, y, g: (f, y, g[:-1]), "one row of features"),
    ],
)
def test_what_cannot_be_judged_is_refused(change, message: str) -> None:
    with pytest.raises(DataError, match=message):
        label_suspects(*change(*population(n_groups=20)))


def test_one_fold_is_refused() -> None:
    with pytest.raises(DataError, match="at least 2"):
        label_suspects(*population(n_groups=20), folds=1)


def test_a_group_that_holds_a_label_almost_alone_is_refused() -> None:
    """A single picture beside 150,000 does not tip the balance that scikit-learn strikes: both fall into one fold."""
    groups = np.repeat(["a", "b", "c", "d"], [150_000, 1, 100_000, 300_000])
    given = np.isin(groups, ["a", "b"])
    with pytest.raises(DataError, match="leaves only the other label"):
        group_folds(given, groups, 2, seed=0)


def test_without_cleanlab_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    monkeypatch.delitem(sys.modules, "cleanlab.filter", raising=False)
    with pytest.raises(MissingExtraError, match=r"workzone\[check\]"):
        label_suspects(*population(n_groups=20))
