"""Whether our own address takes connections, tried from here.

Knows sockets only. What it finds is half a proof: many home routers don't pass on what an inside machine sends to their
outside address (no "hairpin"), so a port that is open to the world can look closed from here. A challenge that arrived
proves more than this test, and is asked first (`health`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from workzone.serving.axon.address import Address
from workzone.serving.axon.health.concerns import Finding

CONNECT_TIMEOUT_S = 5.0


async def connect(address: Address) -> None:
    """Open a TCP connection to `address` and close it again.

    Raises:
        OSError: It can't be opened.
    """
    _, writer = await asyncio.open_connection(address.ip, address.port)
    writer.close()


async def closed_finding(
    address: Address,
    *,
    connect: Callable[[Address], Awaitable[None]] = connect,
    timeout_s: float = CONNECT_TIMEOUT_S,
) -> Finding | None:
    """Try to connect to `address`; None where it is open."""
    try:
        await asyncio.wait_for(connect(address), timeout_s)
    except TimeoutError:
        why = f"no answer in {timeout_s:g} s"
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else type(error).__name__
    else:
        return None
    return Finding(
        f"Our own address {address} takes no connection from here ({why}). Either the port is closed (firewall, no "
        "forwarding in the router, another external port), or the router doesn't pass on what comes from inside (no "
        "hairpin) and the port is open to others: try it from another network. The miner goes on listening."
    )
