"""One log line an hour: how many answers of each kind, how many failures, and how long they took.

Times are counted in buckets 5 % wide, so that an hour costs a few hundred numbers however busy it was, and a
percentile is off by at most 5 %. It knows nothing of Prometheus, which keeps its own counts.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable

from workzone.serving.logs import PERFORMANCE

_RATIO = 1.05
_SHORTEST_MS = 0.01
_LOG = logging.getLogger(PERFORMANCE)


class HourlySummary:
    """Counts what is answered and logs it when the hour is over; any thread may count."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, every_s: float = 3600.0) -> None:
        """Begin the first hour now; `clock` gives seconds and never goes back."""
        self._clock, self._every_s = clock, every_s
        self._mutex = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self._begun = self._clock()
        self._outcomes: Counter[str] = Counter()
        self._buckets: Counter[int] = Counter()
        self._cached, self._longest_ms = 0, 0.0

    def count(self, outcome: str, latency_ms: float, *, cached: bool = False) -> None:
        """Count one request, and log the hour before it where that is over.

        Args:
            outcome: The verdict, or the status code of a failure.
            latency_ms: From its arrival to its answer.
            cached: Whether the answer was found in the cache.
        """
        self.log_if_due()
        with self._mutex:
            self._outcomes[outcome] += 1
            self._cached += cached
            self._buckets[math.ceil(math.log(max(latency_ms, _SHORTEST_MS), _RATIO))] += 1
            self._longest_ms = max(self._longest_ms, latency_ms)

    def log_if_due(self) -> None:
        """Log the summary if the hour is over; call it now and then, since a quiet service counts nothing."""
        with self._mutex:
            due = self._clock() - self._begun >= self._every_s
        if due:
            self.log()

    def log(self) -> None:
        """Log what was counted since the last summary, and begin anew: also when the service ends."""
        with self._mutex:
            seconds = self._clock() - self._begun
            fields = {
                "seconds": round(seconds, 3),
                "requests": self._outcomes.total(),
                "outcomes": dict(sorted(self._outcomes.items())),
                "cached": self._cached,
                "p50_ms": self._percentile(0.5),
                "p95_ms": self._percentile(0.95),
                "p99_ms": self._percentile(0.99),
                "longest_ms": round(self._longest_ms, 3),
            }
            self._reset()
        _LOG.info("performance", extra=fields)

    def _percentile(self, share: float) -> float | None:
        """Return the upper edge of the bucket that the nearest-rank percentile lies in; None without any."""
        rank = math.ceil(share * self._buckets.total())
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return round(min(_RATIO**bucket, self._longest_ms), 3)
        return None
