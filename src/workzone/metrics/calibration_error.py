"""How far probabilities of road work are from frequencies. Pure numpy.

All on the positive class: the predicted probability of road work against the share of road work, not the
top label's confidence. Binned errors are biased upwards by about sqrt(bins / n), because chance alone parts
share and mean in every bin: `debiased_calibration_error` takes that part off. Knows bins and groups; does not
know intervals (see `bootstrap`).
Sources: Brier 1950; Naeini et al. 2015 (equal width); Nguyen & O'Connor 2015 (equal mass); Kumar, Liang & Ma
2019, "Verified uncertainty calibration" (debiasing).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import DataError
from workzone.metrics.classification import binary

F64 = NDArray[np.float64]


class Binning(StrEnum):
    """How the probabilities are divided into bins."""

    WIDTH = "width"
    """Bins of equal width over [0, 1]."""
    MASS = "mass"
    """Bins of equally many pictures; equal probabilities stay together."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The pictures whose probability lies in one bin; empty bins have nan for both means."""

    low: float
    high: float
    count: int
    mean_prob: float
    positive_rate: float


@dataclass(frozen=True, slots=True)
class DebiasedError:
    """Calibration errors with the part that chance adds to them taken off.

    Both may fall below 0, where the measured gaps are smaller than chance would make them: no error is shown.
    Cut off at 0 they would be biased again. nan where no bin holds two groups.
    """

    ece: float
    """Mean |share - probability| over bins, less the bias of a folded normal law."""
    squared: float
    """Mean (share - probability)^2 over bins, unbiased for fixed bins."""
    n_left_out: int
    """Pictures in bins with a single group (or picture), whose chance part cannot be told; the means are over
    the other bins."""

    @property
    def rms(self) -> float:
        """Root of the squared error in [0, 1]; 0 where that is below 0."""
        return math.sqrt(max(0.0, self.squared)) if not math.isnan(self.squared) else math.nan


def brier(labels: ArrayLike, probs: ArrayLike) -> float:
    """Return the mean of (probability - label)^2, in [0, 1].

    Raises:
        DataError: Lengths differ, a label is not 0 or 1, or a probability is outside [0, 1].
    """
    y, p = _checked(labels, probs)
    return float(np.mean((p - y) ** 2))


def nll(labels: ArrayLike, probs: ArrayLike) -> float:
    """Return the mean negative log-likelihood in nats; inf if a certain answer was wrong.

    Raises:
        DataError: As `brier`.
    """
    y, p = _checked(labels, probs)
    of_the_truth = np.where(y == 1, p, 1 - p)
    if (of_the_truth == 0).any():
        return math.inf
    return float(-np.mean(np.log(of_the_truth)))


def reliability_bins(
    labels: ArrayLike, probs: ArrayLike, n_bins: int = 15, binning: Binning = Binning.WIDTH
) -> list[ReliabilityBin]:
    """Return mean probability and share of road work, bin by bin, rising.

    Bins of equal width hold [low, high), the last one [low, 1]. Of bins of equal mass there may be fewer
    than `n_bins`, where probabilities are equal; `low` and `high` are then the extremes inside the bin.

    Raises:
        DataError: As `brier`, or `n_bins` is below 1.
    """
    y, p = _checked(labels, probs)
    _check_bins(n_bins)
    index, edges = _assigned(p, n_bins, binning)
    return [_bin(low, high, y[index == b], p[index == b]) for b, (low, high) in enumerate(edges)]


def ece(labels: ArrayLike, probs: ArrayLike, n_bins: int = 15, binning: Binning = Binning.WIDTH) -> float:
    """Return the expected calibration error, sum of (n_b / n) |share of road work - mean probability|.

    Raises:
        DataError: As `reliability_bins`.
    """
    bins = [b for b in reliability_bins(labels, probs, n_bins, binning) if b.count]
    total = sum(b.count for b in bins)
    return sum(b.count * abs(b.positive_rate - b.mean_prob) for b in bins) / total


def debiased_calibration_error(
    labels: ArrayLike,
    probs: ArrayLike,
    n_bins: int = 15,
    binning: Binning = Binning.WIDTH,
    groups: ArrayLike | None = None,
) -> DebiasedError:
    """Return the calibration error with what chance adds to it taken off.

    In bin b with gap d_b = share of road work - mean probability and estimated variance v_b of d_b, the squared
    error uses d_b^2 - v_b (Kumar, Liang & Ma 2019, of the gaps' residuals, so that probabilities may differ
    within a bin): its mean over draws is the true one for bins fixed beforehand. The ECE subtracts the bias
    that |d| has under a normal law, E|N(d_b, v_b)| - |d_b|, at the measured gap, as their library does by
    simulation: of perfectly calibrated probabilities it takes off about two fifths of the bias, and it
    understates no bin by more than a tenth of its standard error.

    Args:
        labels: [N] of 0 and 1.
        probs: [N] in [0, 1].
        n_bins: At least 1.
        binning: Bins of equal mass are drawn from the data, so nothing is exactly unbiased for them.
        groups: [N], which group each picture belongs to, where pictures of one group are alike: v_b is then
            cluster-robust, G / (G - 1) Σ_g (Σ_{i in g} (r_i - mean r))^2 / n_b^2 of residuals r = label -
            probability. Without it every picture is its own group, and v_b is the variance of a mean.

    Raises:
        DataError: As `reliability_bins`, or there are not as many groups as labels.
    """
    y, p = _checked(labels, probs)
    _check_bins(n_bins)
    index, edges = _assigned(p, n_bins, binning)
    member = _members(groups, len(y))
    bins = [_gap(y[index == b] - p[index == b], member[index == b]) for b in range(len(edges))]
    known = [(n, gap, variance) for n, gap, variance in bins if variance is not None]
    n_left_out = len(y) - sum(n for n, _, _ in known)
    if not known:
        return DebiasedError(math.nan, math.nan, n_left_out)
    weights, gaps, variances = (np.array(column, dtype=np.float64) for column in zip(*known, strict=True))
    weights /= weights.sum()
    bias = np.array([_folded_bias(gap, variance) for gap, variance in zip(gaps, variances, strict=True)])
    return DebiasedError(
        ece=float(np.sum(weights * (np.abs(gaps) - bias))),
        squared=float(np.sum(weights * (gaps**2 - variances))),
        n_left_out=n_left_out,
    )


def _gap(residuals: F64, member: NDArray[np.intp]) -> tuple[int, float, float | None]:
    """Pictures of a bin, their mean residual, and its variance: None without two groups to tell it from."""
    if len(residuals) == 0:
        return 0, math.nan, None
    mean = float(residuals.mean())
    sums = np.bincount(np.unique(member, return_inverse=True)[1], weights=residuals - mean)
    n_groups = len(sums)
    if n_groups < 2:
        return len(residuals), mean, None
    return len(residuals), mean, float(n_groups / (n_groups - 1) * np.sum(sums**2) / len(residuals) ** 2)


def _folded_bias(gap: float, variance: float) -> float:
    """E|N(gap, variance)| - |gap|, which is 0 or more."""
    if variance <= 0:
        return 0.0
    away = abs(gap) / math.sqrt(2 * variance)
    return math.sqrt(2 * variance / math.pi) * math.exp(-(away**2)) - abs(gap) * math.erfc(away)


def _members(groups: ArrayLike | None, n: int) -> NDArray[np.intp]:
    if groups is None:
        return np.arange(n, dtype=np.intp)
    names = np.asarray(groups)
    if names.shape != (n,):
        raise DataError(f"There are {n} labels for groups of shape {list(names.shape)}.")
    return np.unique(names, return_inverse=True)[1].astype(np.intp)


def bin_index(probs: F64, n_bins: int, binning: Binning) -> NDArray[np.intp]:
    """Return which of the bins of `reliability_bins` each probability [N] lies in.

    Raises:
        DataError: `n_bins` is below 1.
    """
    _check_bins(n_bins)
    return _assigned(probs, n_bins, binning)[0]


def _assigned(p: F64, n_bins: int, binning: Binning) -> tuple[NDArray[np.intp], list[tuple[float, float]]]:
    """The bin of each probability, and the bins' ends."""
    if binning is Binning.WIDTH:
        edges = np.linspace(0.0, 1.0, n_bins + 1)
        index = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, n_bins - 1).astype(np.intp)
        return index, [(float(low), float(high)) for low, high in itertools.pairwise(edges)]
    rising = np.sort(p)
    wanted = rising[(np.arange(1, n_bins) * len(p)) // n_bins]
    # A cut inside a run of equal probabilities moves to the start of the run.
    cuts = np.unique(np.concatenate([[0], np.searchsorted(rising, wanted, side="left"), [len(p)]]))
    lows, highs = rising[cuts[:-1]], rising[cuts[1:] - 1]
    index = (np.searchsorted(lows, p, side="right") - 1).astype(np.intp)
    return index, [(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]


def _check_bins(n_bins: int) -> None:
    if n_bins < 1:
        raise DataError(f"{n_bins} bins were asked for; at least 1 is needed.")


def _bin(low: float, high: float, y: F64, p: F64) -> ReliabilityBin:
    if len(y) == 0:
        return ReliabilityBin(low, high, 0, math.nan, math.nan)
    return ReliabilityBin(low, high, len(y), float(p.mean()), float(y.mean()))


def _checked(labels: ArrayLike, probs: ArrayLike) -> tuple[F64, F64]:
    y = binary(labels, "labels").astype(np.float64)
    p = np.asarray(probs, dtype=np.float64)
    if p.shape != y.shape:
        raise DataError(f"There are {len(y)} labels for probabilities of shape {list(p.shape)}.")
    outside = int((~((p >= 0) & (p <= 1))).sum())
    if outside:
        raise DataError(f"{outside} of {len(p)} probabilities are outside [0, 1]; are these logits?")
    return y, p
