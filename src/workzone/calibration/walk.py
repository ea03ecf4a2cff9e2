"""Tests an ordered family of rules in fixed sequence, for one risk or two at once.

Each rule is tested by a p-value of "some limit is broken": the largest of the p-values of the single risks,
which is valid because both must hold (an intersection–union test, Berger 1982), so a second risk costs no
confidence. The walk begins at a rule that was chosen on `select` and goes on while p <= delta; every rule that
it passed is safe, all at once, with confidence 1 - delta (Learn-then-Test in fixed sequence, Angelopoulos et
al., arXiv 2110.01052). The order and the start know nothing of the calibration scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.calibration.groups import Grouped
from workzone.calibration.path import Path, picture_counts
from workzone.policy.betting import boundary_stake
from workzone.policy.binomial import binomial_cdfs
from workzone.policy.risks import RISKS, RiskDefinition
from workzone.policy.settings import Counting, RiskLimit

F64 = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class WalkPlan:
    """What is fixed on `select`.

    Attributes:
        start: The first rule to test.
        stakes: float64 [limits, J] for the betting test, one for each rule.
    """

    start: int
    stakes: F64


def plan_walk(
    path: Path,
    select: Grouped,
    n_groups: Sequence[int],
    limits: Sequence[RiskLimit],
    delta: float,
) -> WalkPlan:
    """Choose where to start, and the stakes, from the same rules on `select`.

    A rule that answers little passes no test however good it is, so the walk starts where the chance of
    passing is greatest by `select` (the first such rule): for a risk that only grows that is the safe end.

    Args:
        path: The rules on the pictures of `select`.
        select: These pictures.
        n_groups: For each limit, how many calibration groups have a picture of its population.
        limits: Risks and their limits.
        delta: Probability that the certificate may be wrong.
    """
    chance = np.ones(len(path))
    stakes = np.empty((len(limits), len(path)))
    for row, (limit, n_calib) in enumerate(zip(limits, n_groups, strict=True)):
        definition = RISKS[limit.risk]
        rows = select.rows(definition.population)
        counted, events = picture_counts(path, select, definition, rows)
        expected = counted / max(1, len(rows)) * n_calib
        risk = (events + 0.5) / (counted + 1.0)
        n = np.floor(expected).astype(np.intp)
        allowed = most_events(n, limit.alpha, delta)
        chance *= np.array(
            [_power(int(k), int(m), float(r)) for k, m, r in zip(allowed, n, risk, strict=True)]
        )
        stakes[row] = [boundary_stake(float(m), limit.alpha, delta) for m in expected]
    return WalkPlan(int(np.argmax(chance)), stakes)


def walk(
    path: Path,
    grouped: Grouped,
    limits: Sequence[RiskLimit],
    delta: float,
    counting: Counting,
    plan: WalkPlan,
    extra_events: int = 0,
) -> int | None:
    """Return the last rule before the first that fails its test; None if the first one does.

    Args:
        path: The rules on the calibration pictures.
        grouped: These pictures.
        limits: Risks and their limits.
        delta: Probability that the certificate may be wrong.
        counting: What stands for a group.
        plan: Start and stakes, fixed on `select`.
        extra_events: Errors that are added at every rule, for the question what wrong labels would do: a picture
            that counts becomes an error; where all frames count, a group that was right becomes wholly wrong.
    """
    passes = np.ones(len(path) - plan.start, dtype=np.bool_)
    for limit, stakes in zip(limits, plan.stakes, strict=True):
        definition = RISKS[limit.risk]
        if counting is Counting.ONE_PER_GROUP:
            p_values = _binomial_p_values(path, grouped, definition, limit.alpha, plan.start, extra_events)
        else:
            p_values = _betting_p_values(
                path, grouped, definition, limit.alpha, plan.start, stakes, delta, extra_events
            )
        passes &= p_values <= delta
    failed = np.flatnonzero(~passes)
    steps = int(failed[0]) if len(failed) else len(passes)
    return plan.start + steps - 1 if steps else None


def most_events(n: Rows, alpha: float, delta: float) -> Rows:
    """Return the most events k with P(Bin(n, alpha) <= k) <= delta, for each n; -1 where even 0 fails."""
    low = np.full(len(n), -1, dtype=np.intp)  # passes, or stands for "none does"
    high = n.astype(np.intp)  # fails: the distribution function of n is 1
    while bool((high - low > 1).any()):
        middle = (low + high) // 2
        fits = binomial_cdfs(np.maximum(middle, 0), n, alpha) <= delta
        fits &= middle >= 0
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return low


def _power(allowed: int, n: int, risk: float) -> float:
    """Return P(Bin(n, risk) <= allowed)."""
    if allowed < 0:
        return 0.0
    k, m = np.array([allowed], dtype=np.intp), np.array([n], dtype=np.intp)
    return float(binomial_cdfs(k, m, min(max(risk, 1e-12), 1 - 1e-12))[0])


def _binomial_p_values(
    path: Path, grouped: Grouped, definition: RiskDefinition, alpha: float, start: int, extra: int
) -> F64:
    rows = grouped.chosen[definition.population]
    counted, events = picture_counts(path, grouped, definition, rows)
    return binomial_cdfs(np.minimum(events + extra, counted)[start:], counted[start:], alpha)


def _betting_p_values(
    path: Path,
    grouped: Grouped,
    definition: RiskDefinition,
    alpha: float,
    start: int,
    stakes: F64,
    delta: float,
    extra: int,
) -> F64:
    """Return 1 / wealth of each rule, up to the first that fails; 1 from there on."""
    rows = grouped.rows(definition.population)
    rows = rows[np.argsort(path.switch[rows], kind="stable")]
    labels, groups, switch = grouped.labels[rows], grouped.groups[rows], path.switch[rows]
    sizes = np.bincount(groups, minlength=grouped.n_groups)
    share = np.divide(1.0, sizes, out=np.zeros(len(sizes)), where=sizes > 0)[groups]
    # what a picture adds to alpha · (share that counts) - (share of events), before and after it changes
    before, after = (
        (alpha * definition.counts(codes[rows]) - definition.events(labels, codes[rows])) * share
        for codes in (path.before, path.after)
    )
    gain = np.bincount(groups, weights=before, minlength=grouped.n_groups)
    ends = np.searchsorted(switch, np.arange(len(path)), side="right")
    p_values = np.ones(len(path) - start)
    first = 0
    for index in range(len(path)):
        moved = slice(first, int(ends[index]))
        first = int(ends[index])
        np.add.at(gain, groups[moved], after[moved] - before[moved])
        if index < start:
            continue
        growth = np.log1p(stakes[index] / (1.0 - alpha) * gain)
        wealth = float(growth.sum()) + _spoilt(growth, float(stakes[index]), extra)
        p_values[index - start] = min(1.0, math.exp(min(700.0, -wealth)))
        if p_values[index - start] > delta:
            break
    return p_values


def _spoilt(growth: F64, stake: float, extra: int) -> float:
    """Return what the log wealth loses if the `extra` groups that gained most were wholly wrong instead."""
    if not extra:
        return 0.0
    best = np.sort(growth)[-extra:]
    return float(len(best) * math.log1p(-stake) - best.sum())
