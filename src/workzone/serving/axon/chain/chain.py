"""What the miner reads from the chain, and what it tells it.

Knows the records and the protocol; does not know the SDK (`bittensor_chain`) or when to ask (`watch`). Both calls
block, for minutes where the network is bad: they are made in a thread with a time limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from workzone.core.errors import WorkzoneError
from workzone.serving.axon.address import Address
from workzone.serving.axon.chain.neurons import Neurons


class ChainUnavailable(WorkzoneError):  # noqa: N818 - named for what it is, like the errors of the core
    """The chain can't be reached, or says what can't be used; what is known of it goes on serving."""


@dataclass(frozen=True, slots=True)
class Source:
    """What messages call the place where the table of neurons comes from.

    Attributes:
        name: The place itself.
        stranger: The start of a sentence: our hotkey is missing there.
        register: Its end: what to do about that.
    """

    name: str
    stranger: str
    register: str


THE_CHAIN = Source(
    "the chain",
    "Our hotkey is not registered on this subnet",
    "register the hotkey with btcli, or check --network, --netuid and --hotkey",
)


@dataclass(frozen=True, slots=True)
class ChainState:
    """What one look at the chain found.

    Attributes:
        neurons: Who is registered; its `block` is the block read.
        own_uid: Our number; None: our hotkey is not registered.
        announced: Where the chain says we serve; None: nowhere yet.
        burnt_share: Of the miners' incentive, the share that goes to the subnet's owner, which the chain burns, in
            [0, 1]; None: it doesn't say, or nobody gets any.
        block_time: The newest block's timestamp, with its zone; None: the chain isn't asked (a file).
        block_read_at: Our clock when that timestamp had been read.
    """

    neurons: Neurons
    own_uid: int | None = None
    announced: Address | None = None
    burnt_share: float | None = None
    block_time: datetime | None = None
    block_read_at: datetime | None = None

    @property
    def lag_s(self) -> float | None:
        """Return our clock less the newest block's, in seconds: about 0 to 13 where both are right."""
        if self.block_time is None or self.block_read_at is None:
            return None
        return (self.block_read_at - self.block_time).total_seconds()


class Chain(Protocol):
    """Where the table of neurons comes from, and where an address is announced. Both calls block.

    Attributes:
        source: What messages call it.
    """

    source: Source

    def fetch(self) -> ChainState:
        """Look at the chain.

        Raises:
            WorkzoneError: It can't be reached, or what it says can't be used.
        """

    def announce(self, address: Address) -> None:
        """Tell the chain where we serve, and return when the block that says so is final.

        Raises:
            WorkzoneError: It wasn't taken; the message says why.
        """


def burnt_share(
    incentive: Sequence[float], hotkeys: Sequence[str], coldkeys: Sequence[str], owner: tuple[str, str]
) -> float | None:
    """Return the share of the miners' incentive that goes to the subnet's owner, which the chain burns.

    Assumed: validators burn by giving weight to a neuron of the owner, and the chain pays no incentive to the
    owner's hotkey nor to any hotkey of the owner's coldkey.

    Args:
        incentive: Of each neuron, at least 0, in any unit.
        hotkeys: Of each neuron.
        coldkeys: Of each neuron.
        owner: Hotkey and coldkey of the subnet's owner.

    Returns:
        In [0, 1]; None where nobody gets any incentive, or a number can't be used.
    """
    total = math.fsum(incentive)
    if not (math.isfinite(total) and total > 0):
        return None
    owned = [
        share
        for share, hotkey, coldkey in zip(incentive, hotkeys, coldkeys, strict=True)
        if hotkey == owner[0] or coldkey == owner[1]
    ]
    return min(1.0, max(0.0, math.fsum(owned) / total))
