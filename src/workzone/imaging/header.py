"""What the first bytes of a picture tell before anything is decoded: its format, and what it would cost.

Knows signatures and a few header fields; does not decode pixels and trusts nothing that it reads.
"""

from __future__ import annotations

import re

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
_STANDALONE = frozenset({0x01, 0xD8})
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"BM", "BMP"),
)


def sniff_format(data: bytes) -> str | None:
    """Return JPEG, PNG, WEBP, BMP, TIFF or GIF by the signature, or None; the file's name plays no part.

    >>> sniff_format(b"GIF89a...")
    'GIF'
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((name for signature, name in _SIGNATURES if data.startswith(signature)), None)


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a WebP's canvas, or None where the header is not understood.

    The WebP decoder takes memory for the whole canvas as soon as it is made, so its size is needed earlier.
    """
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return (
            int.from_bytes(body[6:8], "little") & 0x3FFF,
            int.from_bytes(body[8:10], "little") & 0x3FFF,
        )
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    return None


def count_jpeg_scans(data: bytes) -> int:
    """Return how many scans the first picture of a JPEG has.

    Each scan of a progressive JPEG is a pass over all pixels and may take a few bytes only, so a small file
    can ask for hours; encoders write ten or so. What follows the end of the picture (a second view, a
    video) and what its header segments hold (thumbnails) is not counted.
    """
    scans, at = 0, 2
    while (found := _MARKER.search(data, at)) is not None:
        marker = data[found.start() + 1]
        at = found.end()
        if marker == _END_OF_IMAGE:
            break
        if marker in _STANDALONE:
            continue
        scans += marker == _START_OF_SCAN
        at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return scans
