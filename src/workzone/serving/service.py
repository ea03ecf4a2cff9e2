"""From a picture's bytes to an answer that is on record: the one way to an answer, whatever the protocol.

Knows the order: ready? → lease → cache → answerer → journal → reply. Does not know HTTP, keys, or how an answer is
computed. Nothing is told that is not in the journal first: where the journal cannot be written, a whole request is
refused, its answered pictures too.

The decision to question: journal and kept pictures are written by one thread of their own, not on the event loop. A
full or hanging disk then delays answers but not the probes, and records keep the order of the replies.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from workzone.core.errors import DataError, DeadlineExceeded, InferenceError, JournalError, ModelUnavailable
from workzone.engine.answers import Answer
from workzone.engine.cache import Cache, cache_key
from workzone.serving.faults import Fault, fault_of
from workzone.serving.keys import utc_now
from workzone.serving.logs import ERRORS, INFERENCE
from workzone.serving.readiness import Readiness, State
from workzone.serving.recording import Asked, Caller, Keeper, Recorder, Writing
from workzone.serving.served import Available, Perishable, Served, Slots
from workzone.storage.hashing import sha256_bytes

MODE = "predict-1"
"""Part of the cache's key: what kind of answer was asked for."""
_HASH_ON_LOOP_BYTES = 1 << 18
_LOG = logging.getLogger(ERRORS)
_ANSWERS = logging.getLogger(INFERENCE)

Outcome = Answer | Fault


class ServiceObserver:
    """Someone who counts; this one does not."""

    def answered(self, answer: Answer, seconds: float) -> None:
        """A picture was answered; `seconds` from being asked to being on record."""

    def journal_failed(self) -> None:
        """Answers could not be put on record and were not given."""

    def serving(self, bundle: str) -> None:
        """From now on this bundle answers."""


@dataclass(frozen=True, slots=True)
class _Worked:
    asked: Asked
    sha256: str
    outcome: Outcome


class Service:
    """Answers, journals, drains, and exchanges what answers without losing a request.

    Attributes:
        readiness: The state.
    """

    def __init__(
        self,
        *,
        cache: Cache | None = None,
        journal: Recorder | None = None,
        keeper: Keeper | None = None,
        observer: ServiceObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.readiness = Readiness()
        self._cache = cache
        self._observer = observer or ServiceObserver()
        self._clock = clock
        self._slots = Slots()
        self._writing = Writing(journal, keeper, now)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._idle = asyncio.Event()

    @property
    def current(self) -> Served | None:
        """What answers now; None before the first."""
        return self._slots.current

    @property
    def in_flight(self) -> int:
        """Requests that are being answered."""
        return self._slots.leases

    def swap(self, served: Served) -> None:
        """Let `served` answer from here on, the first time too; requests in flight finish on the old one."""
        self._slots.put(served)
        self._observer.serving(served.answerer.identity)
        self.readiness.become(State.READY, "The model answers.")

    def fail(self, reason: str) -> None:
        """Declare the service broken for good."""
        if self.readiness.become(State.FAILED, reason):
            _LOG.critical("service_failed: %s", reason)

    def check(self) -> bool:
        """Look after what answers; return whether requests should be sent here."""
        served = self.current
        if served is not None and isinstance(served.answerer, Perishable) and served.answerer.dead:
            self.fail("The model hung and could not be ended; restart the service.")
        if self.readiness.state is not State.READY or served is None:
            return False
        return not isinstance(served.answerer, Available) or served.answerer.available

    async def answer(
        self, asked: Sequence[Asked], caller: Caller, *, deadline_s: float | None
    ) -> tuple[Outcome, ...]:
        """Answer pictures, each for itself, and put all outcomes on record.

        Args:
            asked: The pictures.
            caller: Who asks, and under which request id.
            deadline_s: When answers cease to be of use, on the event loop's clock; None: never.

        Returns:
            An answer or the reason why there is none for each picture, in order.

        Raises:
            ModelUnavailable: The service is starting or has failed.
            JournalError: The outcomes could not be put on record; none may be told.
        """
        self.readiness.require_answering()
        start = self._clock()
        try:
            with self._slots.lease() as served:
                worked = await asyncio.gather(*(self._work(served, one, deadline_s) for one in asked))
                await self._record(worked, caller, served)
        finally:
            self._leave()
        for one in worked:
            self._tell(one, caller, self._clock() - start)
        return tuple(one.outcome for one in worked)

    async def record_crash(self, caller: Caller) -> None:
        """Put on record that a request failed unexpectedly.

        Raises:
            JournalError: It could not be.
        """
        await self._in_thread(lambda: self._writing.crash(caller))

    async def erase(self, sha256: str) -> bool:
        """Erase a kept picture; return whether there was one."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._writing.erase, sha256)

    async def expire(self) -> None:
        """Remove kept pictures whose time is over."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._writing.expire)

    def begin_drain(self) -> None:
        """Ask to be sent nothing more; what still comes is answered."""
        self.readiness.become(State.DRAINING, "The service was told to stop.")

    async def drain(self, timeout_s: float) -> bool:
        """Wait until no request is in flight; return whether that came within the time."""
        self.begin_drain()
        try:
            async with asyncio.timeout(timeout_s):
                while self.in_flight:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def aclose(self) -> None:
        """Close what answers and wait for the last record. The journal is its owner's to close."""
        self.begin_drain()
        self._slots.put(None)
        await self._slots.retired()
        await asyncio.to_thread(self._thread.shutdown)

    def _tell(self, worked: _Worked, caller: Caller, seconds: float) -> None:
        answer = worked.outcome
        fields = {"key_id": caller.key, "sha256": worked.sha256, "milliseconds": round(1000 * seconds, 3)}
        if isinstance(answer, Fault):
            _ANSWERS.info("not_answered", extra={**fields, "code": str(answer.code)})
            return
        self._observer.answered(answer, seconds)
        said = {"verdict": str(answer.verdict), "probability": answer.probability, "cached": answer.cached}
        _ANSWERS.info("answered", extra={**fields, **said})

    def _leave(self) -> None:
        if self.in_flight == 0:
            self._idle.set()

    async def _work(self, served: Served, asked: Asked, deadline_s: float | None) -> _Worked:
        """Answer one picture; whatever goes wrong with it is its own outcome."""
        sha256 = ""
        try:
            sha256 = await _hash(asked.picture)
            return _Worked(asked, sha256, await self._answer_one(served, asked, sha256, deadline_s))
        except ModelUnavailable as error:
            _LOG.error("model_unavailable: %s", error)
            self.check()
            return _Worked(asked, sha256, fault_of(error))
        except (DataError, InferenceError) as error:
            fault = fault_of(error)
            if fault.status >= 500:
                _LOG.warning("not_answered: %s: %s", fault.code, error)
            return _Worked(asked, sha256, fault)
        except Exception as error:  # noqa: BLE001 - the boundary of a picture
            _LOG.exception("unexpected: picture %s", sha256)
            return _Worked(asked, sha256, fault_of(error))

    async def _answer_one(
        self, served: Served, asked: Asked, sha256: str, deadline_s: float | None
    ) -> Answer:
        answerer = served.answerer

        async def compute() -> Answer:
            return await answerer.answer(asked.picture, deadline_s=deadline_s)

        if deadline_s is not None and asyncio.get_running_loop().time() >= deadline_s:
            raise DeadlineExceeded("The deadline passed before the picture was looked at.")
        try:
            async with asyncio.timeout_at(deadline_s) as limit:
                if self._cache is None:
                    answer = await compute()
                else:
                    key = cache_key(sha256, answerer.identity, MODE)
                    answer = await self._cache.get_or_compute(key, compute)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlineExceeded("The answer did not come before the deadline.") from error
        if not (math.isfinite(answer.logit) and 0.0 <= answer.probability <= 1.0):
            raise InferenceError(
                f"The model gave logit {answer.logit} and probability {answer.probability}: it is broken."
            )
        return answer

    async def _record(self, worked: Sequence[_Worked], caller: Caller, served: Served) -> None:
        entries = [(one.asked, one.sha256, one.outcome) for one in worked]
        await self._in_thread(lambda: self._writing.outcomes(entries, caller, served.answerer.identity))

    async def _in_thread(self, write: Callable[[], None]) -> None:
        try:
            await _to_its_end(asyncio.get_running_loop().run_in_executor(self._thread, write))
        except JournalError as error:
            self._observer.journal_failed()
            _LOG.critical("journal_failed: %s", error)
            raise


async def _to_its_end(work: asyncio.Future[None]) -> None:
    """Wait for work in a thread also when told to stop, and stop then; an error of its goes before that.

    Until it ends it holds the pictures in memory, though its future could be cancelled; whoever bounds memory by
    requests in flight, on a disk that hangs, relies on this one being in flight until then.
    """
    stopped: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:
            stopped = error
    work.result()
    if stopped is not None:
        raise stopped


async def _hash(picture: bytes) -> str:
    if len(picture) <= _HASH_ON_LOOP_BYTES:
        return sha256_bytes(picture)
    return await asyncio.to_thread(sha256_bytes, picture)
