"""What the first bytes tell, checked against files that Pillow wrote."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from workzone.imaging.header import count_jpeg_scans, sniff_format, webp_size


def encoded(kind: str, height: int = 37, width: int = 91, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 120, np.uint8)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_signatures(kind: str) -> None:
    assert sniff_format(encoded(kind)) == kind


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"RIFF\x10\x00\x00\x00WAVE", b"\xff\xd8", b"\x00" * 40])
def test_what_is_no_picture(data: bytes) -> None:
    assert sniff_format(data) is None


@pytest.mark.parametrize(
    "options", [{"lossless": True}, {"quality": 80}, {"quality": 80, "exif": b"Exif\x00\x00"}]
)
def test_webp_canvas(options: dict[str, object]) -> None:
    assert webp_size(encoded("WEBP", **options)) == (91, 37)
    assert webp_size(encoded("WEBP", 16383, 1, **options)) == (1, 16383)
    assert webp_size(encoded("WEBP", **options)[:24]) is None
    assert webp_size(b"RIFF\x00\x00\x00\x00WEBPJUNK" + bytes(20)) is None


def test_scans() -> None:
    assert count_jpeg_scans(encoded("JPEG")) == 1
    assert count_jpeg_scans(encoded("JPEG", restart_marker_blocks=1)) == 1
    progressive = encoded("JPEG", progressive=True)
    assert count_jpeg_scans(progressive) == progressive.count(b"\xff\xda") > 1
    thumbnail = b"Exif\x00\x00" + b"\xff\xda\x00\x02" * 50
    assert count_jpeg_scans(encoded("JPEG", exif=thumbnail)) == 1
    assert count_jpeg_scans(b"\xff\xd8\xff") == 0
