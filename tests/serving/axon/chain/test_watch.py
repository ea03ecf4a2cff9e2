from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workzone.core.errors import ConfigError
from workzone.serving.axon.address import Address
from workzone.serving.axon.chain.chain import THE_CHAIN, ChainState, ChainUnavailable
from workzone.serving.axon.chain.neurons import Neuron, Neurons
from workzone.serving.axon.chain.watch import ChainWatch, WatchSettings
from workzone.serving.axon.health.concerns import Concern, Concerns
from workzone.serving.logs import PERFORMANCE

OURS, OTHER = Address("198.51.100.7", 8091), Address("198.51.100.7", 8092)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
SETTINGS = WatchSettings(resync_s=600.0, timeout_s=30.0, retry_s=5.0)


def state(block: int = 1, *, uid: int | None = 3, announced: Address | None = OURS) -> ChainState:
    neurons = Neurons.of(block, NOW, [Neuron(3, "5Ours", 0.0, False), Neuron(0, "5Validator", 9.0, True)])
    return ChainState(neurons, own_uid=uid, announced=announced)


class FakeChain:
    """Does at each look what comes next; remembers what was announced."""

    source = THE_CHAIN

    def __init__(self, *looks: ChainState | BaseException | Callable[[], ChainState]) -> None:
        self.looks = list(looks)
        self.announced: list[Address] = []
        self.refuses: list[Exception] = []

    def fetch(self) -> ChainState:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, BaseException):
            raise look
        return look if isinstance(look, ChainState) else look()

    def announce(self, address: Address) -> None:
        if self.refuses:
            raise self.refuses.pop(0)
        self.announced.append(address)


def watch_of(
    chain: FakeChain, *, address: Address | None = OURS, settings: WatchSettings = SETTINGS
) -> tuple[ChainWatch, Concerns]:
    concerns = Concerns()
    return ChainWatch(chain, concerns, address, settings, rng=random.Random(1)), concerns


def steps(watch: ChainWatch, count: int) -> list[float]:
    async def several() -> list[float]:
        return [await watch.step() for _ in range(count)]

    return asyncio.run(several())


def test_the_table_is_there_after_the_first_look() -> None:
    watch, concerns = watch_of(FakeChain(state(41)))
    assert watch.neurons() is None
    assert watch.state is None
    (delay,) = steps(watch, 1)
    neurons = watch.neurons()
    assert neurons is not None
    assert neurons.block == 41
    assert neurons.find("5Validator") is not None
    assert 540 <= delay <= 660
    assert concerns.current == {}


def test_the_chain_away_keeps_the_last_table_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    chain = FakeChain(state(41), *[ChainUnavailable("The node of 'finney' failed: refused.")] * 9, state(50))
    watch, concerns = watch_of(chain)
    delays = steps(watch, 10)
    neurons = watch.neurons()
    assert neurons is not None
    assert neurons.block == 41
    message = concerns.current[Concern.CHAIN_AWAY].finding.message
    assert "The node of 'finney' failed: refused. The last table of neurons goes on serving" in message
    assert watch.failures == 9
    for n, delay in enumerate(delays[1:]):  # doubling from 5 s up to a resync, from the upper half
        longest = min(600.0, 5.0 * 2**n)
        assert longest / 2 <= delay <= longest
    assert len({round(delay / (5.0 * 2**n), 6) for n, delay in enumerate(delays[1:7])}) == 6  # jitter

    steps(watch, 1)
    neurons = watch.neurons()
    assert neurons is not None
    assert neurons.block == 50
    assert concerns.current == {}
    assert watch.failures == 0
    told = [record.getMessage().split(":")[0] for record in caplog.records]
    assert told == ["concern_begins", "concern_ends"]


def test_of_the_chain_it_speaks_as_of_the_chain() -> None:
    watch, concerns = watch_of(FakeChain(state(uid=None), ChainUnavailable("Away.")))
    steps(watch, 2)
    assert "--network" in concerns.current[Concern.NOT_REGISTERED].finding.message
    away = concerns.current[Concern.CHAIN_AWAY].finding.message
    assert away.startswith("The chain can't be read: Away. ")
    assert "and the chain is tried again" in away


def test_away_from_the_start_there_is_no_table() -> None:
    watch, concerns = watch_of(FakeChain(ChainUnavailable("Away.")))
    steps(watch, 3)
    assert watch.neurons() is None
    assert "without one, every caller is refused" in concerns.current[Concern.CHAIN_AWAY].finding.message


def test_hung_looks_do_not_pile_up_and_the_loop_goes_on() -> None:
    release, began = threading.Event(), []

    def hang() -> ChainState:
        began.append(threading.get_ident())
        release.wait()
        return state(99)

    chain = FakeChain(state(41), hang)
    watch, concerns = watch_of(chain, settings=WatchSettings(timeout_s=0.001))

    async def scenario() -> None:
        watch_slow = ChainWatch(chain, concerns, OURS, SETTINGS)
        await watch_slow.step()
        for _ in range(10):
            await watch.step()
        while len(began) < 3:  # a thread begins when the machine likes
            await asyncio.sleep(0)
        assert len(began) == 3  # and no further ones
        message = concerns.current[Concern.CHAIN_AWAY].finding.message
        assert "3 earlier calls" in message
        assert "only a restart of the miner mends it" in message
        release.set()
        chain.looks = [state(100)]
        while watch.neurons() is None:
            await watch.step()

    asyncio.run(scenario())
    neurons = watch.neurons()
    assert neurons is not None
    assert neurons.block == 100
    assert Concern.CHAIN_AWAY not in concerns.current


def test_an_unexpected_error_is_a_concern_with_one_traceback(caplog: pytest.LogCaptureFixture) -> None:
    watch, concerns = watch_of(FakeChain(ZeroDivisionError("division by zero")))
    steps(watch, 4)
    assert "division by zero" in concerns.current[Concern.CHAIN_AWAY].finding.message
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_a_table_without_neurons_is_not_taken() -> None:
    empty = ChainState(Neurons.of(42, NOW, []), own_uid=None)
    watch, concerns = watch_of(FakeChain(state(41), empty))
    steps(watch, 2)
    neurons = watch.neurons()
    assert neurons is not None
    assert neurons.block == 41
    assert "names no neuron at all" in concerns.current[Concern.CHAIN_AWAY].finding.message


def test_what_the_chain_knows_is_not_announced_again() -> None:
    chain = FakeChain(state(announced=OURS))
    watch, _ = watch_of(chain)
    steps(watch, 5)
    assert chain.announced == []


@pytest.mark.parametrize("before", [None, OTHER, Address("198.51.100.8", 8091)])
def test_a_changed_address_is_announced_once(
    before: Address | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", PERFORMANCE)
    chain = FakeChain(state(1, announced=before), state(2, announced=OURS))
    watch, concerns = watch_of(chain)
    steps(watch, 4)
    assert chain.announced == [OURS]
    assert concerns.current == {}
    (news,) = [record for record in caplog.records if record.getMessage() == "announced"]
    assert vars(news)["address"] == "198.51.100.7:8091"


def test_without_an_address_nothing_is_announced() -> None:
    chain = FakeChain(state(announced=OTHER))
    watch, concerns = watch_of(chain, address=None)
    steps(watch, 2)
    assert chain.announced == []
    assert concerns.current == {}


def test_unregistered_is_a_concern_and_announces_nothing() -> None:
    chain = FakeChain(state(uid=None, announced=None), state(announced=None))
    watch, concerns = watch_of(chain)
    steps(watch, 1)
    assert chain.announced == []
    assert "not registered" in concerns.current[Concern.NOT_REGISTERED].finding.message
    assert watch.neurons() is not None  # others are served all the same
    steps(watch, 1)
    assert chain.announced == [OURS]
    assert concerns.current == {}


def test_an_announcement_that_fails_is_tried_again_with_the_table_fresh() -> None:
    chain = FakeChain(state(1, announced=OTHER), state(2, announced=OTHER))
    chain.refuses = [ChainUnavailable("The chain refused the address: ServingRateLimitExceeded.")] * 2
    watch, concerns = watch_of(chain)
    first, second = steps(watch, 2)
    assert 2.5 <= first <= 5
    assert 5 <= second <= 10
    neurons = watch.neurons()
    assert neurons is not None
    assert neurons.block == 2
    message = concerns.current[Concern.NOT_ANNOUNCED].finding.message
    assert "ServingRateLimitExceeded" in message
    assert "(the chain has 198.51.100.7:8092)" in message
    assert list(concerns.current) == [Concern.NOT_ANNOUNCED]
    steps(watch, 1)
    assert chain.announced == [OURS]
    assert concerns.current == {}
    assert watch.failures == 0


def test_a_hung_announcement_is_given_up() -> None:
    release = threading.Event()

    class Hanging(FakeChain):
        def announce(self, address: Address) -> None:
            release.wait()

    watch, concerns = watch_of(
        Hanging(state(announced=None)), settings=WatchSettings(timeout_s=30.0, announce_timeout_s=0.001)
    )
    steps(watch, 1)
    release.set()
    assert "no answer in time" in concerns.current[Concern.NOT_ANNOUNCED].finding.message


def test_run_goes_on_until_cancelled() -> None:
    slept: list[float] = []

    async def scenario() -> None:
        done = asyncio.Event()

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                done.set()
                await asyncio.Event().wait()

        chain = FakeChain(ChainUnavailable("Away."), state(1), ChainUnavailable("Away."), state(2))
        watch = ChainWatch(chain, Concerns(), OURS, SETTINGS, sleep=sleep)
        task = asyncio.create_task(watch.run())
        await done.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert slept[0] <= 5
    assert slept[1] >= 540
    assert slept[2] <= 5


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["good", "away", "wrong", "empty", "refuse"]), min_size=1, max_size=12),
    st.randoms(),
)
def test_whatever_happens_the_newest_good_table_serves_and_concerns_match(
    events: list[str], rng: random.Random
) -> None:
    newest, told_right, concerns = None, True, Concerns()
    chain = FakeChain(state())
    watch = ChainWatch(chain, concerns, OURS, SETTINGS, rng=rng)

    async def scenario() -> None:
        nonlocal newest, told_right
        for block, event in enumerate(events, start=1):
            known: dict[str, ChainState | BaseException] = {
                "good": state(block),
                "away": ChainUnavailable("Away."),
                "wrong": RuntimeError("odd"),
                "empty": ChainState(Neurons.of(block, NOW, [])),
                "refuse": state(block, announced=OTHER),
            }
            chain.looks = [known[event]]
            chain.refuses = [ChainUnavailable("No.")] if event == "refuse" else []
            delay = await watch.step()
            assert 0 < delay <= 660
            if event in {"good", "refuse"}:
                newest, told_right = block, event == "good"
            neurons = watch.neurons()
            assert (None if neurons is None else neurons.block) == newest
            assert (Concern.CHAIN_AWAY in concerns.current) == (event in {"away", "wrong", "empty"})
            assert (Concern.NOT_ANNOUNCED in concerns.current) == (not told_right)

    asyncio.run(scenario())
    assert chain.announced == []


@pytest.mark.parametrize("bad", [{"resync_s": 0.0}, {"timeout_s": -1.0}, {"retry_s": float("inf")}])
def test_times_that_are_none_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="positive"):
        WatchSettings(**bad)
