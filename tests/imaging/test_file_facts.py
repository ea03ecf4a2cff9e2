"""What the header of a file says."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from workzone.core.errors import DataError
from workzone.imaging.file_facts import read_file_facts


def encoded(kind: str, mode: str = "RGB", **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F] = "a camera"
    tags.get_ifd(0x8769)[0x9003] = "2024:01:01 00:00:00"
    return tags


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_is_seen_where_it_is(kind):
    assert read_file_facts(encoded(kind, exif=exif())).has_exif
    assert not read_file_facts(encoded(kind)).has_exif


def test_a_tiffs_own_tags_are_no_exif_and_its_exif_directory_is():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0x010F] = "a camera"
    assert not read_file_facts(encoded("TIFF", tiffinfo=tags)).has_exif
    tags[0x8769] = {0x9003: "2024:01:01 00:00:00"}
    assert read_file_facts(encoded("TIFF", tiffinfo=tags)).has_exif


def test_a_profile_of_text_in_a_png_is_exif_too():
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n  8\n4578696600004949\n")
    assert read_file_facts(encoded("PNG", pnginfo=text)).has_exif


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "P"),
        ("PNG", "RGBA"),
        ("PNG", "1"),
        ("GIF", "P"),
        ("BMP", "RGB"),
    ],
)
def test_format_and_mode_are_pillows(kind, mode):
    data = encoded(kind, mode)
    found = read_file_facts(data)
    with Image.open(io.BytesIO(data)) as image:
        assert (found.file_format, found.mode) == (image.format, image.mode)


def test_what_is_no_picture_is_refused():
    with pytest.raises(DataError, match="no picture's signature"):
        read_file_facts(b"plain text")
    with pytest.raises(DataError, match="header"):
        read_file_facts(b"\x89PNG\r\n\x1a\n" + b"\0" * 30)
