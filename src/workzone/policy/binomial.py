"""Exact binomial tests and bounds without SciPy, so that the base install can re-derive a certificate.

Knows nothing of pictures or policies. SciPy has the same functions; it is an extra, and whoever opens a
bundle must be able to check the promise without it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError

_NEGLIGIBLE = 1e-18
"""Terms below this share of the sum so far no longer change it."""


def binomial_cdf(k: int, n: int, p: float) -> float:
    """Return P(Bin(n, p) <= k).

    Sums the tail on k's side of the mean from its largest term, in O(sqrt(n)) steps; the relative error is
    below 1e-8 for n up to a million.

    Args:
        k: Number of successes; below 0 gives 0, from n on gives 1.
        n: Number of trials, >= 0.
        p: Probability of a success, in [0, 1].

    Raises:
        ConfigError: n or p is out of its range.
    """
    if n < 0 or not 0.0 <= p <= 1.0:
        raise ConfigError(f"A binomial law needs n >= 0 and p in [0, 1], got n={n} and p={p}.")
    if k < 0:
        return 0.0
    if k >= n or p == 0.0:
        return 1.0
    if p == 1.0:
        return 0.0
    if k <= n * p:
        return min(1.0, _falling_sum(k, n, p))
    # P(Bin(n, p) > k) = P(Bin(n, 1 - p) <= n - k - 1), again on the small side of its mean
    return max(0.0, 1.0 - _falling_sum(n - k - 1, n, 1.0 - p))


def _falling_sum(k: int, n: int, p: float) -> float:
    """Return P(Bin(n, p) <= k) for k not above the mean, where the terms fall from k downwards."""
    term = math.exp(_log_pmf(k, n, p))
    total = term
    odds = (1.0 - p) / p
    for i in range(k, 0, -1):
        term *= i * odds / (n - i + 1)
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return total


def _log_pmf(k: int, n: int, p: float) -> float:
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return choose + k * math.log(p) + (n - k) * math.log1p(-p)


def binomial_cdfs(k: NDArray[np.intp], n: NDArray[np.intp], p: float) -> NDArray[np.float64]:
    """Return P(Bin(n, p) <= k) for arrays of counts [J], as `binomial_cdf` gives it, all of them at once.

    Args:
        k: Successes, >= 0.
        n: Trials, >= 0; without any, the result is 1.
        p: Probability of a success, strictly between 0 and 1.

    Raises:
        ConfigError: p is out of its range.
    """
    if not 0.0 < p < 1.0:
        raise ConfigError(f"Binomial probabilities of arrays need p strictly between 0 and 1, got {p}.")
    result = np.ones(len(k))
    low, high = (k < n) & (k <= n * p), (k < n) & (k > n * p)
    result[low] = np.minimum(1.0, _falling_sums(k[low], n[low], p))
    result[high] = np.maximum(0.0, 1.0 - _falling_sums(n[high] - k[high] - 1, n[high], 1.0 - p))
    return result


def _falling_sums(k: NDArray[np.intp], n: NDArray[np.intp], p: float) -> NDArray[np.float64]:
    pairs = zip(k.tolist(), n.tolist(), strict=True)
    term = np.array([math.exp(_log_pmf(a, b, p)) for a, b in pairs], dtype=np.float64)
    total, i, odds = term.copy(), k.astype(np.float64), (1.0 - p) / p
    while bool((term > total * _NEGLIGIBLE).any()):
        term = term * i * odds / (n - i + 1.0)  # i reaches 0: the term is 0 from there on
        total += term
        i = np.maximum(i - 1.0, 0.0)
    return total


def clopper_pearson_upper(k: int, n: int, delta: float) -> float:
    """Return the upper Clopper–Pearson bound U: P(Bin(n, U) <= k) = delta.

    With confidence 1 - delta a proportion of which k of n were seen is at most U (Clopper & Pearson 1934);
    U = BetaInv(1 - delta; k + 1, n - k). U <= alpha exactly where P(Bin(n, alpha) <= k) <= delta.

    Args:
        k: Number of successes, in 0..n.
        n: Number of trials; without any, nothing is known and U is 1.
        delta: Probability that the bound is wrong, in (0, 1).

    Raises:
        ConfigError: An argument is out of its range.
    """
    if not 0 <= k <= n or not 0.0 < delta < 1.0:
        raise ConfigError(
            f"A Clopper–Pearson bound needs 0 <= k <= n and delta in (0, 1), got k={k}, n={n}, delta={delta}."
        )
    if k == n:
        return 1.0
    if k == 0:
        return -math.expm1(math.log(delta) / n)
    low, high = k / n, 1.0
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return high  # the end on which the test passes
        if binomial_cdf(k, n, middle) <= delta:
            high = middle
        else:
            low = middle
