"""What is sent as the prediction, and when: within the deadline, and nothing that is no probability."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from workzone.core.errors import DataError
from workzone.serving.axon.guard import exchange


def acting(value: Any) -> Any:
    async def act(_: Any) -> Any:
        if isinstance(value, BaseException):
            raise value
        return value

    return act


@pytest.mark.usefixtures("clean_log")
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, 1, 5e-324])
def test_a_probability_is_sent(axon, value) -> None:
    axon.replier.act = acting(value)
    assert axon.ask().json()["prediction"] == value
    assert (len(axon.counts.answers), axon.counts.failures) == (1, 0)


@pytest.mark.usefixtures("clean_log")
def test_no_answer_is_sent_as_such_and_is_no_failure(axon) -> None:
    axon.replier.act = acting(-1.0)
    assert axon.ask().json()["prediction"] == -1.0
    assert (axon.counts.answers, len(axon.counts.blanks), axon.counts.failures) == ([], 1, 0)


@pytest.mark.usefixtures("clean_log")
def test_a_picture_that_cannot_be_read_is_counted_as_such(axon) -> None:
    axon.replier.act = acting(DataError("planted: no picture"))
    reply = axon.ask()
    assert (reply.status, reply.json()["prediction"]) == (200, -1.0)
    assert b"planted" not in reply.body
    counts = axon.counts
    assert (counts.answers, counts.blanks, len(counts.unread), counts.failures) == ([], [], 1, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1.5, -0.01, -1.5, 1e308])
def test_what_is_no_probability_is_not_sent(axon, caplog, value) -> None:
    axon.replier.act = acting(value)
    reply = axon.ask()
    assert (reply.status, reply.json()["prediction"]) == (200, -1.0)
    assert (axon.counts.answers, len(axon.counts.blanks), axon.counts.failures) == ([], 1, 1)
    [line] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "no_probability" in line.getMessage()


@pytest.mark.parametrize("value", [RuntimeError("planted"), TimeoutError("a library's own"), KeyError("x"),
                                   asyncio.CancelledError(), None, "0.5?", [0.5]])  # fmt: skip
def test_a_reply_that_raises_is_logged_once_as_ours(axon, caplog, value) -> None:
    axon.replier.act = acting(value)
    reply = axon.ask()
    assert (reply.status, reply.json()["prediction"]) == (200, -1.0)
    assert (len(axon.counts.blanks), axon.counts.failures, axon.counts.refusals) == (1, 1, [])
    [line] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.name == "workzone.errors"
    assert line.getMessage() == "reply_failed"
    assert b"planted" not in reply.body


class Hanging:
    """A reply that does not end in time, and does not stop when told to."""

    def __init__(self, *, stubborn: bool) -> None:
        self.stubborn = stubborn
        self.told_to_stop = 0
        self.release = asyncio.Event()

    async def __call__(self, challenge: Any) -> float:
        while not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.told_to_stop += 1
                if not self.stubborn:
                    raise
        return 0.9


@pytest.mark.usefixtures("clean_log")
@pytest.mark.parametrize("stubborn", [False, True])
def test_at_the_deadline_minus_one_is_sent_and_the_reply_is_not_waited_for(
    axon, fakes, stubborn, monkeypatch
) -> None:
    """It is given a moment to put its end on record, and then told to stop."""
    monkeypatch.setattr(exchange, "_STOP_AFTER_S", 0.05)

    async def late() -> None:
        axon.replier.act = hanging = Hanging(stubborn=stubborn)
        reply = await axon.asking(head=axon.head(timeout="2.2"))  # it would never come
        assert (reply.status, reply.json()["prediction"]) == (200, -1.0)
        assert hanging.told_to_stop == 0
        await asyncio.sleep(0.1)
        assert hanging.told_to_stop == 1
        hanging.release.set()
        await asyncio.sleep(0.01)

    fakes.run(late())
    assert (axon.counts.answers, len(axon.counts.blanks), axon.counts.failures) == ([], 1, 0)
    assert axon.counts.blanks[0] >= 0.19, "0.2 s are allowed"
    assert axon.idle()


@pytest.mark.usefixtures("clean_log")
def test_a_caller_who_gives_no_time_gets_minus_one_and_its_body_is_not_waited_for(axon, fakes) -> None:
    async def ask(timeout: str) -> Any:
        waiting = asyncio.Event()

        async def receive() -> Any:
            await waiting.wait()

        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        head = [(k.encode(), v.encode()) for k, v in axon.head(timeout=timeout)]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/ImageSynapse",
            "headers": head,
            "client": ("::1", 1),
        }
        await axon.app(scope, receive, send)
        return sent

    for timeout in ("0", "2.0", "1.999"):
        start, body = fakes.run(ask(timeout))
        assert start["status"] == 200
        assert b'"prediction":-1.0' in body["body"]
    assert axon.replier.asked == []
    assert len(axon.counts.blanks) == 3


async def trickle(axon: Any, every_s: float, pieces: int) -> Any:
    """Send a body a byte at a time."""
    body, at = axon.body_of(), 0

    async def receive() -> Any:
        nonlocal at
        if at < pieces:
            await asyncio.sleep(every_s)
            at += 1
            return {"type": "http.request", "body": body[at - 1 : at], "more_body": True}
        return await asyncio.Event().wait()

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    head = [(k.encode(), v.encode()) for k, v in axon.head()]
    scope = {"type": "http", "method": "POST", "path": "/ImageSynapse", "headers": head, "client": ("::1", 1)}
    await axon.app(scope, receive, send)
    return sent


@pytest.mark.usefixtures("clean_log")
def test_a_slow_body_is_refused_in_time(make_axon, fakes) -> None:
    axon = make_axon(body_timeout_s=0.2)
    start, body = fakes.run(trickle(axon, 0.01, 1000))
    assert (start["status"], axon.counts.refusals) == (408, ["slow_body"])
    assert b"did not arrive" in body["body"]
    assert axon.idle()


@pytest.mark.usefixtures("clean_log")
def test_places_are_bounded_and_given_back(make_axon, fakes) -> None:
    """One hotkey may have half of them, so that it cannot keep the others out."""
    axon = make_axon(in_flight=4, require_permit=False)

    async def crowd() -> None:
        axon.replier.act = hanging = Hanging(stubborn=False)
        inside = []
        for who in (axon.caller, axon.permitless):
            inside += [asyncio.create_task(axon.asking(head=axon.head(who))) for _ in range(2)]
            while len(axon.replier.asked) < len(inside):
                await asyncio.sleep(0.005)
            full = await axon.asking(head=axon.head(who))
            assert (full.status, full.json()["code"]) == (503, "busy")
            assert full.header("retry-after") == "1"
        hanging.release.set()
        assert [(await one).status for one in inside] == [200] * 4
        assert (await axon.asking()).status == 200

    fakes.run(crowd())
    assert axon.idle()


@pytest.mark.usefixtures("clean_log")
def test_bytes_in_flight_are_bounded_and_given_back(make_axon, fakes) -> None:
    body = None

    async def crowd() -> None:
        axon.replier.act = hanging = Hanging(stubborn=False)
        first = asyncio.create_task(axon.asking(body))
        while not axon.replier.asked:
            await asyncio.sleep(0.005)
        assert axon.app.places.everyone.bytes == len(body)
        second = await axon.asking(body)
        assert (second.status, second.json()["code"]) == (503, "busy")
        hanging.release.set()
        assert (await first).status == 200

    axon = make_axon(max_body_bytes=5000, in_flight_bytes=6000)
    body = axon.body_of(b"x" * 3000)
    assert 3000 < len(body) <= 5000
    fakes.run(crowd())
    assert axon.idle()


@pytest.mark.usefixtures("clean_log")
def test_a_caller_who_leaves_frees_its_place_and_stops_the_work(axon, fakes) -> None:
    async def leave() -> None:
        axon.replier.act = hanging = Hanging(stubborn=False)

        async def until_asked() -> None:
            while not axon.replier.asked:
                await asyncio.sleep(0.005)

        await axon.asking(then=until_asked)
        await asyncio.sleep(0.05)
        assert hanging.told_to_stop == 1

    fakes.run(leave())
    assert (axon.counts.leavers, axon.counts.answers, axon.counts.blanks) == (1, [], [])
    assert axon.idle()


@pytest.mark.usefixtures("clean_log")
def test_the_end_of_the_drain_is_told_and_stops_the_work(axon, fakes) -> None:
    async def end() -> Any:
        axon.replier.act = hanging = Hanging(stubborn=False)
        asking = asyncio.create_task(axon.asking())
        while not axon.replier.asked:
            await asyncio.sleep(0.005)
        asking.cancel()
        reply = await asking
        await asyncio.sleep(0.05)
        assert hanging.told_to_stop == 1
        return reply

    reply = fakes.run(end())
    assert (reply.status, reply.json()["code"]) == (503, "stopping")
    assert axon.idle()


@pytest.mark.usefixtures("clean_log")
def test_the_end_of_the_drain_is_told_while_a_body_still_comes(axon, fakes) -> None:
    async def end() -> Any:
        asking = asyncio.create_task(trickle(axon, 0.01, 1000))
        while not axon.app.places.everyone.bytes:
            await asyncio.sleep(0.005)
        asking.cancel()
        return await asking

    start, body = fakes.run(end())
    assert (start["status"], b'"stopping"' in body["body"]) == (503, True)
    assert axon.counts.refusals == ["stopping"]
    assert axon.idle()


def test_a_fault_of_ours_is_logged_and_told_in_general_terms(axon, caplog, monkeypatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("planted /srv/private")

    monkeypatch.setattr(type(axon.table), "find", broken)
    reply = axon.ask()
    assert (reply.status, reply.json()["code"]) == (500, "failed")
    assert b"planted" not in reply.body
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["unexpected"]


def test_a_reply_of_the_sdk_that_nobody_foresaw_does_not_pass(axon, caplog, monkeypatch) -> None:
    async def broken(self: Any, *_: Any) -> float:
        raise RuntimeError("planted in the SDK's route")

    monkeypatch.setattr(exchange.Exchange, "predict", broken)
    reply = axon.ask()
    assert (reply.status, reply.json()["code"]) == (500, "failed")
    assert b"planted" not in reply.body
    assert "sdk_refused: status 500" in caplog.text
    assert axon.idle()
