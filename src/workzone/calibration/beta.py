"""Fits beta calibration: a logistic regression on the two logarithms of the uncalibrated probability.

Knows nothing of how it is applied. A reader may ask why Platt's targets and not the bare labels, as in the
authors' package: with bare labels perfectly separated classes have no finite fit.
"""

from __future__ import annotations

import numpy as np

from workzone.calibration.calibrators import decided_pairs, fit_platt, platt_targets
from workzone.calibration.logistic import F64, cross_entropy, fit_logistic
from workzone.core.scores import Scores
from workzone.policy.calibrators import BetaCalibrator, log_sigmoid

_LEAST_SPREAD = 1e-6
"""Standard deviation of a logarithm below which its slope cannot be learned: all logits are on one side."""


def fit_beta(scores: Scores) -> BetaCalibrator:
    """Return a, b >= 0 and c of least cross-entropy to Platt's targets on the decided pictures.

    logit q = a ln s − b ln(1 − s) + c is a logistic regression on (ln s, −ln(1 − s)) (Kull, Silva Filho &
    Flach 2017). Where a slope would be negative, the fit is done again without its term; the objective is
    convex, so the better of the two one-sided fits is the constrained minimum. Where both would be, and
    where all logits lie so far on one side of 0 that one of the logarithms is constant, the answer is that
    of Platt scaling (a = b): at chance the base rate, with the least slope that still rises.

    Raises:
        DataError: As `fit_platt`: a class is missing, all logits are equal, or labels are swapped.
    """
    platt = fit_platt(scores)  # refuses what no rising map can fit
    logits, labels = decided_pairs(scores)
    columns = np.stack([log_sigmoid(logits), -log_sigmoid(-logits)], axis=1)
    if (columns.std(axis=0) < _LEAST_SPREAD).any():
        return BetaCalibrator(a=platt.slope, b=platt.slope, c=platt.intercept)
    targets = platt_targets(labels)
    slopes, c, _ = _regressed(columns, targets)
    if (slopes >= 0.0).all():
        return BetaCalibrator(a=float(slopes[0]), b=float(slopes[1]), c=c)
    one_sided = []
    for side in (0, 1):
        slope, c, loss = _regressed(columns[:, side : side + 1], targets)
        if slope[0] > 0.0:
            a, b = (float(slope[0]), 0.0) if side == 0 else (0.0, float(slope[0]))
            one_sided.append((loss, BetaCalibrator(a=a, b=b, c=c)))
    if not one_sided:
        return BetaCalibrator(a=platt.slope, b=platt.slope, c=platt.intercept)
    return min(one_sided, key=lambda fit: fit[0])[1]


def _regressed(columns: F64, targets: F64) -> tuple[F64, float, float]:
    """Return slopes [D], intercept and cross-entropy of the regression on `columns` [N, D]."""
    centre, spread = columns.mean(axis=0), columns.std(axis=0)
    design = np.column_stack([(columns - centre) / spread, np.ones(len(columns))])
    weights = fit_logistic(design, targets)
    slopes = weights[:-1] / spread
    return slopes, float(weights[-1] - slopes @ centre), cross_entropy(design @ weights, targets)
