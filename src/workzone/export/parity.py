"""The parity gate: a frozen model whose answers are not its ancestor's is refused.

The ancestor is asked by a plain function, so the gate knows neither torch nor ONNX; the frozen model is asked
through the serving engine, as it will be served.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.model import ParityReport
from workzone.core.errors import ArtifactError
from workzone.core.observer import Observer
from workzone.engine.backend import Backend
from workzone.imaging.decode import ImageInput
from workzone.imaging.preprocessing import Preprocessing

F32 = NDArray[np.float32]
Ancestor = Callable[[F32], tuple[F32, F32]]
"""pixels float32 [B, 3, H, W] → (logits [B], features [B, D])."""


def check_parity(
    ancestor: Ancestor,
    backend: Backend,
    preprocessing: Preprocessing,
    pictures: Sequence[ImageInput],
    tolerance: float,
    observer: Observer,
    *,
    of_spread: bool = False,
) -> ParityReport:
    """Ask both about every picture and compare.

    `of_spread`: the tolerance is a share of the standard deviation of the ancestor's logits. What a shorter mantissa
    changes grows with the logits themselves; what an export changes does not.

    The first picture goes alone and the rest in full batches, so that a network whose batch is not really
    free is noticed.

    Raises:
        ArtifactError: A logit differs by more than the tolerance, or is not finite.
        DataError: A picture cannot be decoded.
    """
    ours: list[tuple[F32, F32]] = []
    theirs: list[tuple[F32, F32]] = []
    done = 0
    for part in _parts(pictures, preprocessing.max_batch):
        pixels = preprocessing.prepare(part)
        theirs.append(ancestor(pixels))
        output = backend.run(pixels[:, None])
        ours.append((output.logits, output.features))
        done += len(part)
        observer.progress("parity", min(done, len(pictures)), len(pictures))
    report = _compare(ours, theirs, len(pictures), tolerance, of_spread)
    if not report.max_abs_logit <= report.tolerance:  # so that a NaN fails
        raise ArtifactError(
            f"The frozen model differs from its ancestor by up to {report.max_abs_logit:.3g} in the "
            f"logit on {report.n_pictures} pictures (mean {report.mean_abs_logit:.3g}, spread of the logits "
            f"{report.logit_std:.3g}); at most {report.tolerance:.3g} is let through. It is not written."
        )
    return report


def _parts(pictures: Sequence[ImageInput], largest: int) -> list[Sequence[ImageInput]]:
    rest = pictures[1:] or [pictures[0]] * min(2, largest)
    return [pictures[:1], *(rest[start : start + largest] for start in range(0, len(rest), largest))]


def _compare(
    ours: list[tuple[F32, F32]],
    theirs: list[tuple[F32, F32]],
    n_pictures: int,
    tolerance: float,
    of_spread: bool,
) -> ParityReport:
    logits, features = (np.concatenate(column).astype(np.float64) for column in zip(*ours, strict=True))
    expected, ancestral = (np.concatenate(column).astype(np.float64) for column in zip(*theirs, strict=True))
    if not (np.isfinite(logits).all() and np.isfinite(expected).all()):
        raise ArtifactError(
            "The model gives logits that are not finite: the training has failed. Train again."
        )
    off = np.abs(logits - expected)
    spread = float(expected.std())
    if of_spread and not spread > 0:
        raise ArtifactError("The ancestor gives every parity picture the same logit: train again.")
    return ParityReport(
        n_pictures=n_pictures,
        tolerance=tolerance * spread if of_spread else tolerance,
        max_abs_logit=float(off.max()),
        mean_abs_logit=float(off.mean()),
        max_abs_feature=float(np.abs(features - ancestral).max()),
        logit_std=spread,
        n_sign_changes=int(((logits > 0) != (expected > 0)).sum()),
    )
