"""Dealing items to parts so that every stretch of the sequence keeps to the parts' shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def deal(count: int, shares: Sequence[float]) -> NDArray[np.intp]:
    """Return which part each of `count` items in a row goes to.

    The first k items hold each part's share of k to within 1 - 1/(2n - 2) items, for every k (n parts; one
    part of two: 1/2). Any stretch, as a stratum in sorted items, therefore keeps to within twice that, and
    the whole to less than one item. Rounding each stratum by itself would pile its errors up instead.

    Source: R. Tijdeman, The chairman assignment problem, Discrete Mathematics 32 (1980).

    Args:
        count: How many items.
        shares: Of each part, at least 0, with the sum 1.

    >>> deal(8, [0.5, 0.25, 0.25]).tolist()
    [0, 1, 2, 0, 0, 1, 2, 0]
    """
    share = np.asarray(shares, dtype=np.float64)
    slack = 1.0 / max(2 * int((share > 0).sum()) - 2, 1)
    dealt = np.zeros(len(share))
    parts = np.empty(count, dtype=np.intp)
    for k in range(1, count + 1):
        due = share * k - dealt
        may = (share > 0) & (due >= slack - 1e-12)
        if not may.any():  # one part alone, or rounding: whoever is owed most
            may = due == due.max()
        deadline = np.full(len(share), np.inf)
        deadline[may] = (1.0 - slack - due[may]) / share[may]
        parts[k - 1] = int(deadline.argmin())
        dealt[parts[k - 1]] += 1
    return parts
