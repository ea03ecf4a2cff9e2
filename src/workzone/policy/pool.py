"""The logarithmic opinion pool: several probabilities of the same thing made into one.

Knows how opinions are pooled; whose they are (several calibrators of one logit, or several models) and how
the weights are found is the caller's. The weights sum to one because the logits of calibrated members then
keep their scale; anything else is a temperature in disguise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import BundleError, ConfigError
from workzone.policy.scaling import BetaCalibrator, PlattCalibrator, TemperatureCalibrator, sigmoid
from workzone.policy.step_calibrators import MAX_KNOTS, IsotonicCalibrator, VennAbersCalibrator
from workzone.policy.strict_json import STRICT

F64 = NDArray[np.float64]

CLIP = 1e-6
"""Probabilities are kept this far from 0 and 1: in a geometric mean a single 0 would veto all others."""
MAX_MEMBERS = 16
_SUM_TOLERANCE = 1e-9

MemberCalibrator = (
    TemperatureCalibrator | PlattCalibrator | BetaCalibrator | IsotonicCalibrator | VennAbersCalibrator
)
"""What may be a member of a pool: every calibrator but a pool."""


def log_opinion_pool(probs: ArrayLike, weights: ArrayLike) -> F64:
    """Return the weighted geometric mean of opinions, normalised: logit p = Σ w logit p_m.

    Externally Bayesian (Genest & Zidek 1986): pooling and learning of evidence that all share may be done in
    either order. Sharper than the linear pool Σ w p_m.

    Args:
        probs: [M, N], M opinions of N pictures, in [0, 1]; clipped to [1e-6, 1 − 1e-6].
        weights: [M], at least 0, summing to 1 within 1e-9.

    Returns:
        float64 [N], in [1e-6, 1 − 1e-6].

    Raises:
        ConfigError: Shapes do not fit, a probability is outside [0, 1], or the weights are no such weights.
    """
    p, w = np.asarray(probs, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if p.ndim != 2 or w.shape != p.shape[:1] or len(w) == 0:
        raise ConfigError(
            f"A pool takes probabilities [M, N] and weights [M], got {list(p.shape)} and {list(w.shape)}."
        )
    if not ((p >= 0.0) & (p <= 1.0)).all():  # a NaN fails too
        raise ConfigError("A pool takes probabilities in [0, 1]; one is not. Are these logits?")
    if not (w >= 0.0).all() or abs(float(w.sum()) - 1.0) > _SUM_TOLERANCE:
        raise ConfigError(f"The weights of a pool are at least 0 and sum to 1, got {w.tolist()}.")
    return np.clip(sigmoid(w @ clipped_logits(p)), CLIP, 1.0 - CLIP)


def clipped_logits(probs: F64) -> F64:
    """Return ln(p / (1 − p)) of probabilities of any shape, clipped to [1e-6, 1 − 1e-6]."""
    p = np.clip(probs, CLIP, 1.0 - CLIP)
    logits: F64 = np.log(p) - np.log1p(-p)
    return logits


@dataclass(frozen=True, slots=True)
class PoolCalibrator:
    """The log-opinion pool of several calibrators of the same logit."""

    strictly_increasing: ClassVar[bool] = False
    """Not even with members that are: the clipping ties all logits whose probability is below 1e-6, and all
    above 1 − 1e-6."""

    members: tuple[MemberCalibrator, ...]
    weights: tuple[float, ...]
    """At least 0, summing to 1."""

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if not 1 <= len(self.members) <= MAX_MEMBERS:
            raise BundleError(f"A pool's 'members' are 1 to {MAX_MEMBERS}, got {len(self.members)}.")
        if len(self.weights) != len(self.members):
            raise BundleError(f"A pool has {len(self.weights)} 'weights' for {len(self.members)} members.")
        total = math.fsum(self.weights)
        if not all(w >= 0.0 for w in self.weights) or not abs(total - 1.0) <= _SUM_TOLERANCE:
            raise BundleError(f"A pool's 'weights' are at least 0 and sum to 1; these sum to {total}.")
        steps = (m for m in self.members if isinstance(m, IsotonicCalibrator | VennAbersCalibrator))
        if (n_knots := sum(len(m.knots) for m in steps)) > MAX_KNOTS:
            raise BundleError(f"The 'members' of a pool have {n_knots} knots; at most {MAX_KNOTS} are read.")

    def apply(self, logits: ArrayLike) -> F64:
        """Return the probabilities, in [1e-6, 1 − 1e-6], of logits of any shape."""
        z = np.asarray(logits, dtype=np.float64)
        opinions = np.stack([member.apply(z.ravel()) for member in self.members])
        return log_opinion_pool(opinions, self.weights).reshape(z.shape)
