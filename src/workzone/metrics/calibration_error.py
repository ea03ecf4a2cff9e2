"""How far probabilities of road work are from frequencies. Pure numpy.

All on the positive class: the predicted probability of road work against the share of road work, not the
top label's confidence. Binned errors are biased upwards by about sqrt(bins / n); say n beside them.
Sources: Brier 1950; Naeini et al. 2015 (equal width); Nguyen & O'Connor 2015 (equal mass).
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
    if n_bins < 1:
        raise DataError(f"{n_bins} bins were asked for; at least 1 is needed.")
    if binning is Binning.WIDTH:
        edges = np.linspace(0.0, 1.0, n_bins + 1)
        index = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, n_bins - 1)
        return [
            _bin(float(edges[b]), float(edges[b + 1]), y[index == b], p[index == b]) for b in range(n_bins)
        ]
    order = np.argsort(p, kind="stable")
    y, p = y[order], p[order]
    wanted = p[(np.arange(1, n_bins) * len(p)) // n_bins]
    # A cut inside a run of equal probabilities moves to the start of the run.
    cuts = np.unique(np.concatenate([[0], np.searchsorted(p, wanted, side="left"), [len(p)]]))
    return [
        _bin(float(p[start]), float(p[stop - 1]), y[start:stop], p[start:stop])
        for start, stop in itertools.pairwise(cuts)
    ]


def ece(labels: ArrayLike, probs: ArrayLike, n_bins: int = 15, binning: Binning = Binning.WIDTH) -> float:
    """Return the expected calibration error, sum of (n_b / n) |share of road work - mean probability|.

    Raises:
        DataError: As `reliability_bins`.
    """
    bins = [b for b in reliability_bins(labels, probs, n_bins, binning) if b.count]
    total = sum(b.count for b in bins)
    return sum(b.count * abs(b.positive_rate - b.mean_prob) for b in bins) / total


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
