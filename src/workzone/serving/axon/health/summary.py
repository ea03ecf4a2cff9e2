"""One log line a day (UTC): what became of challenges, and of requests refused; the last one when the miner stops.

Knows counts only. The day is UTC's, not the machine's, since validators, chain and journal tell time in it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from workzone.serving.keys import utc_now
from workzone.serving.logs import PERFORMANCE

_LOG = logging.getLogger(PERFORMANCE)


class NightlySummary:
    """Counts challenges and logs them when the day is over; any thread may count."""

    def __init__(self, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Begin the first day now; `clock` gives times with a zone."""
        self._clock = clock
        self._mutex = threading.Lock()
        self._begin(clock().astimezone(UTC))

    def _begin(self, now: datetime) -> None:
        self._begun = now
        self._answered = self._late = self._unreadable = self._left = 0
        self._longest_s = 0.0
        self._refused: Counter[str] = Counter()

    def answered(self, seconds: float) -> None:
        """Count a challenge that was answered, `seconds` after its first byte."""
        self.log_if_due()
        with self._mutex:
            self._answered += 1
            self._longest_s = max(self._longest_s, seconds)

    def late(self) -> None:
        """Count a challenge for which no answer could be had in time."""
        self.log_if_due()
        with self._mutex:
            self._late += 1

    def unreadable(self) -> None:
        """Count a challenge whose picture cannot be read."""
        self.log_if_due()
        with self._mutex:
            self._unreadable += 1

    def left(self) -> None:
        """Count a challenge whose caller went away before there was an answer."""
        self.log_if_due()
        with self._mutex:
            self._left += 1

    def refused(self, why: str) -> None:
        """Count a request that was refused, by its reason: one of a few, never what a caller sent."""
        self.log_if_due()
        with self._mutex:
            self._refused[why] += 1

    def log_if_due(self) -> None:
        """Log the summary if the day is over; call it now and then, since a quiet miner counts nothing."""
        now = self._clock().astimezone(UTC)
        with self._mutex:
            # Backwards is no new day: a clock that is set back past midnight must not end two days.
            fields = self._end(now) if now.date() > self._begun.date() else None
        if fields is not None:
            _LOG.info("miner_day", extra=fields)

    def log(self) -> None:
        """Log what was counted since the last summary, and begin anew: when the miner stops."""
        with self._mutex:
            fields = self._end(self._clock().astimezone(UTC))
        _LOG.info("miner_day", extra=fields)

    def _end(self, now: datetime) -> dict[str, object]:
        fields: dict[str, object] = {
            "day": self._begun.date().isoformat(),
            "hours": round(max(0.0, (now - self._begun).total_seconds()) / 3600, 3),
            "answered": self._answered,
            "late": self._late,
            "unreadable": self._unreadable,
            "left": self._left,
            "refused": dict(sorted(self._refused.items())),
            "longest_s": round(self._longest_s, 3),
        }
        self._begin(now)
        return fields
