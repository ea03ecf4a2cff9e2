"""Why something was not answered, in words for the caller: one table of codes and their HTTP statuses.

Knows the error tree and what of it a stranger may read. A caller who can act (another picture, fewer of them, later)
is told the sentence; what is wrong inside the service is told in general terms, because paths and library messages
belong in the log, under the same request id.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from workzone.core.errors import (
    BundleError,
    ConfigError,
    DataError,
    DeadlineExceeded,
    JournalError,
    ModelUnavailable,
    Overloaded,
)
from workzone.serving.redaction import KEY_LIKE, REDACTED

MAX_MESSAGE = 500
MAX_RETRY_AFTER_S = 3600


class Code(StrEnum):
    """The machine-readable reason, part of the API."""

    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    SLOW_BODY = "slow_body"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID = "invalid"
    BAD_PICTURE = "bad_picture"
    BUNDLE_REFUSED = "bundle_refused"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    DEADLINE_EXCEEDED = "deadline_exceeded"


STATUS: Mapping[Code, int] = MappingProxyType(
    {
        Code.BAD_REQUEST: 400,
        Code.UNAUTHORIZED: 401,
        Code.FORBIDDEN: 403,
        Code.NOT_FOUND: 404,
        Code.METHOD_NOT_ALLOWED: 405,
        Code.SLOW_BODY: 408,
        Code.CONFLICT: 409,
        Code.TOO_LARGE: 413,
        Code.UNSUPPORTED_MEDIA_TYPE: 415,
        Code.INVALID: 422,
        Code.BAD_PICTURE: 422,
        Code.BUNDLE_REFUSED: 422,
        Code.OVERLOADED: 429,
        Code.INTERNAL: 500,
        Code.UNAVAILABLE: 503,
        Code.JOURNAL_UNAVAILABLE: 503,
        Code.DEADLINE_EXCEEDED: 504,
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a picture or a request has no answer.

    Attributes:
        code: The machine-readable reason.
        message: One paragraph for the caller, at most 500 characters.
        retry_after_s: Whole seconds until another attempt makes sense; None: no use, or unknown.
    """

    code: Code
    message: str
    retry_after_s: int | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]


class Refused(Exception):  # noqa: N818 - it is an outcome, and carries it
    """A request that is not answered; the HTTP layer turns it into the reply."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def refuse(code: Code, message: str, retry_after_s: int | None = None) -> Refused:
    """Return the exception for a fault."""
    return Refused(Fault(code, shortened(message), retry_after_s))


def fault_of(error: BaseException) -> Fault:
    """Return what the caller is told of an error."""
    match error:
        case Refused():
            return error.fault
        case DataError():
            return Fault(Code.BAD_PICTURE, shortened(str(error)))
        case Overloaded():
            return Fault(Code.OVERLOADED, shortened(str(error)), _whole_seconds(error.retry_after_s))
        case DeadlineExceeded():
            return Fault(Code.DEADLINE_EXCEEDED, "The answer would have come after the deadline.")
        case JournalError():
            sentence = "The answer could not be put on record, so none is given. Try again later."
            return Fault(Code.JOURNAL_UNAVAILABLE, sentence, 10)
        case ModelUnavailable():
            return Fault(Code.UNAVAILABLE, "The model cannot answer now. Try again later.", 5)
        case BundleError() | ConfigError():
            return Fault(Code.BUNDLE_REFUSED, "The bundle cannot serve here; the service's log says why.")
        case _:
            return Fault(
                Code.INTERNAL, "The service could not answer; its log says why under this request id."
            )


def shortened(message: str) -> str:
    """A message on one line, without keys and of bounded length: it may quote what a stranger sent."""
    line = KEY_LIKE.sub(rf"\1_{REDACTED}", "".join(c if c.isprintable() else " " for c in message))
    return line if len(line) <= MAX_MESSAGE else f"{line[: MAX_MESSAGE - 1]}…"


def _whole_seconds(seconds: float) -> int:
    return min(MAX_RETRY_AFTER_S, max(1, math.ceil(seconds))) if math.isfinite(seconds) else MAX_RETRY_AFTER_S
