"""Evaluate: from the scores of `test` to measures with intervals, beside what looks at nothing.

Takes scored tables and never runs a model. It chooses nothing either: the policy, the calibrator and the
decision threshold come from `select` and `calib`, so that `test` only reports.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, DataError
from workzone.core.observer import NullObserver, Observer
from workzone.core.scores import Scores
from workzone.core.types import Label
from workzone.evaluation.curves import all_curves
from workzone.evaluation.grouped import GroupedMeasures, Sampling
from workzone.evaluation.measures import Answers, all_measures, auroc_measure, trivial_results
from workzone.evaluation.records import BaselineComparison, Evaluation, SliceColumn
from workzone.evaluation.slices import slice_tables
from workzone.evaluation.sweep import policy_sweep
from workzone.metrics.classification import confusion
from workzone.metrics.selective import selective_counts
from workzone.policy.calibrators import Calibrator
from workzone.policy.policies import AnyPolicy


@dataclass(frozen=True, slots=True)
class Baseline:
    """Another model to be ahead of.

    Attributes:
        name: What the report calls it.
        scores: Of the same pictures, in any order.
        decision_threshold: The logit from which it calls road work; chosen on `select`.
    """

    name: str
    scores: Scores
    decision_threshold: float


def evaluate(
    scores: Scores,
    calibrator: Calibrator,
    policy: AnyPolicy,
    slices: Sequence[SliceColumn] = (),
    *,
    decision_threshold: float,
    baseline: Baseline | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    observer: Observer | None = None,
) -> Evaluation:
    """Measure a model and its policy on the decided pictures of `scores`.

    Args:
        scores: Of the test pictures; their order changes nothing.
        calibrator: From logit to probability.
        policy: From logit and features to verdict.
        slices: Properties of the same pictures, in the order of `scores`.
        decision_threshold: The logit from which plain classification (MCC, accuracy, precision, recall,
            specificity) calls a picture road work. Fitted on `select`, never here.
        baseline: A model to compare with, on the same resamples of groups.
        n_resamples: How often groups are drawn with replacement, for every interval.
        confidence: Of the intervals, in (0, 1).
        seed: Of the draws.
        observer: Is told of the progress.

    Raises:
        DataError: No picture is decided, a picture comes twice, a slice has another number of pictures, or
            the baseline was asked about other pictures.
        ConfigError: The decision threshold is not finite.
    """
    if not math.isfinite(decision_threshold):
        raise ConfigError(f"The decision threshold must be a finite logit, got {decision_threshold}.")
    watcher = observer or NullObserver()
    sampling = Sampling(n_resamples, confidence, seed)
    order = _canonical_order(scores)
    scores = scores.take(order)
    known = scores.labels != Label.UNKNOWN
    decided = known & ~scores.ambiguous
    if not decided.any():
        raise DataError(
            f"None of the {len(scores.ids)} test pictures has a known, unambiguous label: "
            "nothing can be measured."
        )
    answers = _answers(scores.take(decided), calibrator, policy, decision_threshold)
    found = _measured(answers, sampling, watcher)
    with_ambiguous = None
    if (known & scores.ambiguous).any():
        counted = _answers(scores.take(known), calibrator, policy, decision_threshold)
        with_ambiguous = all_measures(counted, sampling, watcher)
    return replace(
        found,
        n_unknown=int((~known).sum()),
        n_ambiguous=int((known & scores.ambiguous).sum()),
        measures_with_ambiguous=with_ambiguous,
        baseline=None if baseline is None else _compare(scores.take(decided), answers, baseline, sampling),
        slices=slice_tables(answers, [_aligned(column, order, decided) for column in slices], sampling),
    )


def _measured(answers: Answers, sampling: Sampling, observer: Observer) -> Evaluation:
    """What needs only the decided pictures themselves."""
    positive = answers.positive
    return Evaluation(
        n=len(positive),
        n_groups=_count_groups(answers.groups),
        n_positives=int(positive.sum()),
        n_positive_groups=_count_groups(answers.groups[positive]),
        n_negatives=int((~positive).sum()),
        n_negative_groups=_count_groups(answers.groups[~positive]),
        n_unknown=0,
        n_ambiguous=0,
        decision_threshold=float(answers.decision_threshold),
        n_resamples=sampling.n_resamples,
        confidence=sampling.confidence,
        seed=sampling.seed,
        measures=all_measures(answers, sampling, observer),
        measures_with_ambiguous=None,
        confusion=confusion(positive, answers.called),
        verdicts=selective_counts(positive, answers.codes),
        trivial=trivial_results(answers),
        baseline=None,
        slices=(),
        curves=all_curves(answers, sampling),
    )


def _canonical_order(scores: Scores) -> NDArray[np.intp]:
    """By id: whatever order the pictures come in, the same sums are made in the same order."""
    order = np.argsort(scores.ids, kind="stable")
    ids = scores.ids[order]
    twice = ids[1:][ids[1:] == ids[:-1]]
    if len(twice):
        raise DataError(
            f"Picture {twice[0]} is scored more than once; identical bytes are one sample. "
            "Make the predictions again."
        )
    return order


def _answers(scores: Scores, calibrator: Calibrator, policy: AnyPolicy, decision_threshold: float) -> Answers:
    return Answers(
        groups=scores.groups,
        positive=scores.labels == Label.ROADWORK,
        logits=scores.logits,
        probs=calibrator.apply(scores.logits),
        codes=policy.decide(scores.logits, scores.features),
        decision_threshold=decision_threshold,
        sweep=policy_sweep(policy, scores.logits, scores.features),
        limits=policy.settings.limits,
    )


def _compare(scores: Scores, answers: Answers, baseline: Baseline, sampling: Sampling) -> BaselineComparison:
    others = baseline.scores
    order = np.argsort(others.ids, kind="stable")
    place = np.minimum(np.searchsorted(others.ids[order], scores.ids), max(len(order) - 1, 0))
    if not len(order) or not np.array_equal(others.ids[order][place], scores.ids):
        raise DataError(
            f"The baseline '{baseline.name}' has no score for some of the {len(scores.ids)} measured "
            "pictures; a paired comparison needs both models on the same ones."
        )
    logits = others.logits[order][place]
    called = logits >= baseline.decision_threshold
    table = GroupedMeasures(answers.groups)
    table.mcc("mcc", answers.positive, called)
    table.mcc_difference("mcc_difference", answers.positive, answers.called, called)
    mcc, difference = table.solve(sampling)
    return BaselineComparison(
        name=baseline.name,
        decision_threshold=float(baseline.decision_threshold),
        measures=(mcc, auroc_measure(answers, logits, sampling)),
        mcc_difference=difference,
    )


def _aligned(column: SliceColumn, order: NDArray[np.intp], decided: NDArray[np.bool_]) -> SliceColumn:
    if column.members.shape[1] != len(order):
        raise DataError(
            f"Slices by '{column.name}' are of {column.members.shape[1]} pictures, "
            f"the scores of {len(order)}."
        )
    return SliceColumn(column.name, column.values, column.members[:, order][:, decided])


def _count_groups(groups: NDArray[np.str_]) -> int:
    return len(np.unique(groups))
