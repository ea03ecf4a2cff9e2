"""The axon's ASGI application: the SDK's own, with our answers, behind our guard.

Knows how the SDK wants to be asked; does not know what answers, where the table of neurons comes from, or any socket.

The decision to question: no priority function is attached. The SDK calls one and puts its value through a pool of
threads that orders by a random number instead; whom to answer first is decided where answers are computed, by the
stake in each `Challenge`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workzone.serving.axon.address import Address
from workzone.serving.axon.chain.neurons import Neurons
from workzone.serving.axon.guard.challenge import AxonObserver, Challenge, GuardSettings, Reply
from workzone.serving.axon.guard.entrance import Entrance
from workzone.serving.axon.guard.exchange import CURRENT
from workzone.serving.axon.guard.guard import Guard
from workzone.serving.axon.guard.nonces import Nonces
from workzone.serving.axon.guard.refusals import Refusal
from workzone.serving.axon.sdk import bittensor, image_synapse, quietly

if TYPE_CHECKING:
    from workzone.serving.axon.keys.keys import MinerKeys

__all__ = ["AxonObserver", "Challenge", "GuardSettings", "Refusal", "Reply", "axon_application"]


def axon_application(
    keys: MinerKeys,
    neurons: Callable[[], Neurons | None],
    reply: Reply,
    settings: GuardSettings,
    observer: AxonObserver,
    *,
    external: Address,
    clock_ns: Callable[[], int] = time.time_ns,
    clock: Callable[[], float] = time.monotonic,
) -> Guard:
    """Return the application that a server of ours serves to validators.

    Args:
        keys: Stand where the SDK wants a wallet.
        neurons: The table in force; None: there is none yet, and everyone is told 503.
        reply: Answers a challenge; told to stop at the challenge's deadline, and not waited for.
        settings: What is let in.
        observer: Who counts.
        external: The miner's public address; the SDK would look it up otherwise.
        clock_ns: Time in ns since 1970, for the age of requests.
        clock: Seconds, for rates.

    Raises:
        MissingExtraError: The SDK is not installed.
    """
    nonces = Nonces(clock_ns())
    axon = _axon(keys, external, nonces)

    async def forward(synapse: Any) -> Any:
        synapse.prediction = await CURRENT.get().predict(reply, observer)
        return synapse

    async def blacklist(synapse: Any) -> tuple[bool, str]:
        """Let no request in that did not come through the guard."""
        return CURRENT.get(None) is None, "not through the guard"

    # The SDK compares annotations with what it expects, and a class made at run time cannot be written as one.
    kind = image_synapse()
    forward.__annotations__ = {"synapse": kind, "return": kind}
    blacklist.__annotations__ = {"synapse": kind, "return": _answer_of_blacklist()}
    with quietly():
        axon.attach(forward_fn=forward, blacklist_fn=blacklist)
    our_hotkey = str(keys.hotkey.ss58_address)
    entrance = Entrance(our_hotkey, neurons, nonces, settings, clock_ns=clock_ns, clock=clock)
    return Guard(axon.app, entrance, settings, observer)


def _axon(keys: MinerKeys, external: Address, nonces: Nonces) -> Any:
    """Return the SDK's axon; it listens nowhere."""
    with quietly():  # it sets up uvicorn's loggers
        axon = bittensor().Axon(
            wallet=keys, port=external.port, external_ip=external.ip, external_port=external.port
        )
    axon.nonces = nonces
    return axon


def _answer_of_blacklist() -> Any:
    from typing import Tuple  # noqa: UP035 - compared with the SDK's own by equality

    return Tuple[bool, str]  # noqa: UP006
