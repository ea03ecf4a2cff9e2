"""Cross-validation by groups: what a fitter says of pictures whose group it has not seen.

Knows nothing of what the answers are compared for. Groups are dealt by a hash, never by a seed that could be
tried again until the comparison pleases, and whole, because frames of one sequence are near copies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from workzone.calibration.calibrators import fit_calibrator
from workzone.core.errors import DataError
from workzone.core.scores import Scores
from workzone.core.types import Label

N_FOLDS = 5


def group_folds(scores: Scores) -> NDArray[np.intp]:
    """Return the fold of each picture, int [N] from 0 to at most 4: whole groups, all of them decided.

    Groups are ordered by the classes they have, then by sha256 of their name, and dealt in turn: positives
    and negatives are spread as evenly as the groups allow, and no training part lacks a class.

    Args:
        scores: Decided pictures only (`Scores.decided`).

    Raises:
        DataError: Fewer than two groups have a positive picture, or a negative one.
    """
    names, place = np.unique(scores.groups, return_inverse=True)
    n = len(names)
    positive = np.bincount(place, weights=scores.labels == Label.ROADWORK, minlength=n) > 0
    negative = np.bincount(place, weights=scores.labels == Label.NONE, minlength=n) > 0
    if positive.sum() < 2 or negative.sum() < 2:
        raise DataError(
            f"Cross-validation over groups needs two groups with road work and two without; these "
            f"{len(scores.ids)} pictures have {int(positive.sum())} and {int(negative.sum())}. Name one "
            "calibrator ('platt' needs the fewest pictures) instead of comparing several."
        )
    # groups with both classes lie between the others, so that either class is one run of the order
    stratum = negative.astype(int) - positive.astype(int)
    digests = [hashlib.sha256(f"calibration folds|{name}".encode()).digest() for name in names]
    order = sorted(range(n), key=lambda i: (int(stratum[i]), digests[i]))
    fold = np.empty(n, dtype=np.intp)
    fold[order] = np.arange(n) % min(N_FOLDS, n)
    return fold[place]


def held_out_probs(name: str, scores: Scores, folds: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the probability, [N], that each picture gets from the calibrator fitted on the other folds.

    Raises:
        DataError: The calibrator cannot be fitted without some fold.
        MissingExtraError: It needs a package that is not installed.
    """
    probs = np.empty(len(folds))
    for training, held_out in _parts(folds):
        probs[held_out] = fit_calibrator(name, scores.take(training)).apply(scores.logits[held_out])
    return probs


def _parts(folds: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    for fold in np.unique(folds):
        yield folds != fold, folds == fold
