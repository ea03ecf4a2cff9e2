"""Fits the inductive Venn–Abers predictor: both isotonic regressions for every possible new picture at once.

Knows nothing of how it is applied. A reader may ask why not one pair of fits for each new picture: the steps
below hold all of them, are found in one pass over the sorted logits, and need no calibration picture later.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workzone.calibration.calibrators import decided_pairs, fit_platt
from workzone.calibration.isotonic import tied
from workzone.core.errors import DataError
from workzone.core.scores import Scores
from workzone.policy.calibrators import MAX_KNOTS, VennAbersCalibrator

I64 = NDArray[np.int64]
Point = tuple[int, int]
"""Of the cumulative sum diagram: pictures so far, positives so far. Integers, so no corner is misjudged."""


def fit_venn_abers(scores: Scores) -> VennAbersCalibrator:
    """Return p0 and p1 as steps over the distinct logits of the decided pictures.

    Vovk, Petej & Fedorova 2015, "Large-scale probabilistic predictors with and without guarantees of
    validity", algorithms 1 to 4: O(n log n) for the sorting, the rest is linear. A new picture between two
    logits counts as at the upper one for p1 and as at the lower one for p0. Knots at which neither step
    changes are left out.

    Raises:
        DataError: As `fit_platt`; or the steps have more knots than a bundle may hold.
    """
    fit_platt(scores)  # refuses what no rising map can fit
    logits, labels = decided_pairs(scores)
    knots, counts, positives = tied(logits, labels)
    rise, run = _with_a_positive(counts, positives)
    p1 = rise / run
    # A negative added to rising logits is a positive added to falling ones with all labels turned.
    rise, run = _with_a_positive(counts[::-1], (counts - positives)[::-1])
    p0 = ((run - rise) / run)[::-1]
    needed = (p0 != np.append(0.0, p0[:-1])) | (p1 != np.append(p1[1:], 1.0))
    if int(needed.sum()) > MAX_KNOTS:
        raise DataError(
            f"Venn–Abers of {len(logits)} pictures has {int(needed.sum())} knots; a bundle holds at most "
            f"{MAX_KNOTS}. Use 'isotonic' or 'beta': with so many pictures p0 and p1 are nearly the same."
        )
    return VennAbersCalibrator(
        tuple(knots[needed].tolist()), tuple(p0[needed].tolist()), tuple(p1[needed].tolist())
    )


def _with_a_positive(counts: I64, positives: I64) -> tuple[I64, I64]:
    """Return, for each distinct logit, its isotonic value with one more positive there, as rise and run.

    The value is a slope of the greatest convex minorant of the cumulative sum diagram. Instead of everything
    to the right of the new picture one up and one right, everything to its left is drawn one down and one
    left, so that the right side of the hull stays and only its left end moves from logit to logit.

    Args:
        counts: [K], pictures at each distinct logit, rising.
        positives: [K], positives among them.
    """
    diagram: list[Point] = [
        (0, 0),
        *zip(np.cumsum(counts).tolist(), np.cumsum(positives).tolist(), strict=True),
    ]
    hull = _right_hull([(-1, -1), *diagram])
    rise, run = np.empty(len(counts), dtype=np.int64), np.empty(len(counts), dtype=np.int64)
    for i in range(len(counts)):
        start, end = hull[-1], hull[-2]
        rise[i], run[i] = end[1] - start[1], end[0] - start[0]
        moved = (diagram[i + 1][0] - 1, diagram[i + 1][1] - 1)
        if _turn(start, end, moved) >= 0:
            continue  # on or above the bridge: it stays
        hull.pop()
        _push(hull, moved)
    return rise, run


def _right_hull(points: list[Point]) -> list[Point]:
    """Return the lower convex hull of points that go from left to right, its left end last."""
    hull: list[Point] = []
    for point in reversed(points):
        _push(hull, point)
    return hull


def _push(hull: list[Point], point: Point) -> None:
    """Put a point left of a lower hull (left end last), and drop the corners that it covers."""
    while len(hull) > 1 and _turn(point, hull[-1], hull[-2]) <= 0:
        hull.pop()
    hull.append(point)


def _turn(a: Point, b: Point, c: Point) -> int:
    """Return twice the signed area of a, b, c: positive where c lies left of (above) the line from a to b."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
