"""How many challenges, and bytes of their bodies, are inside: of all callers together, and of each.

Knows counts by hotkey; does not know what is done inside. One caller may hold half of all places: a bound on all
together would let a single one, slow on purpose, keep everyone else out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workzone.core.errors import Overloaded
from workzone.serving.axon.challenge import GuardSettings
from workzone.serving.axon.refusals import Refusal, RefusedRequest
from workzone.serving.limits import Admission, Limits, Ticket

_SHARE = 2


class Places:
    """The places of one axon. For one thread: the event loop's.

    Attributes:
        everyone: Requests and bytes of all callers.
    """

    def __init__(self, settings: GuardSettings) -> None:
        most = settings.max_body_bytes
        self.everyone = Admission(
            Limits(body_bytes=most, in_flight=settings.in_flight, in_flight_bytes=settings.in_flight_bytes)
        )
        self._each: dict[str, Admission] = {}
        self._share = Limits(
            body_bytes=most,
            in_flight=max(1, settings.in_flight // _SHARE),
            in_flight_bytes=max(most, settings.in_flight_bytes // _SHARE),
        )

    @contextmanager
    def enter(self, hotkey: str) -> Iterator[Place]:
        """Let a request of this hotkey in.

        Raises:
            RefusedRequest: 503: too many are inside.
        """
        mine = self._each.get(hotkey) or Admission(self._share)
        try:
            theirs, own = self.everyone.enter(), mine.enter()
        except Overloaded as error:
            raise _busy(error) from None
        self._each[hotkey] = mine
        try:
            with theirs, own:
                yield Place((theirs, own))
        finally:
            if mine.requests == 0:
                self._each.pop(hotkey, None)


@dataclass(frozen=True, slots=True)
class Place:
    """One request's place."""

    tickets: tuple[Ticket, ...]

    def hold(self, n_bytes: int) -> None:
        """Count bytes that arrived and are kept until the request ends.

        Raises:
            RefusedRequest: 503: they do not fit.
        """
        try:
            for ticket in self.tickets:
                ticket.hold(n_bytes)
        except Overloaded as error:
            raise _busy(error) from None


def _busy(error: Overloaded) -> RefusedRequest:
    return RefusedRequest(Refusal.BUSY, str(error), error.retry_after_s)
