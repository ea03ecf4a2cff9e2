"""Running a bundle's golden pictures: does this machine give the answers that the bundle was sealed with?

What hashes cannot see is caught here: another decoder, resizer, runtime or processor that answers
differently.
"""

from __future__ import annotations

import numpy as np

from workzone.bundle.reader import Bundle
from workzone.core.errors import BundleError, DataError, InferenceError
from workzone.engine.backend import Backend
from workzone.engine.scorer import DEFAULT_BACKEND, score_sources

CALIBRATOR_TOLERANCE = 1e-9
"""Of a probability: the calibrator is plain arithmetic, which differs between machines in the last digits."""


def check_golden(bundle: Bundle, backend: Backend, *, runtime: str = DEFAULT_BACKEND) -> float:
    """Run the golden pictures and return the largest difference of a logit.

    Two questions, each with a tolerance of its own: does the network give the sealed logits here, and does
    the calibrator make the sealed probabilities of the sealed logits? Asked so, a calibrator with steps
    passes although a logit that moves by a millionth may cross one.

    Args:
        bundle: Whose golden pictures.
        backend: Its network, loaded.
        runtime: What the backend is called (a key of `engine.backend.BACKENDS`), for the error.

    Raises:
        BundleError: A logit differs beyond the tolerance of the serving precision, a probability is not what
            the calibrator makes of its logit, or a golden picture cannot be answered.
    """
    golden, precision = bundle.golden, bundle.manifest.serving.precision
    tolerance = golden.tolerances.get(precision)
    if tolerance is None:
        raise BundleError(f"'{bundle.path}': golden.npz has no tolerance for the precision '{precision}'.")
    try:
        logits, _ = score_sources(backend, bundle.preprocessing, golden.pictures)
    except (DataError, InferenceError) as error:
        raise BundleError(f"'{bundle.path}': a golden picture cannot be answered: {error}") from error
    off = np.abs(logits - golden.logits)
    # Written so that a NaN fails.
    if not (off <= tolerance).all():
        worst = int(np.argmax(off))
        raise BundleError(
            f"'{bundle.path}' gives other answers here than it was sealed with: golden picture {worst} "
            f"has logit {logits[worst]:.5f}, sealed {golden.logits[worst]:.5f}; tolerance {tolerance:g} "
            f"({precision}, run with '{runtime}'). Its certificate does not hold with this installation: compare "
            f"its versions of {_package(runtime)}, Pillow and OpenCV."
        )
    _check_calibrator(bundle)
    return float(off.max())


def _package(runtime: str) -> str:
    return "OpenVINO" if runtime.startswith("openvino") else "ONNX Runtime"


def _check_calibrator(bundle: Bundle) -> None:
    golden = bundle.golden
    off = np.abs(bundle.calibrator.apply(golden.logits) - golden.probs)
    if not (off <= CALIBRATOR_TOLERANCE).all():
        worst = int(np.argmax(off))
        raise BundleError(
            f"'{bundle.path}' gives other answers here than it was sealed with: its calibrator makes of the "
            f"sealed logit {golden.logits[worst]:.5f} a probability that differs by {off[worst]:.5f} from the "
            f"sealed one ({golden.probs[worst]:.5f}). Calibrator and golden pictures do not belong together; "
            "get the bundle again from where it was made."
        )
