"""The service itself: records, kept pictures, exchange and end."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from workzone.core.errors import ConfigError, JournalError, ModelUnavailable
from workzone.engine.answers import Answer
from workzone.serving.readiness import Readiness, State
from workzone.serving.recording import Asked, Caller, KeepRule, parse_keep_rule

WHO = Caller("0123abcd", "request-1")


def ask(bench, fakes, *tags: bytes):
    return bench.service.answer([Asked(fakes.picture(tag)) for tag in tags], WHO, deadline_s=None)


def test_states_only_move_forward() -> None:
    async def states() -> None:
        readiness = Readiness()
        with pytest.raises(ModelUnavailable, match="starting"):
            readiness.require_answering()
        assert readiness.become(State.READY, "")
        assert not readiness.become(State.STARTING, "")
        assert readiness.become(State.DRAINING, "")
        readiness.require_answering()
        assert not readiness.become(State.READY, "")
        assert readiness.become(State.FAILED, "broken")
        assert not readiness.become(State.DRAINING, "")
        await readiness.failed()
        with pytest.raises(ModelUnavailable, match="broken"):
            readiness.require_answering()
        assert readiness.started

    asyncio.run(states())


def test_outcomes_are_in_order_and_each_on_record_before_it_is_told(bench, fakes) -> None:
    outcomes = fakes.run(ask(bench, fakes, b"plain", b"bad", b"defer"))
    assert [isinstance(one, Answer) for one in outcomes] == [True, False, True]
    assert [record["status"] for record in bench.journal.records] == [200, 422, 200]
    assert {record["key"] for record in bench.journal.records} == {"0123abcd"}


def test_a_failing_journal_answers_nothing_even_in_part(bench, fakes) -> None:
    bench.journal.room = 1
    with pytest.raises(JournalError):
        fakes.run(ask(bench, fakes, b"plain", b"plain"))
    assert bench.service.in_flight == 0


def test_a_journal_that_raises_an_os_error_is_a_journal_error(bench, fakes, monkeypatch) -> None:
    def full(record: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bench.journal, "append", full)
    with pytest.raises(JournalError, match="No space"):
        fakes.run(ask(bench, fakes, b"plain"))


@pytest.mark.parametrize("room", [1, 0])
def test_who_is_told_to_stop_while_a_record_is_written_is_in_flight_until_it_is(
    bench, fakes, monkeypatch, room
) -> None:
    """The writing thread has its picture till then; a journal that is full is counted though nobody waits."""
    bench.journal.room = room
    released, append = threading.Event(), bench.journal.append

    def hang(record: object) -> None:
        assert released.wait(10)
        append(record)

    monkeypatch.setattr(bench.journal, "append", hang)

    async def stop() -> None:
        asking = asyncio.create_task(ask(bench, fakes, b"plain"))
        while not bench.service._thread._threads:
            await asyncio.sleep(0.005)
        for _ in range(3):
            asking.cancel()
            await asyncio.sleep(0.02)
        assert not asking.done()
        assert bench.service.in_flight == 1
        released.set()
        with pytest.raises(asyncio.CancelledError if room else JournalError):
            await asking
        assert bench.service.in_flight == 0

    try:
        fakes.run(stop())
    finally:
        released.set()
    assert len(bench.journal.records) == room


def test_an_exchange_lets_requests_in_flight_finish_on_the_old_one(bench, fakes) -> None:
    async def exchange() -> None:
        old, new = bench.answerer, fakes.FakeAnswerer("b" * 64)
        first = asyncio.create_task(ask(bench, fakes, b"slow"))
        await old.entered.wait()
        bench.service.swap(fakes.served(new, "new"))
        assert bench.service.current.description.name == "new"
        (answer,) = await ask(bench, fakes, b"plain")
        assert answer.bundle == "b" * 64
        assert not old.closed, "it still answers"
        old.release.set()
        (answer,) = await first
        assert answer.bundle == "a" * 64
        await bench.service._slots.retired()
        assert old.closed
        assert not new.closed

    fakes.run(exchange())
    assert [record["bundle"] for record in bench.journal.records] == ["b" * 64, "a" * 64]


def test_an_idle_one_is_closed_at_once_and_a_failing_close_harms_nobody(bench, fakes, caplog) -> None:
    async def exchange() -> None:
        async def broken() -> None:
            raise RuntimeError("close")

        bench.answerer.aclose = broken
        bench.service.swap(fakes.served(fakes.FakeAnswerer("b" * 64)))
        await bench.service._slots.retired()
        assert len(await ask(bench, fakes, b"plain")) == 1

    with caplog.at_level(logging.ERROR):
        fakes.run(exchange())
    assert "close_failed" in caplog.text


def test_a_drain_waits_for_what_is_in_flight(bench, fakes) -> None:
    async def drain() -> None:
        first = asyncio.create_task(ask(bench, fakes, b"slow"))
        await bench.answerer.entered.wait()
        assert not await bench.service.drain(0.01), "one is still in flight"
        draining = asyncio.create_task(bench.service.drain(10))
        await asyncio.sleep(0)
        late = await ask(bench, fakes, b"plain")  # what still comes is answered
        assert isinstance(late[0], Answer)
        bench.answerer.release.set()
        await first
        assert await draining
        assert not bench.service.check()
        await bench.service.aclose()
        assert bench.answerer.closed
        with pytest.raises(ModelUnavailable):
            await ask(bench, fakes, b"plain")

    fakes.run(drain())
    assert len(bench.journal.records) == 2


def test_a_dead_answerer_fails_the_service_and_wakes_who_waits(bench, fakes) -> None:
    async def die() -> None:
        waiting = asyncio.create_task(bench.service.readiness.failed())
        bench.answerer.dead = True
        (outcome,) = await ask(bench, fakes, b"down")
        assert outcome.status == 503
        await waiting
        assert bench.service.readiness.state is State.FAILED
        with pytest.raises(ModelUnavailable):
            await ask(bench, fakes, b"plain")

    fakes.run(die())


def test_one_that_is_out_of_reach_makes_the_service_unready_for_a_while(bench) -> None:
    bench.answerer.available = False
    assert not bench.service.check()
    bench.answerer.available = True
    assert bench.service.check()


@pytest.mark.parametrize(("rule", "kept"), [
    (None, 0), (KeepRule(deferred=True), 1), (KeepRule(share=1.0), 2), (KeepRule(share=1e-12), 0),
])  # fmt: skip
def test_pictures_are_kept_by_choice(fakes, rule, kept) -> None:
    bench = fakes.make_bench(rule=rule)
    fakes.run(ask(bench, fakes, b"plain", b"defer", b"bad"))
    assert len(bench.store.kept) == kept
    assert sum(record["kept"] for record in bench.journal.records) == kept


def test_a_picture_that_cannot_be_kept_costs_no_answer(fakes, caplog) -> None:
    bench = fakes.make_bench(rule=KeepRule(share=1.0))
    bench.store.broken = True
    with caplog.at_level(logging.ERROR):
        (answer,) = fakes.run(ask(bench, fakes, b"plain"))
    assert isinstance(answer, Answer)
    assert "picture_not_kept" in caplog.text


def test_keep_rules_are_read_strictly() -> None:
    assert parse_keep_rule("none") is None
    assert parse_keep_rule("deferred") == KeepRule(deferred=True)
    assert parse_keep_rule("sample=0.25") == KeepRule(share=0.25)
    for text in ("", "all", "sample=", "sample=0", "sample=1.1", "sample=nan", "sample=-1", "sample", "0.5"):
        with pytest.raises(ConfigError, match="--keep-pictures"):
            parse_keep_rule(text)


def test_a_share_keeps_about_that_share(fakes) -> None:
    bench = fakes.make_bench(rule=KeepRule(share=0.25))
    fakes.run(ask(bench, fakes, *(f"plain{i}".encode() for i in range(400))))
    assert 70 <= len(bench.store.kept) <= 130  # 100 ± 3.5 standard deviations


def test_no_secret_reaches_a_log_or_a_record(bench, fakes, tmp_path) -> None:
    from workzone.serving.logs import operational_logs

    with operational_logs(tmp_path / "logs"):
        fakes.run(ask(bench, fakes, b"boom", b"down", b"plain"))
    text = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    secret = fakes.SECRET.split("_")[2]
    assert '"answered"' in text
    assert "model_unavailable" in text
    assert secret not in text
    assert secret not in str(bench.journal.records)
