"""Fits the maps from logit to probability: the table of all fitters, and temperature and Platt scaling.

Pure NumPy: the objectives are convex in one or two numbers, so bisection and Newton's method are exact
enough, and a bundle can be fitted anew for another city without further extras. All fitters use the decided
pictures only, and refuse what no rising map can say: one class, equal logits, labels that are swapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from workzone.calibration.logistic import cross_entropy, fit_logistic
from workzone.core.errors import ConfigError, DataError, nearest
from workzone.core.lazy import resolve
from workzone.core.scores import Scores
from workzone.core.types import Label
from workzone.policy.calibrators import AnyCalibrator, PlattCalibrator, TemperatureCalibrator, sigmoid

FITTERS: Mapping[str, str] = MappingProxyType(
    {
        "temperature": "workzone.calibration.calibrators:fit_temperature",
        "platt": "workzone.calibration.calibrators:fit_platt",
        "beta": "workzone.calibration.beta:fit_beta",
        "isotonic": "workzone.calibration.isotonic:fit_isotonic",
        "venn_abers": "workzone.calibration.venn_abers:fit_venn_abers",
        "pool": "workzone.calibration.pool:fit_pool",
    }
)
"""Name in a recipe → function of the scores; what it returns is of the kind of that name."""

TEMPERATURES = (0.02, 50.0)
"""Range of the temperature. Perfectly separated logits have their least NLL at 0, which is no probability."""

SWAPPED_DEVIANCE = 25.0
"""Twice the log likelihood that a falling map gains over a constant: five standard errors, were pictures
independent. Below it, a falling map is taken for chance."""
LEAST_SLOPE = 1e-6
"""Per standard deviation of the logits: what keeps a calibrator strictly increasing where nothing is learned."""


def fit_calibrator(name: str, scores: Scores) -> AnyCalibrator:
    """Fit the calibrator called `name`.

    Raises:
        ConfigError: There is no such calibrator.
        DataError: See the fitters.
    """
    if name not in FITTERS:
        raise ConfigError(f"There is no calibrator '{name}'.{nearest(name, FITTERS)}")
    fitted: AnyCalibrator = resolve(FITTERS[name])(scores)
    return fitted


def fit_temperature(scores: Scores) -> TemperatureCalibrator:
    """Return the temperature of least NLL on the decided pictures (arXiv 1706.04599).

    The NLL is convex in 1 / temperature, so its derivative Σ z (σ(z / T) - y) is bisected; the temperature is
    kept within `TEMPERATURES`.

    Raises:
        DataError: A class is missing, or no temperature helps: the logits do not lean towards their labels.
    """
    logits, labels = decided_pairs(scores)

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
    logits, labels = decided_pairs(scores)
    centre, spread = float(logits.mean()), float(logits.std())
    if spread <= 1e-12 * max(1.0, abs(centre)):
        raise DataError(
            f"All {len(logits)} logits are {centre:g}: a calibrator cannot rise with them. "
            "The model is untrained."
        )
    targets = platt_targets(labels)
    x = (logits - centre) / spread
    scaled, offset = fit_logistic(np.stack([x, np.ones_like(x)], axis=1), targets).tolist()
    if scaled < LEAST_SLOPE:
        constant = float(np.log(targets.mean() / (1.0 - targets.mean())))
        gain = cross_entropy(np.full_like(x, constant), targets) - cross_entropy(scaled * x + offset, targets)
        if 2 * gain > SWAPPED_DEVIANCE:
            raise DataError(
                f"Platt scaling of {len(logits)} pictures has the slope {scaled / spread:.3g}: higher logits mean "
                "no road work here, and that is no accident. Look for swapped labels."
            )
        scaled, offset = LEAST_SLOPE, constant
    return PlattCalibrator(slope=scaled / spread, intercept=offset - scaled * centre / spread)


def decided_pairs(scores: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return logits and labels (0.0 or 1.0), both float64 [N], of the decided pictures.

    Raises:
        DataError: A class is missing.
    """
    decided = scores.decided()
    labels = (decided.labels == Label.ROADWORK).astype(np.float64)
    n_positive = int(labels.sum())
    if n_positive == 0 or n_positive == len(labels):
        raise DataError(
            f"Fitting a calibrator needs pictures of both classes; of {len(labels)} decided pictures "
            f"{n_positive} show road work."
        )
    return decided.logits.astype(np.float64), labels


def platt_targets(labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n₊+1)/(n₊+2) for each label 1 and 1/(n₋+2) for each 0: what n pictures allow to claim."""
    n_positive = float(labels.sum())
    n_negative = len(labels) - n_positive
    return np.where(labels > 0, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
