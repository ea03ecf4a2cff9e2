"""Ask the chain off the event loop, each call with a time limit, without ever piling up threads.

Knows nothing of what is asked (`keys.time_limit` is the plain one, for the few calls at the start). A thread can't be
ended from outside: one that hangs in a socket is left behind, counted, and no more than a few may be. They are daemon
threads, not a pool's: a pool waits for its threads when the process ends, so a hung one would keep a stopped miner
alive.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from workzone.serving.axon.chain.chain import ChainUnavailable

T = TypeVar("T")
MOST_THREADS = 3


class LimitedThreads:
    """Calls blocking functions for one event loop."""

    def __init__(self, most: int = MOST_THREADS, name: str = "chain") -> None:
        """Allow `most` calls at once, hung ones counted."""
        self._most, self._name = most, name
        self._mutex = threading.Lock()
        self._running = 0

    @property
    def running(self) -> int:
        """Return how many calls have not returned, hung ones too."""
        return self._running

    async def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """Return what `function` returns in a thread of its own, or raise what it raises.

        Raises:
            TimeoutError: It didn't return in time; its thread goes on by itself, and what it finds is dropped.
            ChainUnavailable: Too many earlier calls hang still, or this machine starts no further thread.
        """
        with self._mutex:
            if self._running >= self._most:
                raise ChainUnavailable(
                    f"{self._running} earlier calls to the chain hang still, and no further one is made until one "
                    "returns; if none does, only a restart of the miner mends it."
                )
            self._running += 1
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def finish(result: T | None, error: Exception | None) -> None:
            if future.done():  # nobody waits any more
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # T may be None itself

        def work() -> None:
            result: T | None = None
            failure: Exception | None = None
            try:
                result = function()
            except StopIteration as error:  # no future takes it
                failure = ChainUnavailable(f"The call to the chain ended by {error!r}.")
            except Exception as error:  # noqa: BLE001 - a worker's boundary: whoever waits gets it
                failure = error
            except BaseException as error:  # noqa: BLE001 - a library that exits must not take the wait with it
                failure = ChainUnavailable(f"The call to the chain ended by {type(error).__name__}.")
            with self._mutex:
                self._running -= 1
            with suppress(RuntimeError):  # the loop is closed: the miner has stopped
                loop.call_soon_threadsafe(finish, result, failure)

        try:
            threading.Thread(target=work, name=self._name, daemon=True).start()
        except (RuntimeError, MemoryError) as error:  # nobody else would count it down
            with self._mutex:
                self._running -= 1
            raise ChainUnavailable(
                f"No thread could be started to ask the chain ({error}); see this machine's limits of threads "
                "and memory."
            ) from error
        return await asyncio.wait_for(future, timeout_s)
