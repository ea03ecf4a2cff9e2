"""How the miner fares: what it counts, and what it should worry about, looked at twice a minute.

Knows where each number comes from; the bounds and words are `findings`', the telling is `concerns`'. It watches and
never acts: nothing it finds stops the miner or refuses a caller.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

from workzone.core.errors import ConfigError
from workzone.serving.axon.address import Address
from workzone.serving.axon.chain.watch import ChainWatch
from workzone.serving.axon.guard.challenge import AxonObserver
from workzone.serving.axon.guard.refusals import Refusal
from workzone.serving.axon.health import port
from workzone.serving.axon.health.concerns import Concern, Concerns, Finding
from workzone.serving.axon.health.findings import (
    burnt_finding,
    clock_finding,
    halted_finding,
    model_age_finding,
    models_finding,
    quiet_finding,
    stale_finding,
)
from workzone.serving.axon.health.summary import NightlySummary
from workzone.serving.keys import utc_now
from workzone.serving.logs import ERRORS

_LOG = logging.getLogger(ERRORS)
OUTCOMES = ("answered", "late", "unreadable", "left")
"""What becomes of a challenge; "left": by its caller."""
_CALLERS_WINDOW_S = 900.0
"""For how long a caller's clock counts."""


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """When to worry.

    Attributes:
        look_s: Between two looks.
        stale_after_s: Age of the table of neurons.
        quiet_after_s: Without a challenge.
        port_first_s: From the start to the first try of our own port: it must be listened on by then.
        port_every_s: Between two tries while it is open.
        port_retry_s: Between two tries while it is closed.

    Raises:
        ConfigError: One of them is not positive.
    """

    look_s: float = 30.0
    stale_after_s: float = 3600.0
    quiet_after_s: float = 3 * 3600.0
    port_first_s: float = 60.0
    port_every_s: float = 1800.0
    port_retry_s: float = 300.0

    def __post_init__(self) -> None:
        if not all(0 < seconds < float("inf") for seconds in astuple(self)):
            raise ConfigError(f"The times of {self} must all be positive numbers of seconds.")


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where the time comes from.

    Attributes:
        now: The time, with its zone.
        monotonic: Seconds; never goes back.
    """

    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic


class MinerHealth(AxonObserver):
    """Counts challenges, and keeps the concerns that numbers give rise to.

    Attributes:
        concerns: All of them, the chain's too.
        watch: The chain, as last known.
    """

    def __init__(
        self,
        watch: ChainWatch,
        concerns: Concerns,
        *,
        address: Address | None,
        submitted: datetime | None,
        halted_profile: Callable[[date], str | None] = lambda _: None,
        stage_states: Callable[[], Mapping[str, str]] = dict,
        settings: HealthSettings = HealthSettings(),
        clocks: Clocks = Clocks(),
        connect: Callable[[Address], Awaitable[None]] = port.connect,
    ) -> None:
        """Begin to count now.

        Args:
            watch: The chain.
            concerns: Where they are kept.
            address: Ours, tried now and then; None: never.
            submitted: When the model was, with its zone; None: its age is not watched.
            halted_profile: Day (UTC) → name of the challenge profile in force then, where it sends nothing; else None.
            stage_states: Model → its breaker's state: "closed", "open" or "half_open"; empty: not known.
            settings: When to worry.
            clocks: Where the time comes from.
            connect: Tries a connection.
        """
        self.concerns, self.watch = concerns, watch
        self._address, self._submitted, self._halted = address, submitted, halted_profile
        self._stage_states = stage_states
        self._settings, self._clocks, self._connect = settings, clocks, connect
        self._summary = NightlySummary(clock=clocks.now)
        self._mutex = threading.Lock()
        self._started = clocks.monotonic()
        self._last_challenge: float | None = None
        self._next_port_try = self._started + settings.port_first_s
        self._outcomes: Counter[str] = Counter()
        self._failures = 0
        self._refused: Counter[str] = Counter()
        self._offsets: dict[str, tuple[float, float]] = {}
        self._too_old: deque[float] = deque(maxlen=1000)
        self._faulty: set[str] = set()

    # What the axon tells.

    def answered(self, seconds: float) -> None:
        """Count a challenge that was answered, `seconds` after its first byte."""
        self._count("answered")
        self._summary.answered(seconds)

    def unanswered(self, seconds: float) -> None:
        """Count a challenge for which no answer could be had in time."""
        self._count("late")
        self._summary.late()

    def unreadable(self, seconds: float) -> None:
        """Count a challenge whose picture cannot be read."""
        self._count("unreadable")
        self._summary.unreadable()

    def refused(self, why: Refusal) -> None:
        """Count a request that was refused."""
        with self._mutex:
            self._refused[str(why)] += 1
            if why is Refusal.STALE_NONCE:  # not FUTURE_NONCE, which says nothing of a clock that is ahead
                self._too_old.append(self._clocks.monotonic())
        self._summary.refused(str(why))

    def left(self, seconds: float) -> None:
        """Count a challenge whose caller went away before there was an answer."""
        self._count("left")
        self._summary.left()

    def failed(self) -> None:
        """Count an answer that was none; the challenge itself is counted as unanswered."""
        with self._mutex:
            self._failures += 1

    def verified(self, hotkey: str, clock_offset_s: float) -> None:
        """Note our clock less a verified caller's nonce, in seconds: second evidence on our clock.

        Args:
            hotkey: Registered, so there are never more than the subnet holds.
            clock_offset_s: Includes the way here, a second or two.
        """
        with self._mutex:
            self._offsets[hotkey] = (clock_offset_s, self._clocks.monotonic())

    def _count(self, outcome: str) -> None:
        with self._mutex:
            self._outcomes[outcome] += 1
            self._last_challenge = self._clocks.monotonic()

    # What others ask.

    @property
    def challenges(self) -> Mapping[str, int]:
        """Return outcome → challenges since the start: one of `OUTCOMES`."""
        with self._mutex:
            return MappingProxyType({name: self._outcomes[name] for name in OUTCOMES})

    @property
    def failures(self) -> int:
        """Return how many answers raised or were no probability, since the start."""
        return self._failures

    @property
    def refusals(self) -> Mapping[str, int]:
        """Return reason → requests refused since the start."""
        with self._mutex:
            return MappingProxyType(dict(self._refused))

    @property
    def last_challenge_s(self) -> float | None:
        """Return how long ago the last verified challenge came; None: none has yet."""
        last = self._last_challenge
        return None if last is None else max(0.0, self._clocks.monotonic() - last)

    @property
    def neurons_age(self) -> timedelta | None:
        """Return how old the table of neurons is; None: there is none yet."""
        neurons = self.watch.neurons()
        return None if neurons is None else neurons.age(self._clocks.now())

    @property
    def model_age(self) -> timedelta | None:
        """Return how long ago the model was submitted; None: not known."""
        return None if self._submitted is None else self._clocks.now() - self._submitted

    # What it looks at.

    def look(self) -> None:
        """Judge all numbers as they are now; what can't be judged stays as it was, and keeps nothing else from it."""
        judges: Mapping[Concern, Callable[[], Finding | None]] = {
            Concern.NEURONS_STALE: self._stale,
            Concern.CLOCK_SKEW: self._clock,
            Concern.MODEL_OUT: lambda: models_finding(self._stage_states()),
            Concern.BURNT: self._burnt,
            Concern.NO_CHALLENGES: self._quiet,
            Concern.MODEL_AGE: self._old,
            Concern.HALTED: self._halt,
        }
        for kind, judge in judges.items():
            with self._guarded(kind):
                self.concerns.set(kind, judge())
        with self._guarded("summary"):
            self._summary.log_if_due()

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        """Log an error instead of raising it, once for each kind of thing looked at: it would come with each look."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - an observer must not fail what it observes
            if what not in self._faulty:
                _LOG.error("unexpected", exc_info=error)
            self._faulty.add(what)

    def _burnt(self) -> Finding | None:
        state = self.watch.state
        return burnt_finding(None if state is None else state.burnt_share)

    def _quiet(self) -> Finding | None:
        last = self._last_challenge
        quiet_s = self._clocks.monotonic() - (self._started if last is None else last)
        quiet, after = timedelta(seconds=max(0.0, quiet_s)), timedelta(seconds=self._settings.quiet_after_s)
        return quiet_finding(quiet, after, none_yet=last is None)

    def _old(self) -> Finding | None:
        age = self.model_age
        return None if age is None else model_age_finding(age)

    def _halt(self) -> Finding | None:
        last_s, today = self.last_challenge_s, self._clocks.now().astimezone(UTC)
        if last_s is not None and last_s < self._settings.quiet_after_s:
            return None  # what is known of the subnet is out of date: challenges come
        profile = self._halted(today.date())
        return None if profile is None else halted_finding(profile, today)

    def _stale(self) -> Finding | None:
        age = self.neurons_age
        if age is None and self.watch.failures == 0:
            return None  # the first look is still under way
        return stale_finding(age, timedelta(seconds=self._settings.stale_after_s))

    def _clock(self) -> Finding | None:
        since = self._clocks.monotonic() - _CALLERS_WINDOW_S
        with self._mutex:
            self._offsets = {hotkey: seen for hotkey, seen in self._offsets.items() if seen[1] >= since}
            offsets = [offset for offset, _ in self._offsets.values()]
            too_old = sum(at >= since for at in self._too_old)
        return clock_finding(self._lag_s(), offsets, too_old)

    def _lag_s(self) -> float | None:
        """Return our clock less the chain's, when last read; None: not known, or by now no proof that it is right."""
        state, age = self.watch.state, self.neurons_age
        if state is None or age is None:
            return None
        old = age >= timedelta(seconds=self._settings.stale_after_s)
        return None if old and clock_finding(state.lag_s) is None else state.lag_s

    async def try_port(self) -> None:
        """Try our own address where that is due; a challenge that came of late proves it open without a try."""
        settings, now = self._settings, self._clocks.monotonic()
        if self._address is None or now < self._next_port_try:
            return
        proved = self.last_challenge_s is not None and self.last_challenge_s < settings.port_every_s
        found = None if proved else await port.closed_finding(self._address, connect=self._connect)
        self.concerns.set(Concern.PORT_CLOSED, found)
        self._next_port_try = now + (settings.port_every_s if found is None else settings.port_retry_s)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look until cancelled; the day's summary so far is logged then."""
        try:
            while True:
                self.look()
                with self._guarded(Concern.PORT_CLOSED):
                    await self.try_port()
                await sleep(self._settings.look_s)
        finally:
            self._summary.log()
