"""The chain through Bittensor's SDK: the subnet's metagraph, and the announcement of an address.

Knows the SDK's names (10.3 to 10.x) and what they leave unsaid; does not know when to ask. Each call has a connection
of its own, made and closed in the thread that calls: nothing is shared, so a call that hangs can't spoil the next. It
costs the runtime's description (a few MB) every ten minutes.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workzone.core.errors import ConfigError, WorkzoneError, nearest
from workzone.core.lazy import require
from workzone.serving.axon.address import Address
from workzone.serving.axon.chain.chain import THE_CHAIN, ChainState, ChainUnavailable, burnt_share
from workzone.serving.axon.chain.neurons import Neuron, Neurons
from workzone.serving.axon.keys.keys import MinerKeys
from workzone.serving.axon.sdk import bittensor
from workzone.serving.keys import utc_now

NETWORKS = ("finney", "test", "local", "archive", "latent-lite")
"""What the SDK knows by name."""
_ENDPOINT = re.compile(r"wss?://[^\s/@?#]+(?:/[^\s@]*)?")
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class _Announced:
    """What `serve_axon` reads of an axon."""

    external_ip: str
    external_port: int
    wallet: MinerKeys


class BittensorChain:
    """The real chain; each call blocks for seconds, and for minutes where the network is bad."""

    source = THE_CHAIN

    def __init__(
        self, network: str, netuid: int, keys: MinerKeys | None, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        """Connect to nothing yet.

        Args:
            network: One of `NETWORKS`, or a node's address, ws://… or wss://….
            netuid: The subnet's number.
            keys: Ours; None: only to look, as somebody who is not registered.
            clock: Tells the time, with its zone.

        Raises:
            ConfigError: There is no such network, or `netuid` is none of a subnet.
        """
        if network not in NETWORKS and not _ENDPOINT.fullmatch(network):
            raise ConfigError(
                f"There is no network {network[:80]!r}; expected a name or a node's address like "
                f"wss://node.example:443.{nearest(network, NETWORKS)}"
            )
        if not 0 < netuid < 1 << 16:
            raise ConfigError(f"A subnet's number is 1 to {(1 << 16) - 1}; found {netuid}.")
        self._network, self._netuid, self._keys, self._clock = network, netuid, keys, clock

    def fetch(self) -> ChainState:
        """Read the metagraph and the newest block's timestamp.

        Raises:
            ChainUnavailable: The node can't be reached, or what it says can't be used.
        """
        with self._connected() as (sdk, subtensor):
            metagraph = sdk.Metagraph(
                netuid=self._netuid,
                network=subtensor.chain_endpoint,
                lite=True,
                sync=False,
                subtensor=subtensor,
            )
            metagraph.sync(subtensor=subtensor)
            read_at = self._clock()
            # Last, and of the newest block: what comes before can take long, and would look like a slow clock.
            block_time = subtensor.get_timestamp()
            block_read_at = self._clock()
            return self._state(metagraph, read_at, block_time, block_read_at)

    def announce(self, address: Address) -> None:
        """Send `serve_axon`, signed by the hotkey, and wait until its block is final.

        Raises:
            ConfigError: There are no keys to sign with.
            ChainUnavailable: The node can't be reached, or the chain refused; the message says why.
        """
        if self._keys is None:
            raise ConfigError("Nothing can be announced without keys.")
        with self._connected() as (_, subtensor):
            response = subtensor.serve_axon(
                netuid=self._netuid,
                axon=_Announced(address.ip, address.port, self._keys),
                mev_protection=False,  # an address is public; the shield is for trades
                raise_error=False,
                wait_for_inclusion=True,
                wait_for_finalization=True,
            )
            if not response.success:
                raise ChainUnavailable(
                    f"The chain refused the address {address}: {_reason(response.message)}"
                )

    def registration_price_tao(self) -> float | None:
        """Return what a registration costs now, in TAO; None: the chain knows no such subnet.

        Raises:
            ChainUnavailable: The node can't be reached, or what it says can't be used.
        """
        with self._connected() as (_, subtensor):
            price = subtensor.recycle(self._netuid)
            return None if price is None else float(price.tao)

    @contextmanager
    def _connected(self) -> Iterator[tuple[Any, Any]]:
        """Give the SDK and a connection of its own; whatever the SDK raises comes out as `ChainUnavailable`."""
        sdk = bittensor()
        subtensor = None
        try:
            subtensor = sdk.Subtensor(network=self._network)
            yield sdk, subtensor
        except WorkzoneError:
            raise
        except Exception as error:
            # The SDK raises anything. A constructor that failed half-way leaves its socket and its threads to whoever
            # holds its frames, and that is the traceback.
            traceback.clear_frames(error.__traceback__)
            raise ChainUnavailable(
                f"The node of {_named(self._network)} failed: {type(error).__name__}: {_reason(error)}"
                f"{'' if subtensor is not None else _unreached(self._network)}"
            ) from error
        finally:
            if subtensor is not None:
                with suppress(Exception):
                    subtensor.close()

    def _state(
        self, metagraph: Any, read_at: datetime, block_time: datetime, block_read_at: datetime
    ) -> ChainState:
        own = None if self._keys is None else self._keys.hotkey_address
        hotkeys = [str(hotkey) for hotkey in metagraph.hotkeys]
        uids = [int(uid) for uid in metagraph.uids]
        stakes = self._stakes(metagraph, len(uids))
        permits = [bool(permit) for permit in metagraph.validator_permit]
        neurons = Neurons.of(
            int(metagraph.block.item()),
            read_at,
            (Neuron(*row) for row in zip(uids, hotkeys, stakes, permits, strict=True)),
        )
        found = None if own is None else neurons.find(own)
        return ChainState(
            neurons,
            own_uid=None if found is None else found.uid,
            announced=None if found is None else _address(metagraph.axons[hotkeys.index(found.hotkey)]),
            burnt_share=_burnt(metagraph, hotkeys),
            block_time=block_time,
            block_read_at=block_read_at,
        )

    def _stakes(self, metagraph: Any, count: int) -> list[float]:
        """Return S; the SDK swallows it where the node fails on just that call, and leaves it unset or old."""
        stakes = [float(stake) for stake in getattr(metagraph, "stake", ())]
        if len(stakes) != count:
            raise ChainUnavailable(
                f"The node of '{self._network}' gave {len(stakes)} stakes for {count} neurons; expected as many."
            )
        return stakes


def _address(axon: Any) -> Address | None:
    """Return where the chain says a neuron serves; None: nowhere, or nowhere that could be ours."""
    try:
        return Address(str(axon.ip), int(axon.port)) if axon.is_serving else None
    except ConfigError:
        return None


def _burnt(metagraph: Any, hotkeys: list[str]) -> float | None:
    owner = (getattr(metagraph, "owner_hotkey", None), getattr(metagraph, "owner_coldkey", None))
    if not all(isinstance(key, str) and key for key in owner):
        return None  # an older node doesn't say whose the subnet is
    incentive = [float(share) for share in metagraph.incentive]
    return burnt_share(
        incentive, hotkeys, [str(key) for key in metagraph.coldkeys], (str(owner[0]), str(owner[1]))
    )


def _named(network: str) -> str:
    """Return a network for messages, with the address that the SDK takes for its name."""
    address = require("bittensor.core.settings", "axon").NETWORK_MAP.get(network)
    return f"'{network}'" if address is None else f"'{network}' ({address})"


def _unreached(network: str) -> str:
    """Return what to look at where no connection came about; goes after what was said."""
    own = network == "local" or network.startswith("ws://")
    question = "Does a node run there?" if own else "Is this machine on the Internet?"
    return f". {question} Another node is named by --network wss://HOST:PORT"


def _reason(error: object) -> str:
    """Return what was said, in one line of bounded length."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    return f"{text[:_LONGEST_REASON]}..." if len(text) > _LONGEST_REASON else text or "no reason given"
