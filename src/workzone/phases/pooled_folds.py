"""Evaluates a group k-fold: the test predictions of all folds, put together. Nothing is certified on them.

Each fold is a run of its own with a model of its own. Pooled, every group is tested exactly once, which measures the
*recipe* on all pictures; it says nothing of any one model, so no model can carry a promise made on it. A policy that
read these predictions would derive from several splits, which `storage.lineage` refuses of every artifact; that is why
this is a record that is printed, and no artifact.

Logits of different models are not on one scale. So each picture is called by its own fold's threshold, the one of the
best MCC on that fold's `select`, and ranks are compared within folds only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ArtifactError, ConfigError
from workzone.core.scores import Scores
from workzone.core.types import Label
from workzone.data.split import Split, read_split
from workzone.metrics.bootstrap import Interval, group_bootstrap
from workzone.metrics.classification import auroc, best_mcc_threshold, mcc_from_counts
from workzone.storage.artifacts import ArtifactStore
from workzone.storage.scores import read_scores

NEVER_CERTIFIED = (
    "Pooled predictions of several models measure the recipe. No certificate can be made on them: certify one run, on "
    "its own calib."
)


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One fold by itself.

    Attributes:
        fold: Which is test, from 0.
        split_sha256: Of its split.
        n: Pictures of test with a decided label.
        n_groups: Their groups.
        threshold: The logit from which it calls road work, chosen on its select.
        mcc: At that threshold.
        auroc: Of its logits; None where test shows one class only.
    """

    fold: int
    split_sha256: str
    n: int
    n_groups: int
    threshold: float
    mcc: float
    auroc: float | None


@dataclass(frozen=True, slots=True)
class PooledFolds:
    """All folds of one k-fold.

    Attributes:
        dataset_sha256: Of the data set.
        folds: One for each fold, in order.
        n: Pictures with a decided label, each tested once.
        n_groups: Their groups.
        mcc: Of all of them, each called by its own fold's threshold.
        low: Lower end of the bootstrap interval over groups; it holds the models as they are.
        high: Upper end.
        certified: Always False.
        statement: Why.
    """

    dataset_sha256: str
    folds: tuple[FoldResult, ...]
    n: int
    n_groups: int
    mcc: float
    low: float | None
    high: float | None
    certified: bool = False
    statement: str = NEVER_CERTIFIED


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    split: Split
    test: Scores
    select: Scores


def pool_folds(runs: Sequence[Path], *, n_resamples: int = 2000, seed: int = 0) -> PooledFolds:
    """Measure the runs of all folds of one group k-fold together.

    Args:
        runs: Directories of the runs, one for each fold, in any order.
        n_resamples: Bootstrap resamples of groups.
        seed: Of the resamples.

    Raises:
        ArtifactError: A run is incomplete, or an artifact was changed.
        ConfigError: The runs are not the folds of one k-fold on one data set, each once.
    """
    opened = [_open(run) for run in runs]
    folds = _in_order(opened)
    results, called, scores = [], [], []
    for fold in folds:
        test, select = fold.test.decided(), fold.select.decided()
        threshold = float(best_mcc_threshold(select.labels == Label.ROADWORK, select.logits)[0])
        said = test.logits >= threshold
        called.append(said)
        scores.append(test)
        results.append(_result(fold, test, said, threshold))
    labels = np.concatenate([s.labels for s in scores]) == Label.ROADWORK
    groups = np.concatenate([s.groups for s in scores])
    interval = _pooled_mcc(labels, np.concatenate(called), groups, n_resamples, seed)
    defined = bool(np.isfinite(interval.low))
    return PooledFolds(
        dataset_sha256=folds[0].split.dataset_sha256,
        folds=tuple(results),
        n=len(labels),
        n_groups=len(np.unique(groups)),
        mcc=interval.estimate,
        low=interval.low if defined else None,
        high=interval.high if defined else None,
    )


def _open(run: Path) -> _Fold:
    store = ArtifactStore(run)
    split = read_split(store.open("split")[0])
    scores = []
    for name in ("predictions-test", "predictions-select"):
        directory, manifest = store.open(name)
        if {opening.split_sha256 for opening in manifest.lineage} != {split.sha256}:
            raise ArtifactError(
                f"'{directory}' derives from another split than the one in '{run}'. Run its phases again."
            )
        scores.append(read_scores(directory))
    return _Fold(split, *scores)


def _in_order(folds: Sequence[_Fold]) -> list[_Fold]:
    """Return the folds by number, after checking that they are all of one k-fold."""
    recipes = [fold.split.recipe for fold in folds]
    if not recipes or any(recipe.folds is None for recipe in recipes):
        raise ConfigError(
            "These are not runs of a k-fold; each needs a split made with split.folds=K split.fold=I."
        )
    kinds = {
        (fold.split.dataset_sha256, recipe.model_copy(update={"fold": 0}).model_dump_json())
        for fold, recipe in zip(folds, recipes, strict=True)
    }
    if len(kinds) > 1:
        raise ConfigError(
            "The runs are folds of different k-folds: their data set, seed, number of folds or shares differ."
        )
    numbers = sorted(recipe.fold for recipe in recipes if recipe.fold is not None)
    if numbers != list(range(recipes[0].folds or 0)):
        raise ConfigError(
            f"The runs are the folds {', '.join(map(str, numbers))} of {recipes[0].folds}; expected each once, so that "
            "every group is tested once."
        )
    return sorted(folds, key=lambda fold: fold.split.recipe.fold or 0)


def _result(fold: _Fold, test: Scores, said: NDArray[np.bool_], threshold: float) -> FoldResult:
    positive = test.labels == Label.ROADWORK
    both = bool(positive.any()) and not bool(positive.all())
    return FoldResult(
        fold=fold.split.recipe.fold or 0,
        split_sha256=fold.split.sha256,
        n=len(test.ids),
        n_groups=len(np.unique(test.groups)),
        threshold=threshold,
        mcc=_mcc(positive, said),
        auroc=float(auroc(positive, test.logits)) if both else None,
    )


def _mcc(positive: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    counts = (positive & said, ~positive & said, ~positive & ~said, positive & ~said)
    return float(mcc_from_counts(*(np.array(count.sum()) for count in counts)))


def _pooled_mcc(
    positive: NDArray[np.bool_],
    said: NDArray[np.bool_],
    groups: NDArray[np.str_],
    n_resamples: int,
    seed: int,
) -> Interval:
    def measured(rows: NDArray[np.intp]) -> float:
        return _mcc(positive[rows], said[rows])

    return group_bootstrap(groups, measured, n_resamples, seed=seed)
