"""From bytes, a file or an array to RGB pixels, within stated limits: the boundary to hostile pictures.

Reads a bounded number of bytes, goes by the signature and never by the name, checks the size in the header
before pixels are decoded, and turns every failure into one DataError that names the picture. Holds no state
and changes no global setting, so any number of threads may decode. Does not resize (see `geometry`), but
may let a JPEG be decoded at 1/2, 1/4 or 1/8 of its size where that is still finer than what is needed.

Pillow's decoders are made directly instead of through `Image.open`, which tries decoders one after the
other and raises or warns by a global size limit of its own; its warnings about odd metadata are left to the
process's filter, because filters are not safe to change among threads. OpenCV's JPEG decoder gives the same
pixels and at fractional size is under a tenth faster, but it accepts truncated files.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from workzone.core.errors import DataError
from workzone.imaging.files import FORMATS, quoted, read_file, too_many_bytes
from workzone.imaging.geometry import U8
from workzone.imaging.header import count_jpeg_scans, sniff_format, webp_size

ImageInput = bytes | str | os.PathLike[str] | NDArray[np.uint8]
"""A picture's bytes, its path, or its pixels: uint8 [H, W, 3] in RGB order or [H, W] grey."""

BACKGROUND = (128, 128, 128)
"""What transparent pixels are laid over: mid-grey, about the mean of a street picture."""

OPENERS: Mapping[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
_MAX_JPEG_SCANS = 100
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
# What Pillow's readers of broken files raise; there is no common class below Exception. Warnings count,
# because the process may have made them errors. Running out of memory is the picture's doing here.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    BufferError,
    EOFError,
    MemoryError,
    RuntimeError,
    Warning,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What a picture may cost; 64 megapixels take up to 1.2 GB while they are decoded."""

    max_bytes: int = 32 * 2**20
    """Of the file."""
    max_pixels: int = 64_000_000
    """Width times height, by the header."""
    max_side_px: int = 16384
    """Of the longer side, by the header."""


def decode_image(
    source: ImageInput,
    limits: DecodeLimits = DecodeLimits(),
    *,
    target_px: int | None = None,
    target_side: Literal["shorter", "longer"] = "shorter",
) -> NDArray[np.uint8]:
    """Return the first frame of a picture, upright by its EXIF orientation: uint8 [H, W, 3], RGB.

    JPEG, PNG, WebP, BMP, TIFF and GIF are read. Grey, palette and CMYK become RGB; 16-bit grey is scaled to
    8 bits; transparency is laid over `BACKGROUND`.

    Args:
        source: Bytes, path or array; an RGB array is returned as it is, sharing its memory.
        limits: What a picture in bytes or in a file may cost.
        target_px: The size that the picture will be shrunk to. A larger JPEG may then come at 1/2, 1/4 or
            1/8 of its size, but never below twice `target_px`.
        target_side: Which side `target_px` is about.

    Raises:
        DataError: There is no such file, it is no picture in one of the six formats, it is broken or
            truncated, or it exceeds `limits`.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, bytes):
        name, data = f"of {len(source)} bytes", source
    else:
        name = quoted(source)
        data = read_file(source, limits.max_bytes)
    if not data:
        raise DataError(f"The picture {name} is empty; expected {FORMATS}.")
    if len(data) > limits.max_bytes:
        raise too_many_bytes(name, limits.max_bytes)
    kind = sniff_format(data)
    if kind is None:
        raise DataError(
            f"The picture {name} begins with {data[:8]!r}, which is no picture's signature; "
            f"expected {FORMATS}, whatever the file's name says."
        )
    try:
        return _decode(data, kind, name, limits, target_px, target_side)
    except DECODER_ERRORS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"The picture {name} looks like {kind} but cannot be decoded ({reason}); "
            "it is broken, truncated or of an unusual kind. Save it again or leave it out."
        ) from error


def _decode(
    data: bytes,
    kind: str,
    name: str,
    limits: DecodeLimits,
    target_px: int | None,
    target_side: Literal["shorter", "longer"],
) -> U8:
    if kind == "WEBP" and (size := webp_size(data)) is not None:
        _check_size(*size, name, limits)
    if kind == "JPEG" and (scans := count_jpeg_scans(data)) > _MAX_JPEG_SCANS:
        raise DataError(
            f"The picture {name} is a JPEG of {scans} scans; at most {_MAX_JPEG_SCANS} are decoded, because "
            "each costs as much as a picture. Save it again as an ordinary JPEG."
        )
    with OPENERS[kind](io.BytesIO(data)) as image:
        _check_size(*image.size, name, limits)
        if isinstance(image, TiffImagePlugin.TiffImageFile) and _TILE_WIDTH in image.tag_v2:
            _check_size(image.tag_v2[_TILE_WIDTH], image.tag_v2.get(_TILE_HEIGHT, 1), name, limits)
        if isinstance(image, JpegImagePlugin.JpegImageFile) and target_px is not None:
            _reduce(image, target_px, target_side)
        image.load()
        return _upright(_to_rgb(image), _orientation(image))


def _reduce(image: JpegImagePlugin.JpegImageFile, target_px: int, side: Literal["shorter", "longer"]) -> None:
    """Let the decoder skip detail: the largest of 1/2, 1/4, 1/8 that leaves twice the target."""
    width, height = image.size
    reference = max(width, height) if side == "longer" else min(width, height)
    for factor in (8, 4, 2):
        if reference // factor >= 2 * target_px and min(width, height) >= factor:
            image.draft(None, (width // factor, height // factor))
            return


def _to_rgb(image: Image.Image) -> U8:
    """Pixels as uint8 [H, W, 3]."""
    if image.mode.startswith("I"):
        return _from_16_bit(np.asarray(image))
    if image.mode == "F":
        raise ValueError("32-bit floating-point samples have no known range")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.new("RGB", layer.size, BACKGROUND)
        image.paste(layer, mask=layer)
    elif image.mode != "RGB":
        image = image.convert("RGB")
    return np.array(image)


def _from_16_bit(grey: NDArray[Any]) -> U8:
    """Scale grey levels 0..65535 to 0..255 (65535 = 255 x 257) and repeat them for R, G and B."""
    if grey.min() < 0 or grey.max() > 65535:
        raise ValueError(f"grey levels reach from {grey.min()} to {grey.max()}, expected 0 to 65535")
    levels = ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _from_array(array: NDArray[Any]) -> U8:
    is_grey = array.ndim == 2
    if array.dtype != np.uint8 or not (is_grey or array.shape[2:] == (3,)) or array.size == 0:
        raise DataError(
            f"A picture given as an array must be uint8 [height, width, 3] in RGB order or [height, width] "
            f"grey, not empty; found {array.dtype} {list(array.shape)}."
        )
    return np.repeat(array[..., None], 3, axis=2) if is_grey else array


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8; 1 where there is none or EXIF is broken, as viewers do."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image_rgb_u8: U8, orientation: int) -> U8:
    upright: U8 = image_rgb_u8
    match orientation:
        case 2:
            upright = cv2.flip(image_rgb_u8, 1)
        case 3:
            upright = cv2.rotate(image_rgb_u8, cv2.ROTATE_180)
        case 4:
            upright = cv2.flip(image_rgb_u8, 0)
        case 5:
            upright = cv2.transpose(image_rgb_u8)
        case 6:
            upright = cv2.rotate(image_rgb_u8, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            upright = cv2.rotate(cv2.transpose(image_rgb_u8), cv2.ROTATE_180)
        case 8:
            upright = cv2.rotate(image_rgb_u8, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return upright


def _check_size(width: int, height: int, name: str, limits: DecodeLimits) -> None:
    if max(width, height) > limits.max_side_px or width * height > limits.max_pixels:
        raise DataError(
            f"The picture {name} says it is {width} x {height} pixels; at most {limits.max_pixels} pixels "
            f"and {limits.max_side_px} along a side are decoded. Shrink it first."
        )
