from __future__ import annotations

import asyncio
import threading

import pytest

from workzone.serving.axon.chain.chain import ChainUnavailable
from workzone.serving.axon.chain.chain_threads import LimitedThreads


def test_a_call_runs_off_the_loop_and_returns() -> None:
    threads = LimitedThreads()

    async def call() -> tuple[int, bool]:
        return await threads.call(lambda: (threading.get_ident(), threading.current_thread().daemon), 10.0)

    ident, daemon = asyncio.run(call())
    assert ident != threading.get_ident()
    assert daemon  # a hung one must not keep the process alive
    assert threads.running == 0


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ValueError("bad"), ValueError),
        (SystemExit(1), ChainUnavailable),
        (KeyboardInterrupt(), ChainUnavailable),
        (StopIteration(), ChainUnavailable),
    ],
)
def test_what_a_call_raises_comes_out(raised: BaseException, expected: type[Exception]) -> None:
    threads = LimitedThreads()

    def fail() -> None:
        raise raised

    with pytest.raises(expected):
        asyncio.run(threads.call(fail, 10.0))
    assert threads.running == 0


def test_hung_calls_do_not_pile_up_and_late_results_are_dropped() -> None:
    threads = LimitedThreads(most=2)
    release, ended = threading.Event(), threading.Semaphore(0)

    def hang() -> str:
        release.wait()
        ended.release()
        return "too late"

    async def scenario() -> None:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await threads.call(hang, 0.001)
        before = threading.active_count()
        for _ in range(20):
            with pytest.raises(ChainUnavailable, match="2 earlier calls to the chain hang still"):
                await threads.call(hang, 0.001)
        assert threading.active_count() == before
        release.set()
        for _ in range(2):
            await asyncio.to_thread(ended.acquire)
        while threads.running:
            await asyncio.sleep(0)
        assert await threads.call(lambda: "fresh", 10.0) == "fresh"

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_a_thread_that_can_not_be_started_is_not_counted_for_ever(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = LimitedThreads(most=2)

    def start(_: threading.Thread) -> None:
        raise error

    async def scenario() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            for _ in range(5):
                with pytest.raises(ChainUnavailable, match="No thread could be started"):
                    await threads.call(lambda: "never", 10.0)
        assert threads.running == 0
        assert await threads.call(lambda: "fresh", 10.0) == "fresh"

    asyncio.run(scenario())


def test_a_call_that_outlives_the_loop_harms_nothing() -> None:
    threads = LimitedThreads()
    release = threading.Event()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await threads.call(release.wait, 0.001)

    asyncio.run(give_up())
    hung = [thread for thread in threading.enumerate() if thread.name == "chain"]
    release.set()
    for thread in hung:
        thread.join()  # an exception in it would fail the test: pytest watches threads
    assert threads.running == 0
