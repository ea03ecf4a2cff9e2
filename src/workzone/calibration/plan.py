"""How many groups a certificate takes, before anyone labels them.

Counts groups that *count*: for the selective FNR, answered groups with road work; groups that a policy defers
do not, so label more by that share. Knows counts and rates, not policies: every policy that is certified in
the same way takes the same number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from workzone.core.errors import ConfigError
from workzone.policy.betting import boundary_stake
from workzone.policy.binomial import binomial_cdf
from workzone.policy.settings import Counting

LARGEST_PLAN = 200_000
"""Counted groups beyond which planning gives up."""

Kind = Literal["pac", "average"]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What it takes with this many errors."""

    misses: int
    """Groups in error: missed, for a miss rate. All frames: wholly in error."""
    groups_needed: int
    """Least number of counted groups that certify with so many of them in error."""
    power: float
    """Probability that of so many groups at most `misses` are in error, at the expected rate."""
    exceedance: float | None
    """`average`: the chance that a draw of so many groups gives a rule above alpha."""


@dataclass(frozen=True, slots=True)
class CertificatePlan:
    """How many groups to collect."""

    kind: Kind
    counting: Counting
    alpha: float
    delta: float
    expected_miss: float
    rows: tuple[PlanRow, ...]
    """For 0, 1, 2, ... errors."""
    power: float
    """Wanted probability of certifying."""
    groups_for_power: int
    """Least number of counted groups that certify so often at the expected rate."""
    answered: float
    """Share of the groups that count, as it is expected."""
    groups_to_label: int
    """`groups_for_power` over `answered`."""


def plan_certificate(
    alpha: float,
    delta: float,
    expected_miss: float,
    max_misses: int = 20,
    power: float = 0.8,
    *,
    kind: Kind = "pac",
    counting: Counting = Counting.ONE_PER_GROUP,
    answered: float = 1.0,
) -> CertificatePlan:
    """Plan a certificate of a risk of at most `alpha`.

    Args:
        alpha: Largest risk, in (0, 1).
        delta: Probability that the certificate is wrong, in (0, 1); not used by `average`.
        expected_miss: The risk that the policy is believed to have, in [0, alpha).
        max_misses: Last row of the table, >= 0.
        power: Wanted probability of certifying, in (0, 1).
        kind: Of the promise.
        counting: What stands for a group. All frames is planned for groups that are wholly right or wholly in
            error, the worst case; groups in part in error cost less.
        answered: Share of the groups that will count, in (0, 1].

    Raises:
        ConfigError: An argument is out of its range, or it would take more than `LARGEST_PLAN` groups.
    """
    _require_rates(alpha=alpha, delta=delta, power=power)
    if not 0.0 < answered <= 1.0:
        raise ConfigError(f"'answered' is the share of groups that count, in (0, 1], got {answered}.")
    if not 0.0 <= expected_miss < 1.0:
        raise ConfigError(f"The expected risk is in [0, alpha), got {expected_miss}.")
    if expected_miss >= alpha:
        raise ConfigError(
            f"A policy whose risk is {expected_miss:g} cannot be certified to stay at or below {alpha:g}, however "
            "many are labelled: the expected risk must be below alpha. Allow a larger alpha, or defer more."
        )
    if max_misses < 0:
        raise ConfigError(f"A plan needs at least the row of no misses, got max_misses={max_misses}.")
    rows: list[PlanRow] = []
    enough: PlanRow | None = None
    misses, groups = 0, 0
    # within the groups that certify with k misses the power falls with n, so the least n is one of the rows'
    while enough is None or misses <= max_misses:
        groups = _needed(misses, alpha, delta, kind, counting, groups + 1)
        if groups > LARGEST_PLAN:
            raise ConfigError(
                f"Certifying alpha={alpha:g} at delta={delta:g} takes more than {LARGEST_PLAN} "
                f"groups here: the expected risk {expected_miss:g} is too near to alpha, or "
                "alpha too small."
            )
        exceedance = binomial_cdf(misses, groups, alpha) if kind == "average" else None
        row = PlanRow(misses, groups, binomial_cdf(misses, groups, expected_miss), exceedance)
        if misses <= max_misses:
            rows.append(row)
        # a promise of the mean adapts its threshold: whatever the errors, the least number suffices
        if enough is None and (row.power >= power or kind == "average"):
            enough = row
        misses += 1
    return CertificatePlan(
        kind=kind,
        counting=counting,
        alpha=alpha,
        delta=delta,
        expected_miss=expected_miss,
        rows=tuple(rows),
        power=power,
        groups_for_power=enough.groups_needed,
        answered=answered,
        groups_to_label=math.ceil(enough.groups_needed / answered),
    )


def groups_needed(misses: int, alpha: float, delta: float, at_least: int = 1) -> int:
    """Return the least n >= `at_least` with P(Bin(n, alpha) <= misses) <= delta.

    For alpha 0.02 and delta 0.05: 149 without a miss, 236 with one, 313 with two.

    Raises:
        ConfigError: A rate is out of its range.
    """
    _require_rates(alpha=alpha, delta=delta)
    return _least(lambda n: binomial_cdf(misses, n, alpha) <= delta, misses, at_least)


def average_groups_needed(misses: int, alpha: float) -> int:
    """Return the least n with (misses + 1) / (n + 1) <= alpha: 49, 99, 149, ... for alpha 0.02."""
    _require_rates(alpha=alpha)
    n = max(misses, math.ceil((misses + 1) / alpha - 1))
    while n > misses and (misses + 1) / n <= alpha:  # n is the n + 1 of n - 1
        n -= 1
    return n if (misses + 1) / (n + 1) <= alpha else n + 1


def betting_groups_needed(misses: int, alpha: float, delta: float, at_least: int = 1) -> int:
    """Return the least n that the betting test certifies with `misses` groups wholly in error."""
    _require_rates(alpha=alpha, delta=delta)

    def certifies(n: int) -> bool:
        stake = boundary_stake(n, alpha, delta)
        gain = (n - misses) * math.log1p(stake * alpha / (1.0 - alpha)) + misses * math.log1p(-stake)
        return gain >= -math.log(delta)

    return _least(certifies, misses, at_least)


def _needed(misses: int, alpha: float, delta: float, kind: Kind, counting: Counting, at_least: int) -> int:
    if kind == "average":
        return max(at_least, average_groups_needed(misses, alpha))
    if counting is Counting.ALL_FRAMES:
        return betting_groups_needed(misses, alpha, delta, at_least)
    return groups_needed(misses, alpha, delta, at_least)


def _least(certifies: Callable[[int], bool], misses: int, at_least: int) -> int:
    """Return the least n >= `at_least` that certifies; what certifies goes on to as n grows."""
    low, high = at_least - 1, max(at_least, misses + 1)  # low fails or is not asked for
    while not certifies(high):
        low, high = high, high + max(1, high - low) * 2
    while high - low > 1:
        middle = (low + high) // 2
        if certifies(middle):
            high = middle
        else:
            low = middle
    return high


def certification_power(n: int, alpha: float, delta: float, true_miss: float) -> float:
    """Return the probability that n answered positive groups certify a policy of true risk `true_miss`."""
    _require_rates(alpha=alpha, delta=delta)
    misses = -1
    while binomial_cdf(misses + 1, n, alpha) <= delta:
        misses += 1
    return binomial_cdf(misses, n, true_miss)


def _require_rates(**rates: float) -> None:
    for name, rate in rates.items():
        if not 0.0 < rate < 1.0:
            raise ConfigError(f"'{name}' is a probability strictly between 0 and 1, got {rate}.")
