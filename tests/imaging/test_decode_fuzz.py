"""Damaged JPEG, PNG and WebP files: each is decoded within the limits or refused by one DataError, and nothing else.

The damage is of the kinds that get past a checksum or a signature: lengths and sizes in headers, chunks with a right
CRC, segments that are missing, twice or of another file. Also used by tests/serving/test_fuzz_requests.py.
"""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from workzone.core.errors import DataError
from workzone.imaging.decode import DecodeLimits, decode_image

LIMITS = DecodeLimits(max_bytes=1 << 20, max_pixels=250_000, max_side_px=2000)
MOST_BYTES = 64 << 20
"""Of memory for a picture within `LIMITS`."""


def _encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    y, x = np.mgrid[0:40, 0:56]
    rgb = np.stack([x * 4, y * 6, (x * y) % 251], axis=2).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(rgb).convert(mode).save(out, kind, **options)
    return out.getvalue()


def _exif() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return exif.tobytes()


SEEDS = {
    "JPEG": [
        _encoded("JPEG"), _encoded("JPEG", progressive=True), _encoded("JPEG", "L"), _encoded("JPEG", "CMYK"),
        _encoded("JPEG", exif=_exif(), subsampling=0), _encoded("JPEG", optimize=True, restart_marker_rows=1),
    ],
    "PNG": [
        _encoded("PNG"), _encoded("PNG", "P"), _encoded("PNG", "RGBA"), _encoded("PNG", "1"), _encoded("PNG", "LA"),
        _encoded("PNG", "L", exif=_exif()),
    ],
    "WEBP": [
        _encoded("WEBP"), _encoded("WEBP", lossless=True), _encoded("WEBP", "RGBA", quality=30),
        _encoded("WEBP", exif=_exif(), icc_profile=b"x" * 40),
    ],
}  # fmt: skip
EDGES = (
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    127,
    128,
    255,
    256,
    2000,
    2001,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0xFFFFFFFF,
)


def sections(data: bytes) -> list[int]:
    """Return where a file's headers and sections begin: where damage matters most."""
    if data[:2] == b"\xff\xd8":
        return [at for at in range(len(data) - 1) if data[at] == 0xFF and data[at + 1] not in (0x00, 0xFF)]
    if data[:4] == b"RIFF":
        names = (b"RIFF", b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"EXIF", b"ICCP")
    else:
        names = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf")
    return [at for at in range(len(data)) if data[at : at + 4] in names]


def png_with_right_sums(data: bytes) -> bytes:
    """Correct the checksum of every chunk, as a forger would."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        if at + 12 + size > len(data):
            break
        body = data[at + 4 : at + 8 + size]
        out += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    return bytes(out) + data[at:]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A real picture, damaged one to four times."""
    kind = draw(st.sampled_from(sorted(SEEDS)))
    data = bytearray(draw(st.sampled_from(SEEDS[kind])))
    for _ in range(draw(st.integers(1, 4))):
        places = st.sampled_from(sections(bytes(data)) or [0]).flatmap(lambda at: st.integers(at, at + 24))
        at = min(draw(places | st.integers(0, len(data))), max(0, len(data) - 1))
        match draw(st.sampled_from(["cut", "flip", "edge", "insert", "drop", "repeat", "other"])):
            case "cut":
                del data[at:]
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "edge":
                form = draw(st.sampled_from([">B", ">H", "<H", ">I", "<I"]))
                value = draw(st.sampled_from(EDGES)) % (1 << 8 * struct.calcsize(form))
                data[at : at + struct.calcsize(form)] = struct.pack(form, value)
            case "insert":
                data[at:at] = draw(st.binary(max_size=40))
            case "drop":
                del data[at : at + draw(st.integers(1, 64))]
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 200))] * draw(st.integers(1, 20))
            case "other":
                data[at:] = draw(st.sampled_from(SEEDS[draw(st.sampled_from(sorted(SEEDS)))]))[at:]
    made = bytes(data)
    return png_with_right_sums(made) if made[:8] == b"\x89PNG\r\n\x1a\n" and draw(st.booleans()) else made


def outcome(data: bytes, target_px: int | None) -> bytes | str:
    try:
        decoded = decode_image(data, LIMITS, target_px=target_px)
    except DataError as error:
        said = str(error)
    else:
        assert decoded.dtype == np.uint8
        assert decoded.ndim == 3
        assert decoded.shape[2] == 3
        assert decoded.shape[0] * decoded.shape[1] <= LIMITS.max_pixels
        assert 1 <= max(decoded.shape[:2]) <= LIMITS.max_side_px
        return decoded.tobytes()
    assert len(said) < 900
    assert "\n" not in said
    return said


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damaged_pictures_are_decoded_within_the_limits_or_refused(count: int) -> None:
    seen = {"decoded": 0, "refused": 0}

    @settings(
        max_examples=count, suppress_health_check=list(HealthCheck), database=None, derandomize=count < 1000
    )
    @given(data=damaged(), target_px=st.sampled_from([None, 16, 224]))
    def check(data: bytes, target_px: int | None) -> None:
        first = outcome(data, target_px)
        assert outcome(data, target_px) == first, "the same bytes have the same outcome"
        seen["refused" if isinstance(first, str) else "decoded"] += 1

    check()
    print(seen)  # noqa: T201 - shown with -s
    assert min(seen.values()) > count // 20, "the damage is neither hopeless nor harmless"


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.slow)])
def test_damaged_pictures_take_no_more_memory_than_the_limits_allow(count: int) -> None:
    @settings(
        max_examples=count, suppress_health_check=list(HealthCheck), database=None, derandomize=count < 1000
    )
    @given(data=damaged())
    def check(data: bytes) -> None:
        tracemalloc.start()
        try:
            outcome(data, None)
            assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
        finally:
            tracemalloc.stop()

    check()
