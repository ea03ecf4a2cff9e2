"""Which labels are probably wrong: those that a model which never saw their group would not give.

Knows features, labels and groups; does not know pictures or what the features are. Every picture is predicted by
a logistic regression on standardised features, fitted to the other groups (group k-fold), because a model that
has seen a picture's neighbours repeats their label, right or wrong. Logistic regression, because its optimum is
unique, its probabilities need no calibration to be compared across folds, and it has too few parameters to learn
single wrong labels by heart; the penalty is the one with the least out-of-fold loss on the labels as given.

Two rankings come of the same probabilities. With two classes, cleanlab's plain scores (self-confidence,
normalised margin) order rows exactly as the loss does; what confident learning adds is the class thresholds, so
cleanlab's scores are taken with them subtracted, and its list by its own counts. A list is a list to be looked
at: a suspect is a disagreement, and a hard picture with the right label disagrees too.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.lazy import require
from workzone.core.observer import NullObserver, Observer
from workzone.core.types import Label

F64 = NDArray[np.float64]
Rows = NDArray[np.intp]

PENALTIES = (0.001, 0.01, 0.1, 1.0)
"""Candidates of scikit-learn's inverse penalty C."""
MAX_ITERATIONS = 1000
TASK = "label suspects"


class Ranking(StrEnum):
    """What suspects are ordered by."""

    LOSS = "loss"
    """Cross-entropy of the given label."""
    CLEANLAB = "cleanlab"
    """Confident learning's label quality: probability of the given label less its class's threshold."""


DEFAULT_RANKING = Ranking.LOSS
"""`benchmarks/suspects.py`: no difference where labels are balanced. Where road work is rare, thresholds excuse a
low probability of the rare label: they rank labels flipped at random far lower, and those flipped near the boundary
higher."""


@dataclass(frozen=True, slots=True, eq=False)
class Suspects:
    """What each label looks like to models that did not see its group; N rows, M of them judged.

    Attributes:
        judged: bool [N]; False where the label is unknown or ambiguous, or a feature is not finite.
        probs: float64 [N], out-of-fold probability of road work; nan where not judged.
        loss: float64 [N], cross-entropy of the given label in nats, at least 0; high is suspicious. nan as above.
        quality: float64 [N], cleanlab's score in [0, 1]; low is suspicious. nan as above.
        by_loss: intp [M], judged rows, the most suspicious first.
        by_quality: intp [M], the same by cleanlab's score.
        flagged: intp [F], the rows that cleanlab lists as wrongly labelled, by its score.
        folds: Of the cross-validation.
        penalty: The inverse penalty C that was chosen.
        auroc: Of the out-of-fold probabilities against the labels as given: near 0.5 the features say nothing of
            the labels, and neither do the suspects.
    """

    judged: NDArray[np.bool_]
    probs: F64
    loss: F64
    quality: F64
    by_loss: Rows
    by_quality: Rows
    flagged: Rows
    folds: int
    penalty: float
    auroc: float

    def order(self, ranking: Ranking = DEFAULT_RANKING) -> Rows:
        """Return the judged rows, the most suspicious first."""
        return self.by_loss if ranking is Ranking.LOSS else self.by_quality

    def listed(self, ranking: Ranking = DEFAULT_RANKING) -> Rows:
        """Return as many rows as cleanlab flags, from the top of a ranking: the list to look through."""
        return self.order(ranking)[: len(self.flagged)]


def label_suspects(
    features: NDArray[np.float32],
    labels: NDArray[np.int8],
    groups: NDArray[np.str_],
    *,
    ambiguous: NDArray[np.bool_] | None = None,
    folds: int = 5,
    seed: int = 0,
    observer: Observer | None = None,
) -> Suspects:
    """Rank labels by how little the other groups support them.

    Confident learning: Northcutt, Jiang and Chuang, JAIR 70 (2021), by cleanlab.

    Args:
        features: [N, D]; rows that are not finite are left out.
        labels: [N]; unknown ones are left out.
        groups: [N]; a group is never cut.
        ambiguous: [N], rows to leave out; None: none.
        folds: At least 2.
        seed: Of the assignment of groups to folds.
        observer: Told of progress, and of a fit that did not converge.

    Raises:
        DataError: Lengths differ, or there are fewer groups with either label than folds: nothing can be said.
        MissingExtraError: scikit-learn or cleanlab is not installed.
    """
    judged = _judged(features, labels, groups, ambiguous, folds)
    filter_module = require("cleanlab.filter", "check")  # before the work, so that its absence costs none
    rank_module = require("cleanlab.rank", "check")
    given = labels[judged] == Label.ROADWORK
    logits, penalty = _out_of_fold(
        features[judged], given, groups[judged], folds, seed, observer or NullObserver()
    )
    probs = np.exp(-np.logaddexp(0.0, -logits))
    both = np.stack([1 - probs, probs], axis=1)
    classes = given.astype(np.intp)
    quality = np.asarray(
        rank_module.get_label_quality_scores(classes, both, method="self_confidence", adjust_pred_probs=True)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with few rows, which the caller can see for himself
        wrong = np.asarray(filter_module.find_label_issues(classes, both, n_jobs=1), dtype=np.bool_)
    loss = np.logaddexp(0.0, np.where(given, -logits, logits))  # exact where the probability rounds to 0 or 1
    rows = np.flatnonzero(judged)
    order = np.argsort(quality, kind="stable")
    return Suspects(
        judged=judged,
        probs=_spread(probs, judged),
        loss=_spread(loss, judged),
        quality=_spread(quality, judged),
        by_loss=rows[np.argsort(-loss, kind="stable")],
        by_quality=rows[order],
        flagged=rows[order][wrong[order]],
        folds=folds,
        penalty=penalty,
        auroc=float(require("sklearn.metrics", "check").roc_auc_score(given, logits)),
    )


def group_folds(given: NDArray[np.bool_], groups: NDArray[np.str_], folds: int, seed: int) -> list[Rows]:
    """Return the rows of each fold: groups whole, labels in about equal shares (StratifiedGroupKFold).

    Raises:
        DataError: Fewer groups than folds have one of the labels, or a fold would leave one label to learn from.
    """
    model_selection = require("sklearn.model_selection", "check")
    for label, name in ((True, "road work"), (False, "none")):
        found = len(np.unique(groups[given == label]))
        if found < folds:
            raise DataError(
                f"{found} groups have a picture labelled {name}; {folds} folds need at least {folds} of each. "
                "Label more sequences, or ask for fewer folds."
            )
    splitter = model_selection.StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    held = [
        np.asarray(test, dtype=np.intp) for _, test in splitter.split(np.zeros(len(given)), given, groups)
    ]
    for test in held:
        rest = np.delete(given, test)
        if rest.all() or not rest.any():
            raise DataError(
                "One group holds nearly all pictures of a label, so that a fold leaves only the other label to "
                "learn from. Divide that group, if it is several sequences, or label more."
            )
    return [test for test in held if len(test)]


def _judged(
    features: NDArray[np.float32],
    labels: NDArray[np.int8],
    groups: NDArray[np.str_],
    ambiguous: NDArray[np.bool_] | None,
    folds: int,
) -> NDArray[np.bool_]:
    n = len(labels)
    lengths = [len(features), len(groups), n if ambiguous is None else len(ambiguous)]
    if features.ndim != 2 or lengths != [n, n, n]:
        raise DataError(
            f"Features have shape {list(features.shape)}, with {len(groups)} groups and {n} labels; expected one "
            "row of features, one group and one label for each picture."
        )
    if folds < 2:
        raise DataError(f"{folds} folds leave nothing to learn from; at least 2 are needed.")
    judged: NDArray[np.bool_] = (labels != Label.UNKNOWN) & np.isfinite(features).all(axis=1)
    return judged if ambiguous is None else judged & ~ambiguous


def _out_of_fold(
    features: NDArray[np.float32],
    given: NDArray[np.bool_],
    groups: NDArray[np.str_],
    folds: int,
    seed: int,
    observer: Observer,
) -> tuple[F64, float]:
    """Return each row's logit by the models that did not see its group, and the penalty that was chosen."""
    held = group_folds(given, groups, folds, seed)
    logits = np.full((len(PENALTIES), len(given)), np.nan)
    stuck = 0
    for done, (number, test, fold_logits, converged) in enumerate(_fits(features, given, held)):
        observer.progress(TASK, done, len(held) * len(PENALTIES))
        logits[number, test] = fold_logits
        stuck += not converged
    observer.progress(TASK, len(held) * len(PENALTIES), len(held) * len(PENALTIES))
    if stuck:
        observer.note(
            f"{stuck} of the fits behind the label suspects did not converge in {MAX_ITERATIONS} steps."
        )
    losses = np.logaddexp(0.0, np.where(given, -logits, logits)).mean(axis=1)
    best = int(np.argmin(losses))
    return logits[best], PENALTIES[best]


def _fits(
    features: NDArray[np.float32], given: NDArray[np.bool_], held: list[Rows]
) -> Iterator[tuple[int, Rows, F64, bool]]:
    linear_model = require("sklearn.linear_model", "check")
    for test in held:
        learn = np.delete(np.arange(len(given)), test)
        mean = features[learn].mean(axis=0, dtype=np.float64)
        std = features[learn].std(axis=0, dtype=np.float64)
        std[std < 1e-8] = 1.0  # a constant feature says nothing, and the penalty keeps its weight at zero
        shown: Any = ((features[learn] - mean) / std).astype(np.float32)
        asked: Any = ((features[test] - mean) / std).astype(np.float32)
        for number, penalty in enumerate(PENALTIES):
            model = linear_model.LogisticRegression(C=penalty, max_iter=MAX_ITERATIONS)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # counted below instead
                model.fit(shown, given[learn])
            yield (
                number,
                test,
                np.asarray(model.decision_function(asked), dtype=np.float64),
                int(model.n_iter_[0]) < MAX_ITERATIONS,
            )


def _spread(values: F64, judged: NDArray[np.bool_]) -> F64:
    """Return [N] with nan where a row was not judged."""
    spread = np.full(len(judged), np.nan)
    spread[judged] = values
    return spread
