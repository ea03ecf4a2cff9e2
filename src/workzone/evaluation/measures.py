"""Which measures are reported, and how each follows from labels, probabilities and verdicts.

Knows one table of decided pictures; does not choose thresholds. The titles that people read are here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from workzone.core.observer import Observer
from workzone.core.types import Verdict
from workzone.evaluation.grouped import GroupedMeasures, Sampling, as_measure
from workzone.evaluation.records import Measure, TrivialResult
from workzone.metrics.bootstrap import Interval, bootstrap_statistics
from workzone.metrics.calibration_error import Binning, ece
from workzone.metrics.classification import auprc, auroc
from workzone.policy.verdicts import CODES

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

N_BINS = 15
"""Of both calibration errors."""
PROB_FLOOR = 1e-15
"""Probabilities are kept this far from 0 and 1 in the NLL, as scikit-learn once did: one certain error would
make it infinite."""

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "selective_fnr": "Missed, of the answered road work (selective FNR)",
        "committed_miss_rate": "Missed, of all road work (committed miss rate)",
        "false_omission_rate": "Road work among answers “none” (false-omission rate)",
        "false_alarm_rate": "False alarms, of all pictures without road work",
        "coverage": "Answered, of all pictures (coverage)",
        "positive_coverage": "Answered, of the road work",
        "negative_coverage": "Answered, of the pictures without road work",
        "answered_accuracy": "Accuracy of the answers",
        "answered_mcc": "MCC of the answers",
        "mcc": "MCC",
        "accuracy": "Accuracy",
        "precision": "Precision",
        "recall": "Recall",
        "specificity": "Specificity",
        "mcc_at_half": "MCC at probability 0.5",
        "accuracy_at_half": "Accuracy at probability 0.5",
        "precision_at_half": "Precision at probability 0.5",
        "recall_at_half": "Recall at probability 0.5",
        "specificity_at_half": "Specificity at probability 0.5",
        "auroc": "AUROC",
        "auprc": "AUPRC (average precision)",
        "brier": "Brier score",
        "nll": "Negative log-likelihood",
        "ece_equal_width": "Calibration error, bins of equal width (ECE)",
        "ece_equal_mass": "Calibration error, bins of equal mass",
    }
)
"""Name of a measure → what a person reads."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The decided pictures and all that was said of them, in one order [N].

    Attributes:
        groups: str.
        positive: bool, whether the label is road work.
        logits: float64.
        probs: float64, calibrated, in [0, 1].
        codes: int8, the policy's verdicts as `policy.verdicts.CODES`.
        decision_threshold: The logit from which plain classification calls road work.
    """

    groups: NDArray[np.str_]
    positive: Mask
    logits: F64
    probs: F64
    codes: NDArray[np.int8]
    decision_threshold: float

    @property
    def called(self) -> Mask:
        """Plain classification at the decision threshold."""
        return self.logits >= self.decision_threshold

    def verdict(self, verdict: Verdict) -> Mask:
        """Which pictures got this verdict."""
        mask: Mask = self.codes == CODES[verdict]
        return mask

    @property
    def answered(self) -> Mask:
        """Which pictures were not deferred."""
        return ~self.verdict(Verdict.DEFER)


def all_measures(answers: Answers, sampling: Sampling, observer: Observer) -> tuple[Measure, ...]:
    """Return every measure of `TITLES`, in its order."""
    table = GroupedMeasures(answers.groups)
    add_policy(table, answers)
    add_classification(table, answers, answers.called, "")
    add_classification(table, answers, answers.probs >= 0.5, "_at_half")
    table.mean("brier", (answers.probs - answers.positive) ** 2)
    certainty = np.where(answers.positive, answers.probs, 1 - answers.probs)
    table.mean("nll", -np.log(np.maximum(certainty, PROB_FLOOR)))
    table.ece("ece_equal_width", answers.positive.astype(np.float64), answers.probs, N_BINS)
    found = {m.name: m for m in [*table.solve(sampling), *_ranking(answers, sampling, observer)]}
    return tuple(found[name] for name in TITLES)


def add_policy(table: GroupedMeasures, answers: Answers, among: Mask | None = None) -> None:
    """Add what a policy that may defer is judged by, among some pictures only if so asked."""
    inside = np.ones(len(answers.positive), dtype=np.bool_) if among is None else among
    positive, negative = answers.positive & inside, ~answers.positive & inside
    none, answered = answers.verdict(Verdict.NONE), answers.answered
    table.rate("selective_fnr", none, positive & answered)
    table.rate("committed_miss_rate", none, positive)
    table.rate("false_omission_rate", positive, none & inside)
    table.rate("false_alarm_rate", answers.verdict(Verdict.ROADWORK), negative)
    table.rate("coverage", answered, inside)
    table.rate("positive_coverage", answered, positive)
    table.rate("negative_coverage", answered, negative)
    table.rate("answered_accuracy", none != positive, answered & inside)
    table.mcc("answered_mcc", answers.positive, ~none, answered & inside)


def add_classification(table: GroupedMeasures, answers: Answers, called: Mask, suffix: str) -> None:
    """Add the measures of plain classification, in which every picture is answered."""
    positive = answers.positive
    everyone = np.ones(len(positive), dtype=np.bool_)
    table.mcc(f"mcc{suffix}", positive, called)
    table.rate(f"accuracy{suffix}", called == positive, everyone)
    table.rate(f"precision{suffix}", positive, called)
    table.rate(f"recall{suffix}", called, positive)
    table.rate(f"specificity{suffix}", ~called, ~positive)


def auroc_measure(answers: Answers, logits: F64, sampling: Sampling) -> Measure:
    """Return the AUROC of any logits on these pictures, over the same resamples."""

    def statistic(rows: NDArray[np.intp]) -> F64:
        return np.array([auroc(answers.positive[rows], logits[rows])])

    found = bootstrap_statistics(
        answers.groups, statistic, sampling.n_resamples, sampling.confidence, sampling.seed
    )
    return _ranked("auroc", found[0], answers)


def trivial_results(answers: Answers) -> tuple[TrivialResult, ...]:
    """Return what "everything road work", "everything none" and "everything deferred" give."""
    results = []
    for verdict, said in _TRIVIAL.items():
        score = np.full(len(answers.positive), 1.0 if verdict is Verdict.ROADWORK else -1.0)
        codes = np.full(len(score), CODES[verdict], dtype=np.int8)
        blind = replace(answers, logits=score, codes=codes, decision_threshold=0.0)
        table = GroupedMeasures(answers.groups)
        add_policy(table, blind)
        if verdict is not Verdict.DEFER:
            add_classification(table, blind, blind.called, "")
        solved = table.solve(Sampling(n_resamples=1, confidence=0.95, seed=0))
        # Nothing here depends on the model: the figures are exact for these pictures.
        exact = tuple(replace(m, low=None, high=None, interval=None) for m in solved)
        results.append(TrivialResult(f"everything {said}", exact))
    return tuple(results)


_TRIVIAL = {Verdict.ROADWORK: "road work", Verdict.NONE: "none", Verdict.DEFER: "deferred"}


def _ranking(answers: Answers, sampling: Sampling, observer: Observer) -> list[Measure]:
    """The measures that need the pictures themselves in every resample."""
    y, logits, probs = answers.positive, answers.logits, answers.probs

    def statistic(rows: NDArray[np.intp]) -> F64:
        return np.array(
            [
                auroc(y[rows], logits[rows]),
                auprc(y[rows], logits[rows]),
                ece(y[rows], probs[rows], N_BINS, Binning.MASS),
            ]
        )

    found = bootstrap_statistics(
        answers.groups, statistic, sampling.n_resamples, sampling.confidence, sampling.seed, observer
    )
    names = ("auroc", "auprc", "ece_equal_mass")
    return [_ranked(name, interval, answers) for name, interval in zip(names, found, strict=True)]


def _ranked(name: str, interval: Interval, answers: Answers) -> Measure:
    n_groups = len(np.unique(answers.groups))
    return as_measure(
        name, interval, len(answers.groups), n_groups, undefined="it takes pictures of both classes"
    )
