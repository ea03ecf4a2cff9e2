"""Which of the waiting requests go through the network next, and which come too late: pure arithmetic.

The network is never kept waiting for a fuller batch: while it runs, the next batch gathers by itself, and an
idle machine answers at once. What the oldest request's slack decides is how large a batch may be. A request
that would come too late steps aside for those that would not; when none would be in time, the newest is tried
all the same, because an expectation that is too high is only corrected by running.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar


class Waiting(Protocol):
    """What is asked of a request."""

    @property
    def deadline_s(self) -> float | None:
        """When its answer ceases to be of use; None: never."""


W = TypeVar("W", bound=Waiting)


def slack_s(request: Waiting, now_s: float) -> float:
    """Return the time that is left until the request's deadline; infinite without one."""
    return math.inf if request.deadline_s is None else request.deadline_s - now_s


def form_batch(
    waiting: Sequence[W], now_s: float, max_batch: int, expected_s: Callable[[int], float]
) -> tuple[list[W], list[W]]:
    """Return the next batch and the requests that are given up as too late, both oldest first.

    Args:
        waiting: Oldest first.
        now_s: The time, on the clock of the deadlines.
        max_batch: The most requests in a batch, at least 1.
        expected_s: How long a run of so many pictures is likely to take.

    Returns:
        A batch of at most `max_batch`, as large as lets its oldest request be in time, and empty only if all
        deadlines have passed; and those whose deadline has passed or would pass in a run of their own.
    """
    alone_s = expected_s(1)
    in_time: list[W] = []
    late: list[W] = []
    for request in waiting:
        slack = slack_s(request, now_s)
        (in_time if slack > 0 and slack >= alone_s else late).append(request)
    if not in_time and late and slack_s(late[-1], now_s) > 0:
        in_time.append(late.pop())
    size = min(max_batch, len(in_time))
    while size > 1 and expected_s(size) > slack_s(in_time[0], now_s):
        size -= 1
    return in_time[:size], late
