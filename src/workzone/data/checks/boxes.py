"""Checks of objects: boxes that leave their picture or have no area, and types that the vocabulary does not know.

A box may reach over the edge by a pixel: annotation tools round. The picture's size is the decoded one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.core.types import Status
from workzone.data.box_vocabulary import box_vocabulary
from workzone.data.checks.outcome import CheckResult, not_judged, share
from workzone.data.checks.subject import Subject
from workzone.data.tables import strings

EDGE_PX = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class PlacedBoxes:
    """B boxes beside the pictures that they are in.

    Attributes:
        rows: intp [B], of the data set.
        corners: float64 [B, 4], left, upper, right and lower edge in pixels.
        empty: bool [B], without any area.
        outside: bool [B], no part of it is in the picture.
        beyond: bool [B], a part of it is out of the picture.
    """

    rows: NDArray[np.intp]
    corners: NDArray[np.float64]
    empty: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    beyond: NDArray[np.bool_]


def placed_boxes(subject: Subject) -> PlacedBoxes | None:
    """Return the boxes of a data set in the order of its table, or None where objects are not known."""
    table = subject.dataset.boxes
    if table is None:
        return None
    rows = np.searchsorted(subject.ids, strings(table, "sample_id")).astype(np.intp)
    x, y, width, height = (
        table[name].to_numpy().astype(np.float64) for name in ("x_px", "y_px", "width_px", "height_px")
    )
    right, lower = _sizes(subject)[rows].T
    corners = np.stack([x, y, x + width, y + height], axis=1)
    empty = (width <= 0) | (height <= 0)
    outside = ~empty & ((x >= right) | (y >= lower) | (corners[:, 2] <= 0) | (corners[:, 3] <= 0))
    over = np.stack([-x, -y, corners[:, 2] - right, corners[:, 3] - lower], axis=1).max(axis=1)
    return PlacedBoxes(rows, corners, empty, outside, ~empty & ~outside & (over > EDGE_PX))


def box_edges(subject: Subject) -> CheckResult:
    """WARN where boxes are empty or reach out of their picture; FAIL where one lies wholly outside."""
    boxes = placed_boxes(subject)
    if boxes is None or len(boxes.rows) == 0:
        return not_judged("box_edges", "objects are not known")
    kinds = (("wholly outside", boxes.outside), ("empty", boxes.empty), ("over the edge", boxes.beyond))
    details: dict[int, str] = {}
    for word, mask in kinds:
        for at in np.flatnonzero(mask).tolist():
            left, upper, right, lower = boxes.corners[at]
            text = f"box {word}: x {left:.0f} to {right:.0f}, y {upper:.0f} to {lower:.0f}"
            details.setdefault(int(boxes.rows[at]), text)
    n = sum(int(mask.sum()) for _, mask in kinds)
    return subject.result(
        "box_edges",
        list(details),
        status=Status.FAIL if boxes.outside.any() else Status.WARN,
        summary=f"{share(n, len(boxes.rows), 'boxes')} are wholly outside their picture ({boxes.outside.sum():,}), "
        f"empty ({boxes.empty.sum():,}) or reach over its edge ({boxes.beyond.sum():,}).",
        advice="Boxes outside belong to another picture or another size: look at them. --fix drops those that are "
        "outside or empty, and clips the rest.",
        detail=details.__getitem__,
        of=len(subject),
        figures=tuple((f"boxes_{word.replace(' ', '_')}", float(mask.sum())) for word, mask in kinds),
    )


def box_types(subject: Subject) -> CheckResult:
    """WARN where an object is of a type that `data.box_vocabulary` does not know."""
    boxes = placed_boxes(subject)
    if boxes is None or len(boxes.rows) == 0:
        return not_judged("box_types", "objects are not known")
    types = strings(subject.dataset.boxes, "type")
    unknown = ~np.isin(types, sorted(box_vocabulary().types))
    details: dict[int, str] = {}
    for at in np.flatnonzero(unknown).tolist():
        details.setdefault(int(boxes.rows[at]), f"a box of the type '{str(types[at])[:60]}'")
    names, counts = np.unique(types[unknown], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:20]
    listed = ", ".join(f"'{str(names[at])[:40]}'" for at in order[:5])
    return subject.result(
        "box_types",
        list(details),
        status=Status.WARN,
        summary=f"{share(int(unknown.sum()), len(types), 'boxes')} are of an unknown type"
        f"{': ' + listed if listed else ''}.",
        advice="Map these classes to the vocabulary when importing; an unmapped one takes no part in a label.",
        detail=details.__getitem__,
        figures=tuple((f"boxes_of_{str(names[at])[:40]}", float(counts[at])) for at in order),
    )


def _sizes(subject: Subject) -> NDArray[np.float64]:
    """float64 [N, 2]: width and height, decoded where that was possible, else declared."""
    facts, samples = subject.facts, subject.dataset.samples
    declared = (samples[name].to_numpy() for name in ("width_px", "height_px"))
    measured = (facts.width_px, facts.height_px)
    sides = [np.where(facts.decoded, m, d) for m, d in zip(measured, declared, strict=True)]
    return np.stack(sides, axis=1).astype(np.float64)
