"""Who of those that wait is answered by the large model, who by the small one, and who by neither: pure arithmetic.

Knows stakes, times left and how long a run takes; does not know pictures, answers or clocks. Whoever ranks higher is
placed first: on the large model if everyone placed there before still is in time with him, else on the small one by
the same test, else nowhere. Because of two facts nobody who could be in time is left out for lack of a better order:
within one lane, if any order has everyone in time, then the order of the deadlines has (Jackson, "Scheduling a
production line to minimize maximum tardiness", 1955); and with runs of one picture, the sets that can be in time
are a matroid, of which taking the best first yields a largest set (Lawler, "Combinatorial Optimization", 1976, ch. 7).

The decision a reader would question: stake goes before number. Where deadlines differ, one who ranks high may hold the
place in the large lane that only two others could have used.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from workzone.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Request:
    """One that waits.

    Attributes:
        stake: Of who asks; finite.
        arrived: Its number in order of arrival; among equal stakes the earlier ranks higher.
        left_s: Seconds until its answer ceases to be of use; infinite: never.
        large: Whether the large model may be asked; it may have failed already.
        small: Whether the small model may be.
    """

    stake: float
    arrived: int
    left_s: float
    large: bool = True
    small: bool = True

    @property
    def rank(self) -> tuple[float, int]:
        """Ascending: the first is served first."""
        return (-self.stake, self.arrived)


@dataclass(frozen=True, slots=True)
class LaneState:
    """What is to be expected of one model now.

    Attributes:
        rest_s: Seconds until what it already has is done.
        run_s: Seconds of a run of 1, 2, … pictures, up to as many as it takes at once; not decreasing.
        room: How many more may be given to it, however much time there is; None: any number.

    Raises:
        ConfigError: A number is negative or no number, no run is stated, or a larger one takes less time.
    """

    rest_s: float
    run_s: tuple[float, ...]
    room: int | None = None

    def __post_init__(self) -> None:
        ascending = all(one <= two for one, two in pairwise(self.run_s))
        if not (self.run_s and ascending and self.run_s[0] >= 0 and self.rest_s >= 0):
            raise ConfigError(
                f"A lane has a rest of at least 0 s and run times that do not decrease; got {self.rest_s} and "
                f"{self.run_s}."
            )


@dataclass(frozen=True, slots=True)
class Plan:
    """Indices of the requests: by lane in the order in which they should be started, and those of neither."""

    large: tuple[int, ...]
    small: tuple[int, ...]
    nothing: tuple[int, ...]


class _Placed:
    """Who has been given to one lane, by deadline."""

    def __init__(self, state: LaneState | None) -> None:
        self._state = state
        self._indices: list[int] = []
        self._left_s: list[float] = []

    def take(self, index: int, left_s: float) -> bool:
        """Add one request if it and all before it are in time; else change nothing."""
        state = self._state
        if state is None or (state.room is not None and len(self._indices) >= state.room):
            return False
        at = bisect_right(self._left_s, left_s)
        self._left_s.insert(at, left_s)
        if not _in_time(state, self._left_s, at):
            del self._left_s[at]
            return False
        self._indices.insert(at, index)
        return True

    def order(self, requests: Sequence[Request]) -> tuple[int, ...]:
        """Return who is to be started first: by rank while all are in time so, else by deadline."""
        ranked = sorted(self._indices, key=lambda index: requests[index].rank)
        if self._state is not None and _in_time(self._state, [requests[index].left_s for index in ranked]):
            return tuple(ranked)
        return tuple(self._indices)


def plan(requests: Sequence[Request], large: LaneState | None, small: LaneState | None) -> Plan:
    """Return who is to be answered by which model.

    Args:
        requests: Those that wait, in any order.
        large: None: it is not to be had.
        small: None: it is not to be had.

    Returns:
        Every index once. Whoever is in a lane is done in time there if its times hold and the order is kept; whoever
        is in none would make itself or a request of higher rank late in either.
    """
    lanes = (_Placed(large), _Placed(small))
    nothing = []
    for index in sorted(range(len(requests)), key=lambda index: requests[index].rank):
        request = requests[index]
        allowed = (lane for lane, may in zip(lanes, (request.large, request.small), strict=True) if may)
        if not any(lane.take(index, request.left_s) for lane in allowed):
            nothing.append(index)
    return Plan(lanes[0].order(requests), lanes[1].order(requests), tuple(nothing))


def run_times(expected_s: Callable[[int], float], largest: int) -> tuple[float, ...]:
    """Return `LaneState.run_s` of an estimate that may go up and down: the least that doesn't decrease above it."""
    times: list[float] = []
    for size in range(1, largest + 1):
        times.append(max(expected_s(size), times[-1] if times else 0.0))
    return tuple(times)


def _in_time(state: LaneState, left_s: Sequence[float], changed: int = 0) -> bool:
    """Whether pictures with so much time left, run in this order, are all done before it is over.

    Args:
        state: Of their lane.
        left_s: Seconds, in the order of running.
        changed: Those before this position are known to be in time, were they alone.
    """
    largest = len(state.run_s)
    first = changed // largest
    begun_s = state.rest_s + first * state.run_s[-1]
    for at in range(first * largest, len(left_s), largest):
        run = left_s[at : at + largest]
        begun_s += state.run_s[len(run) - 1]
        if begun_s > min(run):
            return False
    return True
