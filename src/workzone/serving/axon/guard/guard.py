"""The outermost layer of the axon: what is refused before the SDK sees it, and what is told of the SDK's replies.

Knows the course of a request: the entrance, a place, the SDK's verification, the body, the reply. Does not know heads
(`headers`), who is let in (`entrance`), bodies or pictures. Plain ASGI, because Starlette's convenience middleware
hides from a route that its caller went away.

The decision to question: of the SDK's replies only a 200 passes. Its others quote callers and carry a signature of ours
over what an unverified caller chose.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workzone.core.errors import Overloaded
from workzone.serving.axon.chain.neurons import Neuron
from workzone.serving.axon.guard.body import Bodies
from workzone.serving.axon.guard.challenge import AxonObserver, GuardSettings
from workzone.serving.axon.guard.entrance import ROUTE, Entrance
from workzone.serving.axon.guard.exchange import CURRENT, Exchange
from workzone.serving.axon.guard.headers import Claim, head_for_sdk
from workzone.serving.axon.guard.places import Place, Places
from workzone.serving.axon.guard.refusals import Refusal, RefusedRequest, send_refusal
from workzone.serving.http.arrival import arrived_s
from workzone.serving.limits import RateLimiter
from workzone.serving.logs import ERRORS, INFERENCE
from workzone.serving.redaction import REQUEST_ID
from workzone.subnet.protocol import answer_time_s

_LINES_PER_S, _LINES_AT_ONCE = 5.0, 100
"""Refusals that are logged; all are counted."""
_LOG = logging.getLogger(ERRORS)
_REFUSALS = logging.getLogger(INFERENCE)


class _Visit:
    """What is known of one request so far."""

    def __init__(self, scope: Scope, send: Send) -> None:
        client = scope.get("client")
        self.address = str(client[0]) if client else ""
        self.request_id = secrets.token_hex(16)
        self.scope = scope
        self.send = send
        self.arrived_s = arrived_s(scope, asyncio.get_running_loop().time())
        self.neuron: Neuron | None = None
        self.verified = self.replied = False

    @property
    def seconds(self) -> float:
        return asyncio.get_running_loop().time() - self.arrived_s


class Guard:
    """Lets challenges of registered callers through to the SDK's application, and nothing else.

    Attributes:
        places: How many requests, and bytes of bodies, are inside.
    """

    def __init__(
        self, app: ASGIApp, entrance: Entrance, settings: GuardSettings, observer: AxonObserver
    ) -> None:
        self._app = app
        self._entrance = entrance
        self._settings = settings
        self._observer = observer
        self._lines = RateLimiter(_LINES_PER_S, _LINES_AT_ONCE)
        self._unlogged = 0
        self._bodies = Bodies(settings.max_body_bytes)
        self.places = Places(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a WebSocket is refused."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, send)
        token = REQUEST_ID.set(visit.request_id)
        try:
            await self._take(visit, receive)
        except RefusedRequest as refused:
            await self._refuse(visit, refused)
        except asyncio.CancelledError:
            # The drain is over; left to uvicorn, it would be a 500 and a traceback.
            stopping = RefusedRequest(Refusal.STOPPING, "The miner stopped before there was an answer.")
            await self._refuse(visit, stopping)
        except Exception:  # noqa: BLE001 - the boundary of a request
            _LOG.exception("unexpected")
            await self._refuse(visit, RefusedRequest(Refusal.FAILED, "The miner could not answer."))
        finally:
            REQUEST_ID.reset(token)

    async def _take(self, visit: _Visit, receive: Receive) -> None:
        head, visit.neuron = self._entrance.check_caller(visit.scope, visit.address)
        claim, age_s = self._entrance.check_claim(head, visit.neuron)
        with self.places.enter(claim.hotkey) as place:
            exchange = self._exchange(visit, claim, visit.neuron, place, receive)
            await self._ask_sdk(visit, claim, exchange)
            if not exchange.verified:
                self._entrance.check_new(claim)  # one that came at the same time may have been quicker
                raise RefusedRequest(Refusal.BAD_SIGNATURE, "The signature is not that of the hotkey.")
            visit.verified = True
            self._observer.verified(claim.hotkey, age_s)
            await self._tell(visit, exchange)

    def _exchange(
        self, visit: _Visit, claim: Claim, neuron: Neuron, place: Place, receive: Receive
    ) -> Exchange:
        return Exchange(
            claim,
            neuron,
            receive,
            place,
            request_id=visit.request_id,
            deadline_s=visit.arrived_s + answer_time_s(claim.timeout_s),
            body_by_s=visit.arrived_s + self._settings.body_timeout_s,
        )

    async def _ask_sdk(self, visit: _Visit, claim: Claim, exchange: Exchange) -> None:
        """Let the SDK verify, ask for the body and the prediction, and write its reply."""

        async def receive() -> Message:
            return await exchange.receive_for_sdk(self._bodies)

        scope = _scope_for_sdk(visit, head_for_sdk(claim, exchange.sdk_body()))
        token = CURRENT.set(exchange)
        try:
            # In a task of its own: what is below takes the mark of a cancellation off the task it runs in.
            await asyncio.ensure_future(self._app(scope, receive, exchange.send_from_sdk))
        except Exception as error:
            task = asyncio.current_task()
            # Where a request is cancelled, the SDK's last line of it fails, and hides that.
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from error
            raise
        finally:
            CURRENT.reset(token)

    async def _tell(self, visit: _Visit, exchange: Exchange) -> None:
        start = exchange.start
        if exchange.refused is not None:
            raise exchange.refused
        if start is None or start["status"] != 200:
            _LOG.error("sdk_refused: status %s", None if start is None else start["status"])
            raise RefusedRequest(Refusal.FAILED, "The miner could not answer.")
        visit.replied = True
        await visit.send(start)
        await visit.send({"type": "http.response.body", "body": exchange.body, "more_body": False})
        if exchange.left:
            self._observer.left(visit.seconds)
        elif exchange.answered:
            self._observer.answered(visit.seconds)
        elif exchange.unreadable:
            self._observer.unreadable(visit.seconds)
        else:
            self._observer.unanswered(visit.seconds)

    async def _refuse(self, visit: _Visit, refused: RefusedRequest) -> None:
        """Count, log in one line, and reply."""
        self._observer.refused(refused.why)
        self._log(visit, refused)
        if not visit.replied:
            visit.replied = True
            await send_refusal(visit.send, refused)

    def _log(self, visit: _Visit, refused: RefusedRequest) -> None:
        try:
            self._lines.take("", 1)
        except Overloaded:
            self._unlogged += 1
            return
        said: dict[str, object] = {
            "why": str(refused.why),
            "address": visit.address[:64],
            "uid": None if visit.neuron is None else visit.neuron.uid,
            "verified": visit.verified,
        }
        if refused.why in (Refusal.STALE_NONCE, Refusal.FUTURE_NONCE):
            # numbers only, and which clock is wrong is worth knowing
            said["details"] = refused.message
        if self._unlogged:
            said["unlogged_before"], self._unlogged = self._unlogged, 0
        _REFUSALS.info("refused", extra=said)


def _scope_for_sdk(visit: _Visit, headers: Sequence[tuple[bytes, bytes]]) -> Scope:
    """Return the scope that the SDK is given: nothing in it is the caller's but where it comes from."""
    client = visit.scope.get("client")
    return {
        "type": "http",
        "asgi": visit.scope.get("asgi", {"version": "3.0"}),
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": ROUTE,
        "raw_path": ROUTE.encode("ascii"),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": (visit.address, client[1] if client else 0),
        "server": visit.scope.get("server"),
        "state": {},
    }
