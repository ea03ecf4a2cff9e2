"""Which measures are reported, and how each follows from labels, probabilities and verdicts.

Knows one table of decided pictures; does not choose thresholds. The titles that people read are here too.

Measures that chance adds to, such as the plain ECE, have no percentile interval: see `biased_measures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from workzone.core.observer import Observer
from workzone.core.types import Verdict
from workzone.evaluation.biased_measures import reflected, without_biased_interval
from workzone.evaluation.grouped import GroupedMeasures, Sampling, as_measure
from workzone.evaluation.records import Measure, TrivialResult
from workzone.evaluation.sweep import Sweep, oracle_coverage
from workzone.metrics.bootstrap import Interval, bootstrap_statistics
from workzone.metrics.brier_decomposition import brier_decomposition
from workzone.metrics.calibration_error import Binning, debiased_calibration_error, ece
from workzone.metrics.classification import auprc, auroc
from workzone.metrics.selective import risk_coverage
from workzone.policy.settings import RiskLimit
from workzone.policy.verdicts import CODES

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

N_BINS = 15
"""Of the calibration errors and of the Brier score's parts."""
PROB_FLOOR = 1e-15
"""Probabilities are kept this far from 0 and 1 in the NLL, as scikit-learn once did: one certain error would
make it infinite."""

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "selective_fnr": "Missed, of the answered road work (selective FNR)",
        "committed_miss_rate": "Missed, of all road work (committed miss rate)",
        "false_omission_rate": "Road work among answers “none” (false-omission rate)",
        "false_alarm_rate": "False alarms, of all pictures without road work",
        "false_discovery_rate": "No road work among answers “road work” (false-discovery rate, 1 − precision)",
        "coverage": "Answered, of all pictures (coverage)",
        "oracle_coverage": "Coverage an oracle reaches at the promised risk (it picks on test: a ceiling, no promise)",
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
        "aurc": "Area under the risk–coverage curve (AURC)",
        "augrc": "Area under the generalised risk–coverage curve (AUGRC)",
        "brier": "Brier score",
        "brier_reliability": "Brier reliability: probabilities against frequencies",
        "brier_resolution": "Brier resolution: frequencies told apart (taken off; higher is better)",
        "brier_uncertainty": "Brier uncertainty: of the share of road work alone",
        "brier_remainder": "Brier remainder: what the bins hide",
        "nll": "Negative log-likelihood",
        "ece_equal_width": "Calibration error, bins of equal width (ECE)",
        "ece_equal_width_debiased": "The same without what chance adds, equal width (debiased; may fall below 0)",
        "ece_equal_mass": "Calibration error, bins of equal mass",
        "ece_equal_mass_debiased": "The same without what chance adds, equal mass (debiased; may fall below 0)",
    }
)
"""Name of a measure → what a person reads."""


@dataclass(frozen=True, slots=True, eq=False)
class PolicyAnswers:
    """What a policy said of N decided pictures.

    Attributes:
        positive: bool [N], whether the label is road work.
        codes: int8 [N], the policy's verdicts as `policy.verdicts.CODES`.
    """

    positive: Mask
    codes: NDArray[np.int8]

    def verdict(self, verdict: Verdict) -> Mask:
        """Which pictures got this verdict."""
        mask: Mask = self.codes == CODES[verdict]
        return mask

    @property
    def answered(self) -> Mask:
        """Which pictures were not deferred."""
        return ~self.verdict(Verdict.DEFER)


@dataclass(frozen=True, slots=True, eq=False)
class Answers(PolicyAnswers):
    """The decided pictures and all that was said of them, in one order [N].

    Attributes:
        groups: str.
        logits: float64.
        probs: float64, calibrated, in [0, 1].
        decision_threshold: The logit from which plain classification calls road work.
        sweep: How the policy would answer more and more of them.
        limits: The risks that the policy is to keep low.
    """

    groups: NDArray[np.str_]
    logits: F64
    probs: F64
    decision_threshold: float
    sweep: Sweep
    limits: tuple[RiskLimit, ...]

    @property
    def called(self) -> Mask:
        """Plain classification at the decision threshold."""
        return self.logits >= self.decision_threshold


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
    found = {
        m.name: without_biased_interval(m)
        for m in [*table.solve(sampling), *_ranking(answers, sampling, observer)]
    }
    return tuple(found[name] for name in TITLES)


def add_policy(table: GroupedMeasures, answers: PolicyAnswers, among: Mask | None = None) -> None:
    """Add what a policy that may defer is judged by, among some pictures only if so asked."""
    inside = np.ones(len(answers.positive), dtype=np.bool_) if among is None else among
    positive, negative = answers.positive & inside, ~answers.positive & inside
    none, answered = answers.verdict(Verdict.NONE), answers.answered
    roadwork = answers.verdict(Verdict.ROADWORK)
    table.rate("selective_fnr", none, positive & answered)
    table.rate("committed_miss_rate", none, positive)
    table.rate("false_omission_rate", positive, none & inside)
    table.rate("false_alarm_rate", roadwork, negative)
    table.rate("false_discovery_rate", negative, roadwork & inside)
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
    labels = y.astype(np.int8)
    wrong, confidence = answers.called != y, np.abs(logits - answers.decision_threshold)
    # A group that is drawn twice stays one group: the variance that is taken off then doubles, as what chance
    # adds does in a resample, so that the interval drifts less far above the debiased estimate.
    group = np.unique(answers.groups, return_inverse=True)[1]

    def statistic(rows: NDArray[np.intp]) -> F64:
        selective = risk_coverage(wrong[rows], confidence[rows])
        parts = brier_decomposition(y[rows], probs[rows], N_BINS)
        mass, width = (
            debiased_calibration_error(y[rows], probs[rows], N_BINS, binning, group[rows]).ece
            for binning in (Binning.MASS, Binning.WIDTH)
        )
        times = np.bincount(rows, minlength=len(y))
        found = {
            "auroc": auroc(y[rows], logits[rows]),
            "auprc": auprc(y[rows], logits[rows]),
            "aurc": selective.aurc,
            "augrc": selective.augrc,
            "oracle_coverage": oracle_coverage(answers.sweep, labels, answers.limits, times),
            "brier_reliability": parts.reliability,
            "brier_resolution": parts.resolution,
            "brier_uncertainty": parts.uncertainty,
            "brier_remainder": parts.remainder,
            "ece_equal_mass": ece(y[rows], probs[rows], N_BINS, Binning.MASS),
            "ece_equal_mass_debiased": mass,
            "ece_equal_width_debiased": width,
        }
        return np.array([found[name] for name in _RANKED])

    found = bootstrap_statistics(
        answers.groups, statistic, sampling.n_resamples, sampling.confidence, sampling.seed, observer
    )
    return [_ranked(name, interval, answers) for name, interval in zip(_RANKED, found, strict=True)]


_RANKED = (
    "auroc", "auprc", "aurc", "augrc", "oracle_coverage", "brier_reliability", "brier_resolution",
    "brier_uncertainty", "brier_remainder", "ece_equal_mass", "ece_equal_mass_debiased",
    "ece_equal_width_debiased",
)  # fmt: skip


def _ranked(name: str, interval: Interval, answers: Answers) -> Measure:
    n_groups = len(np.unique(answers.groups))
    debiased = name.endswith("_debiased")
    undefined = "no bin with two groups" if debiased else "it takes pictures of both classes"
    return as_measure(name, reflected(name, interval), len(answers.groups), n_groups, undefined=undefined)
