"""Fits a log-opinion pool of calibrators: the members on all pictures, their weights on held-out answers.

Knows nothing of how it is applied. A reader may ask why the weights are not fitted with the members: on the
pictures that a member was fitted on the most flexible one looks best, whatever it is worth elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from workzone.calibration.calibrators import decided_pairs, fit_calibrator, fit_platt
from workzone.calibration.folds import group_folds, held_out_probs
from workzone.calibration.logistic import F64, cross_entropy, fit_logistic
from workzone.core.errors import ConfigError, DataError
from workzone.core.scores import Scores
from workzone.policy.calibrators import MemberCalibrator, PoolCalibrator
from workzone.policy.pool import clipped_logits

MEMBERS = ("temperature", "platt", "beta", "isotonic")
MAX_POOLED = 6
"""Every combination of members is looked at: 63 of them."""
_WORTH = 1e-6
"""Nats a picture that one more member must gain; less is rounding, and a smaller pool is easier to read."""


def fit_pool(scores: Scores, members: Sequence[str] = MEMBERS) -> PoolCalibrator:
    """Return the pool of least cross-validated log loss over groups, weights at least 0 and of sum 1.

    A member that cannot be fitted (say, no temperature helps) is left out, and so is one of weight 0.

    Args:
        scores: Logits and labels; the decided pictures are used.
        members: Names of `calibrators.FITTERS`, at most 6, none twice, no pool.

    Raises:
        DataError: As `fit_platt`; fewer than two groups of either class; or no member can be fitted.
        ConfigError: The members are no such names.
        MissingExtraError: A member needs a package that is not installed.
    """
    if not 1 <= len(members) <= MAX_POOLED or len(set(members)) != len(members) or "pool" in members:
        raise ConfigError(
            f"A pool is fitted from 1 to {MAX_POOLED} different calibrators that are no pools, "
            f"got {', '.join(members) or 'none'}."
        )
    fit_platt(scores)  # refuses what no rising map can fit
    decided = scores.decided()
    folds = group_folds(decided)
    fitted: list[MemberCalibrator] = []
    held_out: list[F64] = []
    refusals: list[DataError] = []
    for name in members:
        try:
            member = fit_calibrator(name, decided)
            probs = held_out_probs(name, decided, folds)
        except DataError as error:
            refusals.append(error)
            continue
        assert not isinstance(member, PoolCalibrator)
        fitted.append(member)
        held_out.append(probs)
    if not fitted:
        raise refusals[0]
    weights = pool_weights(clipped_logits(np.stack(held_out)), decided_pairs(decided)[1])
    kept = np.flatnonzero(weights)
    return PoolCalibrator(tuple(fitted[i] for i in kept), tuple(weights[kept].tolist()))


def pool_weights(logits: F64, labels: F64) -> F64:
    """Return the weights on the simplex of least log loss of Σ w logits.

    The loss is convex, so its minimum over the simplex is the minimum over the plane of one of its faces that
    lies inside that face: each face is a logistic regression with an offset. Of faces that do as well, to
    1e-6 nats a picture, the one with the fewest members is taken, then the one named first.

    Args:
        logits: [M, N], what each member says of each picture, M at most 6.
        labels: [N], 0 or 1.

    Returns:
        float64 [M], at least 0, of sum 1.
    """
    best, best_loss = np.zeros(len(logits)), np.inf
    for size in range(1, len(logits) + 1):
        for face in combinations(range(len(logits)), size):
            inside = _on_face(logits[list(face)], labels)
            if inside is None:
                continue
            loss = cross_entropy(inside @ logits[list(face)], labels)
            if loss < best_loss - _WORTH * len(labels):
                best, best_loss = np.zeros(len(logits)), loss
                best[list(face)] = inside
    return best


def _on_face(logits: F64, labels: F64) -> F64 | None:
    """Return the best weights [M] of sum 1 where all are above 0; None where they are not."""
    if len(logits) == 1:
        return np.ones(1)
    base, rest = logits[0], logits[1:]
    weights = fit_logistic((rest - base).T, labels, offset=base)
    weights = np.append(1.0 - weights.sum(), weights)
    return weights / weights.sum() if (weights > 0.0).all() else None
