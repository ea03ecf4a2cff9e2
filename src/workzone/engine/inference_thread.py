"""One thread that runs one thing after another, and that may be left behind.

Why not `ThreadPoolExecutor(1)`: the interpreter joins its threads at exit, so that a network that hangs would
keep the process from ending, which is just what must happen then. This thread is a daemon. It sleeps while
there is nothing to do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
_Job = tuple[Callable[[], T], "Future[T]"]


class InferenceThread(Generic[T]):
    """A daemon thread with a queue of jobs; it starts with the first."""

    def __init__(self, name: str = "inference") -> None:
        self._jobs: SimpleQueue[_Job[T] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._started = False

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Run `job` after those before it; its result or exception, of any kind, is the future's."""
        if not self._started:
            self._started = True
            self._thread.start()
        future: Future[T] = Future()
        self._jobs.put((job, future))
        return future

    def stop(self) -> None:
        """End the thread after the jobs that it was given; does not wait for it."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, future = entry
            if future.set_running_or_notify_cancel():
                try:
                    result = job()
                except BaseException as error:  # noqa: BLE001 - the worker's boundary: whoever waits raises it
                    future.set_exception(error)
                else:
                    future.set_result(result)
                    del result
            del entry, job, future  # the pictures of the last run are not kept while waiting for the next
