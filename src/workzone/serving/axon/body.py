"""From a challenge's body to its picture: read within bounds, parsed once, base64 strict.

Knows the JSON of the subnet's request; does not know who sent it or what the picture shows. The body is read only when
the SDK asks for it, which is after the signature; the SDK is then given a small one in its place, so that it does not
parse megabytes on the event loop, and does not send the picture back.
"""

from __future__ import annotations

import asyncio
import base64
import binascii

from starlette.types import Receive

from workzone.core.errors import ArtifactError
from workzone.serving.axon.headers import too_large
from workzone.serving.axon.places import Place
from workzone.serving.axon.refusals import Refusal, RefusedRequest
from workzone.storage.jsonfile import parse_json

PARSE_ON_LOOP_BYTES = 1 << 18
"""A larger body is taken apart in a thread."""
_PARSED_AT_ONCE = 2
"""Large bodies; the rest wait, so that what they take is bounded."""
_MAX_COMMAS = 1000
"""Each value of a JSON array or object but the first needs one, and values take far more memory than their text."""
_PIECE = 1 << 20
"""Characters of base64 decoded at once: no other thread runs meanwhile, and a multiple of 4."""


class Bodies:
    """Reads bodies; one for all requests of an event loop."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parsing = asyncio.Semaphore(_PARSED_AT_ONCE)

    async def picture(self, receive: Receive, place: Place) -> bytes:
        """Read a body and return the picture in it.

        Raises:
            RefusedRequest: It is too large, cut off, no such JSON, or too much is being received.
        """
        body = await self._read(receive, place)
        if len(body) <= PARSE_ON_LOOP_BYTES:
            return picture_of(body)
        async with self._parsing:
            return await asyncio.to_thread(picture_of, body)

    async def _read(self, receive: Receive, place: Place) -> bytes:
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise RefusedRequest(Refusal.CUT_OFF, "The body was cut off.")
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(chunk)
            if size > self._max_bytes:
                raise too_large(self._max_bytes)
            place.hold(len(chunk))
            chunks.append(chunk)
        return b"".join(chunks)


def picture_of(body: bytes) -> bytes:
    """Return the picture of a body: a JSON object with `image`, text in base64; its other keys say nothing to us.

    Raises:
        RefusedRequest: It is none.
    """
    if body.count(b",") > _MAX_COMMAS:
        raise _bad("The body holds more values than a request has.")
    try:
        value = parse_json(body, "The body")
    except ArtifactError as error:
        raise _bad(str(error)) from None
    image = value.get("image") if isinstance(value, dict) else None
    if not isinstance(image, str):
        raise _bad("The body is no JSON object with the key 'image', a text.")
    if not image:
        raise _bad("'image' is empty.")
    try:
        return _decoded(image)
    except (binascii.Error, ValueError):
        raise _bad("'image' is not base64 (RFC 4648, section 4).") from None


def _decoded(text: str) -> bytes:
    """Decode base64 strictly, in pieces."""
    if len(text) % 4 or text.endswith("==="):  # the library takes "AAAA=" and "AAAA====" too
        raise ValueError("padding")
    pieces = []
    for at in range(0, len(text), _PIECE):
        piece = text[at : at + _PIECE]
        if "=" in piece and at + _PIECE < len(text):
            raise ValueError("padding")
        pieces.append(base64.b64decode(piece, validate=True))
    return b"".join(pieces)


def _bad(message: str) -> RefusedRequest:
    printable = "".join(c if c.isprintable() else " " for c in message)
    return RefusedRequest(Refusal.BAD_BODY, printable[:300])
