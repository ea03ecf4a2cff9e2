"""Where the deadline runs from: the request's first byte, however late its head was whole or its body came."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from workzone.serving.http.arrival import ARRIVED_S, arrived_s
from workzone.subnet.protocol import LONGEST_S

pytestmark = pytest.mark.usefixtures("clean_log")


def scope_of(axon: Any, **more: Any) -> dict[str, Any]:
    head = [(k.encode(), v.encode()) for k, v in axon.head()]
    return {
        "type": "http",
        "method": "POST",
        "path": "/ImageSynapse",
        "headers": head,
        "client": ("::1", 1),
        **more,
    }


async def asking(axon: Any, scope: dict[str, Any], pause_s: float = 0.0) -> tuple[float, float]:
    """Ask with a body that comes after a pause; return when it was first asked for, and when it came."""
    times: list[float] = []
    loop = asyncio.get_running_loop()

    async def receive() -> Any:
        if times:
            return await asyncio.Event().wait()
        times.append(loop.time())
        await asyncio.sleep(pause_s)
        times.append(loop.time())
        return {"type": "http.request", "body": axon.body_of(), "more_body": False}

    async def send(_: Any) -> None:
        pass

    await axon.app(scope, receive, send)
    return times[0], times[-1]


def test_a_body_that_comes_late_gets_no_later_deadline(axon, fakes) -> None:
    asked_for_s, came_s = fakes.run(asking(axon, scope_of(axon), pause_s=0.1))
    assert came_s > asked_for_s
    assert axon.replier.asked[0].deadline_s - LONGEST_S <= asked_for_s


def test_the_deadline_runs_from_when_the_server_says_that_the_request_began(axon, fakes) -> None:
    async def ask() -> float:
        began_s = asyncio.get_running_loop().time() - 1.5
        await asking(axon, scope_of(axon, state={ARRIVED_S: began_s}))
        return began_s

    began_s = fakes.run(ask())
    assert axon.replier.asked[0].deadline_s == began_s + LONGEST_S
    assert axon.counts.answers[0] >= 1.5, "so do the seconds that are counted"


def test_who_took_all_the_time_for_its_head_is_not_worked_for(axon, fakes) -> None:
    async def ask() -> None:
        began_s = asyncio.get_running_loop().time() - LONGEST_S - 1
        await asking(axon, scope_of(axon, state={ARRIVED_S: began_s}))

    fakes.run(ask())
    assert (axon.replier.asked, axon.counts.refusals) == ([], ["slow_body"])


@pytest.mark.parametrize("said", [math.inf, math.nan, -math.inf, -1.0, 10.5, "9", None, True, 9, b"9"])
def test_a_beginning_that_cannot_be_is_not_believed(said) -> None:
    assert arrived_s({"state": {ARRIVED_S: said}}, 10.0) == 10.0


def test_where_no_server_says_it_the_call_is_the_beginning() -> None:
    assert [arrived_s(scope, 10.0) for scope in ({}, {"state": None}, {"state": {}})] == [10.0] * 3
    assert arrived_s({"state": {ARRIVED_S: 9.5}}, 10.0) == 9.5
