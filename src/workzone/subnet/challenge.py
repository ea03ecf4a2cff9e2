"""From a picture to the challenge that a validator would send of it.

Knows the profile's transforms, to the grey level; does not know where pictures come from, what is asked (see `replay`)
or how it travels (see `wire`). A reader would question the cutting off after resizing: the validators' code keeps
colours as fractions of 1, so the way back to 8 bits cuts off where Pillow would round, half a grey level darker on
average. Flips are declared there too, but never happen, and the declared bilinear rotation is one by nearest
neighbours; both are so here.

Where the validators' own result hangs on the last bit of a float, a value may differ by one grey level: in areas of
one colour after a random crop, in half a percent of the values where chroma is scaled. Of the pixels that are turned,
about one in twenty thousand is its neighbour.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from workzone.core.errors import ConfigError, DataError
from workzone.imaging import degrade
from workzone.imaging.geometry import U8, require_rgb_u8
from workzone.subnet.profiles import Distortion, Framing, Level, Profile, distortion_parameter

MAX_DEGREES = 20.0
"""Pictures are turned by an angle drawn evenly up to this, either way."""
CROP_AREA = (0.2, 1.0)
"""Least and largest share of the picture in a random crop."""
MAX_SIDE_PX = 65_535
"""No JPEG is larger."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What would be sent: the bytes of a JPEG, and how hard it was made."""

    level: int
    jpeg: bytes


def make_challenge(
    image_rgb_u8: U8, profile: Profile, rng: np.random.Generator, *, level: int | None = None
) -> Challenge:
    """Make of a picture what validators under this profile would send.

    Args:
        image_rgb_u8: uint8 [H, W, 3], as decoded.
        profile: Whose transforms.
        rng: Draws the level, then the transforms' parameters.
        level: Of this level; None: drawn by the profile's probabilities.

    Raises:
        ConfigError: Nothing is sent under this profile, or it has no such level.
        DataError: The array is no picture, or larger than a JPEG can be.
    """
    image = require_rgb_u8(image_rgb_u8)
    if not profile.sends:
        raise ConfigError(
            f"Under profile '{profile.name}' validators send no challenges, so none can be made. "
            "Name an earlier profile, such as '2026-05'."
        )
    if max(image.shape[:2]) > MAX_SIDE_PX:
        raise DataError(f"A picture of {image.shape[1]} x {image.shape[0]} pixels fits into no JPEG.")
    chosen = draw_level(profile, rng) if level is None else profile.level(level)
    return Challenge(chosen.number, _as_jpeg(transform(image, chosen, profile, rng), profile.jpeg_quality))


def draw_level(profile: Profile, rng: np.random.Generator) -> Level:
    """Draw one of the profile's levels by their probabilities."""
    return profile.levels[int(rng.choice(len(profile.levels), p=[one.probability for one in profile.levels]))]


def transform(image_rgb_u8: U8, level: Level, profile: Profile, rng: np.random.Generator) -> U8:
    """Return the pixels of a challenge before they become JPEG: framed, then distorted.

    Args:
        image_rgb_u8: uint8 [H, W, 3].
        level: How hard.
        profile: Its canvas.
        rng: Draws angle, crop, and the distortions' levels and noise, in this order.
    """
    image = _framed(image_rgb_u8, level.framing, profile.size_px, rng)
    for distortion, highest in level.distortions:
        strength = int(rng.integers(highest + 1))
        if strength:
            image = distort(image, distortion, strength, rng)
    return image


def distort(image_rgb_u8: U8, distortion: Distortion, strength: int, rng: np.random.Generator) -> U8:
    """Apply one distortion at a level from 1 to 5.

    Raises:
        ConfigError: There is no such level.
    """
    parameter = distortion_parameter(distortion, strength)
    match distortion:
        case Distortion.CHROMA:
            return degrade.scale_chroma(image_rgb_u8, parameter, studio_range=True)
        case Distortion.CONTRAST:
            return degrade.multiply(image_rgb_u8, parameter)
        case Distortion.RESAMPLING:
            return degrade.resample(image_rgb_u8, int(parameter))
        case Distortion.NOISE:
            return degrade.add_noise(image_rgb_u8, parameter, rng, studio_range=True)
        case Distortion.BLUR:
            return degrade.blur(image_rgb_u8, int(parameter))


def _framed(image: U8, framing: Framing, size_px: int | None, rng: np.random.Generator) -> U8:
    if framing is Framing.FULL:
        return image
    assert size_px is not None
    match framing:
        case Framing.CENTRE_CROP:
            return _centre_crop(image, size_px)
        case Framing.ROTATED_CROP:
            turned = degrade.rotate(image, float(rng.uniform(-MAX_DEGREES, MAX_DEGREES)))
            left, top, width, height = degrade.random_crop_box(image.shape[1], image.shape[0], CROP_AREA, rng)
            return _resize_cut_off(turned[top : top + height, left : left + width], size_px)
        case Framing.LETTERBOX:
            return _letterbox(image, size_px)
        case Framing.ROTATED_LETTERBOX:
            boxed = _letterbox(image, size_px)
            return degrade.rotate(boxed, float(rng.uniform(-MAX_DEGREES, MAX_DEGREES)))


def _centre_crop(image: U8, size_px: int) -> U8:
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = round((height - side) / 2), round((width - side) / 2)  # half to even, unlike `crop_box`
    return _resize_rounded(image[top : top + side, left : left + side], size_px, size_px)


def _letterbox(image: U8, size_px: int) -> U8:
    # Not `letterbox_box`: here sides are cut off, not rounded, and 1327 x (224 / 1327) is 223.
    height, width = image.shape[:2]
    scale = min(size_px / width, size_px / height)
    inner_width, inner_height = max(1, int(width * scale)), max(1, int(height * scale))
    left, top = (size_px - inner_width) // 2, (size_px - inner_height) // 2
    square = np.zeros((size_px, size_px, 3), dtype=np.uint8)
    square[top : top + inner_height, left : left + inner_width] = _resize_rounded(
        image, inner_width, inner_height
    )
    return square


def _resize_rounded(image: U8, width_px: int, height_px: int) -> U8:
    """Resize bilinearly, antialiased, on 8 bits as Pillow does it."""
    resized = Image.fromarray(np.ascontiguousarray(image)).resize(
        (width_px, height_px), Image.Resampling.BILINEAR
    )
    return np.asarray(resized, dtype=np.uint8)


def _resize_cut_off(image: U8, size_px: int) -> U8:
    """Resize to a square with the same filter on fractions of 1, then cut off to 8 bits."""
    fractions = image.astype(np.float32) / np.float32(255)
    resized = np.empty((size_px, size_px, 3), dtype=np.float32)
    for channel in range(3):
        plane = Image.fromarray(np.ascontiguousarray(fractions[..., channel]))
        resized[..., channel] = np.asarray(plane.resize((size_px, size_px), Image.Resampling.BILINEAR))
    return (resized * np.float32(255)).clip(0, 255).astype(np.uint8)


def _as_jpeg(image: U8, quality: int) -> bytes:
    written = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(written, "JPEG", quality=quality)
    return written.getvalue()
