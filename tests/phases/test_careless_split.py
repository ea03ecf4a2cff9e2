"""The careless number is the honest one plus what was memorised: none is invented, none is hidden."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef
from sklearn.neighbors import KNeighborsClassifier

from workzone.core.errors import DataError
from workzone.core.observer import NullObserver
from workzone.phases.careless_split import Pool, _compared, compare_with_careless


def pool(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> Pool:
    """The first half of the groups is train, the last quarter test."""
    number = np.unique(groups, return_inverse=True)[1]
    n = number.max() + 1
    return Pool(
        features.astype(np.float32),
        labels.astype(np.int8),
        groups.astype(np.str_),
        number < n // 2,
        number >= n - n // 4,
    )


def grouped(
    rng: np.random.Generator, n_groups: int, frames: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups as pure noise that says nothing of their labels, and frames that repeat their group's noise."""
    groups = np.repeat([f"g{i:03d}" for i in range(n_groups)], frames)
    labels = np.repeat(rng.integers(0, 2, n_groups), frames)
    noise = np.repeat(rng.normal(size=(n_groups, 16)), frames, axis=0)
    return noise + rng.normal(scale=0.01, size=noise.shape), labels, groups


def found(made: Pool, seeds: int = 6):
    comparison = compare_with_careless(made, features="noise", observer=NullObserver(), seeds=seeds)
    return comparison, {model.model: model for model in comparison.models}


def test_frames_that_repeat_their_group_are_remembered_by_a_careless_split_only() -> None:
    comparison, models = found(pool(*grouped(np.random.default_rng(0), 240, 4)))
    nearest = models["nearest neighbour"]
    assert abs(nearest.run) < 0.4  # there is nothing to learn
    assert abs(nearest.by_group.mean) < 0.15
    assert nearest.by_picture.mean > 0.85  # but all to remember
    assert nearest.by_picture.low <= nearest.by_picture.mean <= nearest.by_picture.high
    assert "carelessness would have added +" in nearest.statement
    assert (comparison.n_train, comparison.n_test, comparison.n_left_out) == (480, 240, 0)
    assert (comparison.features, comparison.seeds) == ("noise", 6)


def test_where_groups_are_single_pictures_both_say_the_same() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 300)
    features = rng.normal(size=(300, 8)) + 1.2 * labels[:, None]
    _, models = found(pool(features, labels, np.array([f"g{i:03d}" for i in range(300)])))
    for model in models.values():
        assert model.by_picture.mean == pytest.approx(model.by_group.mean, abs=0.06)
        assert model.run > 0.5


def test_the_honest_number_is_scikit_learns_on_the_runs_own_split() -> None:
    made = pool(*grouped(np.random.default_rng(2), 60, 2))
    _, models = found(made, seeds=1)
    nearest = KNeighborsClassifier(1).fit(made.features[made.train], made.labels[made.train])
    expected = matthews_corrcoef(made.labels[made.test], nearest.predict(made.features[made.test]))
    assert models["nearest neighbour"].run == pytest.approx(expected)


def test_many_pictures_are_thinned_by_whole_groups(monkeypatch) -> None:
    monkeypatch.setattr("workzone.phases.careless_split.MAX_PICTURES", 200)
    comparison, _ = found(pool(*grouped(np.random.default_rng(3), 100, 4)), seeds=1)
    assert 196 <= 400 - comparison.n_left_out <= 200
    assert comparison.n_train % 4 == comparison.n_test % 4 == 0


def test_a_class_that_is_missing_is_refused() -> None:
    features, labels, groups = grouped(np.random.default_rng(4), 40, 2)
    made = pool(features, labels, groups)
    labels[made.test] = 1
    with pytest.raises(DataError, match="both classes with a decided label"):
        found(pool(features, labels, groups))
    one = np.zeros(80, dtype=np.int8)
    one[[np.flatnonzero(made.train)[0], np.flatnonzero(made.test)[0]]] = 1
    lone = np.array([f"p{i:02d}" for i in range(80)])
    rare = Pool(features.astype(np.float32), one, lone, made.train, made.test)
    comparison, _ = found(rare, seeds=2)
    assert comparison.n_test == int(made.test.sum())


def test_a_class_too_rare_for_any_draw_is_refused() -> None:
    rng = np.random.default_rng(5)
    labels, train, test = np.zeros(300, dtype=np.int8), np.zeros(300, dtype=bool), np.zeros(300, dtype=bool)
    labels[[0, 2]], train[:2], test[2:4] = 1, True, True
    names = np.array([f"p{i:03d}" for i in range(300)])
    made = Pool(rng.normal(size=(300, 4)).astype(np.float32), labels, names, train, test)
    with pytest.raises(DataError, match="In 20 random splits of 300 pictures none showed both classes"):
        found(made, seeds=1)


@pytest.mark.parametrize(
    ("run", "by_group", "by_picture", "said"),
    [
        (0.5, 0.4, 0.7, r"added \+0\.200 to the MCC of this run, \+0\.300 on average"),
        (
            0.5,
            0.4,
            0.45,
            r"no more than this run's split \(-0\.050\), a kind one: splits by group give 0\.400",
        ),
        (0.3, 0.4, 0.35, r"no more than splits by group do \(-0\.050\)"),
        (0.4, 0.4, 0.4, r"no more than splits by group do \(\+0\.000\)"),
    ],
)
def test_it_is_said_where_carelessness_gains_nothing(run, by_group, by_picture, said) -> None:
    compared = _compared("linear probe", [run], [by_group] * 2, [by_picture] * 2)
    assert re.search(said, compared.statement)
    assert compared.statement.startswith("Linear probe: ")
