"""How much a bundle answers, and how soon: callers that ask again as soon as they are answered.

Each answer goes the way of a service (`LiveBundle`), cache and HTTP left out. A closed loop: when answers get
slow the callers ask less, so the latencies are those of so many callers and not of a rate that was asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np

from workzone.core.errors import ConfigError, DataError
from workzone.engine.answers import Answerer
from workzone.engine.live import LiveBundle
from workzone.engine.predictor import Clock
from workzone.imaging.decode import DecodeLimits
from workzone.imaging.preprocessing import Preprocessing

PERCENTILES = (50, 95, 99)
WARM_UP_SHARE = 0.1
"""Of the time of a run: answered before it and not counted."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A percentile of the time from bytes to verdict."""

    percentile: int
    ms: float | None
    """None: fewer answers than there must be for one of them to lie above it."""


@dataclass(frozen=True, slots=True)
class Load:
    """What so many callers got."""

    callers: int
    seconds: float
    """From the first question to the last answer."""
    answers: int
    per_second: float
    latencies: tuple[Latency, ...]
    """Of `PERCENTILES`."""

    def latency_ms(self, percentile: int) -> float | None:
        """Return one of the percentiles; KeyError if it is none of `PERCENTILES`."""
        return {latency.percentile: latency.ms for latency in self.latencies}[percentile]


def readable(preprocessing: Preprocessing, pictures: Sequence[bytes], limits: DecodeLimits) -> list[bytes]:
    """Return the pictures that can be decoded.

    Raises:
        DataError: None can.
    """
    found: list[bytes] = []
    error: DataError | None = None
    for picture in pictures:
        try:
            preprocessing.load(picture, limits)
            found.append(picture)
        except DataError as unreadable:
            error = unreadable
    if not found:
        raise DataError(
            f"None of {len(pictures)} pictures can be decoded; the last: {error or 'none was read'}"
        )
    return found


async def ask(
    answerer: Answerer,
    pictures: Sequence[bytes],
    *,
    callers: int,
    seconds: float,
    clock: Clock = time.monotonic,
) -> Load:
    """Let `callers` ask one picture after the other, in turn, for `seconds`.

    Args:
        answerer: Answers; holds as many waiting pictures as there are callers.
        pictures: Encoded pictures that can be decoded, at least one.
        callers: At least 1.
        seconds: No question is asked later than this; each caller asks at least once.
        clock: Of the latencies.

    Raises:
        ConfigError: There are no pictures, no callers or no time.
        InferenceError: An answer could not be given.
    """
    if not pictures or callers < 1 or not seconds > 0:
        raise ConfigError(
            f"A load takes pictures, callers and time; got {len(pictures)} pictures, {callers} callers, "
            f"{seconds:g} s."
        )
    turn = cycle(pictures)
    latencies_s: list[float] = []
    begun = clock()

    async def caller() -> None:
        while True:
            asked = clock()
            await answerer.answer(next(turn), deadline_s=None)
            latencies_s.append(clock() - asked)
            if clock() - begun >= seconds:
                return

    await asyncio.gather(*(caller() for _ in range(callers)))
    took = clock() - begun
    return Load(
        callers=callers,
        seconds=took,
        answers=len(latencies_s),
        per_second=len(latencies_s) / took,
        latencies=tuple(Latency(p, _percentile_ms(latencies_s, p)) for p in PERCENTILES),
    )


def ask_live(
    live: LiveBundle, pictures: Sequence[bytes], *, callers: Sequence[int], seconds: float
) -> list[Load]:
    """Ask a bundle by each number of callers in turn, after a warm-up, and close it.

    Args:
        live: Not yet used.
        pictures: As for `ask`.
        callers: Numbers of callers, one run each; none above the bundle's queue.
        seconds: Of each run.

    Raises:
        ConfigError: As for `ask`.
        InferenceError: An answer could not be given.
    """

    async def run() -> list[Load]:
        try:
            for count in callers[:1]:
                await ask(live, pictures, callers=count, seconds=WARM_UP_SHARE * seconds)
            return [await ask(live, pictures, callers=count, seconds=seconds) for count in callers]
        finally:
            await live.aclose()

    return asyncio.run(run())


def _percentile_ms(latencies_s: Sequence[float], percentile: int) -> float | None:
    if len(latencies_s) * (100 - percentile) < 100:
        return None
    return 1000 * float(np.percentile(latencies_s, percentile))
