"""Many requests, one network: a bounded queue, batches, one inference thread, and an end to runs that hang.

A request's path: `submit` queues it or refuses it; `_serve` takes the next batch; `_run_batch` has the thread
run it and gives each request its row. All of that is on the event loop and holds no lock; only the network is
in the thread. Knows fitted pictures and logits; does not know decoding, calibrators or policies.

A run that takes longer than `hang_s` is asked to end by the runtime's own means. If it does not, its thread
cannot be ended and another one would run beside it on the same cores: the batcher is then dead for good, and
the process has to be replaced.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DeadlineExceeded, InferenceError, ModelUnavailable, Overloaded
from workzone.engine.backend import BackendOutput
from workzone.engine.forming import form_batch
from workzone.engine.inference_thread import InferenceThread
from workzone.engine.predictor import Clock
from workzone.engine.run_times import RunTimes

Scored = tuple[float, NDArray[np.float32]]
"""A picture's logit, finite, and its features, float32 [D]."""
RunFitted = Callable[[Sequence[NDArray[np.uint8]]], BackendOutput]
"""Runs the network on B fitted pictures, uint8 [N, N, 3] each."""

_UNKNOWN_RETRY_S = 1.0
"""When to try again, as long as no run was measured."""


@dataclass(slots=True, eq=False)
class _Request:
    fitted: NDArray[np.uint8]
    deadline_s: float | None
    scored: asyncio.Future[Scored]


class Batcher:
    """Runs pictures of many callers through one network; belongs to the event loop that first submits.

    Args:
        run: The network; called in the inference thread, one run at a time.
        max_batch: The most pictures in one run, at least 1.
        queue_size: The most pictures that wait, at least 1.
        hang_s: A run that takes longer is ended.
        terminate: Asks the run in progress to end; None: it cannot be asked.
        clock: Of the deadlines; `time.monotonic`, which is the event loop's.
        measured: (batch size, seconds) of a warm-up, for the first estimates.
    """

    def __init__(
        self,
        run: RunFitted,
        *,
        max_batch: int,
        queue_size: int,
        hang_s: float,
        terminate: Callable[[], None] | None = None,
        clock: Clock = time.monotonic,
        measured: Iterable[tuple[int, float]] = (),
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._queue_size = queue_size
        self._hang_s = hang_s
        self._terminate = terminate
        self._clock = clock
        self._times = RunTimes(measured)
        self._waiting: dict[_Request, None] = {}  # a queue, oldest first, that one can leave from the middle
        self._running: Sequence[_Request] = ()
        self._begun_s = 0.0
        self._arrived = asyncio.Event()
        self._died = asyncio.Event()
        self._closing = False
        self._server: asyncio.Task[None] | None = None
        self._thread: InferenceThread[BackendOutput] = InferenceThread()

    @property
    def dead(self) -> bool:
        """Whether a run hung and could not be ended: nothing is answered any more."""
        return self._died.is_set()

    @property
    def depth(self) -> int:
        """How many pictures wait."""
        return len(self._waiting)

    async def wait_dead(self) -> None:
        """Return when the batcher is dead."""
        await self._died.wait()

    def admit(self, deadline_s: float | None, *, coming: int = 0) -> None:
        """Refuse a picture that could not be answered in time; costs nothing, so ask before decoding.

        Args:
            deadline_s: When its answer ceases to be of use, on the batcher's clock; None: never.
            coming: Pictures that were admitted before it and are not yet submitted.

        Raises:
            ModelUnavailable: The batcher is dead or closing.
            DeadlineExceeded: The deadline has passed.
            Overloaded: The queue is full, or those ahead are likely to take until after the deadline.
        """
        if self.dead:
            raise ModelUnavailable("The model's inference hangs and could not be ended; restart the service.")
        if self._closing:
            raise ModelUnavailable("The model is being closed and takes no more pictures.")
        now = self._clock()
        slack_s = math.inf if deadline_s is None else deadline_s - now
        if slack_s <= 0:
            raise DeadlineExceeded(f"The deadline had passed {-slack_s:.3f} s before the picture was taken.")
        ahead = len(self._waiting) + coming
        wait_s = self._rest_of_run_s(now) + self._times.drain_s(ahead, self._max_batch)
        if ahead >= self._queue_size:
            raise Overloaded(
                f"{ahead} pictures wait already, which is as many as may. Try again in a moment.",
                wait_s or _UNKNOWN_RETRY_S,
            )
        # Whom nobody is ahead of is tried, whatever is expected: only running corrects an expectation.
        if wait_s > 0 and wait_s + self._times.expected_s(1) > slack_s:
            raise Overloaded(
                f"{ahead} pictures wait, which will take about {wait_s:.3f} s: an answer within "
                f"{slack_s:.3f} s is not likely. Try again in a moment, or allow more time.",
                wait_s,
            )

    async def submit(self, fitted: NDArray[np.uint8], deadline_s: float | None) -> Scored:
        """Run one fitted picture through the network, in a batch with others.

        Args:
            fitted: uint8 [N, N, 3], as `Preprocessing.fit` gives it.
            deadline_s: When the answer ceases to be of use, on the batcher's clock; None: never.

        Returns:
            The logit, finite, and the features, float32 [D].

        Raises:
            Overloaded: See `admit`.
            DeadlineExceeded: The deadline passed before its turn came.
            ModelUnavailable: The run hung, or the batcher is dead or closing.
            InferenceError: The network failed, or gave no finite numbers for this picture.
        """
        self.admit(deadline_s)
        if self._server is None:
            self._server = asyncio.create_task(self._serve(), name="batcher")
        request = _Request(fitted, deadline_s, asyncio.get_running_loop().create_future())
        self._waiting[request] = None
        self._arrived.set()
        try:
            return await request.scored
        finally:
            self._waiting.pop(request, None)  # cancelled: it makes room and costs nothing

    async def aclose(self, drain_s: float = 0.0) -> None:
        """Take no more pictures, answer those that wait for up to `drain_s` seconds, and end.

        What is not answered by then fails with ModelUnavailable. Closing twice does nothing more.
        """
        self._closing = True
        self._arrived.set()
        if self._server is not None and not self._server.done():
            await asyncio.wait({self._server}, timeout=drain_s)
            if self._running and self._terminate is not None:
                self._terminate()
            self._server.cancel()
            await asyncio.wait({self._server})
        self._thread.stop()

    async def _serve(self) -> None:
        """Run batch after batch until closed and empty, or dead."""
        try:
            while await self._someone_waits():
                batch = self._next_batch()
                if batch and not await self._run_batch(batch):
                    break
        finally:
            if not self._closing:
                self._died.set()  # a hang, or a fault of ours: either way nobody serves any more
            left = (*self._running, *self._waiting)
            self._running = ()
            _fail(left, ModelUnavailable, "The model was closed or broke down before this picture's turn.")

    async def _someone_waits(self) -> bool:
        """Sleep until a picture waits; False: closing, and none does."""
        while not self._waiting:
            if self._closing:
                return False
            self._arrived.clear()
            await self._arrived.wait()
        return True

    def _next_batch(self) -> Sequence[_Request]:
        """Take the next batch out of the queue, and give up who is too late."""
        for request in [request for request in self._waiting if request.scored.done()]:
            del self._waiting[request]  # cancelled, and not yet gone by itself
        batch, late = form_batch(tuple(self._waiting), self._clock(), self._max_batch, self._times.expected_s)
        for request in (*batch, *late):
            del self._waiting[request]
        _fail(late, DeadlineExceeded, "The deadline would pass before an answer was there.")
        return batch

    async def _run_batch(self, batch: Sequence[_Request]) -> bool:
        """Run a batch and settle its requests; False: it hangs for good."""
        self._running, self._begun_s = batch, self._clock()
        fitted = [request.fitted for request in batch]
        output = asyncio.wrap_future(self._thread.submit(lambda: self._run(fitted)))
        try:
            ended, _ = await asyncio.wait({output}, timeout=self._hang_s)
            if not ended:
                return await self._end_hung(batch, output)
        finally:
            output.cancel()  # no effect on one that has ended; else its outcome is of no interest any more
        self._running = ()
        self._settle(batch, output)
        return True

    async def _end_hung(self, batch: Sequence[_Request], output: asyncio.Future[BackendOutput]) -> bool:
        """End a run that hangs; False: it cannot be ended."""
        _fail(batch, ModelUnavailable, f"The inference took longer than {self._hang_s:g} s and was ended.")
        self._running = ()
        if self._terminate is not None:
            self._terminate()
        ended, _ = await asyncio.wait({output}, timeout=self._hang_s)
        if ended:
            output.exception()  # whatever came of it came too late
        return bool(ended)

    def _settle(self, batch: Sequence[_Request], output: asyncio.Future[BackendOutput]) -> None:
        """Give every request of a run that has ended its row, or the reason why it has none."""
        error = output.exception()
        if error is not None:
            known = isinstance(error, InferenceError)
            message = str(error) if known else f"The inference failed: {type(error).__name__}: {error}"
            _fail(batch, InferenceError, message, error)
            return
        logits, features = output.result().logits, output.result().features
        if len(logits) != len(batch) or len(features) != len(batch):
            given = f"{len(logits)} logits and {len(features)} features for {len(batch)} pictures"
            _fail(batch, InferenceError, f"The network gave {given}.")
            return
        self._times.record(len(batch), self._clock() - self._begun_s)
        sound = np.isfinite(logits) & np.isfinite(features).all(axis=1)
        for row, request in enumerate(batch):
            if not sound[row]:
                message = f"The network's output is not finite (logit {logits[row]}): the model is broken."
                _fail([request], InferenceError, message)
            elif not request.scored.done():
                request.scored.set_result((float(logits[row]), features[row]))

    def _rest_of_run_s(self, now_s: float) -> float:
        if not self._running:
            return 0.0
        return max(0.0, self._begun_s + self._times.expected_s(len(self._running)) - now_s)


def _fail(
    requests: Iterable[_Request],
    kind: type[InferenceError],
    message: str,
    cause: BaseException | None = None,
) -> None:
    """Fail every request that still waits for its answer, each with an exception of its own."""
    for request in requests:
        if not request.scored.done():
            error = kind(message)
            error.__cause__ = cause
            request.scored.set_exception(error)
