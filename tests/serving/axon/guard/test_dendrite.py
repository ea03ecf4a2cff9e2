"""The axon behind a real server, asked by the SDK's own client over loopback, with the subnet's own kind of request."""

from __future__ import annotations

import asyncio
import base64
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from workzone.serving.http.slow_clients import BoundedH11Protocol
from workzone.subnet.protocol import LONGEST_S

pytestmark = [
    # The client's, of Pydantic, itself and aiohttp; the server has none.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_fields':DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are calling this from an already-running:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning"),
    pytest.mark.usefixtures("clean_log"),
]


@pytest.fixture
def image_request(sdk: Any) -> Any:
    """The subnet's class as its validators have it: nothing but three fields."""

    class ImageSynapse(sdk.Synapse):  # type: ignore[misc, name-defined]
        image: str = ""
        prediction: float = -1.0
        testnet_label: int = -1

        def deserialize(self) -> float:
            return self.prediction

    return ImageSynapse


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[tuple[int, Any]]:
    """Serve `app` as the service's server does; yield the port and the server."""
    sock = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=BoundedH11Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield sock.getsockname()[1], server
    finally:
        server.should_exit = True
        await task
        sock.close()


@pytest.fixture
def query(sdk: Any, monkeypatch: pytest.MonkeyPatch, fakes: Any) -> Callable[..., Any]:
    """Ask an axon with the SDK's client; the whole replies come back."""
    monkeypatch.setattr(sys.modules["bittensor.utils.networking"], "get_external_ip", lambda: "192.0.2.1")

    async def asking(axon: Any, signer: Any, requests: list[Any], timeout: float) -> list[Any]:
        async with served(axon.app) as (port, _), sdk.Dendrite(wallet=signer) as dendrite:
            target = sdk.AxonInfo(
                version=1,
                ip="127.0.0.1",
                port=port,
                ip_type=4,
                hotkey=axon.keys.hotkey.ss58_address,
                coldkey="",
            )
            calls: list[Awaitable[Any]] = [
                dendrite.forward(target, request, timeout=timeout, deserialize=False) for request in requests
            ]
            return await asyncio.gather(*calls)

    def ask(axon: Any, signer: Any, *requests: Any, timeout: float = 9.0) -> list[Any]:
        found: list[Any] = fakes.run(asking(axon, signer, list(requests), timeout))
        return found

    return ask


def test_the_sdks_client_takes_the_answer(make_axon, query, image_request) -> None:
    axon = make_axon(live=True)
    picture = bytes(range(256)) * 4096
    [reply] = query(
        axon, axon.caller, image_request(image=base64.b64encode(picture).decode(), testnet_label=1)
    )
    assert (reply.is_success, reply.deserialize(), reply.dendrite.status_code) == (True, 0.75, 200), (
        reply.dendrite
    )
    assert (reply.axon.status_code, reply.axon.status_message) == (200, "Success")
    assert reply.dendrite.hotkey == axon.caller.ss58_address
    assert reply.axon.hotkey == axon.keys.hotkey.ss58_address
    assert axon.replier.asked[0].picture == picture
    assert axon.counts.offsets[0][1] < 4.0


def test_many_at_once_from_one_client_are_all_answered(make_axon, query, image_request) -> None:
    """Whatever order they come in; see `test_requests_that_overtake_each_other_are_both_answered`."""
    axon = make_axon(live=True)
    replies = query(axon, axon.caller, *[image_request(image="AAAA") for _ in range(40)])
    assert [reply.deserialize() for reply in replies] == [0.75] * 40
    assert axon.counts.refusals == []


def test_the_sdks_client_understands_a_refusal(make_axon, query, image_request) -> None:
    axon = make_axon(live=True)
    [reply] = query(axon, axon.stranger, image_request(image="AAAA"))
    assert (reply.is_blacklist, reply.deserialize()) == (True, -1.0)
    assert reply.dendrite.status_message == "The hotkey is not registered on this subnet."
    [reply] = query(axon, axon.caller, image_request(image="not base64"))
    assert (reply.dendrite.status_code, reply.deserialize()) == (400, -1.0)
    assert "base64" in reply.dendrite.status_message


def test_the_sdks_client_gets_minus_one_before_it_gives_up(make_axon, query, image_request) -> None:
    axon = make_axon(live=True)

    async def never(_: Any) -> float:
        return float(await asyncio.Event().wait())

    axon.replier.act = never
    [reply] = query(axon, axon.caller, image_request(image="AAAA"), timeout=2.5)
    assert (reply.is_success, reply.deserialize()) == (True, -1.0)
    assert len(axon.counts.blanks) == 1


def test_a_refused_upload_of_megabytes_is_told_why(make_axon, query, image_request) -> None:
    axon = make_axon(live=True, max_body_bytes=100_000)
    [reply] = query(axon, axon.caller, image_request(image="AAAA" * 500_000))
    assert reply.deserialize() == -1.0
    assert axon.counts.refusals == ["too_large"]
    assert axon.idle()


def test_the_deadline_of_a_head_that_drips_runs_from_its_first_byte(make_axon, fakes) -> None:
    axon = make_axon(live=True)
    axon.now_ns = time.time_ns()
    body = axon.body_of()
    lines = [
        "POST /ImageSynapse HTTP/1.1",
        "host: 127.0.0.1",
        *(f"{name}: {value}" for name, value in axon.head()),
    ]
    request = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body

    async def drip() -> tuple[float, bytes]:
        async with served(axon.app) as (port, server):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request[:20])
            while not any(one.conn.trailing_data[0] for one in server.server_state.connections):
                await asyncio.sleep(0.005)
            taken_s = asyncio.get_running_loop().time()
            await asyncio.sleep(0.01)
            writer.write(request[20:])
            said = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return taken_s, said

    taken_s, said = fakes.run(drip())
    assert said.startswith(b"HTTP/1.1 200")
    assert axon.replier.asked[0].deadline_s - LONGEST_S <= taken_s
