"""The batcher on a network of the test's own, which runs until it is let go, and on a clock that tests move."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import numpy as np
import pytest

from workzone.core.errors import DeadlineExceeded, InferenceError, ModelUnavailable, Overloaded
from workzone.engine.backend import BackendOutput
from workzone.engine.batcher import Batcher

PATIENCE_S = 30  # of the machine, not of a measurement: only a test that fails waits so long


class Network:
    """logit = the picture's first value; runs wait until `gate` is open, and the n-th raises `errors[n]`."""

    def __init__(self):
        self.runs = []
        self.threads = set()
        self.terminations = 0
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.errors = {}
        self.ends_when_asked = True

    def __call__(self, fitted):
        pictures = [int(picture[0, 0, 0]) for picture in fitted]
        error = self.errors.get(len(self.runs))
        self.runs.append(pictures)
        self.threads.add(threading.current_thread())
        self.begun.release()
        assert self.gate.wait(PATIENCE_S)
        if error is not None:
            raise error
        logits = np.array([np.nan if p == 255 else p for p in pictures], dtype=np.float32)
        features = np.array([[np.inf if p == 254 else p, 1] for p in pictures], dtype=np.float32)
        return BackendOutput(logits, features)

    def terminate(self):
        self.terminations += 1
        if self.ends_when_asked:
            self.gate.set()

    async def has_begun(self):
        assert await asyncio.to_thread(self.begun.acquire, timeout=PATIENCE_S)


@pytest.fixture
def network():
    network = Network()
    yield network
    network.gate.set()


@pytest.fixture
def make(network, clock):
    def build(**changes):
        settings = {"max_batch": 4, "queue_size": 16, "hang_s": 100.0, "terminate": network.terminate}
        return Batcher(network, clock=clock, **{**settings, **changes})

    return build


def picture(value):
    return np.full((2, 2, 3), value, dtype=np.uint8)


async def put(batcher, *values, deadline_s=None):
    """Submit pictures at once and return their tasks when all of them wait or were refused."""
    tasks = [asyncio.create_task(batcher.submit(picture(v), deadline_s)) for v in values]
    await asyncio.sleep(0)
    return tasks


async def outcomes(tasks):
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_a_picture_gets_its_own_row(make, network, run_async):
    async def scenario():
        batcher = make()
        network.gate.set()
        rows = await asyncio.gather(*(batcher.submit(picture(v), None) for v in (3, 1, 2)))
        await batcher.aclose()
        return rows

    rows = run_async(scenario())
    assert [logit for logit, _ in rows] == [3.0, 1.0, 2.0]
    assert [features.tolist() for _, features in rows] == [[3, 1], [1, 1], [2, 1]]


def test_what_waits_while_the_network_runs_is_the_next_batch_and_never_above_the_largest(
    make, network, run_async
):
    async def scenario():
        batcher = make(max_batch=4)
        tasks = await put(batcher, 0)
        await network.has_begun()
        tasks += await put(batcher, *range(1, 8))
        assert batcher.depth == 7
        network.gate.set()
        await asyncio.gather(*tasks)
        await batcher.aclose()

    run_async(scenario())
    assert network.runs == [[0], [1, 2, 3, 4], [5, 6, 7]]
    assert len(network.threads) == 1
    assert all(thread.daemon for thread in network.threads)


def test_the_oldest_ones_slack_bounds_the_batch(make, network, clock, run_async):
    async def scenario():
        batcher = make(measured=[(1, 1.0), (2, 1.8), (4, 3.2)])
        tasks = await put(batcher, 0)
        await network.has_begun()
        tasks += await put(batcher, 1, deadline_s=clock() + 2.0)
        tasks += await put(batcher, 2, 3, 4)
        network.gate.set()
        await asyncio.gather(*tasks)
        await batcher.aclose()

    run_async(scenario())
    assert network.runs == [[0], [1, 2], [3, 4]]


def test_a_cancelled_request_costs_nothing_and_makes_room(make, network, run_async):
    async def scenario():
        batcher = make(queue_size=2)
        tasks = await put(batcher, 0)
        await network.has_begun()
        tasks += await put(batcher, 1, 2)
        tasks[1].cancel()
        await asyncio.sleep(0)
        tasks += await put(batcher, 3)
        network.gate.set()
        results = await outcomes(tasks)
        await batcher.aclose()
        return results

    results = run_async(scenario())
    assert network.runs == [[0], [2, 3]]
    assert isinstance(results[1], asyncio.CancelledError)
    assert [r[0] for i, r in enumerate(results) if i != 1] == [0.0, 2.0, 3.0]


def test_who_is_cancelled_in_the_step_before_the_batch_is_taken_is_not_run(make, network, run_async):
    async def scenario():
        batcher = make()
        network.gate.set()
        (task,) = await put(batcher, 1)
        task.cancel()  # its place in the queue is still taken when the batcher looks
        assert batcher.depth == 1
        await outcomes([task])
        await batcher.submit(picture(9), None)
        await batcher.aclose()

    run_async(scenario())
    assert network.runs == [[9]]


def test_when_all_that_wait_are_cancelled_it_sleeps_until_the_next(make, network, run_async):
    async def scenario():
        batcher = make()
        tasks = await put(batcher, 0)
        await network.has_begun()
        tasks += await put(batcher, 1, 2)
        network.gate.set()
        await tasks[0]
        for task in tasks[1:]:
            task.cancel()  # in the very step in which the batcher would take them
        await outcomes(tasks)
        assert (await batcher.submit(picture(9), None))[0] == 9.0
        await batcher.aclose()

    run_async(scenario())
    assert network.runs[0] == [0]
    assert network.runs[-1] == [9]


def test_a_caller_that_leaves_during_its_run_spoils_no_other(make, network, run_async):
    async def scenario():
        batcher = make()
        tasks = await put(batcher, 1, 2)
        await network.has_begun()
        tasks[0].cancel()
        network.gate.set()
        results = await outcomes(tasks)
        await batcher.aclose()
        return results

    gone, answered = run_async(scenario())
    assert isinstance(gone, asyncio.CancelledError)
    assert answered[0] == 2.0


def test_a_full_queue_says_when_to_try_again(make, network, run_async):
    async def scenario():
        batcher = make(queue_size=2, max_batch=1, measured=[(1, 2.0)])
        tasks = await put(batcher, 0)
        await network.has_begun()
        tasks += await put(batcher, 1, 2)
        with pytest.raises(Overloaded, match="2 pictures wait already") as refused:
            await batcher.submit(picture(3), None)
        assert refused.value.retry_after_s == pytest.approx(6.0)  # the run in progress and two more
        network.gate.set()
        await asyncio.gather(*tasks)
        await batcher.aclose()

    run_async(scenario())
    assert network.runs == [[0], [1], [2]]


def test_without_a_measurement_it_still_says_when(make, network, run_async):
    async def scenario():
        batcher = make(queue_size=1)
        tasks = await put(batcher, 0)
        await network.has_begun()
        tasks += await put(batcher, 1)
        with pytest.raises(Overloaded) as refused:
            batcher.admit(None)
        network.gate.set()
        await asyncio.gather(*tasks)
        await batcher.aclose()
        return refused.value.retry_after_s

    assert run_async(scenario()) > 0


def test_pictures_on_their_way_count(make, run_async):
    async def scenario():
        batcher = make(queue_size=3)
        batcher.admit(None, coming=2)
        with pytest.raises(Overloaded):
            batcher.admit(None, coming=3)

    run_async(scenario())


def test_who_would_wait_beyond_the_deadline_is_refused_at_once(make, network, clock, run_async):
    async def scenario():
        batcher = make(max_batch=1, measured=[(1, 1.0)])
        tasks = await put(batcher, 0)
        await network.has_begun()
        with pytest.raises(Overloaded, match="not likely") as refused:
            await batcher.submit(picture(1), clock() + 1.9)
        assert refused.value.retry_after_s == pytest.approx(1.0)
        clock.advance(0.5)  # half of the run is over
        tasks += await put(batcher, 2, deadline_s=clock() + 1.9)
        network.gate.set()
        await asyncio.gather(*tasks)
        await batcher.aclose()

    run_async(scenario())
    assert network.runs == [[0], [2]]


def test_an_idle_network_is_tried_whatever_is_expected(make, network, clock, run_async):
    async def scenario():
        batcher = make(measured=[(1, 10.0)])
        network.gate.set()
        scored = await batcher.submit(picture(5), clock() + 1.0)
        await batcher.aclose()
        return scored

    assert run_async(scenario())[0] == 5.0


def test_a_passed_deadline_costs_nothing(make, network, clock, run_async):
    async def scenario():
        batcher = make()
        with pytest.raises(DeadlineExceeded):
            await batcher.submit(picture(1), clock() - 0.1)
        with pytest.raises(DeadlineExceeded):
            await batcher.submit(picture(1), clock())
        tasks = await put(batcher, 0)
        await network.has_begun()
        tasks += await put(batcher, 2, deadline_s=clock() + 5.0)
        tasks += await put(batcher, 3)
        clock.advance(6.0)
        network.gate.set()
        results = await outcomes(tasks)
        await batcher.aclose()
        return results

    results = run_async(scenario())
    assert isinstance(results[1], DeadlineExceeded)
    assert network.runs == [[0], [3]]


def test_a_run_that_hangs_is_ended_and_the_next_ones_succeed(make, network, clock, run_async):
    network.errors[0] = RuntimeError("Exiting due to terminate flag being set to true.")

    async def scenario():
        batcher = make(hang_s=5.0, max_batch=2)
        tasks = await put(batcher, 1, 2)
        await network.has_begun()
        tasks += await put(batcher, 3)
        clock.advance(4.9)
        await asyncio.sleep(0)
        assert network.terminations == 0
        clock.advance(0.2)
        hung = await outcomes(tasks[:2])
        rest = [await tasks[2], await batcher.submit(picture(4), None)]
        assert not batcher.dead
        await batcher.aclose()
        return hung, rest

    hung, rest = run_async(scenario())
    assert [type(error) for error in hung] == [ModelUnavailable, ModelUnavailable]
    assert hung[0] is not hung[1]
    assert "longer than 5 s" in str(hung[0])
    assert [logit for logit, _ in rest] == [3.0, 4.0]
    assert network.terminations == 1


@pytest.mark.parametrize("can_be_asked", [True, False])
def test_what_cannot_be_ended_is_dead_for_good(make, network, clock, run_async, can_be_asked):
    network.ends_when_asked = False

    async def scenario():
        batcher = make(hang_s=5.0, terminate=network.terminate if can_be_asked else None)
        death = asyncio.create_task(batcher.wait_dead())
        tasks = await put(batcher, 1)
        await network.has_begun()
        tasks += await put(batcher, 2)
        clock.advance(5.1)
        first = (await outcomes(tasks[:1]))[0]
        assert not batcher.dead
        clock.advance(5.1)
        second = (await outcomes(tasks[1:]))[0]
        await death
        assert batcher.dead
        with pytest.raises(ModelUnavailable, match="restart"):
            await batcher.submit(picture(3), None)
        network.gate.set()  # even if it comes back: the process is to be replaced
        with pytest.raises(ModelUnavailable):
            batcher.admit(None)
        await batcher.aclose()
        return first, second

    assert [type(error) for error in run_async(scenario())] == [ModelUnavailable, ModelUnavailable]
    assert network.terminations == (1 if can_be_asked else 0)
    assert network.runs == [[1]]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InferenceError("ONNX Runtime failed"), "^ONNX Runtime failed$"),
        (ValueError("boom"), "ValueError: boom"),
    ],
)
def test_a_network_that_raises_fails_its_batch_only(make, network, run_async, error, message):
    async def scenario():
        batcher = make()
        network.errors[0] = error
        tasks = await put(batcher, 1, 2)
        await network.has_begun()
        network.gate.set()
        failed = await outcomes(tasks)
        assert (await batcher.submit(picture(3), None))[0] == 3.0
        await batcher.aclose()
        return failed

    first, second = run_async(scenario())
    for failure in (first, second):
        with pytest.raises(InferenceError, match=message):
            raise failure
        assert failure.__cause__ is error
    assert first is not second


@pytest.mark.parametrize("broken", [255, 254])
def test_numbers_that_are_not_finite_fail_that_picture_only(make, network, run_async, broken):
    async def scenario():
        batcher = make()
        network.gate.set()
        results = await outcomes(await put(batcher, 1, broken, 3))
        await batcher.aclose()
        return results

    results = run_async(scenario())
    assert (results[0][0], results[2][0]) == (1.0, 3.0)
    assert type(results[1]) is InferenceError
    assert "not finite" in str(results[1])
    assert network.runs == [[1, broken, 3]]


def test_a_network_that_loses_a_row_answers_nobody(make, clock, run_async):
    def short(fitted):
        return BackendOutput(np.zeros(1, np.float32), np.zeros((len(fitted), 2), np.float32))

    async def scenario():
        batcher = Batcher(short, max_batch=4, queue_size=4, hang_s=100.0, clock=clock)
        results = await outcomes(await put(batcher, 1, 2))
        await batcher.aclose()
        return results

    assert all("1 logits and 2 features for 2" in str(error) for error in run_async(scenario()))


def test_draining_answers_what_waits_and_takes_nothing_new(make, network, run_async):
    async def scenario():
        batcher = make(max_batch=1)
        tasks = await put(batcher, 1, 2)
        await network.has_begun()
        closing = asyncio.create_task(batcher.aclose(drain_s=50.0))
        await asyncio.sleep(0)
        with pytest.raises(ModelUnavailable, match="closed"):
            await batcher.submit(picture(3), None)
        network.gate.set()
        rows = await asyncio.gather(*tasks)
        await closing
        await batcher.aclose()
        assert not batcher.dead
        return rows

    assert [logit for logit, _ in run_async(scenario())] == [1.0, 2.0]
    assert network.terminations == 0


def test_what_is_not_answered_by_the_end_of_the_drain_fails(make, network, clock, run_async):
    async def scenario():
        batcher = make(max_batch=1)
        tasks = await put(batcher, 1, 2)
        await network.has_begun()
        closing = asyncio.create_task(batcher.aclose(drain_s=5.0))
        await asyncio.sleep(0)
        clock.advance(5.1)
        results = await outcomes(tasks)
        await closing
        return results

    assert [type(error) for error in run_async(scenario())] == [ModelUnavailable, ModelUnavailable]
    assert network.terminations == 1
    assert network.runs == [[1]]


def test_closing_what_was_never_used(make, run_async):
    async def scenario():
        batcher = make()
        await batcher.aclose(drain_s=5.0)

    run_async(scenario())


def test_a_network_that_hangs_does_not_keep_the_process() -> None:
    code = """
import asyncio, threading
import numpy as np
from workzone.core.errors import ModelUnavailable
from workzone.engine.batcher import Batcher

async def main():
    batcher = Batcher(lambda fitted: threading.Event().wait(), max_batch=1, queue_size=1, hang_s=0.01)
    try:
        await batcher.submit(np.zeros((2, 2, 3), np.uint8), None)
    except ModelUnavailable:
        await batcher.wait_dead()
        raise SystemExit(70)

asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], timeout=120).returncode == 70
