"""Running a bundle's golden pictures: does this machine give the answers that the bundle was sealed with?

What hashes cannot see is caught here: another decoder, resizer, runtime or processor that answers
differently.
"""

from __future__ import annotations

import numpy as np

from workzone.bundle.reader import Bundle
from workzone.core.errors import BundleError, DataError, InferenceError
from workzone.engine.backend import Backend
from workzone.engine.scorer import score_sources


def check_golden(bundle: Bundle, backend: Backend) -> float:
    """Run the golden pictures and return the largest difference of a logit.

    Raises:
        BundleError: A logit or probability differs beyond the tolerance of the serving precision, or a golden
            picture cannot be answered.
    """
    golden, precision = bundle.golden, bundle.manifest.serving.precision
    tolerance = golden.tolerances.get(precision)
    if tolerance is None:
        raise BundleError(f"'{bundle.path}': golden.npz has no tolerance for the precision '{precision}'.")
    try:
        logits, _ = score_sources(backend, bundle.preprocessing, golden.pictures)
    except (DataError, InferenceError) as error:
        raise BundleError(f"'{bundle.path}': a golden picture cannot be answered: {error}") from error
    off_logits = np.abs(logits - golden.logits)
    off_probs = np.abs(bundle.calibrator.apply(logits) - golden.probs)
    # Written so that a NaN fails.
    if not ((off_logits <= tolerance) & (off_probs <= tolerance)).all():
        worst = int(np.argmax(np.maximum(off_logits, off_probs)))
        raise BundleError(
            f"'{bundle.path}' gives other answers here than it was sealed with: golden picture {worst} "
            f"has logit {logits[worst]:.5f}, sealed {golden.logits[worst]:.5f}, and its probability differs "
            f"by {off_probs[worst]:.5f}; tolerance {tolerance:g} ({precision}). Its certificate does not "
            "hold with this installation: compare its versions of onnxruntime, Pillow and OpenCV."
        )
    return float(off_logits.max())
