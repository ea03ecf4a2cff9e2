"""How a policy would answer more and more pictures, and what each risk does meanwhile.

A policy of thresholds keeps its calls of road work and answers "none" from the lowest logit upwards; a gate
gives its first answers from its highest score downwards; a policy that defers a band narrows it from both
sides. All pass through the policy as it is. Knows verdict codes; chooses nothing: the largest coverage within a
risk, read off here, is an oracle's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.core.types import Verdict
from workzone.metrics.selective import SelectiveCurve, coverage_at_risk
from workzone.policy.conformal import ConformalPolicy
from workzone.policy.gate import GatePolicy
from workzone.policy.policies import AnyPolicy
from workzone.policy.risks import RISKS, RiskDefinition
from workzone.policy.settings import RiskLimit
from workzone.policy.verdicts import CODES

F64 = NDArray[np.float64]
Rows = NDArray[np.intp]

_ROADWORK, _NONE, _DEFER = CODES[Verdict.ROADWORK], CODES[Verdict.NONE], CODES[Verdict.DEFER]


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """N pictures in the order in which they are answered.

    Attributes:
        order: intp [N], rows, the first answered first.
        points: intp [J], rising: after how many answers the sweep may stop. Equal scores are answered together;
            the first point is what is answered whatever the threshold.
        answers: int8 [N], by row: the verdict code that it is answered with.
    """

    order: Rows
    points: Rows
    answers: NDArray[np.int8]


def policy_sweep(policy: AnyPolicy, logits: F64, features: NDArray[np.float32]) -> Sweep:
    """Return the sweep of a policy over N pictures.

    Args:
        policy: Of any kind.
        logits: float64 [N].
        features: float32 [N, D].
    """
    if isinstance(policy, GatePolicy):
        answers = np.where(logits >= policy.decision, _ROADWORK, _NONE).astype(np.int8)
        return _sweep(-policy.score(logits, features), answers)
    if isinstance(policy, ConformalPolicy) and policy.band_low < policy.band_high:
        answers = np.where(logits >= policy.roadwork_from, _ROADWORK, _NONE).astype(np.int8)
        return _sweep(-np.abs(logits - (policy.band_low + policy.band_high) / 2), answers)
    called = policy.decide(logits, features) == _ROADWORK
    answers = np.where(called, _ROADWORK, _NONE).astype(np.int8)
    return _sweep(np.where(called, -np.inf, logits), answers)


def sweep_curve(
    sweep: Sweep, labels: NDArray[np.int8], definition: RiskDefinition, weights: Rows | None = None
) -> SelectiveCurve:
    """Return a risk against coverage at each point of the sweep.

    Args:
        sweep: Of the same pictures.
        labels: int8 [N], 1 road work, 0 none.
        definition: Of the risk.
        weights: intp [N], how often each picture counts, as in a resample; by default once.
    """
    rows = sweep.order
    times = np.ones(len(rows), dtype=np.intp) if weights is None else weights[rows]
    known, said = labels[rows], sweep.answers[rows]
    inside = definition.population.members(known)
    deferred = np.full(len(rows), _DEFER, dtype=np.int8)
    before = inside & definition.counts(deferred)
    after = inside & definition.counts(said)
    counted = int((times * before).sum()) + _at(sweep, times * (after.astype(np.intp) - before))
    events = _at(sweep, times * (inside & definition.events(known, said)))
    risk = np.divide(events, counted, out=np.full(len(counted), np.nan), where=counted > 0)
    return SelectiveCurve(_at(sweep, times) / times.sum(), risk)


def oracle_coverage(
    sweep: Sweep, labels: NDArray[np.int8], limits: Sequence[RiskLimit], weights: Rows | None = None
) -> float:
    """Return the largest coverage at which every measured risk is within its limit; 0 where there is none.

    It is chosen by looking at the labels of these pictures, so it flatters and promises nothing.
    """
    worst: F64 | None = None
    for limit in limits:
        curve = sweep_curve(sweep, labels, RISKS[limit.risk], weights)
        excess = np.where(np.isnan(curve.risk), 0.0, curve.risk > limit.alpha)
        worst = excess if worst is None else np.maximum(worst, excess)
    assert worst is not None
    return coverage_at_risk(SelectiveCurve(curve.coverage, worst), 0.0)


def _sweep(place: F64, answers: NDArray[np.int8]) -> Sweep:
    order = np.argsort(place, kind="stable")
    ranked = place[order]
    always = int((ranked == -np.inf).sum())
    ends = np.flatnonzero(ranked[1:] > ranked[:-1]) + 1
    points = np.unique(np.concatenate([[always], ends[ends > always], [len(place)]])).astype(np.intp)
    return Sweep(order, points, answers)


def _at(sweep: Sweep, values: Rows) -> Rows:
    total: Rows = np.concatenate([[0], np.cumsum(values)])[sweep.points]
    return total
