"""One bundle that answers many callers at once: decoding off the event loop, one batcher, one verdict each.

A picture's path is `LiveBundle.answer`, from top to bottom: admitted or refused, read in a thread, run in a
batch, decided. The numbers are those of `Predictor`, by the same code; what is added is waiting, and an end to
it. Knows one bundle; does not know caches, cascades, keys or the journal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.reader import Bundle
from workzone.core.errors import ConfigError, DeadlineExceeded, ModelUnavailable
from workzone.core.types import Verdict
from workzone.engine.answers import Answer, StageRun
from workzone.engine.backend import Backend, Terminable
from workzone.engine.batcher import Batcher, Scored
from workzone.engine.predictor import Clock, open_verified
from workzone.engine.scorer import run_fitted
from workzone.engine.threads import usable_threads
from workzone.engine.warm_up import WarmUp, warm_up
from workzone.imaging.decode import DecodeLimits
from workzone.storage.hashing import sha256_bytes

STAGE = "model"
"""What the one stage of a bundle that stands alone is called."""


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """How a bundle is served.

    Raises:
        ConfigError: A number is not positive.
    """

    threads: int | None = None
    """Of the network's runtime; None: as many as the process may use."""
    queue_size: int = 64
    """The most pictures that wait, for the decoder or for the network."""
    max_batch: int | None = None
    """The most pictures in one run; None: what the warm-up measures to pay. Never above the bundle's."""
    hang_s: float = 30.0
    """A run that takes longer is ended, and its pictures fail."""
    backend: str | None = None
    """A key of `engine.backend.BACKENDS`."""
    decode_threads: int | None = None
    """Pictures that are decoded at once; None: as many as the process has processors."""
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    """What a picture may cost."""

    def __post_init__(self) -> None:
        for name in ("threads", "queue_size", "max_batch", "hang_s", "decode_threads"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"LiveSettings: {name} is {value}; expected a number above 0.")


class LiveBundle:
    """An `Answerer` over one bundle; belongs to one event loop.

    Attributes:
        bundle: The bundle that answers.
        identity: Its digest.
        warm_up: What was measured before the first request.
    """

    def __init__(
        self,
        bundle: Bundle,
        backend: Backend,
        settings: LiveSettings,
        warmed: WarmUp,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        self.bundle = bundle
        self.identity = bundle.digest
        self.warm_up = warmed
        self._settings = settings
        self._clock = clock
        self._in_work = 0
        self._reading = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._closed = False
        self._decoders = ThreadPoolExecutor(
            settings.decode_threads or usable_threads(), thread_name_prefix="decode"
        )
        self._batcher = Batcher(
            partial(run_fitted, backend, bundle.preprocessing),
            max_batch=min(settings.max_batch or warmed.best_batch, bundle.preprocessing.max_batch),
            queue_size=settings.queue_size,
            hang_s=settings.hang_s,
            terminate=backend.terminate if isinstance(backend, Terminable) else None,
            clock=clock,
            measured=warmed.seconds_per_batch,
        )

    @property
    def dead(self) -> bool:
        """Whether the network hangs for good: the process has to be replaced."""
        return self._batcher.dead

    @property
    def depth(self) -> int:
        """How many pictures wait, for the decoder or for the network."""
        return self._reading + self._batcher.depth

    async def wait_dead(self) -> None:
        """Return when the bundle is dead."""
        await self._batcher.wait_dead()

    async def answer(self, picture: bytes, *, deadline_s: float | None) -> Answer:
        """Answer one picture; see `Answerer.answer`."""
        begun_s = self._clock()
        with self._admitted(deadline_s):
            async with _until(deadline_s, self._clock):
                sha256, fitted = await self._read(picture)
                scored = await self._batcher.submit(fitted, deadline_s)
        probability, verdict = self._decide(scored)
        return self._answer(sha256, scored[0], probability, verdict, 1000 * (self._clock() - begun_s))

    async def aclose(self, drain_s: float = 0.0) -> None:
        """Refuse what comes, answer what is in work for up to `drain_s` seconds, and release the threads.

        Whoever swaps bundles calls this once the new one takes the requests.
        """
        self._closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(drain_s):
                await self._idle.wait()
        self._closed = True
        self._decoders.shutdown(wait=False)
        await self._batcher.aclose()

    @contextmanager
    def _admitted(self, deadline_s: float | None) -> Iterator[None]:
        """Count a picture as in work, or refuse it before it has cost anything."""
        if self._closing:
            raise ModelUnavailable("The bundle is being closed and takes no more pictures.")
        self._batcher.admit(deadline_s, coming=self._reading)
        self._in_work += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_work -= 1
            if self._in_work == 0:
                self._idle.set()

    async def _read(self, picture: bytes) -> tuple[str, NDArray[np.uint8]]:
        """Hash, decode and fit a picture in a thread; one that is cancelled before its turn costs nothing."""
        self._reading += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._decoders, self._load, picture)
        finally:
            self._reading -= 1

    def _load(self, picture: bytes) -> tuple[str, NDArray[np.uint8]]:
        if self._closed:  # not by cancelling: its caller would take that for its own cancellation
            raise ModelUnavailable("The bundle was closed before this picture's turn.")
        return sha256_bytes(picture), self.bundle.preprocessing.load(picture, self._settings.limits)

    def _decide(self, scored: Scored) -> tuple[float, Verdict]:
        logit, features = scored
        logits = np.array([logit])
        probability = float(self.bundle.calibrator.apply(logits)[0])
        return probability, self.bundle.policy.verdicts(logits, features[None])[0]

    def _answer(
        self, sha256: str, logit: float, probability: float, verdict: Verdict, latency_ms: float
    ) -> Answer:
        policy = self.bundle.policy
        stage = StageRun(STAGE, verdict, probability, logit, latency_ms, policy.certified)
        deferred = verdict is Verdict.DEFER
        return Answer(
            sha256=sha256,
            probability=probability,
            verdict=verdict,
            logit=logit,
            certified=policy.certified,
            stages=(stage,),
            reason=f"The policy defers this picture. Its rule: {policy.rule}" if deferred else None,
            degraded=False,
            bundle=self.identity,
            latency_ms=latency_ms,
        )


@asynccontextmanager
async def _until(deadline_s: float | None, clock: Clock) -> AsyncIterator[None]:
    """Cancel what is inside at the deadline, and say so."""
    try:
        async with asyncio.timeout(None if deadline_s is None else deadline_s - clock()) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeadlineExceeded("The deadline passed before the answer was there.") from error


def open_live(
    path: Path, settings: LiveSettings = LiveSettings(), *, clock: Clock = time.monotonic
) -> LiveBundle:
    """Open a bundle, verify it, run its golden pictures, warm it up, and return what answers.

    Takes seconds and needs no event loop: a service that swaps bundles calls it in a thread.

    Args:
        path: The bundle's directory.
        settings: How it is served.
        clock: Of deadlines and latencies; must be the event loop's.

    Raises:
        BundleError: The bundle was changed, is incomplete, or gives other answers than it was sealed with.
        ConfigError: There is no such backend.
    """
    bundle, backend = open_verified(path, backend=settings.backend, threads=settings.threads)
    warmed = warm_up(backend, bundle.preprocessing, clock=clock)
    return LiveBundle(bundle, backend, settings, warmed, clock=clock)
