"""A circuit breaker: after a run of failures a stage is left alone for a while, then tried with one request.

Nygard, "Release It!", 2nd ed. 2018, ch. 5. Knows failures and a clock; does not know what a stage is, or what
counts as its failure. It belongs to one event loop and takes no lock.

The decision a reader would question: it is written here though there are libraries. pybreaker 1.4 does not know
coroutines (its issue 7), aiobreaker was last released in 2021, and purgatory 3.0, the best kept of those for
asyncio, lets every waiting request through at once when half-open, counts a cancelled request as a failure, and
goes by the wall clock, which tests cannot set and NTP can. One trial, neutral cancellations and a clock that
never goes back are the points of having a breaker here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from workzone.core.errors import ConfigError


class BreakerState(StrEnum):
    """Whether requests are let through."""

    CLOSED = "closed"
    """All are."""
    OPEN = "open"
    """None is."""
    HALF_OPEN = "half_open"
    """One is, as a trial; its outcome closes or opens again."""


class CircuitBreaker:
    """Counts failures in a row of one stage.

    Whoever asks the stage takes a ticket from `admit` and gives it back with exactly one of `succeeded`,
    `failed` and `abandoned`. Tickets from before the last change of state no longer count: a request that was
    slow to fail must not open a circuit that has just been found whole.
    """

    def __init__(
        self, *, failures: int = 5, reset_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make a closed breaker.

        Args:
            failures: In a row, at least 1, that open it.
            reset_s: Seconds, above 0, from opening until a trial is let through.
            clock: Seconds from any start, never going back.

        Raises:
            ConfigError: A number is out of its range.
        """
        if failures < 1 or not reset_s > 0:
            raise ConfigError(
                f"A circuit breaker opens after at least 1 failure, for more than 0 seconds; got {failures} "
                f"and {reset_s}."
            )
        self._limit, self._reset_s, self._clock = failures, reset_s, clock
        self._failures = 0
        self._opened_at: float | None = None
        self._on_trial = False
        self._era = 0

    @property
    def state(self) -> BreakerState:
        """What a request would meet now."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        waited = self._clock() - self._opened_at >= self._reset_s
        return BreakerState.HALF_OPEN if waited else BreakerState.OPEN

    def admit(self) -> int | None:
        """Return a ticket for one request; None: do not ask the stage now."""
        state = self.state
        if state is BreakerState.OPEN or self._on_trial:
            return None
        if state is BreakerState.HALF_OPEN:
            self._on_trial = True
            self._era += 1
        return self._era

    def succeeded(self, ticket: int) -> None:
        """The stage answered: close."""
        if ticket == self._era:
            self._failures, self._opened_at, self._on_trial = 0, None, False

    def failed(self, ticket: int) -> None:
        """The stage did not answer: open if the trial failed, or if it was the last of a run."""
        if ticket != self._era:
            return
        self._failures += 1
        if self._on_trial or self._failures >= self._limit:
            self._opened_at, self._on_trial = self._clock(), False
            self._era += 1

    def abandoned(self, ticket: int) -> None:
        """Nothing was learned of the stage: the caller went away, or the picture was none."""
        if ticket == self._era:
            self._on_trial = False
