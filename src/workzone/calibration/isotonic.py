"""Fits isotonic regression: the rising map of least squared error, whatever its shape.

Knows nothing of how it is applied. It needs about a thousand pictures to be worth more than a formula, and it
ties logits: use it for the displayed probability, or fit it on `select`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workzone.calibration.calibrators import decided_pairs, fit_platt, platt_targets
from workzone.core.errors import DataError
from workzone.core.lazy import require
from workzone.core.scores import Scores
from workzone.policy.calibrators import MAX_KNOTS, IsotonicCalibrator


def fit_isotonic(scores: Scores) -> IsotonicCalibrator:
    """Return the isotonic regression of the labels on the logits of the decided pictures.

    Pool-adjacent-violators by SciPy, equal logits averaged first (Zadrozny & Elkan 2002). Its outer blocks
    would be 0 and 1: certainties that n pictures cannot show, and an infinite log loss for the first
    exception. They are clipped to Platt's targets, [1/(n₋+2), (n₊+1)/(n₊+2)]; that clipped map is the one
    that is served and the one whose log loss is compared.

    Raises:
        DataError: As `fit_platt`; or the map has more knots than a bundle may hold.
        MissingExtraError: SciPy is not installed.
    """
    optimize = require("scipy.optimize", "data")
    fit_platt(scores)  # refuses what no rising map can fit
    logits, labels = decided_pairs(scores)
    knots, counts, positives = tied(logits, labels)
    probs = np.asarray(optimize.isotonic_regression(positives / counts, weights=counts).x, dtype=np.float64)
    targets = platt_targets(labels)
    probs = np.clip(probs, targets.min(), targets.max())
    needed = np.ones(len(knots), dtype=bool)  # inside a flat stretch none is
    needed[1:-1] = (probs[1:-1] != probs[:-2]) | (probs[1:-1] != probs[2:])
    if int(needed.sum()) > MAX_KNOTS:
        raise DataError(
            f"Isotonic regression of {len(logits)} pictures has {int(needed.sum())} knots; a bundle holds at "
            f"most {MAX_KNOTS}. Use 'beta', which needs none."
        )
    return IsotonicCalibrator(tuple(knots[needed].tolist()), tuple(probs[needed].tolist()))


def tied(
    logits: NDArray[np.float64], labels: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct logits, rising, and of each how many pictures and how many positives it has."""
    distinct, place = np.unique(logits, return_inverse=True)
    counts = np.bincount(place, minlength=len(distinct)).astype(np.int64)
    positives = np.bincount(place, weights=labels, minlength=len(distinct)).astype(np.int64)
    return distinct, counts, positives
