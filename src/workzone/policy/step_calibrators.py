"""Calibrators that follow the data instead of a formula: isotonic regression and Venn–Abers.

Knows how their knots are applied; how they are found is `workzone.calibration`. They rise but not strictly:
different logits may get the same probability. So they are for the displayed probability only, or are fitted
on `select`; a threshold that is certified on `calib` lives on the logits and never on what they give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import BundleError
from workzone.policy.strict_json import STRICT

F64 = NDArray[np.float64]

MAX_KNOTS = 8_000
"""Of one calibrator, the members of a pool together: three numbers a knot, and all of it must fit into the
1 MiB that is read of a bundle.json."""


@dataclass(frozen=True, slots=True)
class IsotonicCalibrator:
    """Straight lines between knots, flat beyond the outer ones (Zadrozny & Elkan 2002).

    The same map as scikit-learn's IsotonicRegression with out_of_bounds="clip".
    """

    strictly_increasing: ClassVar[bool] = False

    knots: tuple[float, ...]
    """Logits, strictly rising; at least one."""
    probs: tuple[float, ...]
    """Probabilities at the knots, in [0, 1], not falling."""

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        check_knots(self.knots)
        _check_values("probs", self.probs, self.knots)

    def apply(self, logits: ArrayLike) -> F64:
        """Return the probabilities, in [0, 1], of logits of any shape."""
        x, y = np.array(self.knots), np.array(self.probs)
        z = np.clip(np.asarray(logits, dtype=np.float64), x[0], x[-1])
        if len(x) == 1:
            return np.full(z.shape, y[0])
        right = np.clip(np.searchsorted(x, z, side="left"), 1, len(x) - 1)
        left = right - 1
        # Not np.interp: written so, rounding never lets the map fall, not even by the last digit.
        share = (z - x[left]) / (x[right] - x[left])
        probs: F64 = np.minimum(y[left] + share * (y[right] - y[left]), y[right])
        return probs


@dataclass(frozen=True, slots=True)
class VennAbersCalibrator:
    """p = p1 / (1 − p0 + p1) of the inductive Venn–Abers predictor (Vovk, Petej & Fedorova 2015).

    p0 and p1 are what isotonic regression says of a picture when it is added to the calibration pictures with
    label 0 and with label 1. One of the two is perfectly calibrated, whatever the scores are like, if the
    picture is exchangeable with them; p is the merge of least worst regret in log loss. Both are steps.
    """

    strictly_increasing: ClassVar[bool] = False

    knots: tuple[float, ...]
    """Logits, strictly rising; at least one."""
    p0: tuple[float, ...]
    """Holds from its knot up to the next, that one left out; below the first knot p0 is 0."""
    p1: tuple[float, ...]
    """Holds above the knot before, up to its own, included; above the last knot p1 is 1."""

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        check_knots(self.knots)
        _check_values("p0", self.p0, self.knots)
        _check_values("p1", self.p1, self.knots)
        if any(low > high for low, high in zip(self.p0, self.p1, strict=True)):
            raise BundleError("A calibrator's 'p0' is nowhere above its 'p1'; here it is.")

    def interval(self, logits: ArrayLike) -> tuple[F64, F64]:
        """Return p0 and p1, in [0, 1], p0 <= p1, of logits of any shape.

        The interval is wide where the calibration pictures say little.
        """
        z, x = np.asarray(logits, dtype=np.float64), np.array(self.knots)
        p0 = np.array([0.0, *self.p0])[np.searchsorted(x, z, side="right")]
        p1 = np.array([*self.p1, 1.0])[np.searchsorted(x, z, side="left")]
        return p0, p1

    def apply(self, logits: ArrayLike) -> F64:
        """Return the probabilities, in [0, 1], of logits of any shape."""
        p0, p1 = self.interval(logits)
        probs: F64 = p1 / (1.0 - p0 + p1)
        return probs


def check_knots(knots: Sequence[float]) -> None:
    """Check that knots can be applied.

    Raises:
        BundleError: There is none or too many, one is not finite, or they do not rise strictly.
    """
    if not 1 <= len(knots) <= MAX_KNOTS:
        raise BundleError(f"A calibrator's 'knots' are 1 to {MAX_KNOTS} logits, got {len(knots)}.")
    if not math.isfinite(knots[-1] - knots[0]) or not all(map(math.isfinite, knots)):
        raise BundleError("A calibrator's 'knots' are finite and not further apart than a float can say.")
    if not all(a < b for a, b in pairwise(knots)):
        raise BundleError("A calibrator's 'knots' rise strictly; these do not.")


def _check_values(key: str, values: Sequence[float], knots: Sequence[float]) -> None:
    if len(values) != len(knots):
        raise BundleError(f"A calibrator has {len(values)} '{key}' for {len(knots)} knots; one each.")
    if not all(0.0 <= v <= 1.0 for v in values):  # a NaN fails too
        raise BundleError(f"A calibrator's '{key}' are probabilities in [0, 1]; one is not.")
    if not all(a <= b for a, b in pairwise(values)):
        raise BundleError(f"A calibrator's '{key}' do not fall from knot to knot; these do.")
