"""Answers to pictures that were seen before, byte for byte, and one computation for simultaneous equals.

Knows keys and answers; does not know pictures or models. `Cache` is the seam for one that several processes
share. What is kept is what a fresh computation would say again: no failure, and no answer for which a stage
was missing.
"""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from typing import Protocol

from workzone.core.errors import DeadlineExceeded, Overloaded
from workzone.engine.answers import Answer, StageRun
from workzone.storage.hashing import sha256_json

Compute = Callable[[], Awaitable[Answer]]

_ENTRY_BYTES = 256
"""What the table itself takes for an entry, roughly."""


class Cache(Protocol):
    """Remembers answers."""

    async def get_or_compute(self, key: str, compute: Compute) -> Answer:
        """Return the answer that is kept under `key`, else compute it and keep it if it may be kept.

        Args:
            key: As `cache_key` makes it.
            compute: Called at most once at a time for a key, whoever asks.

        Raises:
            WorkzoneError: What `compute` raises.
        """
        ...


def cache_key(sha256: str, identity: str, mode: str) -> str:
    """Return the key of an answer: 64 hexadecimal digits.

    Args:
        sha256: Of the picture's bytes.
        identity: Of what answers, `Answerer.identity`; it covers model, calibrator and policy.
        mode: What else the caller chose that changes the answer; "" for nothing.
    """
    return sha256_json([sha256, identity, mode])


@dataclass(slots=True, eq=False)
class _Flight:
    """A computation in progress and how many wait for it."""

    task: asyncio.Task[Answer]
    waiting: int = 0


class AnswerCache:
    """Keeps the answers asked for last, up to a number of bytes, in this process; for one event loop.

    Args:
        max_bytes: Of keys and answers together; 0 keeps nothing, and simultaneous equals still share one
            computation.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Answer] = OrderedDict()
        self._bytes = 0
        self._flights: dict[str, _Flight] = {}

    @property
    def size_bytes(self) -> int:
        """What is kept takes about this many bytes."""
        return self._bytes

    def __len__(self) -> int:
        """How many answers are kept."""
        return len(self._kept)

    async def get_or_compute(self, key: str, compute: Compute) -> Answer:
        """Return the kept, shared or fresh answer; see `Cache`.

        Only the caller for whom it was computed gets `cached=False`. A computation goes on while anybody waits
        for it, and is cancelled with the last. When it fails for want of time, which was its first caller's
        time, the others compute for themselves; any other failure is everybody's.
        """
        while True:
            if (answer := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return replace(answer, cached=True)
            flight = self._flights.get(key)
            if flight is None:
                return await self._wait(key, self._take_off(key, compute))
            try:
                return replace(await self._wait(key, flight), cached=True)
            except (DeadlineExceeded, Overloaded):
                continue

    def _take_off(self, key: str, compute: Compute) -> _Flight:
        flight = _Flight(asyncio.ensure_future(_awaited(compute)))
        self._flights[key] = flight
        flight.task.add_done_callback(lambda task: self._land(key, flight, task))
        return flight

    async def _wait(self, key: str, flight: _Flight) -> Answer:
        """Wait for a flight in such a way that a cancelled waiter leaves it to the others."""
        flight.waiting += 1
        try:
            await asyncio.wait({flight.task})
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                self._flights.pop(key, None)  # at once: who comes now must not board what is going down
                flight.task.cancel()
        return flight.task.result()

    def _land(self, key: str, flight: _Flight, task: asyncio.Task[Answer]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if task.cancelled() or task.exception() is not None:
            return
        answer = task.result()
        if not answer.degraded:
            self._keep(key, answer)

    def _keep(self, key: str, answer: Answer) -> None:
        size = _size_bytes(key, answer)
        if size > self._max_bytes:
            return
        if (old := self._kept.pop(key, None)) is not None:
            self._bytes -= _size_bytes(key, old)
        self._kept[key] = answer
        self._bytes += size
        while self._bytes > self._max_bytes:
            oldest, dropped = self._kept.popitem(last=False)
            self._bytes -= _size_bytes(oldest, dropped)


async def _awaited(compute: Compute) -> Answer:
    return await compute()


def _size_bytes(key: str, answer: Answer) -> int:
    """What an entry takes; texts that answers share, such as the bundle's digest, count every time."""
    parts: list[Answer | StageRun] = [answer, *answer.stages]
    values = [getattr(part, member.name) for part in parts for member in fields(part)]
    return _ENTRY_BYTES + sum(map(sys.getsizeof, [key, *parts, *values]))
