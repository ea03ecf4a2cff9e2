"""The same promises by other libraries, on the same pictures: MAPIE's Learn-then-Test, crepes' Mondrian sets.

Each rival gets what the project gets: the same grid, the frozen upper threshold, `select` to learn an order on,
one picture a group. Knows how to ask them; does not know what the project answers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError
from workzone.policy.calibrators import sigmoid
from workzone.policy.risks import Risk

F64 = NDArray[np.float64]
Labels = NDArray[np.int8]

_ABOVE = 2
"""What MAPIE is told of a positive above t_hi: in fixed sequence it knows one threshold and no abstention."""


class Rival(Protocol):
    """Finds a lower threshold on calibration pictures."""

    def __call__(self, logits: F64, labels: Labels) -> tuple[float, float]:
        """Return (t_lo, t_hi); t_lo is -inf where nothing can be certified, and then t_hi means nothing."""


def mapie_single(
    risk: Risk,
    alpha: float,
    delta: float,
    grid: F64,
    t_hi: float,
    learn: tuple[F64, Labels] | None = None,
) -> Rival:
    """Return MAPIE's controller of the lower threshold, `t_hi` frozen.

    Args:
        risk: Selective FNR or false-omission rate.
        alpha: Its limit.
        delta: Probability that the certificate may be wrong.
        grid: Lower thresholds, rising.
        t_hi: The frozen upper threshold.
        learn: Logits and labels to learn the order of the tests on (`split_fixed_sequence`); None takes the
            grid's (`fixed_sequence`).
    """
    from mapie.risk_control import BinaryClassificationController

    controller = BinaryClassificationController(
        _probabilities,
        _mapie_risk(risk),
        target_level=alpha,
        confidence_level=1.0 - delta,
        list_predict_params=sigmoid(grid),
        fwer_method="fixed_sequence" if learn is None else "split_fixed_sequence",
        best_predict_param_choice=_mapie_risk(risk),
    )

    def told(logits: F64, labels: Labels) -> NDArray[np.intp]:
        above = (labels == 1) & (logits >= t_hi) & (risk is Risk.SELECTIVE_FNR)
        return np.where(above, _ABOVE, labels).astype(np.intp)

    if learn is not None:
        controller.learn_fixed_sequence_order(learn[0], told(*learn), binary=True)

    def certify(logits: F64, labels: Labels) -> tuple[float, float]:
        valid = np.asarray(_calibrated(controller, logits, told(logits, labels)), dtype=np.float64)
        if not len(valid):
            return -np.inf, t_hi
        return float(grid[int(np.argmin(np.abs(sigmoid(grid) - valid.max())))]), t_hi

    return certify


def mapie_pairs(
    limits: Sequence[tuple[Risk, float]],
    delta: float,
    pairs: Sequence[tuple[float, float]],
    learn: tuple[F64, Labels],
) -> Rival:
    """Return MAPIE's controller of both thresholds, for several risks, in an order learnt on `select`.

    Args:
        limits: Risks and their limits.
        delta: Probability that the certificate may be wrong.
        pairs: (t_lo, t_hi) to choose from.
        learn: Logits and labels to learn the order of the tests on.
    """
    from mapie.risk_control import BinaryClassificationController, abstention_rate

    def decide(logits: F64, t_lo: float, t_hi: float) -> F64:
        return np.where(logits >= t_hi, 1.0, np.where(logits < t_lo, 0.0, np.nan))

    controller = BinaryClassificationController(
        decide,
        [_mapie_risk(risk, deferred=True) for risk, _ in limits],
        target_level=[alpha for _, alpha in limits],
        confidence_level=1.0 - delta,
        list_predict_params=np.array(pairs),
        fwer_method="split_fixed_sequence",
        best_predict_param_choice=abstention_rate,
    )
    controller.learn_fixed_sequence_order(learn[0], learn[1].astype(np.intp), binary=True)

    def certify(logits: F64, labels: Labels) -> tuple[float, float]:
        _calibrated(controller, logits, labels.astype(np.intp))
        best = controller.best_predict_param
        return (-np.inf, np.inf) if best is None else (float(best[0]), float(best[1]))

    return certify


def crepes_sets(logits: F64, labels: Labels, alpha: float, new: F64, *, smoothing: bool, seed: int) -> Any:
    """Return crepes' class-conditional prediction sets of new logits: 0/1 [N, 2], columns none and road work."""
    from crepes import WrapClassifier

    wrapped = WrapClassifier(_Learner())
    wrapped.calibrate(logits[:, None], labels.astype(np.intp), class_cond=True, seed=seed)
    return wrapped.predict_set(
        new[:, None], labels=False, confidence=1.0 - alpha, smoothing=smoothing, seed=seed
    )


class _Learner:
    """What crepes takes for a fitted scikit-learn classifier."""

    classes_ = np.array([0, 1])

    def fit(self, _x: F64, _y: F64) -> None:
        """Learn nothing: the logits are given."""

    def predict_proba(self, x: F64) -> F64:
        return _probabilities(x[:, 0])


def _probabilities(logits: F64) -> F64:
    return np.stack([sigmoid(-logits), sigmoid(logits)], axis=1)


def _calibrated(controller: Any, logits: F64, told: NDArray[np.intp]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "no valid parameter" is an answer here
        return controller.calibrate(logits, told).valid_predict_params


def _mapie_risk(risk: Risk, *, deferred: bool = False) -> Any:
    from mapie.risk_control import BinaryRisk

    definitions: dict[Risk, tuple[Callable[..., Any], Callable[..., Any]]] = {
        Risk.FALSE_OMISSION_RATE: (lambda y, said: (y == 1) & (said == 0), lambda _y, said: said == 0),
        Risk.FALSE_ALARM_RATE: (lambda y, said: (y == 0) & (said == 1), lambda y, _said: y == 0),
    }
    if deferred:
        definitions[Risk.SELECTIVE_FNR] = (
            lambda y, said: (y == 1) & (said == 0),
            lambda y, said: (y == 1) & ~np.isnan(said),
        )
    else:
        definitions[Risk.SELECTIVE_FNR] = (
            lambda y, said: (y == 1) & (said == 0),
            lambda y, said: (y == _ABOVE) | ((y == 1) & (said == 0)),
        )
    if risk not in definitions:
        raise ConfigError(f"MAPIE is compared on {', '.join(definitions)}, not on {risk}.")
    occurrence, condition = definitions[risk]
    return BinaryRisk(risk_occurrence=occurrence, risk_condition=condition, higher_is_better=False)
