"""Every fallback of a cascade, on a loop whose time jumps instead of passing."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import logging
from types import SimpleNamespace

import pytest

from workzone.core.errors import (
    BundleError,
    ConfigError,
    DataError,
    DeadlineExceeded,
    InferenceError,
    ModelUnavailable,
    Overloaded,
)
from workzone.core.types import Verdict
from workzone.engine.answers import Answer, StageRun
from workzone.engine.breaker import BreakerState, CircuitBreaker
from workzone.engine.cascade import Cascade, Stage, join_stages

ROADWORK, NONE, DEFER = Verdict.ROADWORK, Verdict.NONE, Verdict.DEFER
PICTURE = b"a picture"


class JumpingLoop(asyncio.SelectorEventLoop):
    """Whoever waits for a time gets it at once: the clock jumps there as soon as nothing else is to do."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0
        select = self._selector.select

        def jump(timeout):
            self.now += timeout or 0.0
            return select(0)

        self._selector.select = jump

    def time(self):
        return self.now


class Scripted:
    """Answers with a verdict, raises an error, or takes its time first."""

    def __init__(self, says, *, takes_s=0.0):
        self.says, self.takes_s = says, takes_s
        self.asked, self.deadlines, self.cancelled, self.closed = 0, [], 0, 0
        self.identity = "d" * 64

    async def answer(self, picture, *, deadline_s):
        self.asked += 1
        self.deadlines.append(deadline_s)
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.says, BaseException):
            raise self.says
        return Answer(
            sha256=hashlib.sha256(picture).hexdigest(),
            probability=0.25,
            verdict=self.says,
            logit=-0.5,
            certified=True,
            stages=(StageRun("model", self.says, 0.25, -0.5, 1.0, True),),
            reason="between the thresholds" if self.says is DEFER else None,
            degraded=False,
            bundle=self.identity,
            latency_ms=1.0,
        )

    async def aclose(self):
        self.closed += 1


def run(scenario):
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(scenario())


def cascade_of(*answerers, certified=None):
    clock = asyncio.get_running_loop().time
    stages = [
        Stage(name, answerer, 100.0, CircuitBreaker(clock=clock))
        for name, answerer in zip("abc", answerers, strict=False)
    ]
    paths = [True] * len(stages) if certified is None else certified
    return Cascade(stages, identity="c" * 64, certified=paths, clock=clock)


def ask(*answerers, certified=None, deadline_in_s=None):
    async def scenario():
        cascade = cascade_of(*answerers, certified=certified)
        now = asyncio.get_running_loop().time()
        deadline_s = None if deadline_in_s is None else now + deadline_in_s
        return await cascade.answer(PICTURE, deadline_s=deadline_s)

    return run(scenario)


def open_circuit(cascade, number):
    breaker = cascade.stages[number].breaker
    for _ in range(5):
        breaker.failed(breaker.admit())
    assert breaker.state is BreakerState.OPEN


# --- the plain way


@pytest.mark.parametrize("verdict", [ROADWORK, NONE])
def test_the_second_stage_is_asked_only_where_the_first_defers(verdict):
    first, second = Scripted(verdict), Scripted(NONE)
    answer = ask(first, second)
    assert (answer.verdict, second.asked) == (verdict, 0)
    assert [stage.name for stage in answer.stages] == ["a"]
    assert (answer.certified, answer.degraded, answer.reason) == (True, False, None)
    assert answer.sha256 == hashlib.sha256(PICTURE).hexdigest()
    assert (answer.bundle, answer.cached) == ("c" * 64, False)


@pytest.mark.parametrize("verdict", [ROADWORK, NONE])
def test_a_deferred_picture_gets_the_verdict_of_the_second(verdict):
    answer = ask(Scripted(DEFER, takes_s=0.02), Scripted(verdict, takes_s=0.05))
    assert (answer.verdict, answer.certified, answer.degraded, answer.reason) == (verdict, True, False, None)
    assert [(s.name, s.verdict, s.error) for s in answer.stages] == [("a", DEFER, None), ("b", verdict, None)]
    assert [s.latency_ms for s in answer.stages] == pytest.approx([20, 50])
    assert answer.latency_ms == pytest.approx(70)


def test_what_every_stage_defers_is_deferred_and_that_is_no_fallback():
    answer = ask(Scripted(DEFER), Scripted(DEFER), Scripted(DEFER))
    assert (answer.verdict, answer.degraded, answer.certified) == (DEFER, False, True)
    assert answer.reason == "between the thresholds"
    assert [s.name for s in answer.stages] == ["a", "b", "c"]


def test_a_deadline_is_passed_on_as_the_earlier_of_the_callers_and_the_stages():
    first, second = Scripted(DEFER, takes_s=0.05), Scripted(NONE)
    ask(first, second, deadline_in_s=0.12)
    assert first.deadlines == pytest.approx([1000.1])
    assert second.deadlines == pytest.approx([1000.11])  # the caller's, less what the fallback needs


# --- a later stage is out


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (Scripted(ModelUnavailable("the line is dead")), "the line is dead"),
        (Scripted(InferenceError("the logit is NaN")), "NaN"),
        (Scripted(Overloaded("64 wait")), "64 wait"),
        (Scripted(DataError("more than 8 megapixels")), "megapixels"),
        (Scripted(NONE, takes_s=0.2), "within its 100 ms"),
        (Scripted(DeadlineExceeded("too late")), "within its 100 ms"),
        (Scripted(TimeoutError("connect")), "could not be reached"),
        (Scripted(ValueError("a bug")), "ValueError"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_a_later_stage_without_an_answer_makes_it_defer_and_say_why(second, words):
    answer = ask(Scripted(DEFER), second)
    assert (answer.verdict, answer.degraded, answer.certified) == (DEFER, True, True)
    assert words in answer.reason
    assert "'b'" in answer.reason
    assert [(s.name, s.verdict, s.certified) for s in answer.stages] == [
        ("a", DEFER, True),
        ("b", None, False),
    ]
    assert words in answer.stages[1].error


def test_a_late_stage_is_cancelled_at_its_deadline():
    late = Scripted(NONE, takes_s=3600)
    answer = ask(Scripted(DEFER), late)
    assert late.cancelled == 1
    assert answer.latency_ms == pytest.approx(100)


def test_a_bug_in_a_stage_is_logged_with_its_traceback(caplog):
    with caplog.at_level(logging.ERROR, "workzone.engine.cascade"):
        ask(Scripted(DEFER), Scripted(ValueError("the bug")))
    assert "the bug" in caplog.text
    assert caplog.records[0].stage == "b"


def test_the_third_stage_is_not_asked_in_place_of_the_second():
    third = Scripted(NONE)
    answer = ask(Scripted(DEFER), Scripted(ModelUnavailable("out")), third)
    assert (answer.verdict, third.asked) == (DEFER, 0)


def test_where_the_callers_time_is_over_the_fallback_still_arrives_in_it():
    second = Scripted(NONE)
    answer = ask(Scripted(DEFER, takes_s=0.045), second, deadline_in_s=0.05)
    assert (answer.verdict, answer.degraded, second.asked) == (DEFER, True, 0)
    assert "time was over" in answer.reason
    answer = ask(Scripted(DEFER, takes_s=0.01), Scripted(NONE, takes_s=0.09), deadline_in_s=0.05)
    assert (answer.verdict, answer.degraded) == (DEFER, True)
    assert answer.latency_ms == pytest.approx(40)


# --- the breaker


def test_after_five_failures_a_stage_is_left_alone_and_after_a_minute_tried_once():
    async def scenario():
        first, second = Scripted(DEFER), Scripted(ModelUnavailable("out"))
        cascade = cascade_of(first, second)
        for _ in range(8):
            answer = await cascade.answer(PICTURE, deadline_s=None)
        assert (second.asked, answer.verdict, answer.degraded) == (5, DEFER, True)
        assert "circuit is open" in answer.reason
        assert [s.name for s in answer.stages] == ["a"]  # who was not asked did not run
        assert list(cascade.stage_states().items()) == [("a", BreakerState.CLOSED), ("b", BreakerState.OPEN)]
        await asyncio.sleep(60)
        second.says, second.takes_s = NONE, 0.05
        answers = await asyncio.gather(*[cascade.answer(PICTURE, deadline_s=None) for _ in range(4)])
        assert second.asked == 6
        assert sorted(a.verdict for a in answers) == [DEFER, DEFER, DEFER, NONE]
        assert (await cascade.answer(PICTURE, deadline_s=None)).verdict is NONE

    run(scenario)


@pytest.mark.parametrize(
    "error", [DataError("no picture"), Overloaded("full")], ids=["no picture", "overloaded"]
)
def test_neither_a_bad_picture_nor_a_full_queue_opens_the_circuit(error):
    async def scenario():
        cascade = cascade_of(Scripted(DEFER), Scripted(error))
        for _ in range(20):
            await cascade.answer(PICTURE, deadline_s=None)
        assert cascade.stages[1].breaker.state is BreakerState.CLOSED

    run(scenario)


def test_an_impatient_caller_does_not_open_the_circuit_and_a_slow_stage_does():
    async def scenario():
        loop = asyncio.get_running_loop()
        cascade = cascade_of(Scripted(DEFER), Scripted(NONE, takes_s=0.09))
        for _ in range(20):
            await cascade.answer(PICTURE, deadline_s=loop.time() + 0.05)
        assert cascade.stages[1].breaker.state is BreakerState.CLOSED
        cascade.stages[1].answerer.takes_s = 0.11
        for _ in range(5):
            await cascade.answer(PICTURE, deadline_s=loop.time() + 0.5)
        assert cascade.stages[1].breaker.state is BreakerState.OPEN

    run(scenario)


def test_a_cancelled_trial_does_not_lock_the_stage_out():
    async def scenario():
        cascade = cascade_of(Scripted(DEFER), Scripted(NONE, takes_s=0.05))
        open_circuit(cascade, 1)
        await asyncio.sleep(60)
        task = asyncio.create_task(cascade.answer(PICTURE, deadline_s=None))
        while not cascade.stages[1].answerer.asked:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cascade.stages[1].answerer.cancelled == 1
        assert (await cascade.answer(PICTURE, deadline_s=None)).verdict is NONE

    run(scenario)


# --- the first stage


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ModelUnavailable("out"), ModelUnavailable),
        (ValueError("a bug"), ModelUnavailable),
        (OSError("refused"), ModelUnavailable),
        (DataError("no picture"), DataError),
        (Overloaded("full"), Overloaded),
        (InferenceError("NaN"), InferenceError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_without_the_first_stage_there_is_no_answer(error, raised):
    second = Scripted(NONE)
    with pytest.raises(raised) as caught:
        ask(Scripted(error), second)
    assert type(caught.value) is raised
    assert second.asked == 0


def test_a_first_stage_that_is_late_is_unavailable_unless_it_was_the_caller_who_would_not_wait():
    with pytest.raises(ModelUnavailable, match="100 ms"):
        ask(Scripted(NONE, takes_s=0.2), Scripted(NONE))
    with pytest.raises(DeadlineExceeded):
        ask(Scripted(NONE, takes_s=0.2), Scripted(NONE), deadline_in_s=0.05)
    never = Scripted(NONE)
    with pytest.raises(DeadlineExceeded):
        ask(never, Scripted(NONE), deadline_in_s=0.0)
    assert never.asked == 0


def test_a_first_stage_that_fails_repeatedly_makes_it_unavailable_until_a_trial_is_due():
    async def scenario():
        first = Scripted(ModelUnavailable("out"))
        cascade = cascade_of(first, Scripted(NONE))
        for number in range(8):
            assert cascade.available is (number < 5)
            with pytest.raises(ModelUnavailable):
                await cascade.answer(PICTURE, deadline_s=None)
        assert first.asked == 5
        await asyncio.sleep(60)
        assert cascade.available  # or no request would ever come to try it
        first.says = ROADWORK
        assert (await cascade.answer(PICTURE, deadline_s=None)).verdict is ROADWORK

    run(scenario)


# --- certificates belong to paths


@pytest.mark.parametrize("verdict", [ROADWORK, NONE])
def test_with_the_second_stage_out_the_first_answers_only_with_a_certificate_of_its_own(verdict):
    async def scenario(certified):
        cascade = cascade_of(Scripted(verdict), Scripted(NONE), certified=certified)
        whole = await cascade.answer(PICTURE, deadline_s=None)
        assert (whole.verdict, whole.certified, whole.degraded) == (verdict, True, False)
        open_circuit(cascade, 1)
        return await cascade.answer(PICTURE, deadline_s=None)

    alone = run(lambda: scenario([True, True]))
    assert (alone.verdict, alone.certified, alone.degraded) == (verdict, True, False)
    alone = run(lambda: scenario([False, True]))
    assert (alone.verdict, alone.certified, alone.degraded) == (DEFER, False, True)
    assert "'a'" in alone.reason
    assert "no certificate" in alone.reason
    assert alone.stages[0].verdict is verdict  # what it said is on record


def test_the_path_ends_before_the_first_stage_that_is_out():
    async def scenario(certified):
        cascade = cascade_of(Scripted(DEFER), Scripted(NONE), Scripted(NONE), certified=certified)
        open_circuit(cascade, 2)
        return await cascade.answer(PICTURE, deadline_s=None)

    assert run(lambda: scenario([False, True, True])).verdict is NONE
    assert run(lambda: scenario([False, False, True])).verdict is DEFER


@pytest.mark.parametrize("first", [ROADWORK, NONE, DEFER])
@pytest.mark.parametrize("second", [ROADWORK, NONE, DEFER, ModelUnavailable("out")], ids=str)
def test_without_any_certificate_nothing_but_defer_is_answered(first, second):
    answer = ask(Scripted(first), Scripted(second), certified=[False, False])
    assert (answer.verdict, answer.certified) == (DEFER, False)
    assert answer.reason
    assert not any(stage.certified for stage in answer.stages)


def test_a_deferral_of_a_path_without_a_certificate_says_that_it_is_not_certified():
    answer = ask(Scripted(DEFER), Scripted(ModelUnavailable("out")), certified=[False, True])
    assert (answer.verdict, answer.certified, answer.degraded) == (DEFER, False, True)


# --- putting one together


def test_stages_that_make_no_cascade_are_refused():
    one, two = Stage("a", Scripted(NONE), 100.0), Stage("b", Scripted(NONE), 100.0)
    for stages, paths in (
        ([one], [True]),
        ([one, one], [True, True]),
        ([one, dataclasses.replace(two, deadline_ms=0.0)], [True, True]),
        ([one, two], [True]),
    ):
        with pytest.raises(ConfigError):
            Cascade(stages, identity="c" * 64, certified=paths)


def test_an_artifact_and_its_answerers_make_a_cascade():
    records = [
        SimpleNamespace(name=name, digest="d" * 64, deadline_ms=ms, fallback="defer")
        for name, ms in (("small", 50), ("big", 900))
    ]
    artifact = SimpleNamespace(
        manifest=SimpleNamespace(stages=records),
        digest="e" * 64,
        paths=[SimpleNamespace(certified=False), SimpleNamespace(certified=True)],
    )
    cascade = join_stages(artifact, [Scripted(NONE), Scripted(NONE)])
    assert cascade.identity == "e" * 64
    assert [(s.name, s.deadline_ms) for s in cascade.stages] == [("small", 50), ("big", 900)]
    assert asyncio.run(cascade.answer(PICTURE, deadline_s=None)).verdict is NONE
    with pytest.raises(ConfigError, match="2 stages"):
        join_stages(artifact, [Scripted(NONE)])
    other = Scripted(NONE)
    other.identity = "f" * 64
    with pytest.raises(BundleError, match="Stage 'big' would be answered by ffff"):
        join_stages(artifact, [Scripted(NONE), other])


def test_closing_closes_every_stage_also_where_one_fails_to():
    async def scenario():
        class Broken(Scripted):
            async def aclose(self):
                raise OSError("gone")

        last = Scripted(NONE)
        cascade = cascade_of(Broken(NONE), last)
        with pytest.raises(OSError, match="gone"):
            await cascade.aclose()
        assert last.closed == 1

    run(scenario)


class Mortal(Scripted):
    """As `LiveBundle`: with a queue, and it can break for good."""

    def __init__(self, says, depth=0):
        super().__init__(says)
        self.died, self.depth = asyncio.Event(), depth

    @property
    def dead(self):
        return self.died.is_set()

    async def wait_dead(self):
        await self.died.wait()


def test_it_is_dead_with_any_of_its_stages_and_who_waits_is_told():
    async def scenario():
        cascade = cascade_of(Mortal(NONE), Mortal(NONE))
        waiting = asyncio.create_task(cascade.wait_dead())
        await asyncio.sleep(1)
        assert not cascade.dead
        assert not waiting.done()
        cascade.stages[1].answerer.died.set()
        assert cascade.dead
        await waiting

    run(scenario)


def test_its_queue_is_that_of_all_stages_and_a_remote_one_neither_queues_nor_dies_here():
    async def scenario():
        cascade = cascade_of(Mortal(NONE, depth=3), Scripted(NONE), Mortal(NONE, depth=2))
        assert cascade.depth == 5
        remote = cascade_of(Scripted(NONE), Scripted(NONE))
        assert (remote.depth, remote.dead) == (0, False)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await remote.wait_dead()

    run(scenario)
