"""What a picture's file says of itself beside its pixels: format, how they are stored, whether it carries EXIF.

Reads headers, not pixels. `decode` keeps these to itself, because a classifier has no use for them; a check of
a data set does: what wrote the file may give its label away.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from workzone.core.errors import DataError
from workzone.imaging.decode import DECODER_ERRORS, OPENERS
from workzone.imaging.header import sniff_format

_EXIF_DIRECTORY = 0x8769
_PNG_TEXT_PROFILE = "Raw profile type exif"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the header says.

    Attributes:
        file_format: JPEG, PNG, WEBP, BMP, TIFF or GIF, by the signature.
        mode: How pixels are stored, as Pillow calls it: RGB, L, P, RGBA, CMYK, I;16 and so on.
        has_exif: Whether it carries EXIF metadata. (A TIFF's own tags are none; its EXIF directory is.)
    """

    file_format: str
    mode: str
    has_exif: bool


def read_file_facts(data: bytes) -> FileFacts:
    """Read the header of a picture that `decode_image` accepts; what it refuses may cost memory here.

    Args:
        data: The whole file.

    Raises:
        DataError: It is no picture in one of the six formats, or its header is broken.
    """
    kind = sniff_format(data)
    if kind is None:
        raise DataError(f"{data[:8]!r} is no picture's signature; expected one of {', '.join(OPENERS)}.")
    try:
        with OPENERS[kind](io.BytesIO(data)) as image:
            return FileFacts(kind, image.mode, _has_exif(image))
    except DECODER_ERRORS as error:
        raise DataError(f"The header of a picture in {kind} cannot be read ({error}).") from error


def _has_exif(image: Image.Image) -> bool:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _EXIF_DIRECTORY in image.tag_v2
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return "exif" in image.info
    # A PNG may name its EXIF after the pixels, where only loading would find it; writers put it before.
    return "exif" in image.info or _PNG_TEXT_PROFILE in image.info
