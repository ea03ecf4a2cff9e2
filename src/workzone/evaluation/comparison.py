"""Is system B better than system A on the same pictures?

Knows what both said of the pictures; runs no model. All intervals come from one set of group resamples in which
each group brings both systems' answers, so what is hard for both cancels. MCC and accuracy are those of answering
every picture at probability 0.5; the rates are those of each system's own policy, and all that tells two policies of
one model apart. McNemar's p values are shown because people ask for them; the verdict rests on the intervals, which
know of groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.types import Verdict
from workzone.evaluation.comparison_records import (
    ComparedMeasure,
    Comparison,
    DetectableDifference,
)
from workzone.evaluation.comparison_verdict import (
    POLICY_MEASURES,
    find_better,
    judge_policies,
    verdict_in_words,
)
from workzone.evaluation.grouped import Sampling, as_measure
from workzone.evaluation.measures import TITLES
from workzone.evaluation.paired_tests import PairedAnswers, detectable_accuracy, paired_tests
from workzone.evaluation.system_answers import SystemAnswers
from workzone.evaluation.unseen_differences import widened_mcc, widened_rate, without_width
from workzone.metrics.bootstrap import Interval, bootstrap_totals
from workzone.metrics.classification import mcc_from_counts

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

POWER = 0.8
"""The chance with which the stated smallest difference would have been shown."""
DEFAULT_SAMPLING = Sampling(n_resamples=2000, confidence=0.95, seed=0)
_ONE_CLASS = "it takes pictures of both classes"
_UNDEFINED = "no picture in the denominator of one of them"


def compare(a: SystemAnswers, b: SystemAnswers, *, sampling: Sampling = DEFAULT_SAMPLING) -> Comparison:
    """Compare B with A on the same pictures.

    Args:
        a: The system that is there.
        b: The one that wants to be better.
        sampling: Resamples of groups; 2,000 or more for a 95 % interval.

    Raises:
        DataError: The two did not answer the same pictures in the same order, or `sampling` is out of range.
    """
    for field in ("ids", "groups", "positive"):
        if not np.array_equal(getattr(a, field), getattr(b, field)):
            raise DataError(
                f"'{a.name}' and '{b.name}' differ in the {field} of their pictures; a paired comparison takes "
                "the same pictures in the same order."
            )
    measures, standard_errors = _measures(a, b, sampling)
    largest = int(np.unique(a.groups, return_counts=True)[1].max())
    answers = PairedAnswers(a.ids, a.groups, a.positive, a.correct, b.correct)
    tests, group_tests = paired_tests(answers, sampling.seed)
    by_name = {measure.name: measure for measure in measures}
    mcc, *rates = (
        _detectable(by_name[name], standard_errors[name], sampling)
        for name in ("mcc_at_half", *POLICY_MEASURES)
    )
    policies = judge_policies(by_name)
    same_answers = _same_answers(a, b) and by_name["mcc_at_half"].difference.estimate is not None
    found = Comparison(
        name_a=a.name,
        name_b=b.name,
        n=len(a.ids),
        n_groups=len(np.unique(a.groups)),
        n_positives=int(a.positive.sum()),
        n_positive_groups=len(np.unique(a.groups[a.positive])),
        largest_group=largest,
        n_resamples=sampling.n_resamples,
        confidence=sampling.confidence,
        seed=sampling.seed,
        measures=measures,
        mcnemar=tests,
        group_tests=group_tests,
        detectable=(mcc, detectable_accuracy(tests, POWER, 1 - sampling.confidence), *rates),
        same_answers=same_answers,
        policies=policies,
        finding=find_better(by_name["mcc_at_half"], policies, same_answers=same_answers),
        statement="",
    )
    return replace(found, statement=verdict_in_words(found))


def _same_answers(a: SystemAnswers, b: SystemAnswers) -> bool:
    return np.array_equal(a.called, b.called)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A measure of one system, as a function of column totals [R, C]."""

    name: str
    whole: Callable[[SystemAnswers], Mask]
    part: Callable[[SystemAnswers], Mask] | None
    """None: the MCC of being called road work, over `whole`."""


def _everyone(s: SystemAnswers) -> Mask:
    return np.ones(len(s.ids), dtype=np.bool_)


def _answered_positive(s: SystemAnswers) -> Mask:
    return s.positive & ~s.said(Verdict.DEFER)


_KINDS = (
    _Kind("mcc_at_half", _everyone, None),
    _Kind("accuracy_at_half", _everyone, lambda s: s.correct),
    _Kind("selective_fnr", _answered_positive, lambda s: s.said(Verdict.NONE)),
    _Kind("committed_miss_rate", lambda s: s.positive, lambda s: s.said(Verdict.NONE)),
    _Kind("false_alarm_rate", lambda s: ~s.positive, lambda s: s.said(Verdict.ROADWORK)),
    _Kind("coverage", _everyone, lambda s: ~s.said(Verdict.DEFER)),
)


def _measures(
    a: SystemAnswers, b: SystemAnswers, sampling: Sampling
) -> tuple[tuple[ComparedMeasure, ...], Mapping[str, float]]:
    """Every measure of A, of B and of B - A, and the bootstrap standard error of each difference, by name."""
    columns = [column for kind in _KINDS for s in (a, b) for column in _columns(kind, s)]
    drawn: list[F64] = []

    def statistic(totals: F64) -> F64:
        of_each, place = [], 0
        for kind in _KINDS:
            width = 4 if kind.part is None else 2
            one, two = totals[:, place : place + width], totals[:, place + width : place + 2 * width]
            place += 2 * width
            first, second = _value(one), _value(two)
            of_each += [first, second, second - first]
        drawn.append(np.stack(of_each, axis=1))
        return drawn[-1]

    intervals = bootstrap_totals(
        a.groups,
        np.stack(columns, axis=1).astype(np.float64),
        statistic,
        sampling.n_resamples,
        sampling.confidence,
        sampling.seed,
    )
    found = [_compared(kind, a, b, intervals[3 * i : 3 * i + 3]) for i, kind in enumerate(_KINDS)]
    errors = {kind.name: _standard_error(drawn[-1][:, 3 * i + 2]) for i, kind in enumerate(_KINDS)}
    return tuple(found), errors


def _standard_error(differences: F64) -> float:
    defined = differences[~np.isnan(differences)]
    return float(defined.std(ddof=1)) if len(defined) > 1 else 0.0


def _columns(kind: _Kind, s: SystemAnswers) -> list[Mask]:
    whole = kind.whole(s)
    if kind.part is not None:
        return [whole & kind.part(s), whole]
    y, called = s.positive, s.called
    return [y & called, ~y & called, ~y & ~called, y & ~called]


def _value(totals: F64) -> F64:
    """A rate from [R, 2] part and whole, or MCC from [R, 4] counts; nan where it is undefined."""
    if totals.shape[1] == 2:
        part, whole = totals.T
        share: F64 = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
        return share
    tp, fp, tn, fn = totals.T
    # A resample of one class has no MCC; the 0 of convention would be read as a failure.
    return np.where((tp + fn > 0) & (fp + tn > 0), mcc_from_counts(tp, fp, tn, fn), np.nan)


def _compared(kind: _Kind, a: SystemAnswers, b: SystemAnswers, found: list[Interval]) -> ComparedMeasure:
    wholes = [kind.whole(a), kind.whole(b)]
    own = [
        as_measure(
            kind.name,
            interval,
            int(whole.sum()),
            len(np.unique(a.groups[whole])),
            proportion=kind.part is not None,
            undefined=_ONE_CLASS,
        )
        for whole, interval in zip(wholes, found[:2], strict=True)
    ]
    if kind.part is None:
        own = [without_width(measure) for measure in own]
    either = wholes[0] | wholes[1]
    difference = as_measure(
        kind.name,
        found[2],
        int(either.sum()),
        len(np.unique(a.groups[either])),
        undefined=_ONE_CLASS if kind.part is None else _UNDEFINED,
    )
    if kind.part is not None:
        difference = widened_rate(difference, found[2].confidence)
    elif _same_answers(a, b):
        difference = widened_mcc(
            difference, found[2].confidence, [float(np.mean(c)) for c in _columns(kind, a)]
        )
    else:
        difference = without_width(difference)
    return ComparedMeasure(kind.name, TITLES[kind.name], own[0], own[1], difference)


def _detectable(measure: ComparedMeasure, standard_error: float, sampling: Sampling) -> DetectableDifference:
    normal = NormalDist()
    reach = normal.inv_cdf((1 + sampling.confidence) / 2) + normal.inv_cdf(POWER)
    method = f"{reach:.2f} bootstrap standard errors over groups"
    reason = measure.difference.reason
    if reason is None and standard_error == 0:
        reason = "the same in every resample, so how much it varies is not known"
    size = None if reason is not None else reach * standard_error
    return DetectableDifference(measure.name, size, POWER, method, reason)
