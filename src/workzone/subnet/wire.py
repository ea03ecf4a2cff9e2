"""A challenge's picture to and from the text that travels: base64 (RFC 4648, section 4).

Knows text and bytes; does not know what is in them, or who sent it. Read by whoever plays the miner and by the miner
itself, so that both refuse the same.

The decision to question: it is decoded in pieces. The library decodes a text in one go, and no other thread, the one
that answers probes and other callers among them, runs meanwhile: 50 ms for 16 MiB on a slow machine.
"""

from __future__ import annotations

import base64
import binascii
import io

from workzone.core.errors import DataError

PIECE = 1 << 18
"""Characters decoded at once; a multiple of 4."""


def to_wire(jpeg: bytes) -> str:
    """Return the text that travels."""
    return base64.b64encode(jpeg).decode("ascii")


def from_wire(text: str, max_bytes: int) -> bytes:
    """Return the picture's bytes from the text that travelled.

    Args:
        text: Base64 with its padding, and nothing else: no line breaks, no other alphabet.
        max_bytes: A larger picture is refused before it is decoded.

    Raises:
        DataError: The text is empty, too long or no base64; quotes nothing of it.
    """
    if not text:
        raise DataError("The request holds no picture: its text is empty; expected a JPEG in base64.")
    size = len(text) // 4 * 3 - text[-2:].count("=")
    if size > max_bytes:
        raise DataError(f"The picture has {size:,} bytes; {max_bytes:,} are allowed.")
    refused = DataError("The picture's text is not base64 (RFC 4648, section 4).")
    if len(text) % 4 or text.endswith("==="):  # the library takes "AAAA=" and "AAAA====" too
        raise refused
    found = io.BytesIO()  # pieces in a list would be held twice while they are joined
    for at in range(0, len(text), PIECE):
        piece = text[at : at + PIECE]
        if "=" in piece and at + PIECE < len(text):
            raise refused
        try:
            found.write(binascii.a2b_base64(piece, strict_mode=True))
        except ValueError:  # binascii.Error is one; not ASCII is another
            raise refused from None
    return found.getvalue()
