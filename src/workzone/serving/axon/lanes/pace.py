"""How fast a model gets its pictures done, by how many it has at once, as the latest ones say.

Knows numbers only. Every model is taken for one server whose speed depends on its load (Lazowska et al.,
"Quantitative System Performance", 1984, ch. 8, "load dependent service centers"): while so many are inside, a picture
leaves every so many seconds. That holds for whatever is behind it, one run after the other or runs of many, decoding
threads, a wire. `engine.run_times` knows the runs of one network; here the runs cannot be seen.

The decision a reader would question: a sum of times by a sum of pictures, not a median. A run of four ends as one
picture after a second and three after none; the median of those is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Clock = Callable[[], float]

_REMEMBERED = 8
"""So many pictures, and twice as many as were inside, weigh in an estimate."""
_OUTLIER = 3.0
"""One run counts at most so many times what was expected of it: a machine that is held up once must not turn away
requests that will be answered. A model that got slower is believed within a few runs."""
_HALF_LIFE_S = 60.0
"""An expectation that nothing confirms goes half the way back to the best there was in this time: one that is too high
keeps requests away, and only running corrects it."""


@dataclass(slots=True)
class _Sums:
    seconds: float = 0.0
    pictures: float = 0.0
    best_s: float = math.inf

    def each_s(self) -> float:
        return self.seconds / self.pictures


class Pace:
    """Seconds by picture, by the number inside (powers of two).

    Args:
        measured: (pictures in a run, its seconds) known beforehand, from a warm-up.
        clock: Seconds from any start, never going back.
    """

    def __init__(self, measured: Iterable[tuple[int, float]], clock: Clock) -> None:
        self._clock = clock
        self._sums: dict[int, _Sums] = {}
        self._confirmed_s = clock()
        self._recorded = 0
        for pictures, seconds in measured:
            sums = self._sums.setdefault(pictures.bit_length(), _Sums())
            sums.seconds, sums.pictures = seconds, float(pictures)
            sums.best_s = min(sums.best_s, sums.each_s())

    def record(self, inside: int, seconds: float, run: int = 1, *, given_up: bool = False) -> None:
        """Note that with so many inside one left `seconds` after the one before it.

        Args:
            inside: At least 1, itself included.
            seconds: At least 0.
            run: How many may have been worked on together; what an outlier is follows from it.
            given_up: It was not done yet: the time is the least that it would have taken, and counts in full.
        """
        expected_s = run * self.each_s(inside)
        if expected_s > 0 and not given_up:
            seconds = min(seconds, _OUTLIER * expected_s)
        sums = self._sums.setdefault(inside.bit_length(), _Sums())
        keep = 1 - 1 / (_REMEMBERED + 2 * inside)
        sums.seconds = keep * sums.seconds + seconds
        sums.pictures = keep * sums.pictures + 1
        self._recorded += 1
        if self._recorded >= _REMEMBERED:  # or one that happened to be quick would be the best for good
            sums.best_s = min(sums.best_s, sums.each_s())
        self._confirmed_s = self._clock()

    @property
    def sure(self) -> float:
        """How far the expectations come from pictures that were answered, from 0 to 1; a warm-up counts for nothing."""
        return min(1.0, self._recorded / _REMEMBERED)

    def each_s(self, inside: int) -> float:
        """Return the seconds by picture that are to be expected with so many inside; 0 while nothing is known.

        A number that there never was is taken for the nearest that there was.
        """
        if not self._sums:
            return 0.0
        wanted = inside.bit_length()
        sums = self._sums[min(self._sums, key=lambda known: (abs(known - wanted), known))]
        latest_s = sums.each_s()
        best_s = min(sums.best_s, latest_s) if math.isfinite(sums.best_s) else 0.0
        kept = float(0.5 ** ((self._clock() - self._confirmed_s) / _HALF_LIFE_S))
        return best_s + (latest_s - best_s) * kept
