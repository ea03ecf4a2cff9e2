"""Two models, one queue of our own: the large one for whom it will be in time, the small one for the others.

Knows who waits, with which stake and until when, and carries out what `plan` says of them; does not know validators,
HTTP or how a model computes. All is planned anew whenever someone comes or leaves, and at every tick meanwhile,
because a model that is held up is not an event. What a plan says of a request holds only until the next one: a request
is bound when a model gets it, and models get no more than two runs at a time.

Three expectations, each on the side where an error costs little. A request is given to a model if it is in time
though runs take a little longer than lately; it is refused only if it would be late even if they took less; between
the two it waits. One that the large model has already, and will have too long, is asked of the small one as well
(a hedged request; Dean and Barroso, "The tail at scale", 2013); the first answer counts, and the other is cancelled.

The decision a reader would question: a model that is broken for good does not make the whole dead while the other
answers. A miner earns by answering; `stage_states` says that a model is out, and a supervisor that restarts for that
is free to.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace

from workzone.core.errors import (
    ConfigError,
    DataError,
    DeadlineExceeded,
    InferenceError,
    ModelUnavailable,
    Overloaded,
)
from workzone.engine.answers import Answer
from workzone.engine.breaker import BreakerState
from workzone.engine.cascade import Closable, Perishable, Queued
from workzone.serving.axon.lanes.lane import CAUTION, Clock, Lane, Model, Ticket
from workzone.serving.axon.lanes.plan import Plan, plan
from workzone.serving.axon.lanes.waiting import Waiting
from workzone.storage.hashing import sha256_json

STAKE: ContextVar[float] = ContextVar("STAKE", default=0.0)
"""Of who asks; set where a request enters, read where it queues. The cache and tasks take it along."""


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """How requests wait.

    Raises:
        ConfigError: A number is out of its range.
    """

    waiting: int = 128
    """The most that wait; one that ranks higher takes the place of the lowest."""
    margin_s: float = 0.1
    """Kept of everyone's time for the record, the SDK's response and the way out of the process."""
    tick_s: float = 0.05
    """All is planned anew so often while anyone is there."""

    def __post_init__(self) -> None:
        if self.waiting < 1 or not self.margin_s >= 0 or not self.tick_s > 0:
            raise ConfigError(
                f"LaneSettings: expected room for at least 1, a margin of at least 0 s and a tick above 0 s; got "
                f"{self.waiting}, {self.margin_s} and {self.tick_s}."
            )


class Lanes:
    """An `Answerer` over a large and a small model; belongs to one event loop.

    Attributes:
        identity: Digest of both models' identities.
    """

    def __init__(
        self,
        large: Model,
        small: Model | None = None,
        settings: LaneSettings = LaneSettings(),
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        """Make it of models that are there; nothing runs before the first picture.

        Args:
            large: Answers whom it can.
            small: Answers the others; None: nobody does.
            settings: How requests wait.
            clock: Of deadlines; must be the event loop's.

        Raises:
            ConfigError: Both have the same name.
        """
        models = [large] if small is None else [large, small]
        if len({model.name for model in models}) < len(models):
            raise ConfigError(f"Two models need two names; both are called '{large.name}'.")
        self.identity = sha256_json([[model.name, model.answerer.identity] for model in models])
        self._lanes = tuple(Lane(model, clock) for model in models)
        self._large, self._small = self._lanes[0], self._lanes[1] if small is not None else None
        self._settings = settings
        self._clock = clock
        self._requests: dict[Waiting, None] = {}
        self._arrived = 0
        self._planned: asyncio.Handle | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._closing = False

    @property
    def available(self) -> bool:
        """Whether a model would be asked now."""
        return not self._closing and any(lane.breaker_state is not BreakerState.OPEN for lane in self._lanes)

    @property
    def dead(self) -> bool:
        """Whether every model is broken for good."""
        return all(lane.dead for lane in self._lanes)

    @property
    def depth(self) -> int:
        """How many pictures wait, for a model or inside one."""
        queued = [lane.model.answerer for lane in self._lanes]
        inside = sum(answerer.depth for answerer in queued if isinstance(answerer, Queued))
        return inside + sum(1 for request in self._requests if not request.inside)

    async def wait_dead(self) -> None:
        """Return when every model is dead; never where one cannot be."""
        for lane in self._lanes:
            answerer = lane.model.answerer
            await (answerer.wait_dead() if isinstance(answerer, Perishable) else asyncio.Event().wait())

    def stage_states(self) -> Mapping[str, BreakerState]:
        """Return the breaker's state of each model by name, for metrics; a model that is dead is OPEN."""
        return {lane.name: lane.breaker_state for lane in self._lanes}

    async def answer(self, picture: bytes, *, deadline_s: float | None) -> Answer:
        """Answer one picture with the stake in `STAKE`; see `Answerer.answer`.

        Raises:
            DataError: The bytes are no picture, or exceed a limit.
            Overloaded: Neither model can be expected to be in time, or too many of higher rank wait.
            DeadlineExceeded: The deadline, less the margin, passed.
            ModelUnavailable: No model may be asked, or those that were are broken.
            InferenceError: No model could compute an answer.
        """
        now = self._clock()
        end_s = math.inf if deadline_s is None else deadline_s - self._settings.margin_s
        if end_s <= now:
            raise DeadlineExceeded("There was no time left when the picture came.")
        if not self.available:
            raise ModelUnavailable(
                "No model may be asked now: each failed repeatedly, is broken or being closed."
            )
        stake = STAKE.get()
        self._arrived += 1
        request = Waiting(
            picture, stake if math.isfinite(stake) else 0.0, self._arrived, end_s, now,
            asyncio.get_running_loop().create_future(),
        )  # fmt: skip
        self._make_room(request)
        self._requests[request] = None
        self._wake()
        try:
            async with asyncio.timeout(None if deadline_s is None else end_s - now) as limit:
                return await request.answer
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlineExceeded("The deadline came before a model's answer.") from error
        finally:
            self._forget(request)

    async def aclose(self) -> None:
        """Refuse what waits and what comes, and close both models, also where one fails to."""
        self._closing = True
        for request in tuple(self._requests):
            request.refuse(ModelUnavailable("The models are being closed."))
        closing = [lane.model.answerer for lane in self._lanes]
        results = await asyncio.gather(
            *(one.aclose() for one in closing if isinstance(one, Closable)), return_exceptions=True
        )
        for timer in (self._planned, self._tick):
            if timer is not None:
                timer.cancel()
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _make_room(self, newcomer: Waiting) -> None:
        """Let the lowest of those that wait go, if that makes room for one that ranks higher.

        Raises:
            Overloaded: All that wait rank higher.
        """
        waiting = [request for request in self._requests if not (request.inside or request.answer.done())]
        if len(waiting) < self._settings.waiting:
            return
        lowest = min((*waiting, newcomer), key=lambda request: (request.stake, -request.arrived))
        full = Overloaded(f"{len(waiting)} requests of at least this stake wait, which is as many as may.")
        if lowest is newcomer:
            raise full
        lowest.refuse(full)

    def _wake(self) -> None:
        """Plan after all that happens at this moment has happened."""
        if self._planned is None and not self._closing:
            self._planned = asyncio.get_running_loop().call_soon(self._replan)

    def _replan(self) -> None:
        """Start whom a model should get now, refuse whom none will answer in time, and come back."""
        self._planned = None
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        now = self._clock()
        asking = [
            request for request in self._requests if not request.answer.done() and self._may_ask(request, now)
        ]
        found = self._plan(asking, now)
        for lane, indices in ((self._large, found.large), (self._small, found.small)):
            if lane is not None:
                for index in indices[: lane.room]:
                    self._start(lane, asking[index])
        if found.nothing:
            self._refuse_hopeless([request for request in asking if not request.inside], now)
        if self._requests:
            self._tick = asyncio.get_running_loop().call_later(self._settings.tick_s, self._wake)

    def _plan(self, asking: Sequence[Waiting], now_s: float, *, hoping: bool = False) -> Plan:
        large, small = (
            None if lane is None else lane.hoped() if hoping else lane.state()
            for lane in (self._large, self._small)
        )
        return plan([request.request(now_s, self._large, self._small) for request in asking], large, small)

    def _may_ask(self, request: Waiting, now_s: float) -> bool:
        """Whether a request needs a model: it has none, or the large one will have it for too long."""
        if not request.inside:
            return True
        if self._small is None or self._large not in request.inside or len(request.inside) > 1:
            return False
        ticket, left_s = request.inside[self._large][0], request.end_s - now_s
        if left_s < self._large.finish_s(ticket) < math.inf:
            return True
        small = self._small.state(2 * CAUTION)
        if small is None or left_s > small.rest_s + small.run_s[-1] + 2 * self._settings.tick_s:
            return False  # there is still time to see
        return not self._large.sure(ticket, left_s)

    def _refuse_hopeless(self, waiting: Sequence[Waiting], now_s: float) -> None:
        """Refuse whom neither model would answer in time, though all went better than expected."""
        for index in self._plan(waiting, now_s, hoping=True).nothing:
            request = waiting[index]
            if request.failed:
                request.refuse(tuple(request.failed.values())[-1])
            elif not self.available:
                request.refuse(ModelUnavailable("No model may be asked any more: each failed repeatedly."))
            else:
                request.refuse(
                    Overloaded("Neither model would be in time, by what those of higher rank take.")
                )

    def _start(self, lane: Lane, request: Waiting) -> None:
        ticket = lane.enter()
        task = asyncio.get_running_loop().create_task(self._run(lane, request, ticket))
        task.add_done_callback(lambda _: self._left(lane, request, ticket))
        request.inside[lane] = (ticket, task, self._clock())

    def _left(self, lane: Lane, request: Waiting, ticket: Ticket) -> None:
        lane.leave(ticket)
        request.inside.pop(lane, None)
        self._wake()

    async def _run(self, lane: Lane, request: Waiting, ticket: Ticket) -> None:
        """Have one model answer a request, and settle it, or leave it to the other."""
        begun_s = self._clock()
        try:
            answer = await lane.ask(
                ticket, request.picture, None if math.isinf(request.end_s) else request.end_s
            )
        except InferenceError as error:
            request.failed_in(lane, error, 1000 * (self._clock() - begun_s))
            if all(one in request.failed for one in self._lanes):
                request.refuse(error)
        except DataError as error:
            request.refuse(error)
        else:
            lesser = lane is not self._large
            request.settle(lane, replace(answer, bundle=self.identity), lesser=lesser, now_s=self._clock())

    def _forget(self, request: Waiting) -> None:
        """Let nobody work any longer on a request that is settled or given up."""
        del self._requests[request]
        request.seen()
        for _, task, _ in request.inside.values():
            task.cancel()
        self._wake()
