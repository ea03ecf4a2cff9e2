"""From a challenge's body to its picture: read within bounds, parsed once, base64 strict.

Knows the JSON of the subnet's request; does not know who sent it or what the picture shows. The body is read only when
the SDK asks for it, which is after the signature; the SDK is then given a small one in its place, so that it does not
parse megabytes on the event loop, and does not send the picture back.

The decision to question: JSON may be written in any Unicode, and here must be in ASCII, as the SDK's client writes it.
Python keeps a text in 4 bytes a character if one of its characters needs them, so that one such character in a large
body, as it is or as an escape, would take eight times the body's size in memory.
"""

from __future__ import annotations

import asyncio

from starlette.types import Receive

from workzone.core.errors import ArtifactError, DataError
from workzone.serving.axon.guard.headers import too_large
from workzone.serving.axon.guard.places import Place
from workzone.serving.axon.guard.refusals import Refusal, RefusedRequest
from workzone.storage.jsonfile import parse_json
from workzone.subnet.wire import from_wire

PARSE_ON_LOOP_BYTES = 1 << 18
"""A larger body is taken apart in a thread."""
_PARSED_AT_ONCE = 2
"""Large bodies; the rest wait, so that what they take is bounded."""
_MAX_COMMAS = 1000
"""Each value of a JSON array or object but the first needs one, and values take far more memory than their text."""


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
        await self._parsing.acquire()
        work = asyncio.get_running_loop().run_in_executor(None, picture_of, body)
        # Who waits may give up at a deadline; the thread goes on, and its memory is taken until it ends.
        work.add_done_callback(lambda _: self._parsing.release())
        place.keep_for(work)
        return await asyncio.shield(work)

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
    if not body.isascii():
        raise _bad("The body is not ASCII; write other characters as \\u escapes.")
    if len(body) > PARSE_ON_LOOP_BYTES and b"\\u" in body:
        raise _bad(
            f"The body has a \\u escape, which only one of up to {PARSE_ON_LOOP_BYTES} bytes may have."
        )
    if body.count(b",") > _MAX_COMMAS:
        raise _bad("The body holds more values than a request has.")
    try:
        value = parse_json(body, "The body")
    except ArtifactError:  # its words quote the body
        raise _bad(
            "The body is no JSON, or not strict: each key once, numbers finite, not too deep."
        ) from None
    image = value.get("image") if isinstance(value, dict) else None
    if not isinstance(image, str):
        raise _bad("The body is no JSON object with the key 'image', a text.")
    try:
        return from_wire(image, len(body))
    except DataError:
        raise _bad("'image' is empty, or not base64 (RFC 4648, section 4).") from None


def _bad(message: str) -> RefusedRequest:
    return RefusedRequest(Refusal.BAD_BODY, message)
