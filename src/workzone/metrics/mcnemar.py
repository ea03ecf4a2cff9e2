"""McNemar's test: do two classifiers err equally often on the same pictures? Plain Python and numpy.

Knows counts of discordant pictures; does not know groups. It takes pictures for independent: where several
frames come from one sequence use one picture per group, or `paired.sign_flip_test`. It compares accuracy; on
road work alone it compares the miss rate.
Sources: McNemar 1947; Edwards 1948 (continuity correction); Fagerland, Lydersen & Laake 2013 (mid-p, which they
recommend: the exact test is too careful); Duffy 1984 (exact unconditional power).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import DataError
from workzone.metrics.classification import binary

F64 = NDArray[np.float64]

_SPREAD = 8.0
"""Binomial terms further than so many standard deviations from the mean weigh below 1e-14."""
_MAX_DISCORDANT_COUNTS = 400
"""Of more possible discordant counts than this, power is summed over as many evenly spaced ones."""
_PRECISION = 1e-6


@dataclass(frozen=True, slots=True)
class McNemar:
    """P values of "both are right equally often", two-sided. Without discordant pictures all are 1."""

    only_a: int
    """Pictures (b) on which A alone was right."""
    only_b: int
    """Pictures (c) on which B alone was right."""
    exact_p: float
    mid_p: float
    chi2_p: float
    """Without continuity correction."""
    chi2_corrected_p: float

    @property
    def n_discordant(self) -> int:
        """Pictures on which just one was right."""
        return self.only_a + self.only_b


def mcnemar(only_a: int, only_b: int) -> McNemar:
    """Test the two discordant counts b and c.

    Given b + c, b is Bin(b + c, 1/2) where both err equally often. The exact p is P(|b - c| at least as large),
    the mid-p counts the observed value half, χ² = (|b - c| - 0 or 1)^2 / (b + c) with one degree of freedom.

    Raises:
        DataError: A count is negative.
    """
    if only_a < 0 or only_b < 0:
        raise DataError(f"Discordant counts are 0 or more, got {only_a} and {only_b}.")
    n, apart = only_a + only_b, abs(only_a - only_b)
    if n == 0:
        return McNemar(0, 0, 1.0, 1.0, 1.0, 1.0)
    log_factorials = _log_factorials(n)
    pmf, start = _pmf_window(n, 0.5, log_factorials)
    distance = np.abs(2 * (start + np.arange(len(pmf))) - n)
    beyond, at = float(pmf[distance > apart].sum()), float(pmf[distance == apart].sum())
    if beyond + at < 1e-12:  # outside the window: sum the tail itself
        beyond, at = _far_tail((n - apart) // 2, n, log_factorials)
    corrected = max(apart - 1, 0)
    return McNemar(
        only_a=only_a,
        only_b=only_b,
        exact_p=min(1.0, beyond + at),
        mid_p=min(1.0, beyond + at / 2),
        chi2_p=math.erfc(math.sqrt(apart**2 / n / 2)),
        chi2_corrected_p=math.erfc(math.sqrt(corrected**2 / n / 2)),
    )


def discordant_counts(correct_a: ArrayLike, correct_b: ArrayLike) -> tuple[int, int]:
    """Return (b, c): on how many pictures A alone, and B alone, was right.

    Args:
        correct_a: [N] of 0 and 1, whether A was right.
        correct_b: [N], the same pictures in the same order.

    Raises:
        DataError: Lengths differ, or there is another value than 0 and 1.
    """
    a, b = binary(correct_a, "answers of A"), binary(correct_b, "answers of B")
    if a.shape != b.shape:
        raise DataError(f"A answered {len(a)} pictures and B {len(b)}; a paired test takes the same ones.")
    return int((a & ~b).sum()), int((b & ~a).sum())


def conditional_power(n_discordant: int, share_b: float, level: float = 0.05) -> float:
    """Return the chance that the mid-p test rejects, given the number of discordant pictures.

    Args:
        n_discordant: b + c, 0 or more.
        share_b: Of discordant pictures, the true share on which B is right, in [0, 1]; 1/2: no difference.
        level: The test rejects where its p is at most this, in (0, 1).

    Raises:
        DataError: An argument is out of its range.
    """
    _check_share("share", share_b)
    _check_level(level)
    if n_discordant < 0:
        raise DataError(f"{n_discordant} discordant pictures; expected 0 or more.")
    log_factorials = _log_factorials(n_discordant)
    critical = _critical_count(n_discordant, level, log_factorials)
    return _rejection(n_discordant, critical, share_b, log_factorials)


def mcnemar_power(n: int, discordant_rate: float, difference: float, level: float = 0.05) -> float:
    """Return the chance that the mid-p test rejects, before the discordant pictures are counted.

    Exact: the sum over b + c ~ Bin(n, discordant_rate) of the exact conditional power; over more than 400
    likely counts it is taken at 400 evenly spaced ones.

    Args:
        n: Independent pictures, at least 1.
        discordant_rate: True share of pictures on which just one is right, in [0, 1].
        difference: True accuracy of B minus that of A; at most `discordant_rate` in size.
        level: As `conditional_power`.

    Raises:
        DataError: An argument is out of its range.
    """
    return _PowerCurve(n, discordant_rate, level).at(difference)


def smallest_difference(
    n: int, discordant_rate: float, power: float = 0.8, level: float = 0.05
) -> float | None:
    """Return the smallest true difference in accuracy that the mid-p test shows with the chance `power`.

    Returns:
        The difference, above 0, to 1e-6; None where even the largest that the discordant rate allows (B right
        on all discordant pictures) would be shown more rarely: there are too few pictures.

    Raises:
        DataError: An argument is out of its range.
    """
    _check_share("power", power)
    curve = _PowerCurve(n, discordant_rate, level)
    low, high = 0.0, discordant_rate
    if curve.at(high) < power:
        return None
    while high - low > _PRECISION:
        middle = (low + high) / 2
        if curve.at(middle) >= power:
            high = middle
        else:
            low = middle
    return high


class _PowerCurve:
    """Power of one design at any difference: critical values are found once."""

    def __init__(self, n: int, discordant_rate: float, level: float) -> None:
        if n < 1:
            raise DataError(f"Power needs at least 1 picture, got {n}.")
        _check_share("discordant rate", discordant_rate)
        _check_level(level)
        self._rate = discordant_rate
        self._log_factorials = _log_factorials(n)
        weights, start = _pmf_window(n, discordant_rate, self._log_factorials)
        counts = start + np.arange(len(weights))
        step = math.ceil(len(counts) / _MAX_DISCORDANT_COUNTS)
        kept = weights[::step] / weights[::step].sum()
        self._terms = [
            (int(count), _critical_count(int(count), level, self._log_factorials), float(weight))
            for count, weight in zip(counts[::step], kept, strict=True)
        ]

    def at(self, difference: float) -> float:
        if not abs(difference) <= self._rate:
            raise DataError(
                f"A difference of {difference} in accuracy needs as many discordant pictures; their rate is "
                f"{self._rate}."
            )
        share = 0.5 + difference / (2 * self._rate) if self._rate > 0 else 0.5
        share = min(1.0, max(0.0, share))
        return min(1.0, sum(w * _rejection(n, k, share, self._log_factorials) for n, k, w in self._terms))


def _critical_count(n: int, level: float, log_factorials: F64) -> int:
    """The smallest k above n / 2 for which max(b, c) = k has a mid-p of at most `level`; n + 1 without one."""
    if n == 0:
        return 1
    pmf, start = _pmf_window(n, 0.5, log_factorials)
    counts = start + np.arange(len(pmf))
    mid_p = 2 * (np.cumsum(pmf[::-1])[::-1] - pmf / 2)
    passing = counts[(mid_p <= level) & (2 * counts > n)]
    return int(passing[0]) if len(passing) else int(counts[-1]) + 1


def _rejection(n: int, critical: int, share: float, log_factorials: F64) -> float:
    """P(X >= critical or n - X >= critical), X ~ Bin(n, share)."""
    pmf, start = _pmf_window(n, share, log_factorials)
    counts = start + np.arange(len(pmf))
    return float(pmf[(counts >= critical) | (n - counts >= critical)].sum())


def _pmf_window(n: int, p: float, log_factorials: F64) -> tuple[F64, int]:
    """The probabilities of Bin(n, p) near its mean, and the count of the first."""
    if p in (0.0, 1.0):
        return np.ones(1), int(n * p)
    reach = _SPREAD * math.sqrt(n * p * (1 - p)) + 2 * _SPREAD
    start, stop = max(0, math.floor(n * p - reach)), min(n, math.ceil(n * p + reach))
    k = np.arange(start, stop + 1)
    logs = log_factorials[n] - log_factorials[k] - log_factorials[n - k]
    return np.exp(logs + k * math.log(p) + (n - k) * math.log1p(-p)), start


def _far_tail(k: int, n: int, log_factorials: F64) -> tuple[float, float]:
    """2 P(X < k) and 2 P(X = k) for X ~ Bin(n, 1/2) and k far below the mean."""
    i = np.arange(k + 1)
    pmf = np.exp(log_factorials[n] - log_factorials[i] - log_factorials[n - i] - n * math.log(2))
    return 2 * float(pmf[:-1].sum()), 2 * float(pmf[-1])


def _log_factorials(n: int) -> F64:
    return np.array([math.lgamma(i + 1) for i in range(n + 1)])


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise DataError(f"The {name} lies in [0, 1], got {value}.")


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise DataError(f"The level of a test lies in (0, 1), got {level}.")
