"""Choosing golden pictures: answers that no small difference between machines can turn.

Knows what makes a picture suitable; where the rendered pictures come from is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.golden import GoldenSet
from workzone.core.errors import ArtifactError
from workzone.engine.scorer import LoadedModel, score_sources
from workzone.policy.calibrators import AnyCalibrator
from workzone.policy.policies import AnyPolicy

MARGIN = 10.0
"""How many tolerances a golden logit stays away from a threshold."""
DEFAULT_TOLERANCE = 0.02
"""In logits: far above what float32 differs by between processors (1e-5), far below what
another preprocessing costs."""


def select_golden(
    model: LoadedModel,
    candidates: Sequence[bytes],
    calibrator: AnyCalibrator,
    policy: AnyPolicy,
    *,
    n: int,
    tolerance: float = DEFAULT_TOLERANCE,
    precision: str = "fp32",
) -> GoldenSet:
    """Return `n` of the candidates, or as many as are suitable, with the answers that the model gives here.

    Suitable is a picture whose logit is further than `MARGIN` tolerances from every finite threshold. Of
    those the logits are taken evenly from the lowest to the highest.

    Args:
        model: The frozen model, in the serving engine.
        candidates: Encoded rendered pictures (JPEG or PNG).
        calibrator: Gives the probabilities.
        policy: Has the thresholds to keep away from.
        n: At least 1.
        tolerance: Largest difference of a logit that is let through elsewhere.
        precision: Of the model that serves.

    Raises:
        ArtifactError: No candidate is suitable.
        DataError: A candidate cannot be decoded.
    """
    logits, _ = score_sources(model.backend, model.preprocessing, candidates)
    suitable = np.flatnonzero(_distance(logits, policy) > MARGIN * tolerance)
    if len(suitable) == 0:
        raise ArtifactError(
            f"None of {len(candidates)} rendered pictures has a logit further than {MARGIN * tolerance:g} "
            "from the thresholds, so none can be a golden picture. Offer more candidates, or train a model "
            "that tells road work from none."
        )
    by_logit = suitable[np.argsort(logits[suitable], kind="stable")]
    places = np.unique(np.linspace(0, len(by_logit) - 1, min(n, len(by_logit))).round().astype(int))
    chosen = by_logit[places]
    return GoldenSet(
        pictures=tuple(candidates[i] for i in chosen),
        logits=logits[chosen],
        probs=calibrator.apply(logits[chosen]),
        tolerances={precision: tolerance},
    )


def _distance(logits: NDArray[np.float64], policy: AnyPolicy) -> NDArray[np.float64]:
    """Return how far each logit is from the nearest finite threshold."""
    thresholds = np.array(policy.thresholds)
    if not len(thresholds):
        return np.full(len(logits), np.inf)
    nearest: NDArray[np.float64] = np.abs(logits[:, None] - thresholds).min(axis=1)
    return nearest
