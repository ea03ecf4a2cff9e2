"""How a fault becomes a reply, and the outer boundary of every request.

Knows the form of an error reply, request ids and the headers that each reply carries. Written as plain ASGI, because
Starlette's convenience middleware hides from a route that its caller went away.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workzone.core.errors import WorkzoneError
from workzone.serving.faults import Code, Fault, Refused, fault_of, refuse, shortened
from workzone.serving.http.context import Context
from workzone.serving.http.metrics import CLIENT_GONE
from workzone.serving.http.schemas import ErrorReply, Failure, fault_said
from workzone.serving.keys import is_loopback
from workzone.serving.logs import ERRORS
from workzone.serving.readiness import State
from workzone.serving.recording import Caller
from workzone.serving.redaction import REQUEST_ID

ANONYMOUS = "anonymous"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(:[0-9]{1,5})?", re.ASCII)
_CODES = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 400: Code.BAD_REQUEST}
_LOG = logging.getLogger(ERRORS)


def error_response(fault: Fault, request_id: str, results: tuple[Failure, ...] | None = None) -> Response:
    """Return the reply for a fault."""
    body = ErrorReply(request_id=request_id, error=fault_said(fault), results=results)
    headers = {}
    if fault.retry_after_s is not None:
        headers["Retry-After"] = str(fault.retry_after_s)
    if fault.code is Code.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="workzone"'
    return Response(
        body.model_dump_json(exclude_none=True), fault.status, headers, media_type="application/json"
    )


def request_id_of(request: Request) -> str:
    """Return the id that the boundary gave the request."""
    identity: str = request.scope["state"]["request_id"]
    return identity


def add_error_handlers(app: FastAPI) -> None:
    """Give every expected error the one form."""

    async def known(request: Request, error: Exception) -> Response:
        return error_response(fault_of(error), request_id_of(request))

    async def of_routing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _CODES.get(error.status_code, Code.BAD_REQUEST)
        response = error_response(Fault(code, shortened(str(error.detail))), request_id_of(request))
        response.headers.update(error.headers or {})
        return response

    async def of_values(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        where = "; ".join(".".join(map(str, e["loc"])) + ": " + str(e["msg"]) for e in error.errors()[:3])
        return error_response(Fault(Code.INVALID, shortened(where)), request_id_of(request))

    app.add_exception_handler(Refused, known)
    app.add_exception_handler(WorkzoneError, known)
    app.add_exception_handler(HTTPException, of_routing)
    app.add_exception_handler(RequestValidationError, of_values)


class Boundary:
    """Around every request: its id, its reply's headers, its count, and what happens if it fails unexpectedly."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a WebSocket is refused."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(16)
        scope.setdefault("state", {})["request_id"] = request_id
        token = REQUEST_ID.set(request_id)
        ambiguous = _ambiguous(headers)
        sent = _Sent(send, request_id, self._context, close=ambiguous is not None)
        start = time.monotonic()
        try:
            if (refused := ambiguous or self._foreign(headers)) is not None:
                await error_response(refused.fault, request_id)(scope, receive, sent)
            else:
                await self._app(scope, receive, sent)
        except ClientDisconnect:
            sent.status = sent.status or CLIENT_GONE
        except (
            asyncio.CancelledError
        ):  # the drain is over; left to uvicorn, it would be a 500 that is on no record
            if not sent.status:
                stopped = Fault(Code.UNAVAILABLE, "The service stopped before there was an answer.", 5)
                await error_response(stopped, request_id)(scope, receive, sent)
        except Exception as error:  # noqa: BLE001 - the boundary of a request
            await self._crashed(error, scope, receive, sent, request_id)
        finally:
            if scope["path"].startswith("/v1/"):
                self._context.metrics.requested(sent.status or CLIENT_GONE, time.monotonic() - start)
            REQUEST_ID.reset(token)

    async def _crashed(
        self, error: Exception, scope: Scope, receive: Receive, sent: _Sent, request_id: str
    ) -> None:
        """Log, put on record and answer what nobody foresaw; the caller learns the request id only."""
        _LOG.error("unexpected", exc_info=error)
        caller = Caller(scope["state"].get("key", ANONYMOUS), request_id)
        fault = fault_of(error)
        try:
            await self._context.service.record_crash(caller)
        except WorkzoneError as unrecorded:
            fault = fault_of(unrecorded)
        except Exception:  # noqa: BLE001 - there is no one further out
            _LOG.exception("crash_not_recorded")
        if not sent.status:
            await error_response(fault, request_id)(scope, receive, sent)

    def _foreign(self, headers: Headers) -> Refused | None:
        """Without keys, refuse what a web page elsewhere makes a browser on this machine send.

        A page can point its own name at 127.0.0.1 (DNS rebinding) or send forms here; both show in the headers.
        """
        if self._context.keys is not None:
            return None
        host = _HOST.fullmatch(headers.get("host", ""))
        if host is None or not is_loopback(host[1]):
            return refuse(Code.FORBIDDEN, "Without keys the service answers only as 127.0.0.1 or localhost.")
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host[0]}", f"https://{host[0]}"):
            return refuse(Code.FORBIDDEN, "Without keys the service answers no page from elsewhere.")
        return None


def _ambiguous(headers: Headers) -> Refused | None:
    """Refuse a body whose end a proxy in front may see elsewhere: what follows could pass as another's request.

    Source: RFC 9112, section 6.3, item 3 ("request smuggling"); h11 goes by the encoding and keeps the connection.
    """
    if "transfer-encoding" not in headers or "content-length" not in headers:
        return None
    return refuse(Code.BAD_REQUEST, "The request has both Content-Length and Transfer-Encoding; send one.")


class _Sent:
    """Sends a reply with the headers that each one has, and remembers its status."""

    def __init__(self, send: Send, request_id: str, context: Context, *, close: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._context = context
        self._close = close
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Cache-Control", "no-store")
            if self._context.service.readiness.state is State.DRAINING or self._close:
                headers["Connection"] = "close"
        await self._send(message)
