"""The open-loop generator against small servers in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from benchmarks.serving.open_loop import BROKEN, TIMED_OUT, Plan, Sent, parse_head, send

PLAN = Plan(port=0, path="/predict", rate_per_s=100.0, seconds=0.2, arrivals="constant", timeout_s=2.0)
Answer = Callable[[int, bytes], Awaitable[bytes]]


def reply(status: int, body: bytes = b"{}", more: str = "") -> bytes:
    return f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def asked(answer: Answer, plan: Plan = PLAN, pictures: tuple[bytes, ...] = (b"one", b"two!")) -> Sent:
    """Send a plan to a server that answers the n-th request as it is told."""
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.split(": ") for line in head.decode().split("\r\n")[1:] if line)
                body = await reader.readexactly(int(fields["Content-Length"]))
                number, count = count, count + 1
                given = await answer(number, head + body)
                if not given:
                    break
                writer.write(given)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def both() -> Sent:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(10):
            sent = await send(replace(plan, port=port), pictures)
        server.close()
        return sent

    return asyncio.run(both())


def test_every_request_is_sent_when_due_and_pictures_take_turns() -> None:
    seen: list[bytes] = []

    async def answer(number: int, request: bytes) -> bytes:
        seen.append(request)
        return reply(200)

    sent = asked(answer)
    assert sent.due_s == pytest.approx([i / 100 for i in range(20)])
    assert sent.statuses() == {"200": 20}
    assert sent.within(2000) == 20
    assert sorted(request.split(b"\r\n\r\n")[1] for request in seen) == [b"one"] * 10 + [b"two!"] * 10
    assert all(request.startswith(b"POST /predict HTTP/1.1\r\n") for request in seen)
    assert not any(b"Deadline" in request for request in seen)


def test_a_stall_is_charged_to_everyone_who_had_to_wait() -> None:
    """One request at a time, the first takes 0.3 s: a closed loop would call the other nineteen quick."""
    turn = asyncio.Lock()

    async def answer(number: int, request: bytes) -> bytes:
        async with turn:
            await asyncio.sleep(0.3 if number == 0 else 0)
            return reply(200)

    sent = asked(answer)
    waited = [ms / 1000 + due for ms, due in zip(sent.latency_ms, sent.due_s, strict=True)]
    assert min(waited) >= 0.29  # none is answered before the first, whenever it was due
    assert sent.within(50) == 0


def test_statuses_deadlines_and_connections_that_end() -> None:
    heads: list[bytes] = []

    async def answer(number: int, request: bytes) -> bytes:
        heads.append(request)
        return [reply(200), reply(429, more="Connection: close\r\n"), reply(504), b""][number % 4]

    sent = asked(answer, replace(PLAN, deadline_ms=750, rate_per_s=20.0, seconds=0.4))
    assert all(b"\r\nX-Deadline-Ms: 750\r\n" in head for head in heads)
    assert sent.statuses().keys() <= {"200", "429", "504", str(BROKEN)}
    assert sent.statuses()["429"] >= 1
    assert sent.within(2000) == sent.statuses()["200"]


def test_a_server_that_never_answers_is_given_up_from_when_it_was_due() -> None:
    async def answer(number: int, request: bytes) -> bytes:
        await asyncio.sleep(5)
        return b""

    sent = asked(answer, replace(PLAN, seconds=0.03, timeout_s=0.2))
    assert sent.status == [TIMED_OUT] * 3
    assert all(190 <= ms < 1500 for ms in sent.latency_ms)


def test_nobody_listens() -> None:
    sent = asyncio.run(send(replace(PLAN, port=1, seconds=0.02), [b"x"]))
    assert sent.status == [BROKEN] * 2


def test_poisson_arrivals_are_reproducible_and_have_the_rate() -> None:
    plan = replace(PLAN, arrivals="poisson", rate_per_s=200.0, seconds=50.0)
    due = plan.due_s()
    assert due == plan.due_s() != replace(plan, seed=1).due_s()
    assert due == sorted(due)
    assert due[-1] < 50.0
    assert len(due) == pytest.approx(10_000, abs=400)  # 4 standard deviations
    gaps = [b - a for a, b in pairwise(due)]
    assert sum(gap > 1 / 200 for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.02)  # exp(-1)


def test_heads() -> None:
    assert parse_head(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n") == (200, 7, True)
    assert parse_head(b"HTTP/1.1 429 x\r\nContent-Length:0\r\nConnection: Close\r\n\r\n") == (429, 0, False)
    for bad in (
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\ncontent-length: 1\r\n\r\n",
        b"nonsense\r\n\r\n",
    ):
        with pytest.raises(ValueError, match=r"not understood|unpack"):
            parse_head(bad)
