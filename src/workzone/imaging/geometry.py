"""How a picture of any shape becomes a square: letterbox, crop or squash.

Knows pixels and sizes; does not know files, channel statistics or networks. Shrinking averages areas, so
that fine texture (cones far away, lettering) does not alias; growing interpolates linearly.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError

U8 = NDArray[np.uint8]


class Geometry(StrEnum):
    """What happens to a picture that is not square."""

    LETTERBOX = "letterbox"
    """All of it, centred between black bars; shapes keep their proportions."""
    CROP = "crop"
    """The central square; shapes keep their proportions, what is at the ends is lost."""
    SQUASH = "squash"
    """All of it, stretched to the square."""


def require_rgb_u8(image: NDArray[Any]) -> U8:
    """Return `image` if it is uint8 [H, W, 3] with at least one pixel.

    Raises:
        DataError: It is something else.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise DataError(
            f"An array of type {image.dtype} and shape {list(image.shape)} is no picture; "
            "expected uint8 [height, width, 3] in RGB order, not empty."
        )
    return image


def resize_exact(image_rgb_u8: U8, width_px: int, height_px: int) -> U8:
    """Resize to exactly this size: area average where a side shrinks, linear where it grows.

    OpenCV's area mode aliases when one side shrinks and the other grows, so each is done by itself.
    """
    height, width = image_rgb_u8.shape[:2]
    shrunk = (min(width, width_px), min(height, height_px))
    image = image_rgb_u8
    if shrunk != (width, height):
        image = cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA)
    if shrunk != (width_px, height_px):
        image = cv2.resize(image, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    return image


def letterbox_box(width_px: int, height_px: int, size_px: int) -> tuple[int, int, int, int]:
    """Return (left, top, width, height) of a picture's content inside its letterboxed square.

    >>> letterbox_box(1920, 1080, 224)
    (0, 49, 224, 126)
    """
    longest = max(width_px, height_px)
    width = max(1, round(width_px * size_px / longest))
    height = max(1, round(height_px * size_px / longest))
    return (size_px - width) // 2, (size_px - height) // 2, width, height


def crop_box(width_px: int, height_px: int) -> tuple[int, int, int]:
    """Return (left, top, side) of the central square of a picture."""
    side = min(width_px, height_px)
    return (width_px - side) // 2, (height_px - side) // 2, side


def resize_to(image_rgb_u8: U8, size_px: int, geometry: Geometry) -> U8:
    """Return the picture as a square: uint8 [size_px, size_px, 3], contiguous.

    Args:
        image_rgb_u8: uint8 [H, W, 3].
        size_px: Side of the square, at least 1.
        geometry: What happens to a picture that is not square.

    Raises:
        DataError: The array is no picture.
    """
    image = require_rgb_u8(image_rgb_u8)
    height, width = image.shape[:2]
    match geometry:
        case Geometry.SQUASH:
            square = resize_exact(image, size_px, size_px)
        case Geometry.CROP:
            left, top, side = crop_box(width, height)
            square = resize_exact(image[top : top + side, left : left + side], size_px, size_px)
        case Geometry.LETTERBOX:
            left, top, inner_width, inner_height = letterbox_box(width, height, size_px)
            square = np.zeros((size_px, size_px, 3), dtype=np.uint8)
            square[top : top + inner_height, left : left + inner_width] = resize_exact(
                image, inner_width, inner_height
            )
    return np.ascontiguousarray(square)
