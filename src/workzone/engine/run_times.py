"""How long a run of the network takes, by batch size, as the latest runs say; and what follows for a queue.

Knows numbers only. The median of the latest few is taken, so that one run that a busy machine held up does not
turn away requests that would have been answered.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import median

_REMEMBERED = 9


class RunTimes:
    """The latest run times of each batch size, in seconds.

    Args:
        measured: (batch size, seconds) known beforehand, from a warm-up.
    """

    def __init__(self, measured: Iterable[tuple[int, float]] = ()) -> None:
        self._latest: dict[int, deque[float]] = {}
        for size, seconds in measured:
            self.record(size, seconds)

    def record(self, size: int, seconds: float) -> None:
        """Note that a run of `size` pictures took `seconds`."""
        self._latest.setdefault(size, deque(maxlen=_REMEMBERED)).append(seconds)

    def expected_s(self, size: int) -> float:
        """Return how long a run of `size` pictures is likely to take; 0 while nothing is known.

        A size that was never run is taken in proportion to the nearest that was.
        """
        if not self._latest:
            return 0.0
        nearest = min(self._latest, key=lambda known: (abs(known - size), known))
        return median(self._latest[nearest]) * size / nearest

    def drain_s(self, pictures: int, max_batch: int) -> float:
        """Return how long `pictures` that wait are likely to take, in runs of `max_batch`."""
        full, rest = divmod(pictures, max_batch)
        last = self.expected_s(rest) if rest else 0.0
        return math.fsum((full * self.expected_s(max_batch), last))
