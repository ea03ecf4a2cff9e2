from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from workzone.core.errors import ConfigError
from workzone.serving.axon.address import Address
from workzone.serving.axon.chain.chain import THE_CHAIN, ChainState, ChainUnavailable
from workzone.serving.axon.chain.neurons import Neuron, Neurons
from workzone.serving.axon.chain.watch import ChainWatch
from workzone.serving.axon.guard.challenge import AxonObserver
from workzone.serving.axon.guard.refusals import Refusal
from workzone.serving.axon.health.concerns import Concern, Concerns
from workzone.serving.axon.health.health import Clocks, HealthSettings, MinerHealth
from workzone.serving.axon.health.health_metrics import HealthCollector
from workzone.serving.axon.health.report import miner_reply
from workzone.serving.logs import PERFORMANCE

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
OURS = Address("198.51.100.7", 8091)


@dataclass
class World:
    """All a miner's health depends on, to be changed by a test."""

    seconds: float = 0.0
    state: ChainState | None = None
    submitted: datetime | None = START
    halted: str | None = None
    closed: bool = False
    broken: bool = False
    models: dict[str, str] = field(default_factory=lambda: {"large": "closed", "small": "closed"})
    tried: int = 0
    today: list[date] = field(default_factory=list)

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    source = THE_CHAIN

    def fetch(self) -> ChainState:
        if self.state is None:
            raise ChainUnavailable("Away.")
        return self.state

    def announce(self, address: Address) -> None:
        raise AssertionError

    async def connect(self, address: Address) -> None:
        self.tried += 1
        if self.closed:
            raise ConnectionRefusedError(111, "Connection refused")

    def halted_on(self, day: date) -> str | None:
        self.today.append(day)
        if self.broken:
            raise ZeroDivisionError
        return self.halted

    def good(self, **changes: object) -> ChainState:
        neurons = Neurons.of(41, self.now(), [Neuron(3, "5Ours", 0.0, False), Neuron(0, "5Val", 9.0, True)])
        state = ChainState(
            neurons,
            own_uid=3,
            announced=OURS,
            burnt_share=0.0,
            block_time=self.now(),
            block_read_at=self.now(),
        )
        return replace(state, **changes)  # type: ignore[arg-type]


def health_of(world: World, settings: HealthSettings = HealthSettings()) -> MinerHealth:
    concerns = Concerns(world.now)
    return MinerHealth(
        ChainWatch(world, concerns, OURS, rng=random.Random(1)),
        concerns,
        address=OURS,
        submitted=world.submitted,
        halted_profile=world.halted_on,
        stage_states=lambda: world.models,
        settings=settings,
        clocks=Clocks(world.now, lambda: world.seconds),
        connect=world.connect,
    )


def step(health: MinerHealth) -> None:
    asyncio.run(health.watch.step())
    health.look()


def test_a_miner_that_fares_well_has_no_concern() -> None:
    world = World()
    health = health_of(world)
    health.look()  # before the first look at the chain is over
    world.state = world.good()
    step(health)
    world.seconds = 60.0
    asyncio.run(health.try_port())
    assert world.tried == 1
    assert health.concerns.current == {}
    assert world.today[-1] == date(2026, 5, 1)
    assert isinstance(health, AxonObserver)


def plant_stale(world: World) -> None:
    world.state = None
    world.seconds = 3600.0


def plant_skew(world: World) -> None:
    world.state = world.good(block_time=world.now() - timedelta(seconds=72))


def plant_burning(world: World) -> None:
    world.state = world.good(burnt_share=1.0)


def plant_halt(world: World) -> None:
    world.halted = "halted"


def plant_silence(world: World) -> None:
    world.seconds = 3 * 3600.0
    world.state = world.good()


def plant_age(world: World) -> None:
    world.seconds = 45 * 86_400.0
    world.state = world.good()


def plant_failures(world: World) -> None:
    world.models = {"large": "open", "small": "closed"}


def plant_loss(world: World) -> None:
    world.state = world.good(own_uid=None)


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (plant_stale, {Concern.NEURONS_STALE, Concern.CHAIN_AWAY}),
        (plant_skew, {Concern.CLOCK_SKEW}),
        (plant_burning, {Concern.BURNT}),
        (plant_halt, {Concern.HALTED}),
        (plant_silence, {Concern.NO_CHALLENGES}),
        (plant_age, {Concern.MODEL_AGE, Concern.NO_CHALLENGES}),
        (plant_loss, {Concern.NOT_REGISTERED}),
        (plant_failures, {Concern.MODEL_OUT}),
    ],
)
def test_each_fault_is_seen_told_once_and_over_when_it_is_mended(
    plant: Callable[[World], None], expected: set[Concern], caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.state = world.good()
    health = health_of(world)
    step(health)
    plant(world)
    for _ in range(50):
        step(health)
    assert set(health.concerns.current) == expected
    assert health.watch.neurons() is not None  # whatever it is, callers are still known
    told = [record.getMessage().split(":")[0] for record in caplog.records]
    assert told == ["concern_begins"] * len(expected)

    world.halted = None
    world.models = {"large": "closed", "small": "closed"}
    world.state = world.good()
    if Concern.NO_CHALLENGES in expected:
        health.answered(0.5)
    step(health)
    assert set(health.concerns.current) == expected & {Concern.MODEL_AGE}  # what only a new model mends


def test_a_table_that_never_came_is_a_concern_once_the_first_look_failed() -> None:
    world = World()
    health = health_of(world)
    health.look()
    assert health.concerns.current == {}
    step(health)
    assert set(health.concerns.current) == {Concern.CHAIN_AWAY, Concern.NEURONS_STALE}


def test_refusals_are_no_challenges() -> None:
    world = World()
    world.state = world.good()
    health = health_of(world)
    for hour in range(4):
        world.seconds = hour * 3600.0
        world.state = world.good()
        health.refused(Refusal.UNKNOWN)
        step(health)
    assert Concern.NO_CHALLENGES in health.concerns.current
    assert "since the start" in health.concerns.current[Concern.NO_CHALLENGES].finding.message
    health.unanswered(6.0)  # late, and yet a challenge
    health.look()
    assert Concern.NO_CHALLENGES not in health.concerns.current


def test_callers_clocks_count_for_a_quarter_of_an_hour() -> None:
    world = World()
    world.state = world.good()
    health = health_of(world)
    for n in range(3):
        health.verified(f"5Caller{n}", 9.0 + n)
    step(health)
    assert "10 s ahead of those of 3 callers" in health.concerns.current[Concern.CLOCK_SKEW].finding.message
    world.seconds = 901.0
    health.look()
    assert Concern.CLOCK_SKEW not in health.concerns.current


def refuse(health: MinerHealth, why: Refusal) -> None:
    for _ in range(3):
        health.refused(why)


def lagging(world: World, lag_s: float) -> ChainState:
    return world.good(block_time=world.now() - timedelta(seconds=lag_s))


def test_requests_refused_as_too_old_point_at_our_clock() -> None:
    world = World()
    world.state = lagging(world, 20.0)
    health = health_of(world)
    refuse(health, Refusal.STALE_NONCE)
    step(health)
    assert "may be ahead" in health.concerns.current[Concern.CLOCK_SKEW].finding.message
    health.verified("5Caller", 0.4)
    health.look()
    assert Concern.CLOCK_SKEW not in health.concerns.current


def test_requests_from_the_future_say_nothing_of_a_clock_that_is_ahead() -> None:
    world = World()
    world.state = lagging(world, 20.0)
    health = health_of(world)
    refuse(health, Refusal.FUTURE_NONCE)
    step(health)
    assert health.concerns.current == {}
    assert health.refusals == {"future_nonce": 3}


def test_a_stranger_can_not_raise_a_concern_on_a_clock_that_the_chain_finds_right() -> None:
    world = World()
    world.state = lagging(world, 3.0)
    health = health_of(world)
    refuse(health, Refusal.STALE_NONCE)
    step(health)
    assert health.concerns.current == {}


def test_refusals_do_not_turn_the_chains_word_round() -> None:
    world = World()
    world.state = lagging(world, -900.0)  # a quarter of an hour behind: all come from the future
    health = health_of(world)
    refuse(health, Refusal.STALE_NONCE)
    step(health)
    assert "at least 900 s behind" in health.concerns.current[Concern.CLOCK_SKEW].finding.message


def test_what_the_chain_said_an_hour_ago_proves_no_clock_right() -> None:
    world = World()
    world.state = lagging(world, 3.0)
    health = health_of(world)
    step(health)
    world.seconds = 3599.0
    refuse(health, Refusal.STALE_NONCE)
    health.look()
    assert Concern.CLOCK_SKEW not in health.concerns.current
    world.seconds = 3600.0
    health.look()
    assert Concern.CLOCK_SKEW in health.concerns.current


def test_a_clock_found_wrong_stays_wrong_while_the_chain_is_away() -> None:
    world = World()
    world.state = lagging(world, -900.0)
    health = health_of(world)
    step(health)
    world.seconds = 7200.0
    health.look()
    assert Concern.CLOCK_SKEW in health.concerns.current


def test_the_port_is_tried_now_and_then_and_a_challenge_proves_it_open() -> None:
    world = World(closed=True)
    world.state = world.good()
    health = health_of(world)

    async def tries(seconds: float) -> tuple[int, bool]:
        world.seconds = seconds
        await health.try_port()
        return world.tried, Concern.PORT_CLOSED in health.concerns.current

    async def scenario() -> None:
        assert await tries(59.0) == (0, False)  # nobody listens yet
        assert await tries(60.0) == (1, True)
        assert "hairpin" in health.concerns.current[Concern.PORT_CLOSED].finding.message
        assert await tries(359.0) == (1, True)
        assert await tries(360.0) == (2, True)
        health.answered(0.5)
        assert await tries(660.0) == (2, False)  # proved open without a try
        assert await tries(2459.0) == (2, False)
        assert await tries(2460.0) == (3, True)  # by now the challenge proves nothing
        world.closed = False
        assert await tries(2760.0) == (4, False)
        assert await tries(4559.0) == (4, False)
        assert await tries(4560.0) == (5, False)

    asyncio.run(scenario())


def test_a_challenge_refutes_what_is_known_of_a_halted_profile() -> None:
    world = World(halted="halted")
    world.state = world.good()
    health = health_of(world)
    step(health)
    assert Concern.HALTED in health.concerns.current
    health.answered(0.5)
    health.look()
    assert Concern.HALTED not in health.concerns.current
    world.seconds = 3 * 3600.0
    health.look()
    assert Concern.HALTED in health.concerns.current


def test_run_looks_until_cancelled_and_ends_with_the_days_summary(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", PERFORMANCE)
    world = World()
    world.state = world.good()
    health = health_of(world, HealthSettings(look_s=7.0))
    slept: list[float] = []

    async def scenario() -> None:
        done = asyncio.Event()

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            world.seconds += 10 * 3600.0  # midnight passes with the second
            if len(slept) == 3:
                done.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(health.run(sleep))
        health.answered(0.5)
        health.refused(Refusal.RATE)
        await done.wait()
        health.failed()
        health.left(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert slept == [7.0, 7.0, 7.0]
    days = [vars(record) for record in caplog.records if record.getMessage() == "miner_day"]
    assert [(day["day"], day["answered"], day["left"], day["refused"]) for day in days] == [
        ("2026-05-01", 1, 0, {"rate": 1}),
        ("2026-05-02", 0, 1, {}),
    ]


def test_a_fault_of_its_own_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    world = World(broken=True)
    world.state = world.good()
    health = health_of(world)
    looks = 0

    async def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 5:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(health.run(sleep))
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_one_fault_keeps_nothing_else_from_being_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    """Each part in turn raises at every look; all the others are told, the summary and the port too."""
    caplog.set_level("INFO", PERFORMANCE)
    judged = {
        Concern.NEURONS_STALE: "_stale", Concern.CLOCK_SKEW: "_clock", Concern.MODEL_OUT: "_stage_states",
        Concern.BURNT: "_burnt", Concern.NO_CHALLENGES: "_quiet", Concern.MODEL_AGE: "_old",
        Concern.HALTED: "_halt",
    }  # fmt: skip
    planted = {*judged, Concern.PORT_CLOSED, Concern.NOT_REGISTERED}
    for kind, part in judged.items():
        world = World(halted="halted", closed=True, models={"large": "open"})
        health = health_of(world)
        world.state = world.good(burnt_share=1.0, own_uid=None, block_time=START - timedelta(seconds=900))
        asyncio.run(health.watch.step())
        world.seconds = 45 * 86_400.0
        setattr(health, part, fail)
        caplog.clear()

        async def sleep(_: float) -> None:
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(health.run(sleep))
        assert set(health.concerns.current) == planted - {kind}
        days = [vars(record)["day"] for record in caplog.records if record.getMessage() == "miner_day"]
        assert days == ["2026-05-01", "2026-06-15"]
        assert len([record for record in caplog.records if record.exc_info]) == 1


def fail() -> None:
    raise ZeroDivisionError


def test_counts_gauges_and_concerns_are_shown() -> None:
    world = World(submitted=START - timedelta(days=60))
    world.state = world.good(burnt_share=0.25, block_time=START - timedelta(seconds=6))
    health = health_of(world)
    step(health)
    for _ in range(3):
        health.answered(0.5)
    health.unanswered(6.0)
    for _ in range(2):
        health.unreadable(0.1)
    health.failed()
    health.refused(Refusal.TOO_LARGE)
    world.seconds = 90.0

    registry = CollectorRegistry()
    registry.register(HealthCollector(health))
    text = generate_latest(registry).decode()
    shown = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    concerns = {
        labels[0]: value for (name, labels), value in shown.items() if name == "workzone_miner_concern"
    }
    assert set(concerns) == {str(kind) for kind in Concern}
    assert {name for name, value in concerns.items() if value} == {"burnt", "model_age"}
    expected = {
        ("workzone_miner_challenges_total", ("answered",)): 3,
        ("workzone_miner_challenges_total", ("late",)): 1,
        ("workzone_miner_challenges_total", ("unreadable",)): 2,
        ("workzone_miner_challenges_total", ("left",)): 0,
        ("workzone_miner_failures_total", ()): 1,
        ("workzone_miner_refused_total", ("too_large",)): 1,
        ("workzone_miner_registered", ()): 1,
        ("workzone_miner_block", ()): 41,
        ("workzone_miner_neurons", ()): 2,
        ("workzone_miner_neurons_age_seconds", ()): 90,
        ("workzone_miner_chain_failures", ()): 0,
        ("workzone_miner_burnt_share", ()): 0.25,
        ("workzone_miner_clock_lag_seconds", ()): 6,
        ("workzone_miner_last_challenge_seconds", ()): 90,
        ("workzone_miner_model_age_days", ()): 60 + 90 / 86_400,
    }
    assert {key: shown[key] for key in expected} == pytest.approx(expected)


def test_what_is_not_known_has_no_series() -> None:
    world = World(submitted=None)
    health = health_of(world)
    names = {family.name for family in HealthCollector(health).collect()}
    assert names == {
        "workzone_miner_concern",
        "workzone_miner_challenges",
        "workzone_miner_failures",
        "workzone_miner_refused",
        "workzone_miner_chain_failures",
    }


def test_readiness_needs_a_table_and_shows_the_concerns() -> None:
    world = World()
    health = health_of(world)
    before = miner_reply(health, good=True, state="ready", reason="The model answers.")
    assert not before.ready
    assert "not been read yet" in before.reason
    assert before.block is None

    world.state = world.good(burnt_share=1.0)
    step(health)
    health.answered(0.5)
    health.refused(Refusal.UNKNOWN)
    world.seconds = 10.0
    reply = miner_reply(health, good=True, state="ready", reason="The model answers.")
    body = json.loads(reply.model_dump_json())
    assert body["ready"] is True
    assert body["state"] == "ready"
    assert body["reason"] == "The model answers."
    assert (body["uid"], body["block"], body["neurons"], body["neurons_age_s"]) == (3, 41, 2, 10.0)
    assert body["last_challenge_s"] == 10.0
    assert body["challenges"]["answered"] == 1
    assert body["refused"] == {"unknown": 1}
    (concern,) = body["concerns"]
    assert concern["concern"] == "burnt"
    assert concern["since"] == "2026-05-01T12:00:00Z"
    assert "whole miners' share" in concern["message"]

    assert not miner_reply(health, good=False, state="draining", reason="Stopping.").ready


@pytest.mark.parametrize("bad", [{"look_s": 0.0}, {"stale_after_s": -1.0}, {"quiet_after_s": float("nan")}])
def test_times_that_are_none_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="positive"):
        HealthSettings(**bad)
