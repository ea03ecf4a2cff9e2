"""Several answerers in order: the next is asked only what the one before defers.

Knows stages, deadlines, breakers and which paths are certified; does not know what a stage runs on, HTTP or
the cache. Whatever happens to a later stage, the answer is there, and is at worst `defer` with a reason;
without the first stage there is no answer, but an error.

The decision a reader would question: while a later stage's circuit is not closed, even the *first* stage's
verdicts are given only if the path of the stages before it has a certificate of its own. What was certified is
what all stages answer together; with fewer stages the same verdicts are a larger part of all answers, and may
miss more of them than was promised.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from workzone.bundle.cascade import CascadeBundle
from workzone.core.errors import (
    BundleError,
    ConfigError,
    DataError,
    DeadlineExceeded,
    InferenceError,
    ModelUnavailable,
    Overloaded,
)
from workzone.core.types import Verdict
from workzone.engine.answers import Answer, Answerer, StageRun
from workzone.engine.breaker import BreakerState, CircuitBreaker

Clock = Callable[[], float]

RESERVE_S = 0.01
"""Kept of the caller's time when a later stage is asked, so that a fallback still arrives in time."""

_log = logging.getLogger(__name__)


class Fallback(StrEnum):
    """What is answered where a later stage is out or late."""

    DEFER = "defer"


@runtime_checkable
class Closable(Protocol):
    """An answerer that holds threads or connections."""

    async def aclose(self) -> None:
        """Let go of them."""


@runtime_checkable
class Perishable(Protocol):
    """An answerer that can break for good."""

    @property
    def dead(self) -> bool:
        """Whether only a restart helps."""

    async def wait_dead(self) -> None:
        """Return when it is."""


@runtime_checkable
class Queued(Protocol):
    """An answerer with a queue."""

    @property
    def depth(self) -> int:
        """Pictures that wait."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a cascade.

    Attributes:
        name: In answers, metrics and the journal.
        answerer: Who is asked.
        deadline_ms: It is late after this, above 0.
        breaker: Of this stage alone.
        fallback: Where it is out or late; of no meaning for the first stage.
    """

    name: str
    answerer: Answerer
    deadline_ms: float
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    fallback: Fallback = Fallback.DEFER


class Cascade:
    """An `Answerer` of ordered stages.

    Attributes:
        identity: Digest of the cascade.
        stages: In the order in which they are asked.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        identity: str,
        certified: Sequence[bool],
        clock: Clock = time.monotonic,
    ) -> None:
        """Join stages.

        Args:
            stages: At least two, of different names.
            identity: Digest of the cascade.
            certified: For 1, 2, ... stages, whether the path of so many has a certificate.
            clock: That of deadlines.

        Raises:
            ConfigError: The stages are too few, share a name, have no time, or are not as many as the paths.
        """
        names = [stage.name for stage in stages]
        if len(stages) < 2 or len(set(names)) < len(names) or any(not s.deadline_ms > 0 for s in stages):
            raise ConfigError(
                f"A cascade has at least two stages of different names, each with a deadline above 0 ms; got "
                f"{[(stage.name, stage.deadline_ms) for stage in stages]}."
            )
        if len(certified) != len(stages):
            raise ConfigError(f"{len(stages)} stages have as many paths, got {len(certified)} certificates.")
        self.identity = identity
        self.stages = tuple(stages)
        self._certified = tuple(certified)
        self._clock = clock

    @property
    def available(self) -> bool:
        """Whether the first stage may be asked: without it nothing is answered, and the service is not ready.

        True again once its breaker would let a trial through; else no request would ever come to try it.
        """
        return self.stages[0].breaker.state is not BreakerState.OPEN

    @property
    def dead(self) -> bool:
        """Whether a stage of this process is broken for good: a later one too comes back only by a restart."""
        return any(isinstance(s.answerer, Perishable) and s.answerer.dead for s in self.stages)

    @property
    def depth(self) -> int:
        """How many pictures wait, in all stages."""
        return sum(s.answerer.depth for s in self.stages if isinstance(s.answerer, Queued))

    async def wait_dead(self) -> None:
        """Return when a stage is dead; never where none can be."""
        perishable = [s.answerer for s in self.stages if isinstance(s.answerer, Perishable)]
        if not perishable:
            await asyncio.Event().wait()
        waits = [asyncio.ensure_future(answerer.wait_dead()) for answerer in perishable]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def stage_states(self) -> Mapping[str, BreakerState]:
        """Return the breaker's state of every stage by name, in their order, for metrics."""
        return {stage.name: stage.breaker.state for stage in self.stages}

    async def answer(self, picture: bytes, *, deadline_s: float | None) -> Answer:
        """Answer one picture; see `Answerer.answer`.

        Raises:
            DataError: The bytes are no picture, or exceed a limit of the first stage.
            Overloaded: The first stage is.
            DeadlineExceeded: The caller's time passed before the first stage had answered.
            ModelUnavailable: The first stage is out, or late by its own deadline.
            InferenceError: The first stage gave no valid answer.
        """
        start = self._clock()
        if deadline_s is not None and deadline_s <= start:
            raise DeadlineExceeded("The deadline had passed before the picture was looked at.")
        first = self.stages[0]
        ticket = first.breaker.admit()
        if ticket is None:
            raise ModelUnavailable(
                f"Stage '{first.name}' failed repeatedly and is left alone for a while; without it there is no "
                "answer. Try again in a minute."
            )
        answer = await self._ask(first, ticket, picture, deadline_s)
        given, runs = [answer], [_run(first, answer, self._since(start))]
        failure: str | None = None
        for stage in self.stages[1:]:
            if answer.verdict is not Verdict.DEFER:
                break
            asked = self._clock()
            end = None if deadline_s is None else deadline_s - RESERVE_S
            if end is not None and end <= asked:
                failure = f"stage '{stage.name}' was not asked: the caller's time was over"
                break
            if (ticket := stage.breaker.admit()) is None:
                failure = f"stage '{stage.name}' was not asked: its circuit is open after repeated failures"
                break
            try:
                answer = await self._ask(stage, ticket, picture, end)
            except (InferenceError, DataError) as error:
                failure = f"stage '{stage.name}' gave no answer: {error}"
                runs.append(StageRun(stage.name, None, None, None, self._since(asked), False, str(error)))
                break
            given.append(answer)
            runs.append(_run(stage, answer, self._since(asked)))
        return self._conclude(given, runs, failure, start)

    async def aclose(self) -> None:
        """Close every stage that can be closed, also where one of them fails to."""
        closing = [s.answerer.aclose() for s in self.stages if isinstance(s.answerer, Closable)]
        for result in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    def _conclude(
        self, given: Sequence[Answer], runs: Sequence[StageRun], failure: str | None, start: float
    ) -> Answer:
        """Make the cascade's answer of what its stages gave, on the path that is in force."""
        last = given[-1]
        n_stages = len(given) if failure is not None else self._in_force(len(given))
        certified = self._certified[n_stages - 1]
        verdict, reason = last.verdict, last.reason
        degraded = failure is not None or any(answer.degraded for answer in given)
        if failure is not None:
            verdict, reason = Verdict.DEFER, f"Deferred: {failure}."
        elif not certified and verdict is not Verdict.DEFER:
            names = ", ".join(f"'{stage.name}'" for stage in self.stages[:n_stages])
            verdict = Verdict.DEFER
            reason = f"Deferred: the path of {names} has no certificate, and may only defer."
            degraded = degraded or n_stages < len(self.stages)
        elif verdict is Verdict.DEFER and reason is None:
            reason = f"Deferred by every stage, last by '{runs[-1].name}'."
        return Answer(
            sha256=given[0].sha256,
            probability=last.probability,
            verdict=verdict,
            logit=last.logit,
            certified=certified,
            stages=tuple(_with_certified(run, certified) for run in runs),
            reason=reason,
            degraded=degraded,
            bundle=self.identity,
            latency_ms=self._since(start),
        )

    def _in_force(self, answered: int) -> int:
        """Return how many stages the present path has: up to the first later one whose circuit isn't closed."""
        for number in range(answered, len(self.stages)):
            if self.stages[number].breaker.state is not BreakerState.CLOSED:
                return number
        return len(self.stages)

    async def _ask(self, stage: Stage, ticket: int, picture: bytes, deadline_s: float | None) -> Answer:
        """Ask one stage and tell its breaker how it went.

        Neither a picture that is none, nor a full queue, nor an impatient caller says that the stage is broken.
        """
        outcome = stage.breaker.abandoned
        try:
            answer = await self._in_time(stage, picture, deadline_s)
            outcome = stage.breaker.succeeded
        except (Overloaded, DeadlineExceeded):
            raise
        except InferenceError:
            outcome = stage.breaker.failed
            raise
        finally:
            outcome(ticket)  # also where the request was cancelled: a trial must not be left pending
        return answer

    async def _in_time(self, stage: Stage, picture: bytes, deadline_s: float | None) -> Answer:
        """Return the stage's answer, or raise one of Workzone's errors: a stage may be someone else's code.

        DeadlineExceeded is the caller's deadline; the stage's own makes it ModelUnavailable.
        """
        now = self._clock()
        own_s = now + stage.deadline_ms / 1000
        end_s = own_s if deadline_s is None else min(deadline_s, own_s)
        try:
            async with asyncio.timeout(max(0.0, end_s - now)) as timer:
                return await stage.answerer.answer(picture, deadline_s=end_s)
        except (TimeoutError, DeadlineExceeded) as error:
            if isinstance(error, TimeoutError) and not timer.expired():
                raise ModelUnavailable(f"Stage '{stage.name}' could not be reached: {error}") from error
            if end_s < own_s:
                raise DeadlineExceeded(f"Stage '{stage.name}' had no answer by the deadline.") from error
            raise ModelUnavailable(
                f"Stage '{stage.name}' gave no answer within its {stage.deadline_ms:g} ms."
            ) from error
        except (DataError, InferenceError):
            raise
        except Exception as error:
            _log.exception("stage failed", extra={"stage": stage.name})
            raise ModelUnavailable(
                f"Stage '{stage.name}' failed with {type(error).__name__}; the log of errors says more."
            ) from error

    def _since(self, start: float) -> float:
        return 1000 * (self._clock() - start)


def join_stages(
    cascade: CascadeBundle, answerers: Sequence[Answerer], *, clock: Clock = time.monotonic
) -> Cascade:
    """Return the cascade of a verified artifact, with the answerers of its stages in their order.

    Raises:
        ConfigError: There are not as many answerers as stages.
        BundleError: One answers with another bundle than its stage's: what was certified is not what would answer.
    """
    stages = cascade.manifest.stages
    if len(answerers) != len(stages):
        raise ConfigError(f"The cascade has {len(stages)} stages, got {len(answerers)} answerers.")
    for stage, answerer in zip(stages, answerers, strict=True):
        if answerer.identity != stage.digest:
            raise BundleError(
                f"Stage '{stage.name}' would be answered by {answerer.identity[:12]}, the cascade was certified with "
                f"{stage.digest[:12]}: expected that bundle. Was it exchanged while the cascade was being opened? "
                "Put it back, or certify the cascade again."
            )
    joined = [
        Stage(stage.name, answerer, stage.deadline_ms, CircuitBreaker(clock=clock), Fallback(stage.fallback))
        for stage, answerer in zip(stages, answerers, strict=True)
    ]
    certified = [path.certified for path in cascade.paths]
    return Cascade(joined, identity=cascade.digest, certified=certified, clock=clock)


def _run(stage: Stage, answer: Answer, latency_ms: float) -> StageRun:
    return StageRun(stage.name, answer.verdict, answer.probability, answer.logit, latency_ms, False)


def _with_certified(run: StageRun, certified: bool) -> StageRun:
    """Return the run with the path's certificate: the stage's own says nothing of it in a cascade."""
    if run.error is not None:
        return run
    return StageRun(run.name, run.verdict, run.probability, run.logit, run.latency_ms, certified)
