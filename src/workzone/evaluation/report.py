"""The whole content of a report, as records: what was measured, of what, and pictures to look at.

Knows nothing of JSON or HTML; `report_json` and `html` write it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workzone.core.errors import DataError
from workzone.core.types import Lineage
from workzone.evaluation.frontier import ParetoFrontier
from workzone.evaluation.policies import PolicyComparison
from workzone.evaluation.records import Evaluation
from workzone.policy.calibrators import AnyCalibrator
from workzone.policy.policies import AnyPolicy

THUMBNAIL_PX = 256
"""Longest side."""
_JPEG_QUALITY = 72
_JPEG_START = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which data, model and code the numbers are of."""

    dataset_name: str
    dataset_revision: str
    dataset_licence: str
    dataset_sha256: str
    split_sha256: str
    model_sha256: str
    """Of the frozen model that was measured."""
    bundle_digest: str | None
    """Of the bundle it was packed into, where there is one already."""
    backbone: str
    backbone_licence: str
    package_version: str
    lineage: Lineage
    """Every (split, role) that the numbers derive from."""
    test_openings: int
    """How often this test split was opened, this time included."""
    notes: tuple[str, ...] = ()
    """Sentences that the reader should know, such as "every picture is its own group"."""


@dataclass(frozen=True, slots=True)
class Report:
    """What `report.json` says."""

    evaluation: Evaluation
    policy: AnyPolicy
    calibrator: AnyCalibrator
    provenance: Provenance
    policies: PolicyComparison | None = None
    """The policy beside others at the same alpha and delta; None where none were fitted."""
    frontier: ParetoFrontier | None = None
    """What other thresholds would give on these pictures; None for other kinds of policy."""


@dataclass(frozen=True, slots=True)
class TrainingCurve:
    """One line of the training curves; those of one panel share their axes."""

    panel: str
    """What is on the vertical axis, such as "loss"."""
    name: str
    epochs: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture for the page."""

    jpeg: bytes
    caption: str

    def __post_init__(self) -> None:
        if not self.jpeg.startswith(_JPEG_START):
            raise DataError(f"The thumbnail captioned '{self.caption}' is no JPEG; make it with `thumbnail`.")


@dataclass(frozen=True, slots=True)
class Gallery:
    """Thumbnails of one kind."""

    title: str
    explanation: str
    thumbnails: tuple[Thumbnail, ...]


def thumbnail(image_rgb_u8: NDArray[np.uint8], caption: str) -> Thumbnail:
    """Return a picture [H, W, 3] as a JPEG of at most `THUMBNAIL_PX` on its longer side."""
    picture = Image.fromarray(image_rgb_u8)
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return Thumbnail(buffer.getvalue(), caption)
