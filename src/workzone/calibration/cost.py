"""The expected cost of every rule of a path, in one pass. The formula is `policy.costs`'."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workzone.calibration.path import Path
from workzone.core.types import Label
from workzone.policy.costs import Counts, expected_costs, indicators
from workzone.policy.settings import Prices

F64 = NDArray[np.float64]


def path_costs(path: Path, labels: NDArray[np.int8], prices: Prices) -> F64:
    """Return the expected cost of a picture with labels [N] under each rule of a path, float64 [J].

    nan where the prices state a prevalence and a class is missing.
    """
    positive = labels == Label.ROADWORK
    totals = []
    for before, after in zip(
        indicators(positive, path.before), indicators(positive, path.after), strict=True
    ):
        change = after.astype(np.float64) - before
        moved = np.bincount(path.switch, weights=change, minlength=len(path) + 1)[: len(path)]
        totals.append(before.sum() + np.cumsum(moved))
    return expected_costs(Counts(*totals), prices)
