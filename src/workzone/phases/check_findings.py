"""PASS, WARN or FAIL: what a measured number is against its limits.

The rule, for all alike: FAIL is said where the number is shown to be beyond the `fail` limit, PASS where it meets
`warn` and is shown not to be beyond `fail`, WARN in between. For a number with an interval "shown" means the whole
interval; a time or a size is taken as it was measured. What rests on too little is WARN, never PASS.
Knows numbers; measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workzone.core.types import Status
from workzone.evaluation.grouped import counted
from workzone.phases.check_limits import AtLeast, AtMost
from workzone.policy.binomial import clopper_pearson_upper

_ROUNDING = 1e-12
"""A bound that equals the limit but for the last digits is not above it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A number, before it is compared."""

    name: str
    """As the recipe calls it, with its unit."""
    n: int
    """Answers, pictures or groups that it rests on; 1 for a size."""
    value: float | None
    """None: it could not be measured; `missing` says why."""
    low: float | None = None
    """Of its interval; None: it has none."""
    high: float | None = None
    missing: str | None = None
    """Why it cannot pass whatever it is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A number beside its limits."""

    name: str
    status: Status
    value: float | None
    low: float | None
    high: float | None
    n: int
    warn: float
    fail: float
    reason: str | None
    """Why it is not PASS."""


def judge(reading: Reading, limit: AtLeast | AtMost) -> Finding:
    """Compare a number with its limits; see the head of this module."""
    status, reason = _outcome(reading, limit)
    return Finding(
        reading.name,
        status,
        reading.value,
        reading.low,
        reading.high,
        reading.n,
        limit.warn,
        limit.fail,
        reason,
    )


def judge_risk(
    name: str, events: int, n: int, alpha: float, delta: float, uncertified: str | None
) -> Finding:
    """Compare a risk with the most that was promised.

    FAIL where it is significantly above alpha: the one-sided exact lower bound of Clopper and Pearson at
    confidence 1 - delta lies above it. WARN where more than alpha was seen, where there is no certificate, or
    where not even a risk of 0 could be told from alpha by so few.

    Args:
        name: Of the risk.
        events: What must not happen, in 0..n.
        n: Groups that count, one picture each.
        alpha: The promised limit, in (0, 1).
        delta: One minus the confidence, in (0, 1).
        uncertified: Why the bundle promises nothing; None: it does.
    """
    rate = events / n if n else None
    low = 1 - clopper_pearson_upper(n - events, n, delta) if n else None
    high = clopper_pearson_upper(events, n, delta) if n else None
    status, reason = Status.PASS, None
    if low is not None and low - alpha > _ROUNDING:
        status = Status.FAIL
        reason = f"above {alpha:g} with confidence {1 - delta:g}: at least {low:.4f}"
    elif clopper_pearson_upper(0, n, delta) > alpha:
        status, reason = (
            Status.WARN,
            f"too few: {counted(n, 'group')} could not show it, even without an event",
        )
    elif rate is not None and rate > alpha:
        status, reason = Status.WARN, f"above {alpha:g}, but so few may be chance"
    elif uncertified is not None:
        status, reason = Status.WARN, "the bundle has no certificate: nothing is promised"
    return Finding(name, status, rate, low, high, n, alpha, alpha, reason)


def worst(findings: Iterable[Finding]) -> Status:
    """Return the worst status; PASS without any finding."""
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.PASS)


def _outcome(reading: Reading, limit: AtLeast | AtMost) -> tuple[Status, str | None]:
    value = reading.value
    if value is None or reading.missing is not None:
        return Status.WARN, reading.missing or "not measured"
    low = value if reading.low is None else reading.low
    high = value if reading.high is None else reading.high
    sign, best, worst_end = (1, high, low) if isinstance(limit, AtLeast) else (-1, low, high)
    beyond = "below" if sign > 0 else "above"
    between = "" if low == high else "the whole interval is "
    if sign * best < sign * limit.fail:
        return Status.FAIL, f"{between}{beyond} {limit.fail:g}"
    if sign * value < sign * limit.fail:
        return Status.WARN, f"{beyond} {limit.fail:g}, but so few may be chance"
    if sign * value < sign * limit.warn:
        return Status.WARN, f"{beyond} {limit.warn:g}"
    if sign * worst_end < sign * limit.fail:
        return Status.WARN, f"too few: the interval reaches {beyond} {limit.fail:g}"
    return Status.PASS, None
