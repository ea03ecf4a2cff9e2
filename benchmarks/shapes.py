"""The laws of the scores of the known populations: drawn as rising functions of a latent, and in closed form.

Every tail that a method may trip over is here: infinite variance, a long side where the misses are, ties, and a
stretch along which a ratio stays the same. Knows no groups and no policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

F64 = NDArray[np.float64]

_STEP = 0.25
"""Of the rounded scores."""
_SKEW = 0.6
_REGIONS = (-1.0, 1.0)
_MASSES = ((0.70, 0.25, 0.05), (0.041, 0.219, 0.74))
"""Of `three_steps`: shares of a class below, between and above the regions' edges; row 1 is road work."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a class's scores are distributed.

    Attributes:
        scores: (latent [N] of law N(0, 1), class 0 or 1) → scores [N], rising in the latent.
        below: (thresholds [J], class) → P(score < threshold), [J].
    """

    scores: Callable[[F64, int], F64]
    below: Callable[[F64, int], F64]


def _mean(label: int) -> float:
    return 2.2 if label else -1.2


def _normal(latent: F64, label: int) -> F64:
    return _mean(label) + 1.3 * latent


def _normal_below(t: F64, label: int) -> F64:
    return np.asarray(ndtr((t - _mean(label)) / 1.3), dtype=np.float64)


def _heavy(latent: F64, label: int) -> F64:
    """Student's t of two degrees of freedom: infinite variance, and a quantile function in closed form."""
    low, high = ndtr(latent), ndtr(-latent)
    t: F64 = _mean(label) + 0.6 * (low - high) / np.sqrt(2.0 * low * high)
    return t


def _heavy_below(t: F64, label: int) -> F64:
    x = np.clip((t - _mean(label)) / 0.6, -1e100, 1e100)  # its square stays finite where t is not
    below: F64 = 0.5 + 0.5 * x / np.sqrt(2.0 + x**2)
    return below


def _skewed(latent: F64, label: int) -> F64:
    """Log-normal, turned round: the long tail lies on the low side, where the misses are."""
    return _mean(label) - 1.1 * np.expm1(-_SKEW * latent) / _SKEW


def _skewed_below(t: F64, label: int) -> F64:
    inside = 1.0 - _SKEW * (t - _mean(label)) / 1.1
    with np.errstate(divide="ignore"):
        return np.asarray(ndtr(-np.log(np.maximum(inside, 0.0)) / _SKEW), dtype=np.float64)


def _rounded(latent: F64, label: int) -> F64:
    return _STEP * np.round(_normal(latent, label) / _STEP)


def _rounded_below(t: F64, label: int) -> F64:
    return _normal_below(_STEP * (np.ceil(t / _STEP) - 0.5), label)


def _three_steps(latent: F64, label: int) -> F64:
    """Three regions, within each of which both classes look alike: all that a score tells is the region."""
    low, middle, high = _MASSES[label]
    below, above = ndtr(latent), ndtr(-latent)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = _REGIONS[0] + np.log(below / low)
        right = _REGIONS[1] - np.log(above / high)
    between = _REGIONS[0] + (_REGIONS[1] - _REGIONS[0]) * (below - low) / middle
    score: F64 = np.where(below < low, left, np.where(above <= high, right, between))
    return score


def _three_steps_below(t: F64, label: int) -> F64:
    low, middle, high = _MASSES[label]
    left = low * np.exp(np.minimum(t - _REGIONS[0], 0.0))
    between = middle * np.clip((t - _REGIONS[0]) / (_REGIONS[1] - _REGIONS[0]), 0.0, 1.0)
    right = -high * np.expm1(-np.maximum(t - _REGIONS[1], 0.0))
    total: F64 = left + between + right
    return total


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "normal": Shape(_normal, _normal_below),
        "heavy": Shape(_heavy, _heavy_below),
        "skewed": Shape(_skewed, _skewed_below),
        "ties": Shape(_rounded, _rounded_below),
        "three_steps": Shape(_three_steps, _three_steps_below),
    }
)
