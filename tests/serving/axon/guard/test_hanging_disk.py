"""A journal whose disk hangs: callers have their -1, then `busy`; memory stays bounded, and all is given back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from workzone.serving.axon.guard import exchange
from workzone.serving.recording import Asked, Caller
from workzone.serving.service import Service


class HangingJournal:
    """Takes no record until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.records: list[Any] = []

    def append(self, record: Any) -> None:
        assert self.released.wait(20)
        self.records.append(record)


@pytest.fixture
def journal() -> Any:
    return HangingJournal()


async def released_after(work: Coroutine[Any, Any, Any], journal: HangingJournal) -> Any:
    """Release the journal also where a test fails: the loop's end waits for what is being written."""
    try:
        return await work
    finally:
        journal.released.set()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not true():
            await asyncio.sleep(0.01)


def test_memory_is_bounded_while_the_disk_hangs_and_all_is_released_when_it_is_back(
    make_axon, fakes, journal, monkeypatch
) -> None:
    monkeypatch.setattr(exchange, "_STOP_AFTER_S", 0.05)
    axon = make_axon(in_flight=8)  # one hotkey may have half of them
    picture = fakes.picture(b"x" * 1000)
    body = axon.body_of(picture)

    async def crowd() -> list[Any]:
        service = Service(journal=journal)
        service.swap(fakes.served(fakes.FakeAnswerer()))

        async def reply(challenge: Any) -> float:
            caller = Caller(challenge.hotkey, challenge.request_id)
            [answer] = await service.answer(
                [Asked(challenge.picture)], caller, deadline_s=challenge.deadline_s
            )
            return float(answer.probability)

        axon.replier.act = reply
        early = [axon.asking(body, head=axon.head(timeout="3.0")) for _ in range(4)]
        replies = await asyncio.gather(*early)  # at their deadline, after 1 s
        for _ in range(16):
            await asyncio.sleep(0.02)
            replies.append(await axon.asking(body, head=axon.head(timeout="3.0")))
            assert service._thread._work_queue.qsize() <= 4
        everyone = axon.app.places.everyone
        assert (everyone.requests, everyone.bytes) == (4, 4 * len(body)), "what is in the queue is held"
        assert service.in_flight == 4
        journal.released.set()
        await until(axon.idle)
        replies.append(await axon.asking(body))
        await service.aclose()
        return replies

    replies = fakes.run(released_after(crowd(), journal))
    assert [reply.status for reply in replies] == [200] * 4 + [503] * 16 + [200]
    assert [reply.json()["prediction"] for reply in replies[:4]] == [-1.0] * 4
    assert {reply.json()["code"] for reply in replies[4:-1]} == {"busy"}
    assert replies[-1].json()["prediction"] == 0.97
    assert len(journal.records) == 5
    assert axon.idle()


def test_a_caller_who_leaves_while_the_disk_hangs_keeps_its_place(make_axon, fakes, journal) -> None:
    axon = make_axon()

    async def leave() -> None:
        service = Service(journal=journal)
        service.swap(fakes.served(fakes.FakeAnswerer()))

        async def reply(challenge: Any) -> float:
            caller = Caller(challenge.hotkey, challenge.request_id)
            [answer] = await service.answer([Asked(challenge.picture)], caller, deadline_s=None)
            return float(answer.probability)

        axon.replier.act = reply
        await axon.asking(axon.body_of(fakes.picture()), then=lambda: until(lambda: service.in_flight == 1))
        await asyncio.sleep(0.05)
        assert axon.counts.leavers == 1
        assert axon.app.places.everyone.requests == 1
        journal.released.set()
        await until(axon.idle)
        await service.aclose()

    fakes.run(released_after(leave(), journal))
