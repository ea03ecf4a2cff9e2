"""How many answered positive groups a certificate takes, before anyone labels them.

Counts *answered* positive groups: groups that a policy defers do not count, so label more by that share.
"""

from __future__ import annotations

from dataclasses import dataclass

from workzone.core.errors import ConfigError
from workzone.policy.binomial import binomial_cdf

LARGEST_PLAN = 200_000
"""Answered positive groups beyond which planning gives up."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What it takes with this many misses."""

    misses: int
    groups_needed: int
    """Least number of answered positive groups that certify with `misses` of them missed."""
    power: float
    """Probability that of so many groups at most `misses` are missed, at the expected miss rate."""


@dataclass(frozen=True, slots=True)
class CertificatePlan:
    """How many answered positive groups to collect."""

    alpha: float
    delta: float
    expected_miss: float
    rows: tuple[PlanRow, ...]
    """For 0, 1, 2, ... misses."""
    power: float
    """Wanted probability of certifying."""
    groups_for_power: int
    """Least number of answered positive groups that certify so often at the expected miss rate."""


def plan_certificate(
    alpha: float, delta: float, expected_miss: float, max_misses: int = 20, power: float = 0.8
) -> CertificatePlan:
    """Plan a certificate of a selective FNR of at most `alpha` with confidence 1 - `delta`.

    Args:
        alpha: Largest risk, in (0, 1).
        delta: Probability that the certificate is wrong, in (0, 1).
        expected_miss: The selective FNR that the model is believed to have, in [0, alpha).
        max_misses: Last row of the table, >= 0.
        power: Wanted probability of certifying, in (0, 1).

    Raises:
        ConfigError: An argument is out of its range, or it would take more than `LARGEST_PLAN` groups.
    """
    _require_rates(alpha=alpha, delta=delta, power=power)
    if not 0.0 <= expected_miss < 1.0:
        raise ConfigError(f"The expected miss rate is in [0, alpha), got {expected_miss}.")
    if expected_miss >= alpha:
        raise ConfigError(
            f"A model that misses {expected_miss:g} of the positives it answers cannot be certified to miss "
            f"at most {alpha:g}, however many are labelled: the expected miss rate must be below alpha. "
            "Allow a larger alpha, or defer more."
        )
    if max_misses < 0:
        raise ConfigError(f"A plan needs at least the row of no misses, got max_misses={max_misses}.")
    rows: list[PlanRow] = []
    enough: PlanRow | None = None
    misses, groups = 0, 0
    # within the groups that certify with k misses the power falls with n, so the least n is one of the rows'
    while enough is None or misses <= max_misses:
        groups = groups_needed(misses, alpha, delta, at_least=groups + 1)
        if groups > LARGEST_PLAN:
            raise ConfigError(
                f"Certifying alpha={alpha:g} at delta={delta:g} takes more than {LARGEST_PLAN} answered "
                f"positive groups here: the expected miss rate {expected_miss:g} is too near to alpha, or "
                "alpha too small."
            )
        row = PlanRow(misses, groups, binomial_cdf(misses, groups, expected_miss))
        if misses <= max_misses:
            rows.append(row)
        if enough is None and row.power >= power:
            enough = row
        misses += 1
    return CertificatePlan(alpha, delta, expected_miss, tuple(rows), power, enough.groups_needed)


def groups_needed(misses: int, alpha: float, delta: float, at_least: int = 1) -> int:
    """Return the least n >= `at_least` with P(Bin(n, alpha) <= misses) <= delta.

    For alpha 0.02 and delta 0.05: 149 without a miss, 236 with one, 313 with two.

    Raises:
        ConfigError: A rate is out of its range.
    """
    _require_rates(alpha=alpha, delta=delta)
    low, high = at_least - 1, max(at_least, misses + 1)  # low fails or is not asked for; the CDF falls with n
    while binomial_cdf(misses, high, alpha) > delta:
        low, high = high, high + max(1, high - low) * 2
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_cdf(misses, middle, alpha) > delta:
            low = middle
        else:
            high = middle
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
