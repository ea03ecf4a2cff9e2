"""What the chain says of the subnet to somebody who thinks of mining: who validates, what is burnt, what entry costs.

Knows a chain that can be looked at without keys; asks nobody else. It says nothing of what a model would earn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from workzone.serving.axon.chain.chain import ChainState

NOTHING_LEFT = 0.999
"""From this burnt share on, miners earn nothing to speak of."""


class Surveyed(Protocol):
    """A chain, as far as a survey asks it; both calls block."""

    def fetch(self) -> ChainState:
        """Look at the subnet."""

    def registration_price_tao(self) -> float | None:
        """Return what a registration costs now."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The subnet at one block.

    Attributes:
        block: The block that was read.
        neurons: How many are registered.
        validators: How many of them have a permit to validate.
        burnt_share: Of the miners' incentive, in [0, 1]; None: the chain does not say, or nobody gets any.
        price_tao: Of a registration; None: there is no such subnet.
    """

    block: int
    neurons: int
    validators: int
    burnt_share: float | None
    price_tao: float | None

    @property
    def pays(self) -> bool | None:
        """Whether miners get a share worth the name; None: it cannot be told."""
        return None if self.burnt_share is None else self.burnt_share < NOTHING_LEFT

    @property
    def sentence(self) -> str:
        """What that means for a miner."""
        if self.pays is None:
            return "The chain does not say what is burnt, or nobody gets any incentive: expect mining to earn nothing."
        if not self.pays:
            return "All of the miners' share is burnt: mining earns nothing now, whatever the model."
        assert self.burnt_share is not None
        return f"{1 - self.burnt_share:.1%} of the miners' share goes to miners; the rest is burnt."


def survey(chain: Surveyed) -> Survey:
    """Ask the chain.

    Raises:
        ChainUnavailable: It can't be reached, or what it says can't be used.
    """
    state = chain.fetch()
    known = state.neurons.by_hotkey.values()
    return Survey(
        block=state.neurons.block,
        neurons=len(known),
        validators=sum(neuron.permit for neuron in known),
        burnt_share=state.burnt_share,
        price_tao=chain.registration_price_tao(),
    )
