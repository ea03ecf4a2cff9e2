"""How many challenges, and bytes of their bodies, are inside: of all callers together, and of each.

Knows counts by hotkey; does not know what is done inside. One caller may hold half of all places: a bound on all
together would let a single one, slow on purpose, keep everyone else out.

The decision to question: a place outlives its request where work of it goes on, such as a record that waits for a disk
that hangs. The caller has its -1 by then, but the picture is still in memory; were the place free, the next would come
in, and memory would grow for as long as the disk hangs. So callers are told `busy` instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from workzone.core.errors import Overloaded
from workzone.serving.axon.guard.challenge import GuardSettings
from workzone.serving.axon.guard.refusals import Refusal, RefusedRequest
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
        taken = ExitStack()
        taken.callback(self._forget_idle, hotkey)
        for ticket in (theirs, own):
            taken.enter_context(ticket)
        place = Place((theirs, own), taken.close)
        try:
            yield place
        finally:
            place.leave()

    def _forget_idle(self, hotkey: str) -> None:
        if self._each[hotkey].requests == 0:
            del self._each[hotkey]


class Place:
    """One request's place, given back once the request and all work that it left behind have ended."""

    def __init__(self, tickets: tuple[Ticket, ...], give_back: Callable[[], None]) -> None:
        self._tickets = tickets
        self._give_back = give_back
        self._holders = 1  # the request

    def hold(self, n_bytes: int) -> None:
        """Count bytes that arrived and are kept until the place is given back.

        Raises:
            RefusedRequest: 503: they do not fit.
        """
        try:
            for ticket in self._tickets:
                ticket.hold(n_bytes)
        except Overloaded as error:
            raise _busy(error) from None

    def keep_for(self, work: asyncio.Future[Any]) -> None:
        """Keep the place until `work` is done too, whatever becomes of the request meanwhile."""
        self._holders += 1
        work.add_done_callback(lambda _: self.leave())

    def leave(self) -> None:
        """End one holder's hold; with the last the place is given back."""
        self._holders -= 1
        if self._holders == 0:
            self._give_back()


def _busy(error: Overloaded) -> RefusedRequest:
    return RefusedRequest(Refusal.BUSY, str(error), error.retry_after_s)
