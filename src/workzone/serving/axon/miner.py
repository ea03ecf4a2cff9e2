"""The miner as a whole: what answers, who is let in, what watches the chain; and its life from start to stop.

Knows how the parts are joined; each part is a module of its own. A challenge's path: guard → the SDK's verification →
`Miner.reply` → the service (cache, journal) → the lanes (large model, small model) → a number.

The decision a reader would question: a challenge that has no answer is told -1 rather than an error. To the validator
both are the same, and -1 is there at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from workzone.core.errors import BundleError, ConfigError, DataError, JournalError, ModelUnavailable
from workzone.engine.answers import Answer, Answerer
from workzone.engine.cache import Cache
from workzone.engine.live import LiveSettings, open_live
from workzone.engine.live_cascade import share_threads
from workzone.engine.threads import usable_threads
from workzone.serving.axon.address import Address
from workzone.serving.axon.chain.chain import Chain
from workzone.serving.axon.chain.watch import ChainWatch, WatchSettings
from workzone.serving.axon.guard.application import axon_application
from workzone.serving.axon.guard.challenge import Challenge, GuardSettings
from workzone.serving.axon.health.concerns import Concerns
from workzone.serving.axon.health.health import HealthSettings, MinerHealth
from workzone.serving.axon.health.health_metrics import HealthCollector
from workzone.serving.axon.keys.keys import MinerKeys
from workzone.serving.axon.lanes.lane import Model
from workzone.serving.axon.lanes.lanes import STAKE, Lanes
from workzone.serving.axon.lanes.operating import LARGE, SMALL, live_model
from workzone.serving.axon.mined import MinedBundle
from workzone.serving.axon.private_port import private_application
from workzone.serving.faults import Code
from workzone.serving.http.metrics import Metrics, Staged
from workzone.serving.http.server import ServerSettings, serve
from workzone.serving.logs import PERFORMANCE
from workzone.serving.performance import HourlySummary
from workzone.serving.recording import Asked, Caller, Keeper, Recorder
from workzone.serving.served import Description, Served
from workzone.serving.service import Service
from workzone.subnet.profiles import in_force
from workzone.subnet.protocol import NO_ANSWER

_LOG = logging.getLogger(PERFORMANCE)


@dataclass(frozen=True, slots=True)
class Records:
    """Where answers go, each None where there is none."""

    cache: Cache | None = None
    journal: Recorder | None = None
    keeper: Keeper | None = None


@dataclass(frozen=True, slots=True)
class Location:
    """Where the miner stands.

    Attributes:
        external: Where validators reach it.
        announce: Whether the chain is told so.
        submitted: When its model was, with its zone.
    """

    external: Address
    announce: bool
    submitted: datetime | None


class Miner:
    """All parts of one miner, joined; belongs to one event loop, and is made inside it.

    Attributes:
        service: Answers and records.
        health: Counts, and what there is to worry about.
        watch: The chain.
        application: What validators reach (ASGI).
        private: What only its owner reaches (ASGI).
    """

    def __init__(
        self,
        keys: MinerKeys,
        chain: Chain,
        location: Location,
        records: Records,
        *,
        guard: GuardSettings,
        watch: WatchSettings,
        health: HealthSettings,
    ) -> None:
        """Join the parts; nothing listens and nothing is asked yet.

        Args:
            keys: Who we are.
            chain: Who the others are.
            location: Where we stand.
            records: Where answers go.
            guard: Who is let in.
            watch: When the chain is asked.
            health: When to worry.

        Raises:
            MissingExtraError: The SDK is not installed.
        """
        concerns = Concerns()
        told = location.external if location.announce else None
        self.watch = ChainWatch(chain, concerns, told, watch)
        self.health = MinerHealth(
            self.watch,
            concerns,
            address=told,
            submitted=location.submitted,
            halted_profile=halted_profile,
            stage_states=self._stage_states,
            settings=health,
        )
        self.summary = HourlySummary()
        metrics = Metrics(self.summary, v1=False)
        self.service = Service(
            cache=records.cache, journal=records.journal, keeper=records.keeper, observer=metrics
        )
        metrics.watch(self.service.check, self._answerer)
        metrics.registry.register(HealthCollector(self.health))
        self.application = axon_application(
            keys, self.watch.neurons, self.reply, guard, self.health, external=location.external
        )
        self.private = private_application(self.service, self.health, metrics)

    async def reply(self, challenge: Challenge) -> float:
        """Answer one verified challenge with a probability, or with -1 where there is none in time.

        Raises:
            DataError: The picture cannot be read, which is on record.
        """
        STAKE.set(challenge.stake)
        caller = Caller(challenge.hotkey, challenge.request_id)
        try:
            (outcome,) = await self.service.answer(
                [Asked(challenge.picture)], caller, deadline_s=challenge.deadline_s
            )
        except (
            JournalError,
            ModelUnavailable,
        ):  # the service has logged it: starting, broken, or a full disk
            return NO_ANSWER
        if isinstance(outcome, Answer):
            return outcome.probability
        if outcome.code is Code.BAD_PICTURE:
            raise DataError(outcome.message)
        return NO_ANSWER

    async def run(
        self,
        open_first: Callable[[], Awaitable[Served]],
        settings: ServerSettings,
        *,
        listening: Callable[[str], None] = lambda _: None,
    ) -> bool:
        """Serve until told to stop; see `serving.http.server.serve`.

        The metrics port of `settings` is the private port.
        """
        looks = 0

        async def look_after() -> None:
            nonlocal looks
            if looks % 3600 == 0:
                await self.service.expire()
            looks += 1
            self.summary.log_if_due()

        beside: list[asyncio.Task[None]] = []

        async def open_and_watch() -> Served:
            # Now both ports are ours: an address is not announced where another process answers at it.
            beside.extend(asyncio.create_task(one.run()) for one in (self.watch, self.health))
            return await open_first()

        try:
            return await serve(
                self.application, self.private, self.service, open_and_watch, settings,
                look_after=look_after, listening=listening,
            )  # fmt: skip
        finally:
            for task in beside:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*beside, return_exceptions=True)
            self.summary.log()

    def _answerer(self) -> Answerer | None:
        return None if self.service.current is None else self.service.current.answerer

    def _stage_states(self) -> Mapping[str, str]:
        answerer = self._answerer()
        return answerer.stage_states() if isinstance(answerer, Staged) else {}


async def open_lanes(
    large: MinedBundle, small: MinedBundle | None, settings: LiveSettings, *, profile: str | None = None
) -> Served:
    """Open the bundles in a thread, warm them up, and return what answers with both.

    The threads are divided: see `engine.live_cascade`. A line in the performance log, `miner_opened`, says which
    bundles and thresholds stand behind the identity that the journal names.

    Args:
        large: Answers whom it can.
        small: Answers the others; None: nobody does.
        settings: How both are opened.
        profile: Whose operating points they are, for the log.

    Raises:
        BundleError: One was changed or exchanged, is incomplete, or gives other answers than it was sealed with.
        ConfigError: There is no such backend.
    """
    bundles = [(LARGE, large)] if small is None else [(LARGE, large), (SMALL, small)]
    served = await asyncio.to_thread(_open, bundles, settings)
    models = [{"name": n, "bundle": one.digest, "threshold": one.threshold} for n, one in bundles]
    said = {"identity": served.answerer.identity, "profile": profile, "models": models}
    _LOG.info("miner_opened", extra=said)
    return served


def _open(bundles: Sequence[tuple[str, MinedBundle]], settings: LiveSettings) -> Served:
    threads = share_threads(settings.threads or usable_threads(), len(bundles))
    decoders = share_threads(settings.decode_threads or usable_threads(), len(bundles))
    models: list[Model] = []
    for (name, bundle), mine, decoding in zip(bundles, threads, decoders, strict=True):
        live = open_live(bundle.path, replace(settings, threads=mine, decode_threads=decoding))
        if live.identity != bundle.digest:
            raise BundleError(
                f"'{bundle.path}' was exchanged while the miner was starting: its operating point was read from "
                f"{bundle.digest[:12]}, and {live.identity[:12]} would answer. Start again."
            )
        models.append(live_model(live, bundle.threshold, name, max_batch=settings.max_batch))
    lanes = Lanes(models[0], models[1] if len(models) > 1 else None)
    rule = ", ".join(
        f"{name} model: road work above the logit {bundle.threshold:.6g}" for name, bundle in bundles
    )
    return Served(
        lanes,
        Description(
            name="miner",
            bundle=lanes.identity,
            card="",
            policy_kind="operating_point",
            rule=f"Never defers; {rule}.",
            thresholds=(),
            statement=None,
            certificate=None,
        ),
    )


def halted_profile(day: date) -> str | None:
    """Return the name of the profile in force on a day, where nothing is sent under it; else None."""
    try:
        found = in_force(day)
    except ConfigError:  # a clock before the first known profile: not known is not halted
        return None
    return None if found.sends else found.name
