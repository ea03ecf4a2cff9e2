"""What a request may cost: stated limits, a rate for each key, and a budget of memory for all bodies together.

Knows counts, bytes and seconds; does not know HTTP or who asks. Limits of one request do not bound the service: a
thousand slow uploads of an allowed size each would. So bytes are taken from one budget as they arrive.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Self

from workzone.core.errors import ConfigError, Overloaded

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is let in; each is stated in the API's description."""

    body_bytes: int = 64 * 2**20
    """Of one request's body, counted as it arrives."""
    picture_bytes: int = 32 * 2**20
    """Of one encoded picture."""
    pictures: int = 32
    """In one request."""
    in_flight: int = 256
    """Requests at once."""
    in_flight_bytes: int = 512 * 2**20
    """Of all bodies at once."""
    body_timeout_s: float = 30.0
    """Until the whole body has arrived."""
    default_deadline_s: float = 30.0
    """For an answer where the client states none."""
    max_deadline_s: float = 120.0
    """A client's longer deadline is cut to this."""
    rate_per_s: float = 50.0
    """Pictures of one key in the long run."""
    burst: int = 200
    """Pictures of one key at once; at least `pictures`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"The limit '{field.name}' is {value}; expected a number above 0.")
        if self.burst < self.pictures:
            raise ConfigError(
                f"A key's burst of {self.burst} pictures is below the {self.pictures} of one request, which could "
                "then never be answered; raise --burst or lower --max-pictures."
            )
        if self.in_flight_bytes < self.body_bytes:
            raise ConfigError(
                f"All bodies together may hold {self.in_flight_bytes} bytes, one alone {self.body_bytes}; "
                "raise the former or lower the latter."
            )


class RateLimiter:
    """A token bucket for each key (Turner, "New directions in communications", IEEE Communications 24(10), 1986).

    Buckets that are full say nothing and are forgotten, the least recently used first, so memory is bounded.
    """

    def __init__(
        self, rate_per_s: float, burst: int, *, clock: Clock = time.monotonic, max_buckets: int = 2000
    ) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._clock = clock
        self._max = max_buckets
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, n: int) -> None:
        """Take `n` pictures from a key's bucket, all or none.

        Raises:
            Overloaded: It holds fewer; says in how many seconds it will hold enough.
        """
        now = self._clock()
        level, since = self._buckets.get(key, (self._burst, now))
        level = min(self._burst, level + max(0.0, now - since) * self._rate)
        enough = level >= n
        self._buckets[key] = (level - n if enough else level, now)
        self._buckets.move_to_end(key)
        while len(self._buckets) > self._max:
            self._buckets.popitem(last=False)
        if not enough:
            raise Overloaded(
                f"This key asked for more than {self._rate:g} pictures a second; {n} more can be asked for later.",
                retry_after_s=(n - level) / self._rate,
            )


class Admission:
    """How many requests and bytes are inside. For one thread: the event loop's."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.requests = 0
        self.bytes = 0

    def enter(self) -> Ticket:
        """Let a request in; leave by the ticket's context.

        Raises:
            Overloaded: Too many are inside.
        """
        if self.requests >= self._limits.in_flight:
            raise Overloaded(f"{self.requests} requests are being answered, the most at once; try again.")
        return Ticket(self, self._limits)


class Ticket:
    """One request's place, and the bytes that it holds."""

    def __init__(self, admission: Admission, limits: Limits) -> None:
        self._admission = admission
        self._limits = limits
        self._bytes = 0

    def __enter__(self) -> Self:
        self._admission.requests += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission.requests -= 1
        self._admission.bytes -= self._bytes

    def hold(self, n_bytes: int) -> None:
        """Count bytes that arrived and are kept until the request ends.

        Raises:
            Overloaded: All requests together hold too many.
        """
        if self._admission.bytes + n_bytes > self._limits.in_flight_bytes:
            raise Overloaded("The requests being received fill the memory set aside for them; try again.")
        self._admission.bytes += n_bytes
        self._bytes += n_bytes
