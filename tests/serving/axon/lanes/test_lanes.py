"""Two models and a queue, on a loop whose time jumps instead of passing: who is answered, by whom, and when not."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from dataclasses import dataclass

import pytest

from workzone.core.errors import (
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
from workzone.engine.cache import AnswerCache
from workzone.serving.axon.health.findings import models_finding
from workzone.serving.axon.lanes.lane import Model
from workzone.serving.axon.lanes.lanes import STAKE, Lanes, LaneSettings
from workzone.serving.http.metrics import Staged

PROMISED_S = 6.0
KEPT_S = LaneSettings().margin_s


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


class Network:
    """One run after the other, of up to so many pictures, as a live bundle's; the seconds are the loop's."""

    def __init__(self, name, each_s=0.1, run=1, *, noise=0.0, factor=lambda since_s: 1.0, seed=0):
        self.name, self.each_s, self.run = name, each_s, run
        self.noise, self.factor, self.random = noise, factor, random.Random(seed)
        self.identity = hashlib.sha256(name.encode()).hexdigest()
        self.waiting, self.running, self.server = [], [], None
        self.asked, self.cancelled, self.deadlines, self.most_inside = [], 0, [], 0
        self.error, self.closed, self.close_error = None, False, None
        self.died = asyncio.Event()

    @property
    def dead(self):
        return self.died.is_set()

    @property
    def depth(self):
        return len(self.waiting)

    async def wait_dead(self):
        await self.died.wait()

    async def aclose(self):
        self.closed = True
        if self.server is not None:
            self.server.cancel()
        if self.close_error:
            raise self.close_error

    async def answer(self, picture, *, deadline_s):
        self.asked.append(picture)
        self.deadlines.append(deadline_s)
        if self.error is not None:
            await asyncio.sleep(0)
            raise self.error
        done = asyncio.get_running_loop().create_future()
        self.waiting.append(done)
        self.most_inside = max(self.most_inside, len(self.waiting) + len(self.running))
        if self.server is None or self.server.done():
            self.server = asyncio.create_task(self._serve())
        try:
            await done
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            if done in self.waiting:
                self.waiting.remove(done)
        stage = StageRun(self.name, Verdict.NONE, 0.25, -1.0, 1.0, certified=False)
        return Answer(
            sha256=hashlib.sha256(picture).hexdigest(), probability=0.25, verdict=Verdict.NONE, logit=-1.0,
            certified=False, stages=(stage,), reason=None, degraded=False, bundle=self.identity, latency_ms=1.0,
        )  # fmt: skip

    async def _serve(self):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # who comes at the same moment is in the first run
        while self.waiting:
            self.running, self.waiting = self.waiting[: self.run], self.waiting[self.run :]
            spread = self.random.lognormvariate(0.0, self.noise) if self.noise else 1.0
            await asyncio.sleep(self.each_s * len(self.running) * spread * self.factor(loop.time() - 1000.0))
            for done in self.running:
                if not done.done():
                    done.set_result(None)
            self.running = []


@dataclass
class Outcome:
    """What one caller got: the name of the model, or the error's; and after how long."""

    what: str
    seconds: float
    stake: float
    answer: Answer | None = None


async def ask(lanes, name="picture", stake=0.0, *, within_s=PROMISED_S, after_s=0.0):
    loop = asyncio.get_running_loop()
    await asyncio.sleep(after_s)
    STAKE.set(stake)
    begun = loop.time()
    try:
        deadline_s = None if within_s is None else begun + within_s
        answer = await lanes.answer(str(name).encode(), deadline_s=deadline_s)
    except (InferenceError, DataError) as error:
        return Outcome(type(error).__name__, loop.time() - begun, stake)
    return Outcome(answer.stages[-1].name, loop.time() - begun, stake, answer)


def model(network, *, measured=True, breaker=None):
    times = tuple((size, size * network.each_s) for size in range(1, network.run + 1)) if measured else ()
    loop = asyncio.get_running_loop()
    return Model(
        network.name, network, network.run, times, breaker or CircuitBreaker(clock=loop.time, reset_s=30.0)
    )


def lanes_of(large, small=None, *, measured=True, **settings):
    return Lanes(
        model(large, measured=measured),
        None if small is None else model(small, measured=measured),
        LaneSettings(**settings),
        clock=asyncio.get_running_loop().time,
    )


@pytest.fixture
def run():
    """Run a coroutine on a loop of its own whose time jumps."""

    def go(coroutine):
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            return runner.run(coroutine)

    return go


def places(*networks):
    """How many pictures they can be done with in the time that a caller has, kept margin included."""
    return sum(int((PROMISED_S - KEPT_S) / network.each_s) for network in networks)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("small_s", [None, 0.2, 0.01], ids=["no small", "slow small", "quick small"])
@pytest.mark.parametrize("size", [1, 4], ids=["one at a time", "four at a time"])
def test_three_times_what_the_large_model_can_do(run, seed, small_s, size):
    async def scenario():
        networks = [Network("large", 0.28, size)] + ([Network("small", small_s, size)] if small_s else [])
        draw = random.Random(seed)
        lanes = lanes_of(*networks)
        asked = [ask(lanes, i, draw.choice([1, 9, 99]), after_s=draw.uniform(0, 0.3)) for i in range(64)]
        outcomes = await asyncio.gather(*asked)
        return outcomes, networks, lanes

    outcomes, networks, lanes = run(scenario())
    answered = [one for one in outcomes if one.answer]
    assert len(answered) >= 0.95 * min(64, places(*networks))
    assert max(one.seconds for one in outcomes) <= PROMISED_S - KEPT_S + 1e-6
    refused = [one for one in outcomes if not one.answer]
    assert {one.what for one in refused} <= {"Overloaded"}
    if len(refused) > 20:
        assert sorted(one.seconds for one in refused)[len(refused) // 2] < 0.5
    assert lanes.depth == 0
    stakes = {stake: [one for one in outcomes if one.stake == stake] for stake in (1, 9, 99)}
    shares = [sum(1 for one in stakes[stake] if one.answer) / len(stakes[stake]) for stake in (1, 9, 99)]
    assert shares[2] == max(shares)  # not all in order: who came a moment before the others was served before
    large = [
        sum(1 for one in stakes[stake] if one.what == "large") / len(stakes[stake]) for stake in (1, 9, 99)
    ]
    assert large[2] >= max(large)


@pytest.mark.parametrize("seed", range(4))
def test_runs_of_uneven_length_cost_little(run, seed):
    async def scenario():
        networks = [
            Network("large", 0.28, noise=0.2, seed=seed),
            Network("small", 0.2, noise=0.2, seed=seed + 9),
        ]
        lanes = lanes_of(*networks)
        return await asyncio.gather(*(ask(lanes, i) for i in range(64))), networks

    outcomes, networks = run(scenario())
    assert sum(1 for one in outcomes if one.answer) >= 0.9 * places(*networks)
    assert max(one.seconds for one in outcomes) <= PROMISED_S


def test_nothing_need_be_known_beforehand(run):
    async def scenario():
        networks = [Network("large", 0.28), Network("small", 0.2)]
        lanes = lanes_of(*networks, measured=False)
        return await asyncio.gather(*(ask(lanes, i) for i in range(64))), networks

    outcomes, networks = run(scenario())
    assert sum(1 for one in outcomes if one.answer) >= 0.95 * places(*networks)


def test_ten_at_once_all_get_the_large_model_where_it_is_quick_enough(run):
    async def scenario():
        lanes = lanes_of(Network("large", 0.3), Network("small", 0.01))
        return await asyncio.gather(*(ask(lanes, i) for i in range(10)))

    assert {one.what for one in run(scenario())} == {"large"}


def test_a_large_model_that_gets_slower_while_they_wait_loses_nobody(run):
    async def scenario():
        large = Network("large", 0.28, factor=lambda since_s: 5.0 if since_s > 1.0 else 1.0)
        lanes = lanes_of(large, Network("small", 0.05))
        return await asyncio.gather(*(ask(lanes, i) for i in range(64)))

    outcomes = run(scenario())
    assert {one.what for one in outcomes} == {"large", "small"}
    assert max(one.seconds for one in outcomes) <= PROMISED_S - KEPT_S


def test_what_the_large_model_holds_up_is_asked_of_the_small_one_in_time_and_taken_back(run):
    async def scenario():
        large, small = Network("large", 0.3, factor=lambda _: 1e6), Network("small", 0.1)
        lanes = lanes_of(large, small)
        outcomes = await asyncio.gather(*(ask(lanes, i) for i in range(3)))
        return outcomes, large, small

    outcomes, large, small = run(scenario())
    assert [one.what for one in outcomes] == ["small"] * 3
    assert max(one.seconds for one in outcomes) <= PROMISED_S - KEPT_S
    assert len(large.asked) == large.cancelled > 0
    held_up = [one.answer for one in outcomes if len(one.answer.stages) == 2]
    assert held_up
    for answer in held_up:
        assert answer.degraded
        assert "late" in answer.reason
        assert answer.stages[0].error == "'small' answered before."
        assert answer.stages[0].latency_ms <= answer.latency_ms
    assert small.cancelled == 0


def test_a_large_model_that_hangs_is_not_asked_by_those_who_come_later(run):
    async def scenario():
        large, small = Network("large", 0.3, factor=lambda _: 1e6), Network("small", 0.1)
        lanes = lanes_of(large, small)
        await ask(lanes, "first")
        asked = len(large.asked)
        later = [await ask(lanes, i, within_s=3.0) for i in range(3)]
        return asked, len(large.asked), later

    first, after, later = run(scenario())
    assert first == 1
    assert after <= 2
    assert {one.what for one in later} == {"small"}


def test_a_large_model_that_hangs_again_and_again_is_left_alone(run):
    async def scenario():
        large, small = Network("large", 0.3, factor=lambda _: 1e6), Network("small", 0.1)
        lanes = lanes_of(large, small)
        outcomes = []
        while lanes.stage_states()["large"] is BreakerState.CLOSED and len(outcomes) < 100:
            if outcomes:
                await asyncio.sleep(120.0)  # until it is given another chance
            outcomes.append(await ask(lanes, len(outcomes)))
            large.server.cancel()
        return outcomes, await ask(lanes)

    outcomes, last = run(scenario())
    assert 5 <= len(outcomes) < 100
    assert {one.what for one in outcomes} == {"small"}
    assert last.seconds < 0.2


def test_callers_who_leave_a_quick_model_are_not_its_failures(run):
    async def scenario():
        large = Network(
            "large", 0.001, factor=lambda _: 100.0
        )  # held up by something else for a tenth of a second
        lanes = lanes_of(large)
        for _ in range(8):
            task = asyncio.create_task(ask(lanes, within_s=None))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.sleep(0.1)
        return len(large.asked), lanes.stage_states()["large"]

    assert run(scenario()) == (8, BreakerState.CLOSED)


@pytest.mark.parametrize("measured", [True, False])
def test_an_expectation_that_is_too_high_is_forgotten(run, measured):
    async def scenario():
        large = Network("large", 0.3, factor=lambda since_s: 1e6 if since_s < 5.0 else 1.0)
        lanes = lanes_of(large, Network("small", 0.1), measured=measured)
        await ask(lanes)
        large.server.cancel()
        found = []
        for _ in range(12):
            await asyncio.sleep(60.0)
            found.append((await ask(lanes)).what)
        return found

    assert run(scenario())[-1] == "large"


def test_only_two_runs_are_inside_so_a_higher_stake_overtakes(run):
    async def scenario():
        large = Network("large", 0.2, run=2)
        lanes = lanes_of(large)
        order = []

        async def one(name, stake, after_s=0.0):
            await ask(lanes, name, stake, after_s=after_s)
            order.append(name)

        await asyncio.gather(*(one(f"low {i}", 1.0) for i in range(12)), one("high", 9.0, after_s=0.1))
        return order, large

    order, large = run(scenario())
    assert large.most_inside == 4
    assert order.index("high") < 6


def test_a_caller_who_goes_away_costs_nothing_more(run):
    async def scenario():
        large = Network("large", 1.0)
        lanes = lanes_of(large)
        tasks = [asyncio.create_task(ask(lanes, i, within_s=None)) for i in range(6)]
        await asyncio.sleep(0.5)
        for task in tasks[:5]:
            task.cancel()
        last = await tasks[5]
        await asyncio.gather(*tasks[:5], return_exceptions=True)
        return last, large, lanes

    last, large, lanes = run(scenario())
    assert last.what == "large"
    assert last.seconds == pytest.approx(2.0)  # the run that had begun, and its own
    assert len(large.asked) == 3
    assert lanes.depth == 0


def test_a_task_that_is_cancelled_before_its_first_step_gives_its_place_back(run):
    async def scenario():
        large = Network("large", 0.1)
        lanes = lanes_of(large)
        for _ in range(5):
            task = asyncio.create_task(ask(lanes, within_s=None))
            await asyncio.sleep(0)
            while not lanes._large._inside:
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return await ask(lanes), lanes._large.room

    outcome, room = run(scenario())
    assert outcome.what == "large"
    assert room == 2


def test_a_large_model_that_fails_is_left_alone_and_comes_back(run):
    async def scenario():
        large, small = Network("large"), Network("small")
        lanes = lanes_of(large, small)
        large.error = InferenceError("no numbers")
        outcomes = [await ask(lanes, i) for i in range(8)]
        states = [lanes.stage_states()]
        large.error = None
        await asyncio.sleep(31.0)
        states.append(lanes.stage_states())
        back = await asyncio.gather(*(ask(lanes, i) for i in range(4)))
        states.append(lanes.stage_states())
        return outcomes, states, back, large, lanes

    outcomes, states, back, large, lanes = run(scenario())
    assert [one.what for one in outcomes] == ["small"] * 8
    assert outcomes[0].answer.stages[0] == StageRun("large", None, None, None, 0.0, False, "no numbers")
    assert len(large.asked) == 5 + sum(one.what == "large" for one in back)
    assert [state["large"] for state in states] == [
        BreakerState.OPEN,
        BreakerState.HALF_OPEN,
        BreakerState.CLOSED,
    ]
    assert sorted(one.what for one in back)[0] == "large"
    assert lanes.available


def test_a_model_of_someone_elses_code_may_raise_anything(run, caplog):
    async def scenario():
        large = Network("large")
        large.error = RuntimeError("a library's own")
        return await ask(lanes_of(large, Network("small")))

    outcome = run(scenario())
    assert outcome.what == "small"
    assert "RuntimeError" in outcome.answer.stages[0].error
    assert "library's own" not in outcome.answer.stages[0].error
    assert "model_failed" in caplog.text


def test_a_small_model_that_fails_leaves_its_requests_to_the_large_one_where_it_can(run):
    async def scenario():
        large, small = Network("large", 2.0), Network("small")
        small.error = InferenceError("no numbers")
        lanes = lanes_of(large, small)
        return await asyncio.gather(*(ask(lanes, i) for i in range(6)))

    found = Counter(one.what for one in run(scenario()))
    assert found == {"large": 2, "InferenceError": 4}


def test_where_both_fail_the_caller_is_told_at_once(run):
    async def scenario():
        large, small = Network("large"), Network("small")
        large.error, small.error = InferenceError("one"), ModelUnavailable("two")
        lanes = lanes_of(large, small)
        failing = [await ask(lanes, i) for i in range(6)]
        return failing, lanes

    failing, lanes = run(scenario())
    assert {one.what for one in failing} == {"ModelUnavailable"}
    assert max(one.seconds for one in failing) < 0.1
    assert not lanes.available


def test_those_who_wait_when_the_last_model_goes_out_are_told_at_once(run):
    async def scenario():
        large = Network("large", 0.5)
        lanes = lanes_of(large)

        async def fail():
            await asyncio.sleep(0.2)
            large.error = InferenceError("no numbers")
            lanes._large.model.breaker._limit = 1

        outcomes = await asyncio.gather(*(ask(lanes, i) for i in range(6)), fail())
        return outcomes[:6]

    outcomes = run(scenario())
    assert Counter(one.what for one in outcomes) == {"large": 2, "InferenceError": 1, "ModelUnavailable": 3}
    assert max(one.seconds for one in outcomes) < 1.5


def test_a_large_model_that_is_out_is_a_concern_until_it_is_back(run):
    async def scenario():
        large, small = Network("large"), Network("small")
        lanes = lanes_of(large, small)
        assert isinstance(lanes, Staged)
        found = [models_finding(lanes.stage_states())]
        large.error = InferenceError("no numbers")
        for n in range(8):
            await ask(lanes, n)
        found.append(models_finding(lanes.stage_states()))
        large.error = None
        await asyncio.sleep(61.0)
        found.append(models_finding(lanes.stage_states()))  # on trial
        await ask(lanes)
        found.append(models_finding(lanes.stage_states()))
        large.died.set()
        found.append(models_finding(lanes.stage_states()))
        return found

    whole, failed, on_trial, back, dead = run(scenario())
    assert whole is back is None
    assert failed.grade == on_trial.grade == dead.grade == "large"
    assert "the small one goes on answering alone" in failed.message


def test_what_is_no_picture_is_its_callers_error_alone(run):
    async def scenario():
        large, small = Network("large"), Network("small")
        large.error = DataError("no picture")
        lanes = lanes_of(large, small)
        outcomes = [await ask(lanes, i) for i in range(9)]
        return outcomes, small, lanes

    outcomes, small, lanes = run(scenario())
    assert {one.what for one in outcomes} == {"DataError"}
    assert not small.asked
    assert lanes.stage_states()["large"] is BreakerState.CLOSED


@pytest.mark.parametrize("error", [Overloaded("full"), DeadlineExceeded("late")])
def test_a_model_that_has_no_time_leaves_the_request_to_the_other_and_is_not_blamed(run, error):
    async def scenario():
        large = Network("large")
        large.error = error
        lanes = lanes_of(large, Network("small"))
        return [await ask(lanes, i) for i in range(9)], lanes

    outcomes, lanes = run(scenario())
    assert {one.what for one in outcomes} == {"small"}
    assert lanes.stage_states()["large"] is BreakerState.CLOSED


def test_dead_is_who_has_no_model_left(run):
    async def scenario():
        large, small = Network("large"), Network("small")
        lanes = lanes_of(large, small)
        waiting = asyncio.create_task(lanes.wait_dead())
        large.died.set()
        only_small = [await ask(lanes, i) for i in range(2)]
        seen = [(lanes.dead, lanes.available, waiting.done(), lanes.stage_states()["large"])]
        small.died.set()
        await waiting
        seen.append((lanes.dead, lanes.available, waiting.done(), lanes.stage_states()["small"]))
        return only_small, seen, await ask(lanes), large

    only_small, seen, last, large = run(scenario())
    assert {one.what for one in only_small} == {"small"}
    assert not large.asked
    assert seen == [(False, True, False, BreakerState.OPEN), (True, False, True, BreakerState.OPEN)]
    assert last.what == "ModelUnavailable"


def test_the_room_is_bounded_and_the_lowest_makes_place(run):
    async def scenario():
        lanes = lanes_of(Network("large", 1.0), waiting=3)
        names = [("a", 5.0), ("b", 5.0), ("c", 2.0), ("d", 1.0), ("e", 3.0), ("f", 4.0), ("g", 1.0)]
        tasks = {}
        for name, stake in names:
            tasks[name] = asyncio.create_task(ask(lanes, name, stake, within_s=None))
            await asyncio.sleep(0.01)
        return {name: (await task).what for name, task in tasks.items()}

    found = run(scenario())
    assert {name for name, what in found.items() if what == "Overloaded"} == {"d", "g"}


def test_the_margin_is_taken_off_what_a_model_is_given(run):
    async def scenario():
        large = Network("large")
        lanes = lanes_of(large, margin_s=0.5)
        now = asyncio.get_running_loop().time()
        await ask(lanes, within_s=2.0)
        late = await ask(lanes, within_s=0.4)
        await ask(lanes, within_s=None)
        return large.deadlines, now, late

    deadlines, now, late = run(scenario())
    assert deadlines == [pytest.approx(now + 1.5), None]
    assert (late.what, late.seconds) == ("DeadlineExceeded", 0.0)


def test_a_deadline_that_nobody_can_make_is_said_at_once(run):
    async def scenario():
        lanes = lanes_of(Network("large", 3.0), Network("small", 2.0))
        await ask(lanes)
        return await ask(lanes, within_s=0.7)

    outcome = run(scenario())
    assert (outcome.what, outcome.seconds) == ("Overloaded", 0.0)


def test_equal_pictures_share_a_place_and_the_stake_goes_through_the_cache(run):
    async def scenario():
        large, small = Network("large", 2.5), Network("small", 0.1)
        lanes = lanes_of(large, small)
        cache = AnswerCache(1 << 20)

        async def through(key, stake):
            STAKE.set(stake)
            deadline_s = asyncio.get_running_loop().time() + PROMISED_S
            return await cache.get_or_compute(key, lambda: lanes.answer(key.encode(), deadline_s=deadline_s))

        keys = [("x", 1.0), ("y", 1.0), ("z", 9.0), ("z", 9.0), ("w", 8.0)]
        answers = await asyncio.gather(*(through(key, stake) for key, stake in keys))
        again = await asyncio.gather(*(through(key, 0.0) for key in ("x", "z")))
        return [answer.stages[-1].name for answer in answers], [answer.cached for answer in again], large

    names, cached, large = run(scenario())
    assert names == ["small", "small", "large", "large", "large"]
    assert cached == [False, True]  # what the small model said is not kept
    assert large.asked[:2] == [b"z", b"w"]


@pytest.mark.parametrize("stake", [float("nan"), float("inf")])
def test_a_stake_that_is_no_number_ranks_as_none(run, stake):
    async def scenario():
        lanes = lanes_of(Network("large", 2.5))
        return await asyncio.gather(ask(lanes, 0, stake), ask(lanes, 1, 1.0), ask(lanes, 2, 1.0))

    assert [one.what for one in run(scenario())] == ["Overloaded", "large", "large"]


def test_closing_refuses_who_waits_and_closes_both(run):
    async def scenario():
        large, small = Network("large", 50.0), Network("small", 50.0)
        large.close_error = OSError("stuck")
        lanes = lanes_of(large, small)
        task = asyncio.create_task(ask(lanes, within_s=None))
        await asyncio.sleep(1.0)
        with pytest.raises(OSError, match="stuck"):
            await lanes.aclose()
        return await task, await ask(lanes), large, small, lanes

    outcome, after, large, small, lanes = run(scenario())
    assert (outcome.what, after.what) == ("ModelUnavailable", "ModelUnavailable")
    assert large.closed
    assert small.closed
    assert not lanes.available


def test_what_answers_names_itself(run):
    async def scenario():
        lanes = lanes_of(Network("large"), Network("small"))
        other = lanes_of(Network("large"), Network("other"))
        outcome = await ask(lanes, "a picture")
        return lanes.identity, other.identity, outcome.answer

    identity, other, answer = run(scenario())
    assert len(identity) == 64
    assert identity != other
    assert answer.bundle == identity
    assert answer.sha256 == hashlib.sha256(b"a picture").hexdigest()
    assert answer.latency_ms == pytest.approx(100.0)
    assert (answer.degraded, answer.reason) == (False, None)


def test_models_and_settings_that_make_no_sense_are_refused(run):
    async def scenario():
        with pytest.raises(ConfigError, match="both are called 'large'"):
            lanes_of(Network("large"), Network("large"))

    run(scenario())
    for wrong in ({"waiting": 0}, {"margin_s": -0.1}, {"tick_s": 0.0}):
        with pytest.raises(ConfigError, match="LaneSettings"):
            LaneSettings(**wrong)
    with pytest.raises(ConfigError, match="at least 1 picture"):
        Model("large", None, run=0)
