"""Keep the table of neurons fresh and the chain told, beside the event loop, for as long as the miner runs.

Knows when to ask the chain; does not know the SDK. A reader may ask why nothing here ever stops the miner: a chain
that is away for an hour takes nothing from validators that are there, and the last table still says who they are.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import astuple, dataclass, replace

from workzone.core.errors import ConfigError, WorkzoneError
from workzone.serving.axon.address import Address
from workzone.serving.axon.chain.chain import Chain, ChainState, ChainUnavailable, Source
from workzone.serving.axon.chain.chain_threads import LimitedThreads
from workzone.serving.axon.chain.neurons import Neurons
from workzone.serving.axon.health.concerns import Concern, Concerns, Finding
from workzone.serving.logs import ERRORS, PERFORMANCE

_LOG = logging.getLogger(ERRORS)
_NEWS = logging.getLogger(PERFORMANCE)


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """When to ask the chain.

    Attributes:
        resync_s: Between two looks at the chain that both worked; each is drawn within a tenth of it.
        timeout_s: How long one look may take.
        announce_timeout_s: How long an announcement may take: until its block is final.
        retry_s: After the first failure; doubled with each, up to `resync_s`, and drawn from its upper half, so that
            miners which lost the same node don't come back to it together.

    Raises:
        ConfigError: One of them is not positive.
    """

    resync_s: float = 600.0
    timeout_s: float = 120.0
    announce_timeout_s: float = 180.0
    retry_s: float = 5.0

    def __post_init__(self) -> None:
        if not all(0 < seconds < float("inf") for seconds in astuple(self)):
            raise ConfigError(f"The times of {self} must all be positive numbers of seconds.")


class ChainWatch:
    """The last that was known of the chain, kept fresh by `run`.

    Attributes:
        failures: Looks and announcements that failed since the last that worked.
    """

    def __init__(
        self,
        chain: Chain,
        concerns: Concerns,
        address: Address | None,
        settings: WatchSettings = WatchSettings(),
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        """Know nothing yet; `address` None: never announce."""
        self._chain, self._concerns, self._address, self._settings = chain, concerns, address, settings
        self._sleep = sleep
        self._rng = rng or random.Random()  # noqa: S311 - it spreads retries, nothing more
        self._threads = LimitedThreads()
        self._state: ChainState | None = None
        self.failures = 0

    @property
    def state(self) -> ChainState | None:
        """Return what the last look that worked found; None: none has yet."""
        return self._state

    def neurons(self) -> Neurons | None:
        """Return the last table; None: none has been read yet, so nobody can be let in."""
        return None if self._state is None else self._state.neurons

    async def run(self) -> None:
        """Look, and look again, until cancelled."""
        while True:
            await self._sleep(await self.step())

    async def step(self) -> float:
        """Look at the chain once, announce where that is needed, and return in how many seconds to look again."""
        source = self._chain.source
        what = f"{source.name[0].upper()}{source.name[1:]} can't be read"
        state = await self._try(self._look, Concern.CHAIN_AWAY, what, _GOES_ON.format(source.name))
        if state is None:
            return self._retry_after()
        self._state = state
        self._concerns.set(Concern.NOT_REGISTERED, _unregistered(source) if state.own_uid is None else None)
        if not await self._announced(state):
            return self._retry_after()
        self.failures = 0
        return self._settings.resync_s * self._rng.uniform(0.9, 1.1)

    async def _look(self) -> ChainState:
        state = await self._threads.call(self._chain.fetch, self._settings.timeout_s)
        if not state.neurons.by_hotkey:  # taken at its word, it would lock everybody out
            raise ChainUnavailable(
                f"Block {state.neurons.block} names no neuron at all; expected at least one."
            )
        return state

    async def _announced(self, state: ChainState) -> bool:
        """Announce our address where the chain has another; return whether the chain has it now."""
        address = self._address
        if address is None or state.own_uid is None or state.announced == address:
            self._concerns.set(Concern.NOT_ANNOUNCED, None)
            return True

        async def announce() -> ChainState:
            await self._threads.call(lambda: self._chain.announce(address), self._settings.announce_timeout_s)
            return replace(state, announced=address)

        shown = "none" if state.announced is None else str(state.announced)
        what = f"Our address {address} could not be announced (the chain has {shown})"
        told = await self._try(announce, Concern.NOT_ANNOUNCED, what, _TRIES_AGAIN)
        if told is None:
            return False
        self._state = told
        _NEWS.info("announced", extra={"address": str(address), "before": shown})
        return True

    async def _try(
        self, attempt: Callable[[], Awaitable[ChainState]], kind: Concern, what: str, goes_on: str
    ) -> ChainState | None:
        """Return what `attempt` found; None where it failed, which is a concern of `kind` until it works."""
        try:
            state = await attempt()
        except Exception as error:  # noqa: BLE001 - a worker's boundary: the chain may fail in any way
            self.failures += 1
            known = isinstance(error, WorkzoneError | TimeoutError)
            why = (
                "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            )
            if not known and self.failures == 1:
                _LOG.error("unexpected", exc_info=error)
            self._concerns.set(kind, Finding(f"{what}: {why.rstrip('.')}. {goes_on}"))
            return None
        self._concerns.set(kind, None)
        return state

    def _retry_after(self) -> float:
        doublings = min(max(self.failures - 1, 0), 30)
        longest = min(self._settings.resync_s, self._settings.retry_s * 2.0**doublings)
        return longest * self._rng.uniform(0.5, 1.0)


_GOES_ON = (
    "The last table of neurons goes on serving (without one, every caller is refused with 503), and {} is tried "
    "again, first within seconds, then at longer intervals."
)
_TRIES_AGAIN = (
    "Challenges go on being answered, but validators call the address on the chain. It is tried again."
)


def _unregistered(source: Source) -> Finding:
    return Finding(
        f"{source.stranger}, so no validator will call us and nothing is announced. The miner goes on listening and "
        f"looks again; {source.register}."
    )
