"""Pictures of every kind, and hostile ones: each decodes to the right pixels or is one DataError."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from workzone.core.errors import DataError
from workzone.imaging.decode import BACKGROUND, DecodeLimits, decode_image
from workzone.imaging.header import count_jpeg_scans


def gradient(height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth, without symmetry, so that no flip or swap of channels goes unseen."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + y) % 97], axis=2).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_claiming(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    )


def refused(source: object, *fragments: str, limits: DecodeLimits | None = None) -> str:
    with pytest.raises(DataError) as caught:
        decode_image(source, limits or DecodeLimits())
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 900
    for fragment in fragments:
        assert fragment in message
    return message


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_each_format_gives_its_pixels(kind: str) -> None:
    pixels = gradient()
    image = Image.fromarray(pixels)
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}.get(kind, {})
    if kind == "GIF":
        image = image.quantize(64)
        pixels = np.asarray(image.convert("RGB"))
    decoded = decode_image(encoded(image, kind, **options))
    assert decoded.dtype == np.uint8
    tolerance = 6 if kind == "JPEG" else 0
    assert np.abs(decoded.astype(int) - pixels).max() <= tolerance


def test_files_are_read_by_str_and_path_and_equal_their_bytes(tmp_path) -> None:
    data = encoded(Image.fromarray(gradient()), "JPEG", quality=90)
    path = tmp_path / "a picture.JPG"
    path.write_bytes(data)
    assert np.array_equal(decode_image(str(path)), decode_image(data))
    assert np.array_equal(decode_image(path), decode_image(data))


def test_jpeg_agrees_with_another_decoder() -> None:
    data = encoded(Image.fromarray(gradient(200, 300)), "JPEG", quality=80)
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decode_image(data).astype(int) - other).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(kind: str, orientation: int) -> None:
    image = Image.fromarray(gradient())
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}.get(kind, {})
    data = encoded(image, kind, exif=exif, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    if orientation in (1, 6):  # and by hand, so that the library's idea is not the only witness
        by_hand = gradient() if orientation == 1 else np.rot90(gradient(), -1)
        assert np.abs(expected.astype(int) - by_hand).max() <= 8
    assert np.array_equal(decode_image(data), expected)


def test_orientation_holds_at_fractional_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(gradient(400, 800)), "JPEG", exif=exif)
    assert decode_image(data, target_px=100).shape == (400, 200, 3)
    assert decode_image(data).shape == (800, 400, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_is_ignored_as_viewers_do() -> None:
    data = encoded(Image.fromarray(gradient()), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert decode_image(data).shape == (48, 64, 3)
    assert decode_image(encoded(Image.fromarray(gradient()), "JPEG", exif=b"Exif\x00\x00junk")).shape == (
        48,
        64,
        3,
    )


def test_sixteen_bit_grey_is_scaled_not_cut_off() -> None:
    levels = np.array([[0, 128, 129, 257], [32768, 40000, 65278, 65535]], dtype=np.uint16)
    written, data = cv2.imencode(".png", levels)
    assert written
    expected = np.rint(levels / 257).astype(np.uint8)
    assert np.array_equal(decode_image(data.tobytes()), np.repeat(expected[..., None], 3, axis=2))
    tiff = encoded(Image.fromarray(levels), "TIFF")
    assert np.array_equal(decode_image(tiff)[..., 0], expected)


def test_big_endian_sixteen_bit_tiff() -> None:
    values = np.array([[0, 1000], [40000, 65535]], dtype=">u2")
    entries = [
        (256, 3, 2),
        (257, 3, 2),
        (258, 3, 16),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (278, 3, 2),
        (279, 4, 8),
    ]
    directory = struct.pack(">H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack(">HHI", tag, kind, 1) + (
            struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value)
        )
    data = b"MM\x00*" + struct.pack(">I", 16) + values.tobytes() + directory + bytes(4)
    assert np.array_equal(decode_image(data)[..., 1], np.rint(values / 257).astype(np.uint8))


def test_grey_becomes_three_equal_channels() -> None:
    grey = gradient()[..., 0]
    decoded = decode_image(encoded(Image.fromarray(grey), "PNG"))
    assert np.array_equal(decoded, np.repeat(grey[..., None], 3, axis=2))
    bilevel = Image.fromarray(grey).convert("1")
    assert set(np.unique(decode_image(encoded(bilevel, "PNG")))) == {0, 255}


def test_cmyk_jpeg_has_the_right_colours() -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16], pixels[:, 16:] = (250, 120, 20), (20, 60, 200)
    decoded = decode_image(encoded(Image.fromarray(pixels).convert("CMYK"), "JPEG", quality=98))
    assert np.abs(decoded[4, 4].astype(int) - (250, 120, 20)).max() < 12
    assert np.abs(decoded[4, 28].astype(int) - (20, 60, 200)).max() < 12


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_laid_over_mid_grey(kind: str) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:, :4] = (255, 0, 0, 255)
    rgba[:, 4:6] = (255, 255, 255, 0)
    rgba[:, 6:] = (0, 0, 255, 128)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = decode_image(encoded(Image.fromarray(rgba), kind, **options))
    assert tuple(decoded[0, 0]) == (255, 0, 0)
    assert tuple(decoded[0, 5]) == BACKGROUND
    assert np.abs(decoded[0, 7].astype(int) - (64, 64, 191)).max() <= 1


def test_palettes_with_and_without_transparency() -> None:
    image = Image.new("P", (4, 2))
    image.putpalette([255, 120, 0, 10, 20, 30, *([0] * 762)])
    image.putpixel((3, 1), 1)
    assert tuple(decode_image(encoded(image, "PNG"))[1, 3]) == (10, 20, 30)
    clear = decode_image(encoded(image, "PNG", transparency=0))
    assert tuple(clear[0, 0]) == BACKGROUND
    assert tuple(clear[1, 3]) == (10, 20, 30)
    by_bytes = decode_image(encoded(image, "PNG", transparency=bytes([255, 0])))
    assert tuple(by_bytes[0, 0]) == (255, 120, 0)
    assert tuple(by_bytes[1, 3]) == BACKGROUND
    grey_alpha = Image.new("LA", (3, 3), (200, 0))
    assert tuple(decode_image(encoded(grey_alpha, "PNG"))[0, 0]) == BACKGROUND


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"WEBP": {"lossless": True}}.get(kind, {})
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert tuple(decode_image(data)[5, 5]) == (255, 0, 0)


def test_arrays() -> None:
    pixels = gradient()
    assert np.array_equal(decode_image(pixels), pixels)
    assert np.array_equal(decode_image(pixels[..., 0])[..., 2], pixels[..., 0])
    for wrong in (
        pixels.astype(np.float32),
        pixels[..., :2],
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 2, 4), np.uint8),
        np.zeros(5, np.uint8),
    ):
        refused(wrong, "uint8 [height, width, 3]")


def test_missing_empty_directory_text_and_odd_paths(tmp_path) -> None:
    refused(tmp_path / "absent.jpg", "absent.jpg", "does not exist")
    empty = tmp_path / "empty.png"
    empty.touch()
    refused(empty, "empty.png", "is empty")
    refused(tmp_path, "is a directory")
    text = tmp_path / "notes.jpg"
    text.write_text("This is not a picture.")
    refused(text, "notes.jpg", "no picture's signature", "JPEG, PNG")
    refused("a\x00b", "cannot be read")
    refused("x" * 5000, "cannot be read")
    refused("two\nlines.jpg", "does not exist")
    refused(b"", "is empty")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        refused(tmp_path / "pipe.jpg", "not a regular file")


def test_a_refused_file_leaves_no_descriptor_open(tmp_path) -> None:
    before = os.dup(0)
    os.close(before)
    for _ in range(5):
        refused(tmp_path, "is a directory")
    after = os.dup(0)
    os.close(after)
    assert after == before


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_truncated_files_are_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    assert decode_image(data).shape == (64, 64, 3)
    for share in (0.3, 0.6, 0.9):
        refused(data[: int(len(data) * share)], "cannot be decoded")


def test_truncated_progressive_jpeg_is_refused_at_fractional_size_too() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", progressive=True)
    with pytest.raises(DataError, match="cannot be decoded"):
        decode_image(data[: len(data) * 2 // 3], target_px=50)


def bomb(kind: str) -> bytes:
    if kind == "PNG":
        return png_claiming(40000, 40000)
    if kind == "JPEG":
        data = bytearray(encoded(Image.fromarray(gradient()), "JPEG"))
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", 40000, 40000)
        return bytes(data)
    if kind == "GIF":
        return (
            b"GIF89a"
            + struct.pack("<HHBBB", 40000, 40000, 0x80, 0, 0)
            + bytes(6)
            + b","
            + struct.pack("<HHHHB", 0, 0, 40000, 40000, 0)
            + b"\x02\x02\x44\x01\x00;"
        )
    if kind == "BMP":
        return (
            b"BM"
            + struct.pack("<IHHI", 100, 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, 40000, 40000, 1, 24, 0, 0, 0, 0, 0, 0)
            + bytes(64)
        )
    if kind == "WEBP":
        body = (
            b"VP8X"
            + struct.pack("<I", 10)
            + bytes(4)
            + (16383).to_bytes(3, "little") * 2
            + b"VP8L"
            + struct.pack("<I", 5)
            + b"\x2f"
            + bytes(4)
        )
        return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    entries = [
        (256, 4, 40000),
        (257, 4, 40000),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (278, 4, 40000),
        (279, 4, 8),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", t, k, 1, v) for t, k, v in entries
    )
    return b"II*\x00" + struct.pack("<I", 8) + directory + bytes(4)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_a_bomb_is_refused_by_its_header_without_taking_memory(kind: str) -> None:
    data = bomb(kind)
    tracemalloc.start()
    try:
        refused(data, "pixels; at most 64000000 pixels")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_sizes_between_pillows_warning_and_error_are_no_warning_but_our_error() -> None:
    # 100 million pixels: Image.open would warn here, and raise above 179 million.
    refused(png_claiming(10000, 10000), "10000 x 10000")
    refused(png_claiming(16385, 1), "16385 x 1")


def test_a_tiff_of_enormous_tiles_is_refused() -> None:
    entries = [
        (256, 4, 16),
        (257, 4, 16),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (322, 4, 60000),
        (323, 4, 60000),
        (324, 4, 8),
        (325, 4, 8),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", t, k, 1, v) for t, k, v in entries
    )
    refused(b"II*\x00" + struct.pack("<I", 8) + directory + bytes(4), "60000 x 60000")


def test_limits_are_the_callers(tmp_path) -> None:
    data = encoded(Image.fromarray(gradient()), "PNG")
    assert decode_image(data, DecodeLimits(max_pixels=64 * 48, max_side_px=64)).shape == (48, 64, 3)
    refused(data, "64 x 48", limits=DecodeLimits(max_pixels=64 * 48 - 1))
    refused(data, "64 x 48", limits=DecodeLimits(max_side_px=63))
    refused(data, "larger than 50 bytes", limits=DecodeLimits(max_bytes=50))
    path = tmp_path / "p.png"
    path.write_bytes(data)
    refused(path, "p.png", "larger than", limits=DecodeLimits(max_bytes=len(data) - 1))
    assert decode_image(path, DecodeLimits(max_bytes=len(data))).shape == (48, 64, 3)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = encoded(Image.fromarray(gradient()), "JPEG", progressive=True)
    normal = count_jpeg_scans(data)
    assert 2 <= normal <= 12
    start = data.rindex(b"\xff\xda")
    scan = data[start:-2]
    refused(data[:-2] + scan * 200 + data[-2:], f"{normal + 200} scans")


def test_what_follows_a_jpeg_is_neither_counted_nor_decoded() -> None:
    data = encoded(Image.fromarray(gradient()), "JPEG")
    assert count_jpeg_scans(data) == 1
    assert np.array_equal(decode_image(data + b"\xff\xda\x00\x02" * 300), decode_image(data))


def test_fractional_decoding_stays_above_twice_the_target() -> None:
    data = encoded(Image.fromarray(gradient(720, 1280)), "JPEG", quality=95)
    assert decode_image(data, target_px=224).shape == (720, 1280, 3)
    assert decode_image(data, target_px=224, target_side="longer").shape == (360, 640, 3)
    assert decode_image(data, target_px=180).shape == (360, 640, 3)
    assert decode_image(data, target_px=181).shape == (720, 1280, 3)
    small = decode_image(data, target_px=45)
    assert small.shape == (90, 160, 3)
    reference = cv2.resize(decode_image(data), (160, 90), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - reference).mean() < 3


def test_many_threads_at_once() -> None:
    good = encoded(Image.fromarray(gradient(200, 200)), "JPEG")
    expected = decode_image(good)

    def one(index: int) -> bool:
        if index % 3 == 0:
            refused(bomb("PNG"), "40000 x 40000")
            return True
        return np.array_equal(decode_image(good), expected)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(60)))


SEEDS = [
    encoded(Image.fromarray(gradient(24, 24)), "JPEG"),
    encoded(Image.fromarray(gradient(24, 24)), "JPEG", progressive=True),
    encoded(Image.fromarray(gradient(24, 24)), "PNG"),
    encoded(Image.fromarray(gradient(24, 24)), "WEBP"),
    encoded(Image.fromarray(gradient(24, 24)), "BMP"),
    encoded(Image.fromarray(gradient(24, 24)), "TIFF"),
    encoded(Image.fromarray(gradient(24, 24)), "TIFF", compression="tiff_lzw"),
    encoded(Image.fromarray(gradient(24, 24)), "GIF"),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    kept=st.floats(0.05, 1),
)
def test_damaged_pictures_are_decoded_or_refused_and_nothing_else(seed, changes, kept) -> None:
    data = bytearray(seed)
    for where, value in changes:
        data[min(len(data) - 1, int(where * where * len(data)))] = value  # headers most
    try:
        decoded = decode_image(bytes(data[: max(1, int(kept * len(data)))]), DecodeLimits(max_pixels=10**6))
    except DataError:
        pass
    else:
        assert decoded.dtype == np.uint8
        assert decoded.shape[2] == 3
