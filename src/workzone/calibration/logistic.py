"""Logistic regression by Newton's method: the one fit that calibrators and the gate have in common.

Knows matrices and targets, not pictures. A reader may ask why not scikit-learn's: a bundle is fitted anew for
another city with the base install, and scikit-learn has neither soft targets nor an offset.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import ConfigError, DataError
from workzone.policy.calibrators import sigmoid

F64 = NDArray[np.float64]

_NEWTON_STEPS = 200
_GRADIENT = 1e-12
"""Per row: below it the minimum is reached to rounding."""
_RIDGE = 1e-12
"""Per row: what lets a Hessian be solved where columns are copies of each other or all answers are certain."""
_UNSEEN = 1e-10
"""Share of the objective; a smaller gain drowns in its rounding, so no line search can judge it."""


def fit_logistic(
    design: ArrayLike, targets: ArrayLike, l2: float = 0.0, *, offset: ArrayLike | None = None
) -> F64:
    """Return the weights w of least cross-entropy between σ(design @ w + offset) and the targets.

    Minimises Σ log(1 + exp(q)) − t q + l2 / 2 · Σ w², q = design @ w + offset, by Newton's method with halved
    steps (as Lin, Lin & Weng 2007 do for Platt scaling). Columns that are constant hold the intercept and
    are not penalised, so that `l2` is 1 / C of scikit-learn's LogisticRegression.

    Where a plane separates hard targets and `l2` is 0, there is no minimum: the weights returned are large
    and only their direction means something. Give `l2` > 0, or targets inside (0, 1).

    Args:
        design: float [N, D], finite; columns of mean 0 and spread 1 are best conditioned. Add a column of
            ones for an intercept.
        targets: float [N], in [0, 1].
        l2: Weight of the penalty, at least 0.
        offset: float [N], added to the logits with weight one.

    Returns:
        float64 [D].

    Raises:
        DataError: Shapes do not fit, there is no row, a number is not finite, a target is outside [0, 1].
        ConfigError: `l2` is negative or not finite.
    """
    x, t, shift = _checked(design, targets, offset)
    if not (np.isfinite(l2) and l2 >= 0.0):
        raise ConfigError(f"'l2' is the weight of a penalty, finite and at least 0, got {l2}.")
    spans = np.ptp(x, axis=0)
    scale = np.abs(x).max(axis=0)
    scale[scale == 0.0] = 1.0  # a column of zeros keeps the weight 0
    penalty = np.where(spans > 0.0, l2 / scale**2, 0.0)
    weights: F64 = _minimised(x / scale, t, shift, penalty) / scale
    return weights


def cross_entropy(logits: F64, targets: F64) -> float:
    """Return the summed cross-entropy in nats between σ(logits) and the targets, both [N]."""
    return float(np.sum(np.logaddexp(0.0, logits) - targets * logits))


def _minimised(x: F64, t: F64, shift: F64, penalty: F64) -> F64:
    """Return the minimum over w of cross-entropy + Σ penalty w² / 2, with `x` scaled to [-1, 1]."""

    def objective(w: F64) -> float:
        return cross_entropy(x @ w + shift, t) + 0.5 * float(penalty @ w**2)

    n, d = x.shape
    weights = np.zeros(d)
    value = objective(weights)
    for _ in range(_NEWTON_STEPS):
        probs = sigmoid(x @ weights + shift)
        gradient = x.T @ (probs - t) + penalty * weights
        if float(np.abs(gradient).max(initial=0.0)) <= _GRADIENT * n:
            break
        hessian = (x.T * (probs * (1.0 - probs))) @ x + np.diag(penalty + _RIDGE * n)
        direction = np.linalg.solve(hessian, gradient)
        if float(gradient @ direction) <= _UNSEEN * max(1.0, value):
            weights = weights - direction  # so near that only the gradient still sees the way
            value = objective(weights)
            continue
        step, trial, trial_value = 1.0, weights, value
        while step > 1e-10:
            trial = weights - step * direction
            trial_value = objective(trial)
            if trial_value < value - 1e-4 * step * float(gradient @ direction):
                break
            step /= 2
        else:
            break  # no step improves it: the minimum, to rounding
        weights, value = trial, trial_value
    return weights


def _checked(design: ArrayLike, targets: ArrayLike, offset: ArrayLike | None) -> tuple[F64, F64, F64]:
    x, t = np.asarray(design, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    shift = np.zeros(t.shape) if offset is None else np.asarray(offset, dtype=np.float64)
    if x.ndim != 2 or len(x) == 0 or x.shape[1] == 0 or t.shape != x.shape[:1] or shift.shape != t.shape:
        raise DataError(
            f"Logistic regression got a design of shape {list(x.shape)}, targets {list(t.shape)} and an "
            f"offset {list(shift.shape)}; expected [N, D], [N] and [N] with at least one row and column."
        )
    if not (np.isfinite(x).all() and np.isfinite(shift).all()):
        raise DataError("Logistic regression got a feature or an offset that is not finite.")
    if not ((t >= 0.0) & (t <= 1.0)).all():  # written so that a NaN fails
        raise DataError("Logistic regression got a target outside [0, 1].")
    return x, t, shift
