from __future__ import annotations

import asyncio
import socket

import pytest

from workzone.serving.axon.address import Address
from workzone.serving.axon.health.port import closed_finding

OURS = Address("127.0.0.1", 8091)


def test_a_port_that_listens_is_open() -> None:
    async def scenario() -> bool:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await closed_finding(Address("127.0.0.1", port)) is None

    assert asyncio.run(scenario())


def test_a_port_that_nobody_listens_on_is_closed() -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can have it meanwhile
        taken.bind(("127.0.0.1", 0))
        found = asyncio.run(closed_finding(Address("127.0.0.1", taken.getsockname()[1])))
    assert found is not None
    assert "takes no connection from here (Connection refused)" in found.message


def test_silence_is_closed_too() -> None:
    async def never(_: Address) -> None:
        await asyncio.Event().wait()

    found = asyncio.run(closed_finding(OURS, connect=never, timeout_s=0.001))
    assert found is not None
    assert "no answer in 0.001 s" in found.message


@pytest.mark.parametrize("error", [ConnectionRefusedError(111, "Connection refused"), OSError("odd")])
def test_it_says_that_the_router_may_be_to_blame(error: OSError) -> None:
    async def fail(_: Address) -> None:
        raise error

    found = asyncio.run(closed_finding(OURS, connect=fail))
    assert found is not None
    assert "127.0.0.1:8091" in found.message
    assert "hairpin" in found.message
    assert "goes on listening" in found.message
