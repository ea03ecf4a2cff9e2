"""What can be seen of a first answer without knowing the truth: the inputs of the `gate` policy.

The first answer is "road work" from the decision threshold on; z is the logit's distance from it, so σ(z) is
one half where the answer turns. With two classes maximum probability, margin and entropy rise or fall
together; they differ in shape, and the gate's penalty shares the weight among them.

Knows names and formulas; a later model that says how sure it is adds a row here (`epistemic`, `aleatoric`) and
a field of `FirstAnswers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, DataError, InferenceError, nearest
from workzone.policy.calibrators import sigmoid

F64 = NDArray[np.float64]

MAX_FEATURES = 65_536


@dataclass(frozen=True, slots=True)
class FeatureStatistics:
    """Per-class mean and standard deviation of the model's features on `train`.

    Attributes:
        mean: float64 [2, D]; row 1 is road work.
        std: float64 [2, D], at least 0.
    """

    mean: F64
    std: F64

    def __post_init__(self) -> None:
        shape = self.mean.shape
        if len(shape) != 2 or shape[0] != 2 or self.std.shape != shape or not 1 <= shape[1] <= MAX_FEATURES:
            raise DataError(
                f"Feature statistics have the shapes {list(shape)} and {list(self.std.shape)}; expected "
                "[2, features] twice."
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all() and (self.std >= 0).all()):
            raise DataError("Feature statistics hold a number that is not finite, or a negative deviation.")


@dataclass(frozen=True, slots=True)
class FirstAnswers:
    """What the first model said of N pictures.

    Attributes:
        z: float64 [N], logit minus decision threshold.
        features: float32 [N, D], or None where no gate feature needs them.
        statistics: Of the training features, or None.
        epistemic: float64 [N]: how much the model does not know, where a model says so.
        aleatoric: float64 [N]: how much no model could know, where a model says so.
    """

    z: F64
    features: NDArray[np.float32] | None = None
    statistics: FeatureStatistics | None = None
    epistemic: F64 | None = None
    aleatoric: F64 | None = None


def _max_prob(first: FirstAnswers) -> F64:
    return sigmoid(np.abs(first.z))


def _margin(first: FirstAnswers) -> F64:
    """Difference of the two probabilities, |2p - 1|."""
    return 2.0 * sigmoid(np.abs(first.z)) - 1.0


def _entropy(first: FirstAnswers) -> F64:
    """Of the two probabilities, in nats: softplus(|z|) - p |z|, which neither overflows nor takes log 0."""
    size = np.abs(first.z)
    entropy: F64 = np.logaddexp(0.0, size) - sigmoid(size) * size
    return entropy


def _logit_norm(first: FirstAnswers) -> F64:
    return np.abs(first.z)


def _roadwork(first: FirstAnswers) -> F64:
    """Which way it answered: misses and false alarms need not be equally likely."""
    return (first.z >= 0).astype(np.float64)


def _feature_distance(first: FirstAnswers) -> F64:
    """Root mean square of the standardised features, from the nearer class of `train`."""
    if first.statistics is None or first.features is None:
        raise InferenceError("The gate measures distances from the training features, and was given none.")
    mean, std = first.statistics.mean, first.statistics.std
    if first.features.ndim != 2 or first.features.shape[1] != mean.shape[1]:
        raise InferenceError(
            f"The gate was fitted on {mean.shape[1]} features a picture, and was given features of shape "
            f"{list(first.features.shape)}."
        )
    floor = 1e-3 * std.max(axis=1, keepdims=True) + 1e-12  # a feature that never moved says nothing
    inverse = 1.0 / np.maximum(std, floor)
    near, far = (np.mean(((first.features - mean[c]) * inverse[c]) ** 2, axis=1) for c in (0, 1))
    distance: F64 = np.sqrt(np.minimum(near, far).astype(np.float64))
    return distance


def _given(name: str) -> Callable[[FirstAnswers], F64]:
    def read(first: FirstAnswers) -> F64:
        value: F64 | None = getattr(first, name)
        if value is None:
            raise InferenceError(f"The gate uses '{name}', which this model does not say.")
        return value

    return read


GATE_FEATURES: Mapping[str, Callable[[FirstAnswers], F64]] = MappingProxyType(
    {
        "max_prob": _max_prob,
        "margin": _margin,
        "entropy": _entropy,
        "logit_norm": _logit_norm,
        "roadwork": _roadwork,
        "feature_distance": _feature_distance,
        "epistemic": _given("epistemic"),
        "aleatoric": _given("aleatoric"),
    }
)
"""Name → function of the first answers, [N]."""


def gate_matrix(names: tuple[str, ...], first: FirstAnswers) -> F64:
    """Return the named features, [N, len(names)].

    Raises:
        ConfigError: There is no such feature.
        InferenceError: A feature needs what the model did not give.
    """
    for name in names:
        if name not in GATE_FEATURES:
            raise ConfigError(f"There is no gate feature '{name}'.{nearest(name, GATE_FEATURES)}")
    return np.stack([GATE_FEATURES[name](first) for name in names], axis=1)
