"""What a careless split would have reported: the same cheap models, the same shares, pictures dealt one by one.

Frames of one sequence, or pictures of one place, then lie on both sides, and a model that remembers them looks good.
Three numbers stand side by side for each model: on the run's own split, on splits by group drawn anew (so that one
lucky or unlucky split is not taken for the rule), and on splits by picture.

Nothing is kept of the models. The careless ones are fitted on pictures of every role, which is what makes them
careless; only their MCC leaves this module.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.lazy import require
from workzone.core.observer import Observer, track

SEEDS = 10
MAX_PICTURES = 20_000
"""Beyond this, whole groups are left out by chance: nearest neighbours are found by comparing all with all."""
_TRIES = 20
"""Draws for each seed that shows both classes on both sides."""

Features = NDArray[np.float32]
Labels = NDArray[np.int8]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Repeated:
    """One number from several draws: mean, least and greatest."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """The MCC of one cheap model.

    Attributes:
        model: Which.
        run: Fitted on the run's train, measured on its test.
        by_group: On splits by group, drawn anew with as many groups in train and test.
        by_picture: On careless splits: as many pictures in train and test, dealt one by one.
        statement: What that says, in a sentence.
    """

    model: str
    run: float
    by_group: Repeated
    by_picture: Repeated
    statement: str


@dataclass(frozen=True, slots=True)
class CarelessComparison:
    """What careless splitting makes of the same pictures and the same models.

    Attributes:
        features: What the models saw.
        n_train: Pictures of train with a decided label, as many as the careless train has.
        n_test: The same of test.
        n_left_out: Pictures left out because there were more than `MAX_PICTURES`.
        seeds: Draws of each kind.
        models: One for each model.
    """

    features: str
    n_train: int
    n_test: int
    n_left_out: int
    seeds: int
    models: tuple[ModelComparison, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The N pictures that are compared, all with a decided label.

    Attributes:
        features: float32 [N, D].
        labels: int8 [N], 1 road work, 0 none.
        groups: str [N].
        train: bool [N], which the run learned from.
        test: bool [N], which it reports on.
    """

    features: Features
    labels: Labels
    groups: NDArray[np.str_]
    train: NDArray[np.bool_]
    test: NDArray[np.bool_]

    def take(self, rows: Rows) -> Pool:
        """Return these rows."""
        return Pool(
            self.features[rows], self.labels[rows], self.groups[rows], self.train[rows], self.test[rows]
        )


def compare_with_careless(
    pool: Pool, *, features: str, observer: Observer, seeds: int = SEEDS
) -> CarelessComparison:
    """Measure the MCC of cheap models on the run's split, on splits by group and on splits by picture.

    The models are a linear probe (logistic regression on standardised features) and the nearest neighbour, with
    scikit-learn's defaults: cheap, and the same for every split. MCC is scikit-learn's.

    Args:
        pool: The pictures.
        features: What the report calls them.
        observer: Told of the progress in splits.
        seeds: Draws of each kind, at least 1.

    Raises:
        DataError: Train or test of the run lacks a class, or hardly any draw shows both.
    """
    n_all = len(pool.labels)
    pool = _bounded(pool)
    own = np.flatnonzero(pool.train), np.flatnonzero(pool.test)
    if not all(_shows_both(pool.labels[rows]) for rows in own):
        raise DataError(
            "Train and test need pictures of both classes with a decided label; there is no MCC otherwise."
        )
    draws: dict[str, list[tuple[Rows, Rows]]] = {
        "run": [own],
        "by_group": [_drawn(pool, seed, _by_group) for seed in range(seeds)],
        "by_picture": [_drawn(pool, seed, _by_picture) for seed in range(seeds)],
    }
    jobs = [(kind, rows) for kind, splits in draws.items() for rows in splits]
    found: dict[tuple[str, str], list[float]] = {}
    for kind, (train, test) in track(jobs, observer, "fit cheap models"):
        for model, fitted in _MODELS.items():
            said = fitted(pool.features[train], pool.labels[train], pool.features[test])
            found.setdefault((model, kind), []).append(_mcc(pool.labels[test], said))
    return CarelessComparison(
        features=features,
        n_train=len(own[0]),
        n_test=len(own[1]),
        n_left_out=n_all - len(pool.labels),
        seeds=seeds,
        models=tuple(
            _compared(model, *(found[model, kind] for kind in ("run", "by_group", "by_picture")))
            for model in _MODELS
        ),
    )


def _bounded(pool: Pool) -> Pool:
    """Keep whole groups, in an order of chance, until they are too many."""
    if len(pool.labels) <= MAX_PICTURES:
        return pool
    _, group_of = np.unique(pool.groups, return_inverse=True)
    place = np.random.default_rng(0).permutation(int(group_of.max()) + 1)[group_of]
    sizes = np.bincount(place)
    return pool.take(np.flatnonzero(np.cumsum(sizes)[place] <= MAX_PICTURES))


def _drawn(
    pool: Pool, seed: int, draw: Callable[[Pool, np.random.Generator], tuple[Rows, Rows]]
) -> tuple[Rows, Rows]:
    rng = np.random.default_rng(seed)
    for _ in range(_TRIES):
        split = draw(pool, rng)
        if all(_shows_both(pool.labels[rows]) for rows in split):
            return split
    raise DataError(
        f"In {_TRIES} random splits of {len(pool.labels)} pictures none showed both classes in train and in test; "
        "there are too few groups with a class to compare with."
    )


def _by_group(pool: Pool, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Deal as many groups to train and to test as the run did."""
    names, group_of = np.unique(pool.groups, return_inverse=True)
    n_train, n_test = (len(np.unique(pool.groups[held])) for held in (pool.train, pool.test))
    place = rng.permutation(len(names))[group_of]
    return np.flatnonzero(place < n_train), np.flatnonzero((place >= n_train) & (place < n_train + n_test))


def _by_picture(pool: Pool, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Deal as many pictures to train and to test as the run did, whatever their groups."""
    order = rng.permutation(len(pool.labels))
    n_train, n_test = int(pool.train.sum()), int(pool.test.sum())
    return order[:n_train], order[n_train : n_train + n_test]


def _linear_probe(train: Features, labels: Labels, test: Features) -> NDArray[Any]:
    linear = require("sklearn.linear_model", "train")
    model = require("sklearn.pipeline", "train").make_pipeline(
        require("sklearn.preprocessing", "train").StandardScaler(), linear.LogisticRegression(max_iter=1000)
    )
    with warnings.catch_warnings():  # not converged is as good as a cheap model gets, on either split
        warnings.simplefilter("ignore", require("sklearn.exceptions", "train").ConvergenceWarning)
        model.fit(train, labels)
    return np.asarray(model.predict(test))


def _nearest_neighbour(train: Features, labels: Labels, test: Features) -> NDArray[Any]:
    model = require("sklearn.neighbors", "train").KNeighborsClassifier(n_neighbors=1)
    return np.asarray(model.fit(train, labels).predict(test))


_MODELS: dict[str, Callable[[Features, Labels, Features], NDArray[Any]]] = {
    "linear probe": _linear_probe,
    "nearest neighbour": _nearest_neighbour,
}


def _mcc(labels: Labels, said: NDArray[Any]) -> float:
    return float(require("sklearn.metrics", "train").matthews_corrcoef(labels, said))


def _shows_both(labels: Labels) -> bool:
    return len(np.unique(labels)) == 2


def _compared(model: str, run: list[float], groups: list[float], pictures: list[float]) -> ModelComparison:
    """Put the numbers of one model together, and say what carelessness would have done to its MCC."""
    (own,), by_group, by_picture = run, _repeated(groups), _repeated(pictures)
    more, over_groups = by_picture.mean - own, by_picture.mean - by_group.mean
    if over_groups <= 0:
        said = f"carelessness shows no more than splits by group do ({over_groups:+.3f})"
    elif more <= 0:
        said = (
            f"carelessness shows no more than this run's split ({more:+.3f}), a kind one: splits by group give "
            f"{by_group.mean:.3f} on average"
        )
    else:
        said = (
            f"carelessness would have added {more:+.3f} to the MCC of this run, {over_groups:+.3f} on average"
        )
    return ModelComparison(model, own, by_group, by_picture, f"{model.capitalize()}: {said}.")


def _repeated(values: list[float]) -> Repeated:
    return Repeated(float(np.mean(values)), min(values), max(values))
