"""The miner as joined: who answers, what is told where there is no answer, and what its own port says."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from workzone.core.errors import ConfigError, DataError

pytest.importorskip("bittensor_wallet")


@pytest.fixture
def make_miner(people, fakes):
    """Make a miner of real parts; only the chain and the model are a test's own. Call it inside a loop."""
    from bittensor_wallet import Keypair

    from workzone.serving.axon.address import Address
    from workzone.serving.axon.chain.chain import THE_CHAIN, ChainState
    from workzone.serving.axon.chain.neurons import Neuron, Neurons
    from workzone.serving.axon.chain.watch import WatchSettings
    from workzone.serving.axon.guard.challenge import GuardSettings
    from workzone.serving.axon.health.health import HealthSettings
    from workzone.serving.axon.keys.keys import MinerKeys
    from workzone.serving.axon.miner import Location, Miner, Records

    class OneTable:
        source = THE_CHAIN

        def __init__(self) -> None:
            self.announced: list[Any] = []

        def fetch(self) -> ChainState:
            validator = Neuron(7, people.validator.ss58_address, 1000.0, permit=True)
            return ChainState(Neurons.of(5, datetime.now(UTC), [validator]), own_uid=3)

        def announce(self, address: Address) -> None:
            self.announced.append(address)

    def make(journal: Any = None, *, announce: bool = False) -> Any:
        keys = MinerKeys(people.miner, Keypair(ss58_address=people.owner.ss58_address))
        location = Location(Address("127.0.0.1", 8091), announce=announce, submitted=None)
        return Miner(
            keys,
            OneTable(),
            location,
            Records(journal=journal),
            guard=GuardSettings(),
            watch=WatchSettings(),
            health=HealthSettings(),
        )

    return make


def challenge(people, data: bytes, *, stake: float = 1.0, in_s: float = 5.0) -> Any:
    from workzone.serving.axon.guard.challenge import Challenge

    deadline_s = asyncio.get_running_loop().time() + in_s
    return Challenge(data, people.validator.ss58_address, 7, stake, deadline_s, "5" * 32)


def test_an_answer_is_told_once_it_is_on_record_under_the_callers_hotkey(make_miner, people, fakes):
    journal = fakes.FakeJournal()

    async def ask() -> float:
        miner = make_miner(journal)
        miner.service.swap(fakes.served(fakes.FakeAnswerer()))
        value = await miner.reply(challenge(people, fakes.picture()))
        await miner.service.aclose()
        return value

    assert fakes.run(ask()) == 0.97
    [record] = journal.records
    assert (record["key"], record["request_id"]) == (people.validator.ss58_address, "5" * 32)
    assert record["probability"] == 0.97


@pytest.mark.parametrize("tag", [b"busy", b"late", b"down", b"boom", b"nan"])
def test_where_there_is_no_answer_it_is_minus_one_and_on_record(make_miner, people, fakes, tag):
    journal = fakes.FakeJournal()

    async def ask() -> float:
        miner = make_miner(journal)
        miner.service.swap(fakes.served(fakes.FakeAnswerer()))
        value = await miner.reply(challenge(people, fakes.picture(tag)))
        await miner.service.aclose()
        return value

    assert fakes.run(ask()) == -1.0
    assert journal.records[0]["status"] >= 400


def test_a_picture_that_cannot_be_read_is_on_record_and_told_apart(make_miner, people, fakes):
    journal = fakes.FakeJournal()

    async def ask() -> None:
        miner = make_miner(journal)
        miner.service.swap(fakes.served(fakes.FakeAnswerer()))
        with pytest.raises(DataError):
            await miner.reply(challenge(people, fakes.picture(b"bad")))
        await miner.service.aclose()

    fakes.run(ask())
    assert (journal.records[0]["status"], journal.records[0]["error"]) == (422, "bad_picture")


def test_minus_one_while_it_starts_and_where_the_journal_is_full(make_miner, people, fakes):
    async def ask(journal: Any, *, ready: bool) -> float:
        miner = make_miner(journal)
        if ready:
            miner.service.swap(fakes.served(fakes.FakeAnswerer()))
        value = await miner.reply(challenge(people, fakes.picture()))
        await miner.service.aclose()
        return value

    assert fakes.run(ask(fakes.FakeJournal(), ready=False)) == -1.0
    assert fakes.run(ask(fakes.FakeJournal(room=0), ready=True)) == -1.0


def test_a_stake_reaches_the_models_and_one_request_s_is_not_another_s(make_miner, people, fakes):
    from workzone.serving.axon.lanes.lanes import STAKE

    seen: dict[bytes, float] = {}

    class Noting(fakes.FakeAnswerer):
        async def answer(self, data, *, deadline_s):
            await asyncio.sleep(0)
            seen[data] = STAKE.get()
            return await super().answer(data, deadline_s=deadline_s)

    async def ask() -> None:
        miner = make_miner()
        miner.service.swap(fakes.served(Noting()))
        asked = [(fakes.picture(bytes([n])), float(n)) for n in range(5)]
        await asyncio.gather(*(miner.reply(challenge(people, data, stake=stake)) for data, stake in asked))
        await miner.service.aclose()
        assert seen == dict(asked)

    fakes.run(ask())


def test_its_own_port_says_who_may_ask_only_once_that_is_known(make_miner, fakes):
    async def ask() -> list[tuple[int, Any]]:
        miner = make_miner()
        said = []

        async def look(path: str) -> None:
            reply = await fakes.call(miner.private, "GET", path)
            said.append((reply.status, json.loads(reply.body)))

        await look("/readyz")
        miner.service.swap(fakes.served(fakes.FakeAnswerer()))
        await look("/readyz")
        await look("/livez")
        await miner.watch.step()
        await look("/readyz")
        await look("/startupz")
        miner.service.fail("It broke.")
        await look("/readyz")
        await look("/livez")
        await miner.service.aclose()
        return said

    starting, no_table, alive, ready, started, failed, dead = fakes.run(ask())
    assert starting[0] == no_table[0] == failed[0] == dead[0] == 503
    assert starting[1]["ready"] is False
    assert "table of neurons" in no_table[1]["reason"]
    assert alive[0] == ready[0] == started[0] == 200
    assert (ready[1]["uid"], ready[1]["block"], ready[1]["ready"]) == (3, 5, True)


def test_its_metrics_are_the_service_s_and_the_chain_s(make_miner, people, fakes):
    async def ask() -> str:
        miner = make_miner()
        miner.service.swap(fakes.served(fakes.FakeAnswerer()))
        await miner.watch.step()
        await miner.reply(challenge(people, fakes.picture()))
        replies = [await fakes.call(miner.private, "GET", path) for path in ("/metrics", "/metrics/")]
        await miner.service.aclose()
        assert [reply.status for reply in replies] == [200, 200]
        assert len({_names(reply.body.decode()) for reply in replies}) == 1
        return replies[0].body.decode()

    said = fakes.run(ask())
    assert 'workzone_answers_total{cached="false",verdict="roadwork"} 1.0' in said
    assert "workzone_miner_block 5.0" in said
    assert 'workzone_miner_concern{concern="chain_away"} 0.0' in said
    assert 'workzone_miner_concern{concern="model_out"} 0.0' in said
    assert "workzone_requests" not in said  # there is no /v1 here


def _names(metrics: str) -> tuple[str, ...]:
    return tuple(line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE"))


def test_the_root_of_its_own_port_names_the_paths(make_miner, fakes):
    async def ask() -> Any:
        miner = make_miner()
        root = await fakes.call(miner.private, "GET", "/")
        paths = json.loads(root.body)
        said = [(await fakes.call(miner.private, "GET", path)).status for path in paths]
        other = await fakes.call(miner.private, "GET", "/metrics/x")
        await miner.service.aclose()
        return root.status, paths, said, other.status

    status, paths, said, other = fakes.run(ask())
    assert (status, paths) == (200, ["/livez", "/readyz", "/startupz", "/metrics"])
    assert said == [200, 503, 503, 200]  # it has not started
    assert other == 404


def test_a_model_that_is_out_is_a_concern(make_miner, fakes):
    from workzone.serving.axon.health.concerns import Concern

    async def ask() -> list[str | None]:
        miner = make_miner()
        said = []

        def look() -> None:
            miner.health.look()
            concern = miner.health.concerns.current.get(Concern.MODEL_OUT)
            said.append(None if concern is None else concern.finding.message)

        look()  # no model yet
        miner.service.swap(fakes.served(fakes.FakeAnswerer()))
        look()
        await miner.service.aclose()
        return said

    before, after = fakes.run(ask())
    assert before is None
    assert "The second model is out" in after


def test_an_address_is_announced_where_it_is_to_be(make_miner, fakes):
    async def ask(*, announce: bool) -> list[Any]:
        miner = make_miner(announce=announce)
        chain = miner.watch._chain
        chain.announced.clear()
        await miner.watch.step()
        await miner.service.aclose()
        return list(chain.announced)

    assert fakes.run(ask(announce=False)) == []
    assert [str(address) for address in fakes.run(ask(announce=True))] == ["127.0.0.1:8091"]


@pytest.fixture
def pointed(colour_bundle, tmp_path):
    """The colour bundle with an operating point for 2026-05 at the logit 0.5."""
    from workzone.bundle.manifest import OperatingPoint
    from workzone.bundle.operating_point import write_with_operating_point
    from workzone.bundle.reader import open_bundle

    point = OperatingPoint(profile="2026-05", threshold=0.5)
    return write_with_operating_point(
        open_bundle(colour_bundle), tmp_path / "pointed", point, card_note="A test."
    ).path


class TestWhatMayBeMined:
    def test_a_bundle_with_the_point_of_the_profile(self, pointed):
        from workzone.serving.axon.mined import mined_bundle, profile_to_mine

        found = mined_bundle(pointed, profile_to_mine("2026-05", date(2026, 11, 21)))
        assert (found.path, found.threshold) == (pointed, 0.5)

    def test_no_bundle_without_one_or_with_another_profile_s(self, colour_bundle, pointed):
        from workzone.serving.axon.mined import mined_bundle
        from workzone.subnet.profiles import profile

        with pytest.raises(ConfigError, match=r"it has none.*subnet point"):
            mined_bundle(colour_bundle, profile("2026-05"))
        with pytest.raises(ConfigError, match="it has one for '2026-05'"):
            mined_bundle(pointed, profile("2026-04"))

    def test_no_cascade(self, tmp_path):
        from workzone.bundle.cascade import CASCADE_NAME
        from workzone.serving.axon.mined import mined_bundle
        from workzone.subnet.profiles import profile

        (tmp_path / CASCADE_NAME).write_text("{}")
        with pytest.raises(ConfigError, match="always answers"):
            mined_bundle(tmp_path, profile("2026-05"))

    def test_the_profile_is_the_one_in_force_unless_it_is_named(self):
        from workzone.serving.axon.mined import profile_to_mine

        assert profile_to_mine(None, date(2026, 4, 10)).name == "2026-04"
        assert profile_to_mine("2026-01", date(2026, 4, 10)).name == "2026-01"
        with pytest.raises(ConfigError, match=r"no challenges.*subnet state.*--profile"):
            profile_to_mine(None, date(2026, 11, 21))
        with pytest.raises(ConfigError, match="2026-05"):
            profile_to_mine("2026-06", date(2026, 11, 21))


def test_two_bundles_answer_each_at_its_own_threshold(pointed, fakes):
    """Both see the same logit; the picture lies between their thresholds."""
    from workzone.bundle.reader import open_bundle
    from workzone.engine.live import LiveSettings
    from workzone.serving.axon.mined import MinedBundle
    from workzone.serving.axon.miner import open_lanes

    blue = _png((20, 60, 200))

    async def ask(threshold: float, small: float | None) -> Any:
        created = datetime(2026, 5, 4, tzinfo=UTC)
        digest = open_bundle(pointed).digest
        large = MinedBundle(pointed, digest, threshold, created)
        lesser = None if small is None else MinedBundle(pointed, digest, small, created)
        served = await open_lanes(large, lesser, LiveSettings(threads=1, max_batch=1))
        answer = await served.answerer.answer(blue, deadline_s=None)
        await served.aclose()
        return SimpleNamespace(answer=answer, rule=served.description.rule)

    alone = fakes.run(ask(0.0, None))
    logit = alone.answer.logit
    above, below = fakes.run(ask(logit + 1, 0.0)), fakes.run(ask(logit - 1, 0.0))
    assert above.answer.probability == pytest.approx(1 / (1 + 2.718281828459045), rel=1e-9)
    assert below.answer.probability == pytest.approx(1 - above.answer.probability, rel=1e-9)
    assert [str(one.answer.verdict) for one in (above, below)] == ["none", "roadwork"]
    assert above.answer.stages[0].name == f"large@{open_bundle(pointed).digest[:12]}"
    assert not above.answer.certified
    assert "large model" in above.rule
    assert "small model" in above.rule
    assert "small" not in alone.rule


def test_it_is_logged_which_bundles_answer(pointed, fakes, caplog):
    from workzone.bundle.reader import open_bundle
    from workzone.engine.live import LiveSettings
    from workzone.serving.axon.mined import mined_bundle
    from workzone.serving.axon.miner import open_lanes
    from workzone.serving.logs import PERFORMANCE
    from workzone.serving.redaction import Redaction
    from workzone.subnet.profiles import profile

    caplog.set_level("INFO", PERFORMANCE)
    bundle = mined_bundle(pointed, profile("2026-05"))

    async def opened() -> str:
        served = await open_lanes(bundle, bundle, LiveSettings(threads=1, max_batch=1), profile="2026-05")
        await served.aclose()
        return served.answerer.identity

    identity = fakes.run(opened())
    [record] = [one for one in caplog.records if one.getMessage() == "miner_opened"]
    assert Redaction(()).filter(record)  # digests are no secrets
    said = vars(record)
    digest = open_bundle(pointed).digest
    assert (said["identity"], said["profile"]) == (identity, "2026-05")
    assert said["models"] == [
        {"name": name, "bundle": digest, "threshold": 0.5} for name in ("large", "small")
    ]


def test_a_bundle_that_is_exchanged_meanwhile_does_not_answer_at_the_other_s_threshold(pointed, fakes):
    from workzone.core.errors import BundleError
    from workzone.engine.live import LiveSettings
    from workzone.serving.axon.mined import MinedBundle
    from workzone.serving.axon.miner import open_lanes

    other = MinedBundle(pointed, "0" * 64, 0.5, datetime(2026, 5, 4, tzinfo=UTC))
    with pytest.raises(BundleError, match="exchanged while the miner was starting"):
        fakes.run(open_lanes(other, None, LiveSettings(threads=1, max_batch=1)))


def _png(colour: tuple[int, int, int]) -> bytes:
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(out, "PNG")
    return out.getvalue()


def test_halted_profiles_are_named_by_the_day():
    from workzone.serving.axon.miner import halted_profile

    assert halted_profile(date(1970, 1, 1)) is None  # a clock that was never set: not known is not halted
    assert halted_profile(date(2026, 5, 4)) is None
    assert halted_profile(date(2026, 5, 7)) == "halted"
