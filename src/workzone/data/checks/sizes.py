"""Checks of width and height: as declared, large enough, and like those of the source.

Sizes are upright (EXIF orientation applied), as the schema wants them. An outlier is judged against its own source,
by the median and the median absolute deviation (MAD) of log2 of area and of width over height: a source of mixed sizes
has a wide MAD and therefore wide limits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workzone.core.types import Status
from workzone.data.checks.outcome import CheckResult, share
from workzone.data.checks.subject import Subject

TINY_PX = 64
"""A shorter side below this holds no road work that a person could be sure of."""
MIN_SOURCE = 20
"""Pictures that a source must have before one of them can be an outlier."""
_AREA_STEPS, _SHAPE_STEPS = 2.0, 1.0
"""In log2: four times the area, twice the width over height."""
_DEVIATIONS = 6.0
_MOST_OUTLIERS = 0.05
"""Of a source: more of one kind are no outliers but a second kind of picture."""


def declared_size(subject: Subject) -> CheckResult:
    """FAIL where a picture has not the size that its row declares: its boxes lie elsewhere than they say."""
    facts, samples = subject.facts, subject.dataset.samples
    width, height = (samples[name].to_numpy() for name in ("width_px", "height_px"))
    rows = np.flatnonzero(facts.decoded & ((width != facts.width_px) | (height != facts.height_px)))
    return subject.result(
        "declared_size",
        rows,
        status=Status.FAIL,
        summary=f"{share(len(rows), len(subject))} have another size than their row declares.",
        advice="Correct width_px and height_px (--fix takes the decoded size), and look at their boxes: they may be "
        "in pixels of another size.",
        detail=lambda row: (
            f"{facts.width_px[row]} × {facts.height_px[row]} px, declared {width[row]} × {height[row]}"
        ),
        of=int(facts.decoded.sum()),
    )


def tiny(subject: Subject) -> CheckResult:
    """WARN where the shorter side is below `TINY_PX`."""
    facts = subject.facts
    shorter = np.minimum(facts.width_px, facts.height_px)
    rows = np.flatnonzero(facts.decoded & (shorter < TINY_PX))
    rows = rows[np.argsort(shorter[rows], kind="stable")]
    return subject.result(
        "tiny",
        rows,
        status=Status.WARN,
        summary=f"{share(len(rows), len(subject))} are under {TINY_PX} px along the shorter side.",
        advice="Leave them out, or get the originals: nothing far away can be seen in them.",
        detail=lambda row: f"{facts.width_px[row]} × {facts.height_px[row]} px",
        of=int(facts.decoded.sum()),
    )


def size_outliers(subject: Subject) -> CheckResult:
    """WARN where a picture's area or shape is far from those of its source."""
    facts = subject.facts
    beyond = np.zeros(len(subject))
    judged = 0
    for _, rows in subject.by_source():
        rows = rows[facts.decoded[rows]]
        if len(rows) < MIN_SOURCE:
            continue
        judged += len(rows)
        width, height = (np.log2(np.maximum(side[rows], 1)) for side in (facts.width_px, facts.height_px))
        far = np.maximum(_far(width + height, _AREA_STEPS), _far(width - height, _SHAPE_STEPS))
        beyond[rows] = far
    rows = np.flatnonzero(beyond > 1)
    rows = rows[np.argsort(-beyond[rows], kind="stable")]
    return subject.result(
        "size_outliers",
        rows,
        status=Status.WARN,
        summary=f"{share(len(rows), judged)} have a size or shape far from their source's.",
        advice="See whether they are thumbnails, crops, scans or pictures of another camera.",
        detail=lambda row: f"{facts.width_px[row]} × {facts.height_px[row]} px",
        of=judged,
    )


def _far(values: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """How many times the allowed distance each value is from the median; 0 where there are too many beyond it."""
    distance = np.abs(values - np.median(values))
    allowed = max(least, _DEVIATIONS * float(np.median(distance)))
    ratio: NDArray[np.float64] = distance / allowed
    return ratio if (ratio > 1).mean() <= _MOST_OUTLIERS else np.zeros_like(ratio)
