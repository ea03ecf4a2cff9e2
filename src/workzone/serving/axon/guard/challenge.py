"""What passes between the axon's guard and those who answer, count and configure it.

Knows records and signatures only.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields

from workzone.core.errors import ConfigError
from workzone.serving.axon.guard.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Challenge:
    """A picture that a registered caller asks about; its signature is verified.

    The signature covers who asks whom, and when; not the picture, which anyone on the way could have exchanged.

    Attributes:
        picture: Encoded, as sent; nobody looked at it.
        hotkey: Who asks, SS58.
        uid: Its number on the subnet.
        stake: What ranks it among callers.
        deadline_s: When an answer ceases to be of use, on the event loop's clock.
        request_id: Under which it is logged.
    """

    picture: bytes
    hotkey: str
    uid: int
    stake: float
    deadline_s: float
    request_id: str


Reply = Callable[[Challenge], Awaitable[float]]
"""Answers with a probability, or NO_ANSWER (-1.0) where there is none; raises DataError for what is no picture."""


class AxonObserver:
    """Someone who counts; this one does not."""

    def refused(self, why: Refusal) -> None:
        """A request was not taken."""

    def verified(self, hotkey: str, clock_offset_s: float) -> None:
        """A request's signature is right; `clock_offset_s`: our clock less its signer's, and its way here."""

    def answered(self, seconds: float) -> None:
        """A probability was sent, so long after the request's first byte."""

    def unanswered(self, seconds: float) -> None:
        """A challenge was taken, and -1 was sent: there was no answer in time."""

    def unreadable(self, seconds: float) -> None:
        """A challenge was taken, and -1 was sent: its picture cannot be read, however much time there is."""

    def failed(self) -> None:
        """The reply raised, or was no number in [0, 1] (and not -1); -1 is sent, so `unanswered` follows."""

    def left(self, seconds: float) -> None:
        """A caller whose challenge was taken went away before there was an answer."""


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What is let in.

    Attributes:
        max_body_bytes: Of one request's body; at least 22.4 MiB for a picture of 16 MiB, which is base64 on the way.
        in_flight: Requests at once, and work that they left behind; of one hotkey half as many.
        in_flight_bytes: Of all their bodies; of one hotkey half as many, but one whole body. A body takes up to 3.3
            times its size while it is taken apart, which large ones are two at a time.
        body_timeout_s: From a request's first byte until its body is whole; below the 6 s of an answer, or it
            never counts.
        rate_per_s: Requests of one address in the long run; of IPv6, of one /64.
        burst: Requests of one address at once.
        require_permit: Whether a caller must be allowed to validate.
    """

    max_body_bytes: int = 24 * 2**20
    in_flight: int = 256
    in_flight_bytes: int = 512 * 2**20
    body_timeout_s: float = 5.0
    rate_per_s: float = 20.0
    burst: int = 200
    require_permit: bool = True

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: One is no number above 0, or all bodies together may be smaller than one.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, bool) and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"The guard's '{field.name}' is {value}; expected a number above 0.")
        if self.in_flight_bytes < self.max_body_bytes:
            raise ConfigError(
                f"All bodies together may hold {self.in_flight_bytes} bytes, one alone {self.max_body_bytes}; raise "
                "in_flight_bytes or lower max_body_bytes."
            )
