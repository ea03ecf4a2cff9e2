"""Maps from logit to probability, applied. How they are fitted is `workzone.calibration.calibrators`.

Every map here is strictly increasing: it changes what is displayed and never which pictures a threshold on
the logits separates, so it may be fitted on the pictures that certify.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import BundleError, nearest
from workzone.policy.strict_json import STRICT, read_record


class Calibrator(Protocol):
    """A fitted map from logits to probabilities of road work."""

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return the probabilities, in [0, 1], of logits of any shape."""


@dataclass(frozen=True, slots=True)
class TemperatureCalibrator:
    """p = σ(logit / temperature) (Guo et al. 2017, arXiv 1706.04599)."""

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

    slope: float
    """Greater than 0."""
    intercept: float

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_positive("slope", self.slope)
        if not math.isfinite(self.intercept):
            raise BundleError(f"A calibrator's 'intercept' is finite, got {self.intercept}.")

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return the probabilities, in [0, 1], of logits of any shape."""
        return sigmoid(self.slope * np.asarray(logits, dtype=np.float64) + self.intercept)


CALIBRATORS: Mapping[str, type[TemperatureCalibrator] | type[PlattCalibrator]] = MappingProxyType(
    {"temperature": TemperatureCalibrator, "platt": PlattCalibrator}
)
"""Name in a bundle → record."""


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-logits)) without overflow."""
    small = np.exp(-np.abs(logits))
    probs: NDArray[np.float64] = np.where(logits >= 0, 1.0, small) / (1.0 + small)
    return probs


def calibrator_to_json(calibrator: TemperatureCalibrator | PlattCalibrator) -> dict[str, Any]:
    """Return the JSON form: the kind and the record's fields."""
    kind = next(name for name, record in CALIBRATORS.items() if type(calibrator) is record)
    return {"kind": kind, **asdict(calibrator)}


def calibrator_from_json(value: Any) -> TemperatureCalibrator | PlattCalibrator:
    """Read the JSON form.

    Raises:
        BundleError: It is not one; names the key.
    """
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in CALIBRATORS:
        hint = nearest(str(kind), CALIBRATORS)
        raise BundleError(f"The calibrator's 'kind' is {kind!r}, which is not known here.{hint}")
    fields = {key: field for key, field in value.items() if key != "kind"}
    return read_record(CALIBRATORS[kind], fields, f"calibrator ({kind})")


def _require_positive(key: str, number: float) -> None:
    if not (math.isfinite(number) and number > 0):
        raise BundleError(f"A calibrator's '{key}' is a finite number greater than 0, got {number}.")
