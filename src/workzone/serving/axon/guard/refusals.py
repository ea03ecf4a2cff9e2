"""Why a challenge is not taken, in words for the caller: one table of reasons and their HTTP statuses.

Knows reasons and how one is told; does not know when one holds (`headers`, `guard`, `body`). The reply has the form
that the SDK's client reads: JSON with a `message`. No sentence quotes what the caller sent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from starlette.types import Send

_MAX_RETRY_AFTER_S = 3600


class Refusal(StrEnum):
    """The machine-readable reason; what refused challenges are counted by."""

    NO_ROUTE = "no_route"
    METHOD = "method"
    RATE = "rate"
    BAD_HEADERS = "bad_headers"
    NO_HOTKEY = "no_hotkey"
    NOT_READY = "not_ready"
    UNKNOWN = "unknown"
    NO_PERMIT = "no_permit"
    OTHER_RECEIVER = "other_receiver"
    UNSIGNED = "unsigned"
    STALE_NONCE = "stale_nonce"
    FUTURE_NONCE = "future_nonce"
    REPLAYED = "replayed"
    BAD_SIGNATURE = "bad_signature"
    TOO_LARGE = "too_large"
    ENCODED = "encoded"
    BUSY = "busy"
    SLOW_BODY = "slow_body"
    CUT_OFF = "cut_off"
    BAD_BODY = "bad_body"
    STOPPING = "stopping"
    FAILED = "failed"


STATUS: Mapping[Refusal, int] = MappingProxyType(
    {
        Refusal.NO_ROUTE: 404,
        Refusal.METHOD: 405,
        Refusal.RATE: 429,
        Refusal.BAD_HEADERS: 400,
        Refusal.NO_HOTKEY: 401,
        Refusal.NOT_READY: 503,
        Refusal.UNKNOWN: 403,
        Refusal.NO_PERMIT: 403,
        Refusal.OTHER_RECEIVER: 401,
        Refusal.UNSIGNED: 401,
        Refusal.STALE_NONCE: 401,
        Refusal.FUTURE_NONCE: 401,
        Refusal.REPLAYED: 401,
        Refusal.BAD_SIGNATURE: 401,
        Refusal.TOO_LARGE: 413,
        Refusal.ENCODED: 415,
        Refusal.BUSY: 503,
        Refusal.SLOW_BODY: 408,
        Refusal.CUT_OFF: 400,
        Refusal.BAD_BODY: 400,
        Refusal.STOPPING: 503,
        Refusal.FAILED: 500,
    }
)


class RefusedRequest(Exception):  # noqa: N818 - it is an outcome, and carries it
    """A request that is not taken; the guard turns it into the reply.

    Attributes:
        why: The reason.
        message: One sentence or two for the caller.
        retry_after_s: When another attempt makes sense; None: no use, or unknown.
    """

    def __init__(self, why: Refusal, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.why = why
        self.message = message
        self.retry_after_s = retry_after_s


async def send_refusal(send: Send, refused: RefusedRequest, *, close: bool = False) -> None:
    """Send the reply for a refusal; `close`: hang up afterwards."""
    body = json.dumps({"message": refused.message, "code": str(refused.why)}).encode("ascii")
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if refused.retry_after_s is not None:
        seconds = min(_MAX_RETRY_AFTER_S, max(1, math.ceil(refused.retry_after_s)))
        headers.append((b"retry-after", str(seconds).encode("ascii")))
    if refused.why is Refusal.METHOD:
        headers.append((b"allow", b"POST"))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": STATUS[refused.why], "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
