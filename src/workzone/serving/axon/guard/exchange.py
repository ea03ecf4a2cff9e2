"""One challenge between the guard, which lets it in, and the SDK, which verifies it and writes the reply.

Knows ASGI messages and the deadline; does not know headers or who is registered. The SDK's application calls in here
twice: for the body, once the signature is verified, and for the prediction.

The decision to question: what goes wrong with the body is kept, not raised. Raised inside the SDK it would be logged as
an exception and answered in the SDK's words; kept, the guard throws the SDK's reply away and gives its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from contextvars import ContextVar

from starlette.types import Message, Receive

from workzone.core.errors import DataError
from workzone.serving.axon.chain.neurons import Neuron
from workzone.serving.axon.guard.body import Bodies
from workzone.serving.axon.guard.challenge import AxonObserver, Challenge, Reply
from workzone.serving.axon.guard.headers import Claim
from workzone.serving.axon.guard.places import Place
from workzone.serving.axon.guard.refusals import Refusal, RefusedRequest
from workzone.serving.logs import ERRORS
from workzone.subnet.protocol import NO_ANSWER

CURRENT: ContextVar[Exchange] = ContextVar("axon_exchange")
"""Of the request that the SDK's application is working on."""
_LOG = logging.getLogger(ERRORS)
_STOP_AFTER_S = 1.0
"""From the deadline until a reply is told to stop: it knows the deadline, and may have to put its end on record."""
_LEFT_BEHIND: set[asyncio.Future[float]] = set()
"""Replies that are not waited for; someone must hold them until they end."""


class Exchange:
    """One request.

    Attributes:
        verified: The SDK asked for the body, so the signature is right.
        refused: Why the body was not taken.
        answered: A probability was found in time.
        unreadable: The reply found that the picture is none.
        left: The caller went away.
        start: The SDK's reply: its head.
        body: Its body.
    """

    def __init__(
        self,
        claim: Claim,
        neuron: Neuron,
        receive: Receive,
        place: Place,
        *,
        request_id: str,
        deadline_s: float,
        body_by_s: float,
    ) -> None:
        self._claim = claim
        self._neuron = neuron
        self._receive = receive
        self._place = place
        self._request_id = request_id
        self._deadline_s = deadline_s
        self._body_by_s = body_by_s
        self._picture: bytes | None = None
        self.verified = self.answered = self.unreadable = self.left = False
        self.refused: RefusedRequest | None = None
        self.start: Message | None = None
        self.body = b""

    def sdk_body(self) -> bytes:
        """Return the small body that the SDK is given: what its client expects to find again in the reply."""
        claim = self._claim
        said = {"hotkey": claim.hotkey, "uuid": claim.uuid, "nonce": claim.nonce, "version": claim.version}
        body = {"timeout": claim.timeout_s, "dendrite": said, "axon": {"hotkey": claim.receiver}}
        return json.dumps(body).encode("ascii")

    async def receive_for_sdk(self, bodies: Bodies) -> Message:
        """Read the caller's body and return the small one; called once more, tell that the caller is gone."""
        if self.verified:
            await self._gone()
            return {"type": "http.disconnect"}
        self.verified = True
        limit = min(self._deadline_s, self._body_by_s)
        try:
            async with asyncio.timeout_at(limit) as timer:
                self._picture = await bodies.picture(self._receive, self._place)
        except RefusedRequest as refused:
            self.refused = refused
        except TimeoutError:
            if not timer.expired():
                raise
            if limit < self._deadline_s:
                self.refused = RefusedRequest(Refusal.SLOW_BODY, "The body did not arrive in time.")
        return {"type": "http.request", "body": self.sdk_body(), "more_body": False}

    async def send_from_sdk(self, message: Message) -> None:
        """Keep what the SDK replies; it is small."""
        if message["type"] == "http.response.start":
            self.start = message
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    async def predict(self, reply: Reply, observer: AxonObserver) -> float:
        """Return what is sent as the prediction: a probability, or -1 at the deadline at the latest."""
        if self._picture is None:
            return NO_ANSWER
        claim, neuron = self._claim, self._neuron
        challenge = Challenge(
            self._picture, claim.hotkey, neuron.uid, neuron.stake, self._deadline_s, self._request_id
        )
        self._picture = None
        value = await self._in_time(reply, challenge, observer)
        self.answered = value != NO_ANSWER
        return value

    async def _in_time(self, reply: Reply, challenge: Challenge, observer: AxonObserver) -> float:
        """Wait for the reply, the deadline or the caller's leaving, and then for nobody: not for a reply to stop."""
        loop = asyncio.get_running_loop()
        work = asyncio.ensure_future(reply(challenge))
        self._place.keep_for(work)  # it has the picture, and may go on long after the deadline
        gone = asyncio.create_task(self._gone())
        grace_s = 0.0
        try:
            remaining = max(0.0, self._deadline_s - loop.time())
            await asyncio.wait({work, gone}, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
            self.left = gone.done() and not work.done()
            grace_s = 0.0 if self.left else _STOP_AFTER_S
            if not work.done():
                return NO_ANSWER
            self.unreadable = _is_no_picture(work)
            return NO_ANSWER if self.unreadable else _sendable(work, observer)
        finally:
            gone.cancel()
            if not work.done():
                _LEFT_BEHIND.add(work)
                work.add_done_callback(_forget)
                loop.call_later(grace_s, work.cancel)

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _is_no_picture(work: asyncio.Future[float]) -> bool:
    return not work.cancelled() and isinstance(work.exception(), DataError)


def _sendable(work: asyncio.Future[float], observer: AxonObserver) -> float:
    """Return a finished reply's probability; -1 for what is none, which is our fault and logged as such."""
    try:
        value = float(work.result())
    except (Exception, asyncio.CancelledError):  # noqa: BLE001 - the boundary of a challenge
        observer.failed()
        _LOG.exception("reply_failed")
        return NO_ANSWER
    if value == NO_ANSWER or (math.isfinite(value) and 0.0 <= value <= 1.0):
        return value
    observer.failed()
    _LOG.error("reply_is_no_probability: %s; -1 is sent", value)
    return NO_ANSWER


def _forget(work: asyncio.Future[float]) -> None:
    _LEFT_BEHIND.discard(work)
    if not work.cancelled():
        work.exception()  # it came too late to be told; unread, asyncio would log it
