"""What may happen to a picture between the street and the network: pure degradations, one function each.

A degradation takes uint8 [H, W, 3] RGB, explicit parameters and, where it draws, a generator; it returns a
new array of the same shape and leaves its input alone. Composition, probabilities and ranges belong to the
callers: training augmentation, challenge profiles, robustness tests. Weather is in `weather`.

Values are cut off, not rounded, to 8 bits where a challenge profile is reproduced to the grey level.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError
from workzone.imaging.geometry import U8, resize_exact

F32 = NDArray[np.float32]

_EPS = 1e-6  # keeps 0.725 x 40 = 28.999999 from being cut off to 28
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# ITU-R BT.601: rows are Y, Cb, Cr; columns R, G, B.
_TO_RGB = np.array([[1, 1, 1], [0, -0.344136, 1.772], [1.402, -0.714136, 0]], dtype=np.float32)
_STUDIO_LUMA, _STUDIO_CHROMA = 235 - 16, 240 - 16


def rotate(image_rgb_u8: U8, degrees: float) -> U8:
    """Turn about the centre, counter-clockwise, nearest neighbour, black corners, same canvas."""
    height, width = image_rgb_u8.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    turned: U8 = cv2.warpAffine(image_rgb_u8, turn, (width, height), flags=cv2.INTER_NEAREST)
    return turned


def random_resized_crop(
    image_rgb_u8: U8,
    size_px: int,
    area: tuple[float, float],
    rng: np.random.Generator,
    ratio: tuple[float, float] = (1.0, 1.0),
) -> U8:
    """Cut out a random part and resize it to uint8 [size_px, size_px, 3]; see `random_crop_box`."""
    height, width = image_rgb_u8.shape[:2]
    left, top, w, h = random_crop_box(width, height, area, rng, ratio)
    return resize_exact(image_rgb_u8[top : top + h, left : left + w], size_px, size_px)


def random_crop_box(
    width: int,
    height: int,
    area: tuple[float, float],
    rng: np.random.Generator,
    ratio: tuple[float, float] = (1.0, 1.0),
) -> tuple[int, int, int, int]:
    """Draw (left, top, width, height) of a part of a picture.

    After ten draws that do not fit, the largest central part of an allowed ratio is taken.

    Args:
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        area: Least and largest share of the picture's area that is cut out, in (0, 1].
        rng: Draws area, ratio and place.
        ratio: Least and largest width / height of the part, drawn log-uniformly.

    Raises:
        ConfigError: A range is empty or leaves what is possible.
    """
    if not 0 < area[0] <= area[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
        raise ConfigError(f"Crop area {area} must rise within (0, 1], ratio {ratio} must rise above 0.")
    for _ in range(10):
        part = rng.uniform(*area) * width * height
        aspect = float(np.exp(rng.uniform(np.log(ratio[0]), np.log(ratio[1]))))
        w, h = round(np.sqrt(part * aspect)), round(np.sqrt(part / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, w, h
    aspect = min(max(width / height, ratio[0]), ratio[1])
    w, h = min(width, max(1, round(height * aspect))), min(height, max(1, round(width / aspect)))
    return (width - w) // 2, (height - h) // 2, w, h


def scale_chroma(image_rgb_u8: U8, factor: float, *, studio_range: bool = False) -> U8:
    """Scale Cb and Cr about neutral: 1 changes nothing, 0 is grey; values are cut off to 8 bits.

    With luma Y = 0.299 R + 0.587 G + 0.114 B this is Y + factor (RGB - Y), channel by channel.

    Args:
        image_rgb_u8: The picture.
        factor: What chroma is multiplied by.
        studio_range: Chroma is coded as 16 to 240 of 255 and scaled about 0.5, which is half a code below
            neutral: grey loses a little blue and red, and being cut off turns that into a whole level.
    """
    pixels = image_rgb_u8.astype(np.float32)
    luma: F32 = (pixels @ _LUMA)[..., None]
    offset: F32 = np.full(3, 1e-3, dtype=np.float32)
    if studio_range and factor != 1:
        offset = np.float32(-0.5 * (1 - factor) / _STUDIO_CHROMA) * _TO_RGB[1:].sum(axis=0)
    scaled: F32 = luma + np.float32(factor) * (pixels - luma) + offset
    return _cut(scaled)


def multiply(image_rgb_u8: U8, factor: float) -> U8:
    """Multiply all values (contrast and brightness together), cut off to 8 bits."""
    table = np.clip(np.arange(256) * factor + _EPS, 0, 255).astype(np.uint8)
    return _look_up(table, image_rgb_u8)


def adjust_contrast(image_rgb_u8: U8, contrast: float, brightness: float = 0.0) -> U8:
    """Scale values about mid-grey by `contrast` and add `brightness` (on the 0..255 scale)."""
    levels = (np.arange(256) - 127.5) * contrast + 127.5 + brightness
    return _look_up(np.clip(np.rint(levels), 0, 255).astype(np.uint8), image_rgb_u8)


def adjust_gamma(image_rgb_u8: U8, gamma: float) -> U8:
    """Raise values on the 0..1 scale to `gamma`: above 1 darker, below 1 lighter."""
    levels = 255 * (np.arange(256) / 255) ** gamma
    return _look_up(np.rint(levels).astype(np.uint8), image_rgb_u8)


def adjust_white_balance(image_rgb_u8: U8, red: float, blue: float) -> U8:
    """Multiply the red and the blue channel: (1.1, 0.9) is warmer light, (0.9, 1.1) colder."""
    pixels = image_rgb_u8.astype(np.float32) * np.array([red, 1.0, blue], dtype=np.float32)
    return _round(pixels)


def resample(image_rgb_u8: U8, factor: int) -> U8:
    """Shrink by an integer factor and grow back, both bilinear without antialiasing."""
    if factor < 1:
        raise ConfigError(f"A picture cannot be shrunk by the factor {factor}; expected 1 or more.")
    height, width = image_rgb_u8.shape[:2]
    small = cv2.resize(image_rgb_u8, (max(1, width // factor), max(1, height // factor)))
    grown: U8 = cv2.resize(small, (width, height))
    return grown


def add_noise(
    image_rgb_u8: U8, variance: float, rng: np.random.Generator, *, studio_range: bool = False
) -> U8:
    """Add Gaussian noise of this variance to Y, Cb and Cr, each on the 0..1 scale; cut off to 8 bits.

    Args:
        image_rgb_u8: The picture.
        variance: Of the noise.
        rng: Draws it.
        studio_range: The scale is that of Y coded as 16 to 235 and chroma as 16 to 240 of 255, so that
            the noise on the picture is about a seventh stronger.
    """
    noise = rng.standard_normal(image_rgb_u8.shape, dtype=np.float32) * np.float32(255 * np.sqrt(variance))
    if studio_range:
        noise *= np.array([255 / _STUDIO_LUMA, 255 / _STUDIO_CHROMA, 255 / _STUDIO_CHROMA], dtype=np.float32)
    # The conversion is linear, so the noise itself is converted.
    return _cut(image_rgb_u8 + np.matmul(noise, _TO_RGB, dtype=np.float32))


def blur(image_rgb_u8: U8, kernel_px: int) -> U8:
    """Gaussian blur with an odd kernel and sigma = kernel / 6."""
    if kernel_px < 1 or kernel_px % 2 == 0:
        raise ConfigError(f"A blur kernel of {kernel_px} pixels has no centre; expected an odd number.")
    blurred: U8 = cv2.GaussianBlur(image_rgb_u8, (kernel_px, kernel_px), kernel_px / 6)
    return blurred


def motion_blur(image_rgb_u8: U8, length_px: int, degrees: float) -> U8:
    """Blur along a line of this length and direction, as a moving or shaken camera does."""
    if length_px < 1:
        raise ConfigError(f"A motion of {length_px} pixels is none; expected 1 or more.")
    if length_px == 1:
        return image_rgb_u8.copy()
    side = length_px | 1
    kernel = np.zeros((side, side), dtype=np.float32)
    kernel[side // 2] = 1.0
    turn = cv2.getRotationMatrix2D((side // 2, side // 2), degrees, 1.0)
    kernel = cv2.warpAffine(kernel, turn, (side, side), flags=cv2.INTER_LINEAR)
    smeared: U8 = cv2.filter2D(image_rgb_u8, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)
    return smeared


def recompress(image_rgb_u8: U8, quality: int) -> U8:
    """Send the picture through JPEG at this quality, 1 to 100, with halved chroma."""
    if not 1 <= quality <= 100:
        raise ConfigError(f"JPEG quality {quality} is outside 1 to 100.")
    written, data = cv2.imencode(".jpg", image_rgb_u8[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert written
    again = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert again is not None
    return np.ascontiguousarray(again[..., ::-1], dtype=np.uint8)


def _look_up(table: U8, image_rgb_u8: U8) -> U8:
    changed: U8 = cv2.LUT(image_rgb_u8, table)
    return changed


def _cut(pixels: F32) -> U8:
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _round(pixels: F32) -> U8:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
