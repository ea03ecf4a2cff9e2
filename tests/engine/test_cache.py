"""The cache: hits, one computation for simultaneous equals, what is never kept, and the bound in bytes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from workzone.core.errors import DataError, DeadlineExceeded, ModelUnavailable, Overloaded
from workzone.core.types import Verdict
from workzone.engine.answers import Answer, StageRun
from workzone.engine.cache import AnswerCache, cache_key

STAGE = StageRun("model", Verdict.DEFER, 0.5, 0.0, 1.0, certified=True)
ANSWER = Answer("0" * 64, 0.5, Verdict.DEFER, 0.0, True, (STAGE,), "The policy defers.", False, "b" * 64, 1.0)


class Work:
    """A computation that goes on until it is let go, and counts how often it was begun."""

    def __init__(self, answer=ANSWER, error=None, at_once=True):
        self.answer, self.error = answer, error
        self.begun = 0
        self.cancelled = 0
        self.go = asyncio.Event()
        if at_once:
            self.go.set()

    async def __call__(self):
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return self.answer


def test_a_second_time_it_is_a_hit_and_says_so():
    async def scenario():
        cache, work = AnswerCache(10_000), Work()
        return [await cache.get_or_compute("k", work) for _ in range(3)], work.begun

    answers, begun = asyncio.run(scenario())
    assert begun == 1
    assert answers == [ANSWER, replace(ANSWER, cached=True), replace(ANSWER, cached=True)]


def test_keys_differ_by_picture_bundle_and_mode_and_by_nothing_else():
    parts = ["a" * 64, "b" * 64, ""]
    keys = {cache_key(*parts)}
    for i in range(3):
        keys.add(cache_key(*[part + "x" if i == j else part for j, part in enumerate(parts)]))
    assert len(keys) == 4
    assert cache_key("a", "b", "c") != cache_key("a", "bc", "")
    assert cache_key(*parts) == cache_key(*parts)


def test_simultaneous_equals_share_one_computation():
    async def scenario():
        cache, work = AnswerCache(10_000), Work(at_once=False)
        tasks = [asyncio.create_task(cache.get_or_compute("k", work)) for _ in range(5)]
        other = asyncio.create_task(cache.get_or_compute("other", Work()))
        await asyncio.sleep(0)
        work.go.set()
        answers = await asyncio.gather(*tasks)
        await other
        return answers, work.begun

    answers, begun = asyncio.run(scenario())
    assert begun == 1
    assert [answer.cached for answer in answers] == [False, True, True, True, True]


@pytest.mark.parametrize("leaves", [0, 1])
def test_one_callers_cancellation_is_not_the_others(leaves):
    async def scenario():
        cache, work = AnswerCache(10_000), Work(at_once=False)
        tasks = [asyncio.create_task(cache.get_or_compute("k", work)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[leaves].cancel()
        await asyncio.sleep(0)
        work.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True), work

    results, work = asyncio.run(scenario())
    assert isinstance(results.pop(leaves), asyncio.CancelledError)
    assert [replace(answer, cached=False) for answer in results] == [ANSWER, ANSWER]
    assert (work.begun, work.cancelled) == (1, 0)


def test_with_the_last_caller_the_computation_goes_and_who_comes_then_starts_anew():
    async def scenario():
        cache, first, second = AnswerCache(10_000), Work(at_once=False), Work()
        tasks = [asyncio.create_task(cache.get_or_compute("k", first)) for _ in range(2)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        # It comes in the very step in which the callers leave, before the computation has noticed.
        late = asyncio.create_task(cache.get_or_compute("k", second))
        results = await asyncio.gather(*tasks, late, return_exceptions=True)
        return results, first.cancelled, second.begun

    results, cancelled, begun = asyncio.run(scenario())
    assert [type(result) for result in results] == [asyncio.CancelledError, asyncio.CancelledError, Answer]
    assert (cancelled, begun) == (1, 1)


@pytest.mark.parametrize("error", [DataError("no picture"), ModelUnavailable("down")])
def test_failures_are_everybodys_and_never_kept(error):
    async def scenario():
        cache, failing = AnswerCache(10_000), Work(error=error)
        calls = [cache.get_or_compute("k", failing) for _ in range(3)]
        failures = await asyncio.gather(*calls, return_exceptions=True)
        return failures, failing.begun, len(cache), await cache.get_or_compute("k", Work())

    failures, begun, kept, answer = asyncio.run(scenario())
    assert failures == [error] * 3
    assert (begun, kept) == (1, 0)
    assert answer == ANSWER


@pytest.mark.parametrize("error", [DeadlineExceeded("late"), Overloaded("full")])
def test_want_of_time_is_only_the_first_callers(error):
    async def scenario():
        cache, hasty, patient = AnswerCache(10_000), Work(error=error), Work()
        calls = [cache.get_or_compute("k", work) for work in (hasty, patient, patient)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        return results, hasty.begun, patient.begun

    results, hasty, patient = asyncio.run(scenario())
    assert results == [error, ANSWER, replace(ANSWER, cached=True)]
    assert (hasty, patient) == (1, 1)


def test_a_degraded_answer_is_shared_but_never_kept():
    async def scenario():
        cache, work = AnswerCache(10_000), Work(replace(ANSWER, degraded=True, reason="stage b is down"))
        await asyncio.gather(*(cache.get_or_compute("k", work) for _ in range(2)))
        again = await cache.get_or_compute("k", work)
        return again, work.begun, cache.size_bytes

    again, begun, size = asyncio.run(scenario())
    assert not again.cached
    assert (begun, size) == (2, 0)


def test_memory_is_bounded_and_the_least_recently_asked_goes_first():
    async def scenario():
        probe = AnswerCache(1 << 20)
        await probe.get_or_compute("k0", Work())
        cache = AnswerCache(3 * probe.size_bytes)
        for key in ("k0", "k1", "k2", "k0", "k3"):
            await cache.get_or_compute(key, Work())
            assert cache.size_bytes <= 3 * probe.size_bytes
        hits = [(await cache.get_or_compute(key, Work())).cached for key in ("k0", "k2", "k3", "k1")]
        return hits, len(cache), cache.size_bytes, probe.size_bytes

    hits, kept, size, one = asyncio.run(scenario())
    assert hits == [True, True, True, False]
    assert (kept, size) == (3, 3 * one)
    assert one > 1000  # three 64-character texts, a stage and the objects around them


@pytest.mark.parametrize("max_bytes", [0, 100])
def test_what_is_larger_than_the_cache_is_not_kept(max_bytes):
    async def scenario():
        cache, work = AnswerCache(max_bytes), Work()
        for _ in range(2):
            await cache.get_or_compute("k", work)
        return work.begun, len(cache), cache.size_bytes

    assert asyncio.run(scenario()) == (2, 0, 0)
