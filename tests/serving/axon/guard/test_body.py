"""A body's picture: what the standard library decodes is what comes out, and nothing else comes out."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.serving.axon.guard import body as module
from workzone.serving.axon.guard.body import PARSE_ON_LOOP_BYTES, Bodies, picture_of
from workzone.serving.axon.guard.challenge import GuardSettings
from workzone.serving.axon.guard.places import Places
from workzone.serving.axon.guard.refusals import Refusal, RefusedRequest


@given(st.binary(min_size=1, max_size=200))
def test_every_picture_comes_out_as_it_was_sent(picture: bytes) -> None:
    assert (
        picture_of(json.dumps({"image": base64.b64encode(picture).decode(), "x": [1, {}]}).encode())
        == picture
    )


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace")))
def test_anything_else_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(RefusedRequest) as caught:
        picture_of(body)
    assert caught.value.why is Refusal.BAD_BODY
    assert caught.value.message.isprintable()
    assert 0 < len(caught.value.message) <= 300


PLANTED = "planted-by-the-caller"


@pytest.mark.parametrize("body", [
    '{"planted-by-the-caller": 1, "planted-by-the-caller": 2}', '{"image": planted-by-the-caller}',
    '{"image": "planted-by-the-caller!"}', '{"image": "planted-by-the-caller\n"}', '"planted-by-the-caller"',
    '{"planted-by-the-caller": "AAAA"}', '{"image": "AAAA"} planted-by-the-caller', '{"image": 1e999}',
    '{"image": NaN}', '{"\\r\\nX: \\u202e": 1, "\\r\\nX: \\u202e": 2}',
])  # fmt: skip
def test_no_refusal_quotes_the_caller(body: str) -> None:
    with pytest.raises(RefusedRequest) as caught:
        picture_of(body.encode())
    message = caught.value.message
    assert caught.value.why is Refusal.BAD_BODY
    assert message.isascii()
    assert message.isprintable()
    assert not any(word in message for word in (PLANTED, "planted", "999", "NaN", "X:"))


@pytest.mark.parametrize("text", ["\u00e9", "\u4e2d", "\U0001f6a7"])
def test_a_body_is_ascii_and_a_large_one_has_no_unicode_escape(text: str) -> None:
    """An escape in a small one says nothing of the picture, and is read."""
    value = {"image": "AAAA", "name": text}
    with pytest.raises(RefusedRequest, match="not ASCII"):
        picture_of(json.dumps(value, ensure_ascii=False).encode())
    assert picture_of(json.dumps(value).encode()) == b"\0\0\0"
    value["image"] = "A" * PARSE_ON_LOOP_BYTES
    with pytest.raises(RefusedRequest, match="escape"):
        picture_of(json.dumps(value).encode())
    assert len(picture_of(json.dumps({**value, "name": '\r\n"'}).encode())) == PARSE_ON_LOOP_BYTES // 4 * 3


IMAGE = base64.b64encode(bytes(range(256)) * 2**13).decode()


@pytest.mark.parametrize(("body", "times"), [
    (f'{{"image": "{IMAGE}"}}', 3.3),
    ('{"image": "' + IMAGE.replace("/", "\\/") + '"}', 3.3),
    ('{"image": "' + "\\n" * 2**20 + '"}', 3.3),
    (f'{{"image": "{IMAGE}", "{IMAGE}": 1, "{IMAGE}": 2}}', 3.3),
    (f'{{"image": 1.{"1" * 2**21}}}', 3.3),
    (f'{{"image": {"1" * 2**21}}}', 3.3),
    (f'{{"image": "{IMAGE}", "name": "é"}}', 1.1),
    (f'{{"image": "{IMAGE}\\u4e2d"}}', 1.1),
    (f'{{"image": "{IMAGE}\\ud83d\\udea7"}}', 1.1),
], ids=["base64", "slashes", "escapes", "twice", "float", "int", "utf-8", "escape of 2", "escape of 4"])  # fmt: skip
def test_memory_is_bounded_by_the_bodys_size(body: str, times: float) -> None:
    """As `GuardSettings.in_flight_bytes` says; without a bound on characters it would be up to eight times."""
    sent = body.encode()
    tracemalloc.start()
    with contextlib.suppress(RefusedRequest):
        picture_of(sent)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 1 + peak / len(sent) <= times


def test_a_body_that_is_given_up_on_keeps_its_turn_and_its_place_until_its_thread_ends(
    fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread cannot be stopped; were its turn free, the next would take as much memory beside it."""
    go, started = threading.Event(), []

    def slow(body: bytes) -> bytes:
        started.append(len(body))
        assert go.wait(10)
        raise RefusedRequest(Refusal.BAD_BODY, "to nobody")

    monkeypatch.setattr(module, "picture_of", slow)
    body = b"x" * (PARSE_ON_LOOP_BYTES + 1)

    async def receive() -> Any:
        return {"type": "http.request", "body": body}

    async def crowd() -> None:
        bodies, places = Bodies(len(body)), Places(GuardSettings())

        async def one() -> None:
            with places.enter("5E") as place:
                async with asyncio.timeout(0.05):
                    await bodies.picture(receive, place)

        for _ in range(4):
            with pytest.raises(TimeoutError):
                await one()
        assert len(started) == 2, "two at once"
        assert (places.everyone.requests, places.everyone.bytes) == (2, 2 * len(body))
        go.set()
        async with asyncio.timeout(10):
            while places.everyone.requests:
                await asyncio.sleep(0.005)
        with pytest.raises(RefusedRequest, match="to nobody"), places.enter("5E") as place:
            await bodies.picture(receive, place)
        assert (places.everyone.requests, places.everyone.bytes) == (0, 0)

    try:
        fakes.run(crowd())
    finally:
        go.set()
