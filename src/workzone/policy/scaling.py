"""Calibrators that scale the logit: temperature, Platt and beta. Their shape is fixed, so a few numbers do.

Knows how they are applied; how they are fitted is `workzone.calibration`. Each is strictly increasing: it
changes what is displayed and never which pictures a threshold on the logits separates, so it may be fitted on
the pictures that certify. (In float64 a map may still saturate: beyond logits of about 37 every answer is 1.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import BundleError
from workzone.policy.strict_json import STRICT


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-logits)) without overflow."""
    small = np.exp(-np.abs(logits))
    probs: NDArray[np.float64] = np.where(logits >= 0, 1.0, small) / (1.0 + small)
    return probs


def log_sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ln σ(logits), which keeps its digits where σ itself is 0 or 1 to rounding."""
    logs: NDArray[np.float64] = -np.logaddexp(0.0, -logits)
    return logs


@dataclass(frozen=True, slots=True)
class TemperatureCalibrator:
    """p = σ(logit / temperature) (Guo et al. 2017, arXiv 1706.04599)."""

    strictly_increasing: ClassVar[bool] = True

    temperature: float
    """Greater than 0; above 1 the model was too sure of itself."""

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_positive("temperature", self.temperature)

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return the probabilities, in [0, 1], of logits of any shape."""
        return sigmoid(np.asarray(logits, dtype=np.float64) / self.temperature)


@dataclass(frozen=True, slots=True)
class PlattCalibrator:
    """p = σ(slope · logit + intercept) (Platt 1999)."""

    strictly_increasing: ClassVar[bool] = True

    slope: float
    """Greater than 0."""
    intercept: float

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_positive("slope", self.slope)
        _require_finite("intercept", self.intercept)

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return the probabilities, in [0, 1], of logits of any shape."""
        return sigmoid(self.slope * np.asarray(logits, dtype=np.float64) + self.intercept)


@dataclass(frozen=True, slots=True)
class BetaCalibrator:
    """p = σ(a ln s − b ln(1 − s) + c), s = σ(logit) (Kull, Silva Filho & Flach 2017, AISTATS).

    Platt scaling with a slope of its own on either side: towards a for low logits, towards b for high ones.
    a = b is Platt scaling, a = b = 1 and c = 0 the identity.
    """

    strictly_increasing: ClassVar[bool] = True

    a: float
    """At least 0; a + b is greater than 0."""
    b: float
    """At least 0."""
    c: float

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        for key, number in (("a", self.a), ("b", self.b)):
            if not (math.isfinite(number) and number >= 0):
                raise BundleError(f"A calibrator's '{key}' is a finite number of at least 0, got {number}.")
        _require_finite("c", self.c)
        _require_positive("a + b", self.a + self.b)

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return the probabilities, in [0, 1], of logits of any shape."""
        z = np.asarray(logits, dtype=np.float64)
        return sigmoid(self.a * log_sigmoid(z) - self.b * log_sigmoid(-z) + self.c)


def _require_positive(key: str, number: float) -> None:
    if not (math.isfinite(number) and number > 0):
        raise BundleError(f"A calibrator's '{key}' is a finite number greater than 0, got {number}.")


def _require_finite(key: str, number: float) -> None:
    if not math.isfinite(number):
        raise BundleError(f"A calibrator's '{key}' is finite, got {number}.")
