"""Fits the maps from logit to probability: temperature and Platt scaling, both strictly increasing.

Pure NumPy: the objectives are convex in one or two numbers, so bisection and Newton's method are exact
enough, and a bundle can be fitted anew for another city without further extras.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, DataError, nearest
from workzone.core.lazy import resolve
from workzone.core.scores import Scores
from workzone.core.types import Label
from workzone.policy.calibrators import PlattCalibrator, TemperatureCalibrator, sigmoid

FITTERS: Mapping[str, str] = MappingProxyType(
    {
        "temperature": "workzone.calibration.calibrators:fit_temperature",
        "platt": "workzone.calibration.calibrators:fit_platt",
    }
)
"""Name in a recipe → function of the scores."""

TEMPERATURES = (0.02, 50.0)
"""Range of the temperature. Perfectly separated logits have their least NLL at 0, which is no probability."""

SWAPPED_DEVIANCE = 25.0
"""Twice the log likelihood that a falling map gains over a constant: five standard errors, were pictures
independent. Below it, a falling map is taken for chance."""
LEAST_SLOPE = 1e-6
"""Per standard deviation of the logits: what keeps a calibrator strictly increasing where nothing is learned."""
_NEWTON_STEPS = 200


def fit_calibrator(name: str, scores: Scores) -> TemperatureCalibrator | PlattCalibrator:
    """Fit the calibrator called `name`.

    Raises:
        ConfigError: There is no such calibrator.
        DataError: See the fitters.
    """
    if name not in FITTERS:
        raise ConfigError(f"There is no calibrator '{name}'.{nearest(name, FITTERS)}")
    fitted: TemperatureCalibrator | PlattCalibrator = resolve(FITTERS[name])(scores)
    return fitted


def fit_temperature(scores: Scores) -> TemperatureCalibrator:
    """Return the temperature of least NLL on the decided pictures (arXiv 1706.04599).

    The NLL is convex in 1 / temperature, so its derivative Σ z (σ(z / T) - y) is bisected; the temperature is
    kept within `TEMPERATURES`.

    Raises:
        DataError: A class is missing, or no temperature helps: the logits do not lean towards their labels.
    """
    logits, labels = _decided(scores)

    def derivative(inverse: float) -> float:
        return float(np.dot(logits, sigmoid(inverse * logits) - labels))

    if derivative(0.0) >= 0.0:
        raise DataError(
            f"No temperature fits these {len(logits)} pictures: their logits do not have the sign of their "
            "labels more often than not, so the best temperature is infinite. Use 'platt', which can shift "
            "them, or look for swapped labels or an untrained model."
        )
    low, high = 1.0 / TEMPERATURES[1], 1.0 / TEMPERATURES[0]
    if derivative(low) >= 0.0:
        return TemperatureCalibrator(TEMPERATURES[1])
    if derivative(high) <= 0.0:
        return TemperatureCalibrator(TEMPERATURES[0])
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if derivative(middle) < 0.0 else (low, middle)
    return TemperatureCalibrator(1.0 / high)


def fit_platt(scores: Scores) -> PlattCalibrator:
    """Return slope and intercept of least cross-entropy to Platt's targets on the decided pictures.

    The targets (n₊+1)/(n₊+2) and 1/(n₋+2) keep the slope finite where the classes are perfectly separated
    (Platt 1999; Newton's method with halved steps as in Lin, Lin & Weng 2007).

    Where the best slope is not positive (a model no better than chance on a small sample) the best increasing
    map is a constant: then the slope is `LEAST_SLOPE` per standard deviation and every picture gets the base
    rate, which is what such a model knows.

    Raises:
        DataError: A class is missing, all logits are equal, or the slope is negative beyond chance
            (`SWAPPED_DEVIANCE`): higher logits then mean no road work.
    """
    logits, labels = _decided(scores)
    centre, spread = float(logits.mean()), float(logits.std())
    if spread <= 1e-12 * max(1.0, abs(centre)):
        raise DataError(
            f"All {len(logits)} logits are {centre:g}: a calibrator cannot rise with them. "
            "The model is untrained."
        )
    n_positive = float(labels.sum())
    n_negative = len(labels) - n_positive
    targets = np.where(labels > 0, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    scaled, offset = _newton((logits - centre) / spread, targets)
    if scaled < LEAST_SLOPE:
        constant = float(np.log(targets.mean() / (1.0 - targets.mean())))
        x = (logits - centre) / spread
        gain = _cross_entropy(np.full_like(x, constant), targets) - _cross_entropy(
            scaled * x + offset, targets
        )
        if 2 * gain > SWAPPED_DEVIANCE:
            raise DataError(
                f"Platt scaling of {len(logits)} pictures has the slope {scaled / spread:.3g}: higher logits mean "
                "no road work here, and that is no accident. Look for swapped labels."
            )
        scaled, offset = LEAST_SLOPE, constant
    return PlattCalibrator(slope=scaled / spread, intercept=offset - scaled * centre / spread)


def _decided(scores: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return logits and labels (0.0 or 1.0) of the decided pictures, both classes present."""
    decided = scores.decided()
    labels = (decided.labels == Label.ROADWORK).astype(np.float64)
    n_positive = int(labels.sum())
    if n_positive == 0 or n_positive == len(labels):
        raise DataError(
            f"Fitting a calibrator needs pictures of both classes; of {len(labels)} decided pictures "
            f"{n_positive} show road work."
        )
    return decided.logits.astype(np.float64), labels


def _newton(x: NDArray[np.float64], targets: NDArray[np.float64]) -> tuple[float, float]:
    """Return (a, b) of least cross-entropy between σ(a x + b) and the targets; x has mean 0, spread 1."""
    design = np.stack([x, np.ones_like(x)], axis=1)
    share = float(targets.mean())
    weights = np.array([0.0, np.log(share / (1.0 - share))])
    value = _cross_entropy(design @ weights, targets)
    for _ in range(_NEWTON_STEPS):
        probs = sigmoid(design @ weights)
        gradient = design.T @ (probs - targets)
        if float(np.abs(gradient).max()) <= 1e-12 * len(x):
            break
        hessian = (design.T * (probs * (1.0 - probs))) @ design + 1e-12 * np.eye(2)
        direction = np.linalg.solve(hessian, gradient)
        step, trial, trial_value = 1.0, weights, value
        while step > 1e-10:
            trial = weights - step * direction
            trial_value = _cross_entropy(design @ trial, targets)
            if trial_value < value - 1e-4 * step * float(gradient @ direction):
                break
            step /= 2
        else:
            break  # no step improves it: the minimum, to rounding
        weights, value = trial, trial_value
    return float(weights[0]), float(weights[1])


def _cross_entropy(logits: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    return float(np.sum(np.logaddexp(0.0, logits) - targets * logits))
