"""The points that the report draws, thinned to what an eye can tell apart."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from workzone.evaluation.grouped import GroupedMeasures, Sampling
from workzone.evaluation.measures import Answers
from workzone.evaluation.records import Curve, Curves, ReliabilityPoint
from workzone.evaluation.sweep import sweep_curve
from workzone.metrics.classification import precision_recall_curve, roc_curve
from workzone.metrics.selective import risk_coverage
from workzone.policy.risks import RISKS, Risk

F64 = NDArray[np.float64]

MAX_POINTS = 250
N_RELIABILITY_BINS = 10


def all_curves(answers: Answers, sampling: Sampling) -> Curves:
    """Return every curve; one that needs a class which is missing is empty."""
    roc = roc_curve(answers.positive, answers.logits)
    pr = precision_recall_curve(answers.positive, answers.logits)
    risk = risk_coverage(
        answers.called != answers.positive, np.abs(answers.logits - answers.decision_threshold)
    )
    return Curves(
        roc=_curve(roc.false_positive_rate, roc.true_positive_rate),
        precision_recall=_curve(pr.recall, pr.precision),
        risk_coverage=_curve(risk.coverage, risk.risk),
        fnr_coverage=_along(answers, Risk.SELECTIVE_FNR),
        for_coverage=_along(answers, Risk.FALSE_OMISSION_RATE),
        reliability=_reliability(answers, sampling),
    )


def _along(answers: Answers, risk: Risk) -> Curve:
    found = sweep_curve(answers.sweep, answers.positive.astype(np.int8), RISKS[risk])
    return _curve(found.coverage, found.risk)


def _reliability(answers: Answers, sampling: Sampling) -> tuple[ReliabilityPoint, ...]:
    edges = np.linspace(0.0, 1.0, N_RELIABILITY_BINS + 1)
    index = np.clip(np.searchsorted(edges, answers.probs, side="right") - 1, 0, N_RELIABILITY_BINS - 1)
    table = GroupedMeasures(answers.groups)
    for b in range(N_RELIABILITY_BINS):
        table.rate("positive_rate", answers.positive, index == b)
    return tuple(
        ReliabilityPoint(
            low_prob=round(float(edges[b]), 6),
            high_prob=round(float(edges[b + 1]), 6),
            mean_prob=float(answers.probs[index == b].mean()) if measure.n else None,
            positive_rate=measure,
        )
        for b, measure in enumerate(table.solve(sampling))
    )


def _curve(x: F64, y: F64) -> Curve:
    """The defined points, at most `MAX_POINTS`, first and last always among them."""
    defined = np.isfinite(x) & np.isfinite(y)
    x, y = x[defined], y[defined]
    if len(x) > MAX_POINTS:
        kept = np.unique(np.linspace(0, len(x) - 1, MAX_POINTS).round().astype(np.intp))
        x, y = x[kept], y[kept]
    assert not any(math.isnan(value) for value in (*x, *y))
    return Curve(tuple(x.tolist()), tuple(y.tolist()))
