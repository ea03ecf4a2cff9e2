"""One model as the lanes see it: how many pictures it has, when they will be done, and whether it may be asked.

Knows one answerer, its pace and its breaker; does not know who waits for it or what else could answer. A ticket is
taken before the task that asks is there, so that a plan of the same moment counts it, and given back when that task
has ended, be it cancelled before its first step.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from workzone.core.errors import (
    ConfigError,
    DataError,
    DeadlineExceeded,
    InferenceError,
    ModelUnavailable,
    Overloaded,
)
from workzone.engine.answers import Answer, Answerer
from workzone.engine.breaker import BreakerState, CircuitBreaker
from workzone.engine.cascade import Perishable
from workzone.serving.axon.lanes.pace import Pace
from workzone.serving.axon.lanes.plan import LaneState, run_times
from workzone.serving.logs import ERRORS

Clock = Callable[[], float]

RUNS_INSIDE = 2
"""So many full runs are given to a model at once: one is worked on while the next is read. All others wait outside,
where a higher stake overtakes them."""

CAUTION = 1.05
"""Runs are taken to last so many times what they did lately, where a request is given to a model."""
_HOPE, _UNSURE = 0.85, 0.5
"""And so many times that, where it is refused: what cannot be taken back is said only when it is sure. The second is
for a model that has not answered yet, whose warm-up a busy machine may have held up."""
_PATIENCE = 4.0
"""From so many times on, a run that is late gets those refused that wait behind it; before, it may be the only one."""
_HANGS_S = 1.0
"""One that is given up counts as a failure if it is as late as that and took longer than this: of a quick model every
run is late while the process has something else to do."""
_SPREAD = 0.15
"""Share of a run's time by which it may last longer without being late."""
_TOGETHER = 0.25
"""Whoever leaves within this share of a picture's time after another was done in the same run."""
_log = logging.getLogger(ERRORS)


@dataclass(frozen=True, slots=True)
class Model:
    """One of the two models.

    Attributes:
        name: In answers, metrics and the journal.
        answerer: Who is asked.
        run: How many pictures it works on together, at least 1.
        measured: (pictures in a run, its seconds) of a warm-up, for the first estimates.
        breaker: Of this model alone.

    Raises:
        ConfigError: The run is below 1.
    """

    name: str
    answerer: Answerer
    run: int = 1
    measured: tuple[tuple[int, float], ...] = ()
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)

    def __post_init__(self) -> None:
        if self.run < 1:
            raise ConfigError(f"The {self.name} model works on at least 1 picture at a time, got {self.run}.")


@dataclass(slots=True, eq=False)
class Ticket:
    """One picture inside."""


class Lane:
    """A model at work; belongs to one event loop."""

    def __init__(self, model: Model, clock: Clock = time.monotonic) -> None:
        self.model = model
        self._clock = clock
        self._pace = Pace(model.measured, clock)
        self._inside: dict[Ticket, None] = {}  # in order of entering
        self._mark_s = clock()
        self._load = 1

    @property
    def name(self) -> str:
        """Of the model."""
        return self.model.name

    @property
    def dead(self) -> bool:
        """Whether the model comes back only by a restart."""
        return isinstance(self.model.answerer, Perishable) and self.model.answerer.dead

    @property
    def breaker_state(self) -> BreakerState:
        """Whether requests are let through; OPEN for a model that is dead."""
        return BreakerState.OPEN if self.dead else self.model.breaker.state

    @property
    def room(self) -> int:
        """How many pictures may be given to it now."""
        state = self.breaker_state
        if state is BreakerState.OPEN:
            return 0
        most = 1 if state is BreakerState.HALF_OPEN else RUNS_INSIDE * self.model.run
        return max(0, most - len(self._inside))

    def hoped(self) -> LaneState | None:
        """Return what would be if things went better than expected, the more so the less is known."""
        return self.state(_UNSURE + (_HOPE - _UNSURE) * self._pace.sure, _PATIENCE)

    def state(self, pace: float = CAUTION, patience: float = 1.0) -> LaneState | None:
        """Return what is to be expected of it; None: it is not to be asked now.

        Args:
            pace: Every run is taken to last so many times what the latest ones did.
            patience: A run that is late lets the following be expected to be as late only from so many times on.
        """
        state, run = self.breaker_state, self.model.run
        if state is BreakerState.OPEN or (state is BreakerState.HALF_OPEN and self._inside):
            return None
        times = pace * max(1.0, self._slower() / patience)

        def run_s(size: int) -> float:
            return times * size * self._pace.each_s(size if size < run else RUNS_INSIDE * run)

        inside = len(self._inside)
        begun_s = min(self._elapsed_s(), times * self._run_s())
        rest_s = max(0.0, times * inside * self._pace.each_s(inside) - begun_s) if inside else 0.0
        return LaneState(rest_s, run_times(run_s, run), 1 if state is BreakerState.HALF_OPEN else None)

    def enter(self) -> Ticket:
        """Count one more as inside, until `leave`."""
        if not self._inside:
            self._mark_s = self._clock()
        ticket = Ticket()
        self._inside[ticket] = None
        return ticket

    def finish_s(self, ticket: Ticket) -> float:
        """Return when a picture that is inside is likely to be done, seconds from now.

        Infinite where the run in progress takes longer than those before it: when that ends cannot be said.
        """
        run, inside = self.model.run, list(self._inside)
        if self._slower() > 1:
            return math.inf
        ahead = min(len(inside), (inside.index(ticket) // run + 1) * run)
        return max(0.0, ahead * self._pace.each_s(len(inside)) - self._elapsed_s())

    def sure(self, ticket: Ticket, left_s: float) -> bool:
        """Whether a picture that is inside will be done in time, though its run last somewhat longer than usual."""
        return self.finish_s(ticket) + _SPREAD * self._run_s() <= left_s

    async def ask(self, ticket: Ticket, picture: bytes, deadline_s: float | None) -> Answer:
        """Return the model's answer.

        Raises:
            DataError: The bytes are no picture, or exceed a limit.
            Overloaded: It has more than it can do in time.
            DeadlineExceeded: It would be too late.
            ModelUnavailable: It is left alone after failures, is broken, or raised an error that is none of ours.
            InferenceError: It could not compute an answer.
        """
        breaker, admitted = self.model.breaker, self.model.breaker.admit()
        if admitted is None:
            raise ModelUnavailable(f"The {self.name} model failed repeatedly and is left alone for a while.")
        outcome = breaker.abandoned
        try:
            answer = await self.model.answerer.answer(picture, deadline_s=deadline_s)
            outcome = breaker.succeeded
            self.leave(ticket, done=True)
        except (DataError, Overloaded, DeadlineExceeded):
            raise
        except InferenceError:
            outcome = breaker.failed
            raise
        except asyncio.CancelledError:
            if self._slower() > _PATIENCE and self._elapsed_s() > _HANGS_S:  # not merely a caller who left
                outcome = breaker.failed
            raise
        except Exception as error:
            outcome = breaker.failed
            _log.exception("model_failed: %s", self.name)
            raise ModelUnavailable(
                f"The {self.name} model failed with {type(error).__name__}; the log of errors says more."
            ) from error
        finally:
            outcome(admitted)  # also where the request was cancelled: a trial must not be left pending
        return answer

    def leave(self, ticket: Ticket, *, done: bool = False) -> None:
        """Count one as gone, the first time; one given up late says at least that it would have taken longer."""
        if ticket not in self._inside:
            return
        if done or self._slower() > 1:
            elapsed_s, inside = self._elapsed_s(), len(self._inside)
            if elapsed_s > _TOGETHER * self._pace.each_s(inside):
                self._load = inside  # of the whole run; the others of it leave right after
            self._pace.record(self._load, elapsed_s, self.model.run, given_up=not done)
            self._mark_s = self._clock()
        del self._inside[ticket]

    def _elapsed_s(self) -> float:
        """Return the time since the last one left, or the first one came."""
        return self._clock() - self._mark_s

    def _run_s(self) -> float:
        """Return what the run in progress was expected to take."""
        inside = len(self._inside)
        return min(self.model.run, inside) * self._pace.each_s(inside) if inside else 0.0

    def _slower(self) -> float:
        """Return how many times what was expected of it the run in progress takes already, at least 1."""
        run_s = self._run_s()
        return max(1.0, self._elapsed_s() / run_s) if run_s > 0 else 1.0
