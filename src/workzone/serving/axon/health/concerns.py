"""What is wrong with the miner's world while it goes on answering.

Knows which concerns there are and how they are told; does not know how they are found. A concern never stops the
miner: whoever runs it must hear of it once, not every minute, so a line is logged when one begins, changes and ends.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from workzone.serving.keys import utc_now
from workzone.serving.logs import ERRORS

_LOG = logging.getLogger(ERRORS)


class Concern(StrEnum):
    """A kind of concern; at most one of each is there at a time."""

    CHAIN_AWAY = "chain_away"
    """The chain can't be reached."""
    NEURONS_STALE = "neurons_stale"
    """The table of neurons is older than it should be, or there is none."""
    NOT_REGISTERED = "not_registered"
    """Our hotkey is not on the subnet."""
    NOT_ANNOUNCED = "not_announced"
    """The chain was not told, or says another address than ours."""
    CLOCK_SKEW = "clock_skew"
    """Our clock differs from the chain's or the callers'."""
    PORT_CLOSED = "port_closed"
    """Our own address doesn't take connections, seen from here."""
    MODEL_OUT = "model_out"
    """A model is left alone after failures, or broken."""
    BURNT = "burnt"
    """The subnet burns the miners' share."""
    HALTED = "halted"
    """The challenge profile in force sends no challenges."""
    NO_CHALLENGES = "no_challenges"
    """No challenge came for hours."""
    MODEL_AGE = "model_age"
    """The submitted model grows old, and its reward with it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look found wrong.

    Attributes:
        message: What was found, what goes on, what to do.
        grade: What makes it another finding of its kind. While it stays, a new message (an age grows by the minute)
            is shown and not logged.
    """

    message: str
    grade: str = ""


@dataclass(frozen=True, slots=True)
class CurrentConcern:
    """A concern that is there now.

    Attributes:
        kind: Which.
        finding: Its newest message, and its grade.
        since: When it began.
    """

    kind: Concern
    finding: Finding
    since: datetime


class Concerns:
    """Those that are there; any thread may set and read."""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        """Begin without any; `clock` gives times with a zone."""
        self._clock = clock
        self._mutex = threading.Lock()
        self._current: Mapping[Concern, CurrentConcern] = MappingProxyType({})

    @property
    def current(self) -> Mapping[Concern, CurrentConcern]:
        """Return those that are there now, in the order in which they began; read only."""
        return self._current

    def set(self, kind: Concern, finding: Finding | None) -> None:
        """Say that `kind` is there, or with None that it is over; logged where that is news."""
        with self._mutex:
            before = self._current.get(kind)
            if finding is None and before is None:
                return
            current = dict(self._current)
            if finding is None:
                del current[kind]
            else:
                since = self._clock() if before is None else before.since
                current[kind] = CurrentConcern(kind, finding, since)
            self._current = MappingProxyType(current)
        self._tell(kind, before, finding)

    def _tell(self, kind: Concern, before: CurrentConcern | None, finding: Finding | None) -> None:
        # The end is a warning too: a file that holds warnings would else tell of beginnings only.
        if before is None and finding is not None:
            _LOG.warning("concern_begins: %s: %s", kind, finding.message)
        elif before is not None and finding is None:
            _LOG.warning("concern_ends: %s, since %s", kind, before.since.isoformat(timespec="seconds"))
        elif before is not None and finding is not None and before.finding.grade != finding.grade:
            _LOG.warning("concern_changes: %s: %s", kind, finding.message)
