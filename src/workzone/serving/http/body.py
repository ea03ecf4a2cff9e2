"""From a request's body to pictures: read within bounds, then taken apart in memory.

Knows raw pictures, multipart forms and base64 JSON; does not know keys or answers. The declared length may save
reading but is never believed. A picture never touches the disk on its way, so nothing is left behind.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect

from workzone.core.errors import ArtifactError
from workzone.imaging.files import FORMATS
from workzone.imaging.header import sniff_format
from workzone.serving.faults import Code, Fault, Refused, refuse
from workzone.serving.http.multipart import read_parts
from workzone.serving.http.schemas import PictureDetails, read_details
from workzone.serving.limits import Limits, Ticket
from workzone.storage.jsonfile import parse_json

PARSE_ON_LOOP_BYTES = 1 << 18
"""A larger body is taken apart in a thread."""
_MAX_JSON_MARKS = 20_000
"""Brackets, commas and colons of a JSON body: objects take far more memory than their text, pictures do not."""
_DETAILS = tuple(PictureDetails.model_fields)


class Form(StrEnum):
    """How pictures are sent."""

    RAW = "raw"
    MULTIPART = "multipart"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Sent:
    """One picture as it was sent: its bytes, or why they are none."""

    picture: bytes
    details: PictureDetails
    fault: Fault | None = None


def form_of(content_type: str | None) -> tuple[Form, bytes]:
    """Return how pictures are sent and a multipart form's boundary.

    Raises:
        Refused: 415: the type is not known here; 400: a form without a boundary.
    """
    kind, options = parse_options_header((content_type or "")[:500])
    if kind == b"application/json":
        return Form.JSON, b""
    if kind == b"application/octet-stream" or kind.startswith(b"image/"):
        return Form.RAW, b""
    if kind != b"multipart/form-data":
        raise refuse(
            Code.UNSUPPORTED_MEDIA_TYPE,
            "Content-Type must be an image type or application/octet-stream (one picture), multipart/form-data, or "
            "application/json.",
        )
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:  # RFC 2046, section 5.1.1
        raise refuse(Code.BAD_REQUEST, "The multipart form has no boundary of 1 to 70 characters.")
    return Form.MULTIPART, boundary


async def read_body(request: Request, limits: Limits, ticket: Ticket, timeout_s: float) -> bytes:
    """Return the whole body, counted as it arrives.

    Raises:
        Refused: It is larger than allowed (413), slower (408), encoded (415), or cut off (400).
        Overloaded: All bodies together are too large.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise refuse(Code.UNSUPPORTED_MEDIA_TYPE, "A compressed body is not read; send it as it is.")
    declared = request.headers.get("content-length", "")
    if (
        declared.isascii()
        and declared.isdigit()
        and (len(declared) > 15 or int(declared) > limits.body_bytes)
    ):
        raise _too_large(limits)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.body_bytes:
                    raise _too_large(limits)
                ticket.hold(len(chunk))
                chunks.append(chunk)
    except TimeoutError as error:
        raise refuse(
            Code.SLOW_BODY, f"The body did not arrive within {limits.body_timeout_s:g} s."
        ) from error
    except ClientDisconnect as error:
        raise refuse(Code.BAD_REQUEST, "The body was cut off.") from error
    return b"".join(chunks)


async def read_pictures(
    body: bytes, form: Form, boundary: bytes, query: Sequence[tuple[str, str]], limits: Limits
) -> tuple[Sent, ...]:
    """Take a body apart, in a thread if it is large.

    Args:
        body: The whole body.
        form: How pictures are in it.
        boundary: Of a multipart form.
        query: The address's parameters: a raw picture's details.
        limits: What is allowed.

    Raises:
        Refused: 400: it is not of its form; 413: too many pictures; 422: a value is wrong.
    """
    if form is not Form.RAW and query:
        raise refuse(Code.BAD_REQUEST, "Only a raw picture's details are given in the address.")
    arguments = (body, form, boundary, query, limits)
    if len(body) > PARSE_ON_LOOP_BYTES:
        return await asyncio.to_thread(take_apart, *arguments)
    return take_apart(*arguments)


def take_apart(
    body: bytes, form: Form, boundary: bytes, query: Sequence[tuple[str, str]], limits: Limits
) -> tuple[Sent, ...]:
    """Return the pictures of a body; see `read_pictures`."""
    if form is Form.RAW:
        return (_sent(body, read_details(_once(query)), limits),)
    return _from_json(body, limits) if form is Form.JSON else _from_form(body, boundary, limits)


def _from_form(body: bytes, boundary: bytes, limits: Limits) -> tuple[Sent, ...]:
    parts = read_parts(body, boundary, max_parts=limits.pictures + len(_DETAILS) + 1)
    pictures = [part.data for part in parts if part.name == "image"]
    texts = [(part.name, part.text()) for part in parts if part.name != "image"]
    if any(name not in (*_DETAILS, "details") for name, _ in texts):  # unquoted: it may be a pasted secret
        raise refuse(
            Code.INVALID,
            f"The form has a field of another name than 'image', 'details', {', '.join(_DETAILS)}.",
        )
    _check_count(len(pictures), limits)
    said = _once(texts)
    if "details" in said:
        listed = _strict_json(said.pop("details").encode())
        if said or not isinstance(listed, list) or len(listed) != len(pictures):
            raise refuse(Code.INVALID, "'details' must be a JSON array with an object for each picture, and the "
                         "only field beside them.")  # fmt: skip
        return tuple(_checked(data, values, limits) for data, values in zip(pictures, listed, strict=True))
    if said and len(pictures) > 1:
        raise refuse(Code.INVALID, "Details of several pictures are given as 'details': a JSON array.")
    return tuple(_sent(data, read_details(said), limits) for data in pictures)


def _from_json(body: bytes, limits: Limits) -> tuple[Sent, ...]:
    if sum(body.count(mark) for mark in (b"[", b"{", b",", b":")) > _MAX_JSON_MARKS:
        raise refuse(Code.TOO_LARGE, "The JSON holds more values than pictures and their details need.")
    value = _strict_json(body)
    if isinstance(value, dict) and "pictures" in value:
        listed = value.pop("pictures")
        if value or not isinstance(listed, list):
            raise refuse(Code.INVALID, "'pictures' must be an array, and the only key beside none other.")
    else:
        listed = [value]
    _check_count(len(listed), limits)
    return tuple(_from_object(entry, limits) for entry in listed)


def _from_object(entry: Any, limits: Limits) -> Sent:
    """Read one picture of a JSON body; what is wrong with it is its own fault."""
    if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
        fault = Fault(Code.INVALID, "A picture is an object with the key 'image', text in base64.")
        return Sent(b"", PictureDetails(), fault)
    encoded = entry.pop("image")
    if len(encoded) > 4 * (limits.picture_bytes // 3 + 1):
        return Sent(b"", PictureDetails(), _picture_too_large(limits))
    try:
        picture = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        picture = None
    if picture is None or len(encoded) % 4:  # the library takes "AAAA=" too
        return Sent(
            b"", PictureDetails(), Fault(Code.BAD_REQUEST, "'image' is not base64 (RFC 4648, section 4).")
        )
    return _checked(picture, entry, limits)


def _checked(picture: bytes, details: Any, limits: Limits) -> Sent:
    try:
        return _sent(picture, read_details(details), limits)
    except Refused as refused:
        return Sent(b"", PictureDetails(), refused.fault)


def _sent(picture: bytes, details: PictureDetails, limits: Limits) -> Sent:
    fault = None
    if len(picture) > limits.picture_bytes:
        fault = _picture_too_large(limits)
    elif not picture:
        fault = Fault(Code.BAD_PICTURE, f"The picture is empty; expected {FORMATS}.")
    elif sniff_format(picture[:16]) is None:
        fault = Fault(Code.UNSUPPORTED_MEDIA_TYPE, f"The bytes begin as no picture does; expected {FORMATS}.")
    return Sent(b"" if fault else picture, details, fault)


def _strict_json(data: bytes) -> Any:
    try:
        return parse_json(data, "The body")
    except ArtifactError as error:
        raise refuse(Code.BAD_REQUEST, str(error)) from None


def _once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    values: Mapping[str, str] = dict(pairs)
    if len(values) != len(pairs):
        raise refuse(Code.BAD_REQUEST, "A field occurs twice.")
    return dict(values)


def _check_count(count: int, limits: Limits) -> None:
    if count == 0:
        raise refuse(Code.INVALID, "There is no picture; send it as 'image'.")
    if count > limits.pictures:
        raise refuse(
            Code.TOO_LARGE, f"{count} pictures were sent; at most {limits.pictures} are answered at once."
        )


def _too_large(limits: Limits) -> Refused:
    return refuse(
        Code.TOO_LARGE, f"The body is larger than {limits.body_bytes} bytes, the most that is read."
    )


def _picture_too_large(limits: Limits) -> Fault:
    return Fault(
        Code.TOO_LARGE, f"The picture is larger than {limits.picture_bytes} bytes, the most that is read."
    )
