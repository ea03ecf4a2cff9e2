"""Fog, rain, snow, darkness and a dirty lens, drawn over a picture: pure degradations like `degrade`.

Each takes uint8 [H, W, 3] RGB, a strength from 0 (nothing) to 1 (hardly anything can be seen) and a
generator where it draws. They imitate what weather does to contrast, colour and sharpness; they do not know
the scene's depth, so fog thickens with height in the picture, as it does towards a street's horizon.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError
from workzone.imaging.geometry import U8

F32 = NDArray[np.float32]


def add_fog(image_rgb_u8: U8, strength: float, rng: np.random.Generator) -> U8:
    """Mix towards light grey, most above the horizon, in soft banks."""
    _check(strength)
    height, width = image_rgb_u8.shape[:2]
    depth = np.interp(np.linspace(0, 1, height), [0, 0.45, 1], [1.0, 1.0, 0.35]).astype(np.float32)
    banks = _soft_field(height, width, rng, cells=6)
    share = np.clip(strength * depth[:, None] * (0.75 + 0.5 * banks), 0, 1)
    return _mix(image_rgb_u8, np.array([206, 210, 214], dtype=np.float32), share)


def add_rain(image_rgb_u8: U8, strength: float, rng: np.random.Generator) -> U8:
    """Draw bright slanting streaks and take away some contrast."""
    _check(strength)
    height, width = image_rgb_u8.shape[:2]
    slant = float(rng.uniform(-0.35, 0.35))
    length = max(3, round(height * float(rng.uniform(0.03, 0.07))))
    streaks = np.zeros((height, width), dtype=np.uint8)
    for _ in range(round(strength * (40 + width * height / 150))):
        x, y = int(rng.integers(width)), int(rng.integers(-length, height))
        end = (x + round(slant * length), y + length)
        cv2.line(streaks, (x, y), end, int(rng.integers(90, 200)), 1, cv2.LINE_AA)
    share = streaks.astype(np.float32) * np.float32(0.45 / 200)
    hazy = _mix(image_rgb_u8, np.array([150, 155, 160], dtype=np.float32), np.float32(0.3 * strength))
    return _mix(hazy, np.array([225, 228, 232], dtype=np.float32), share)


def add_snow(image_rgb_u8: U8, strength: float, rng: np.random.Generator) -> U8:
    """Draw blurred white flakes of several sizes over a slightly whitened picture."""
    _check(strength)
    height, width = image_rgb_u8.shape[:2]
    flakes = np.zeros((height, width), dtype=np.uint8)
    largest = max(1.0, min(height, width) / 80)
    for _ in range(round(strength * (30 + width * height / 200))):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        radius = round(largest * float(rng.uniform(0.3, 1.0)) ** 2)
        cv2.circle(flakes, at, radius, int(rng.integers(150, 256)), -1, cv2.LINE_AA)
    soft: F32 = cv2.GaussianBlur(flakes, (3, 3), 0).astype(np.float32) / 255
    white = np.array([245, 247, 250], dtype=np.float32)
    return _mix(_mix(image_rgb_u8, white, np.float32(0.2 * strength)), white, soft)


def darken(image_rgb_u8: U8, strength: float, rng: np.random.Generator) -> U8:
    """Make night of it: less light, less colour, bluer, and the sensor's noise."""
    _check(strength)
    pixels = image_rgb_u8.astype(np.float32)
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = pixels + np.float32(0.5 * strength) * (grey - pixels)
    light = (1 - 0.85 * strength) * np.array([1 - 0.15 * strength, 1 - 0.05 * strength, 1.0])
    pixels *= light.astype(np.float32)
    pixels += rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(8 * strength)
    return _to_u8(pixels)


def dirty_lens(image_rgb_u8: U8, strength: float, rng: np.random.Generator) -> U8:
    """Lay blurred brownish spots over the picture, as mud and dried drops on the glass do."""
    _check(strength)
    height, width = image_rgb_u8.shape[:2]
    spots = np.zeros((height, width), dtype=np.float32)
    side = min(height, width)
    for _ in range(round(3 + 12 * strength)):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        radius = max(1, round(side * float(rng.uniform(0.02, 0.1))))
        cv2.circle(spots, at, radius, float(rng.uniform(0.4, 1.0)), -1)
    soft: F32 = cv2.GaussianBlur(spots, (0, 0), max(1.0, side / 40))
    return _mix(image_rgb_u8, np.array([88, 80, 70], dtype=np.float32), np.float32(0.85 * strength) * soft)


def vignette(image_rgb_u8: U8, strength: float) -> U8:
    """Darken towards the corners, with the square of the distance from the centre."""
    _check(strength)
    height, width = image_rgb_u8.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    light: F32 = 1 - np.float32(0.45 * strength) * (x * x + y * y)
    return _to_u8(image_rgb_u8.astype(np.float32) * light[..., None])


def _soft_field(height: int, width: int, rng: np.random.Generator, cells: int) -> F32:
    """A smooth random field in [0, 1], float32 [height, width]."""
    coarse = rng.random((cells, cells), dtype=np.float32)
    field: F32 = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(field, 0, 1)


def _mix(image_rgb_u8: U8, colour: F32, share: F32 | np.float32) -> U8:
    """Go `share` (a number or [H, W]) of the way from the picture to one colour."""
    weight = np.asarray(share, dtype=np.float32)
    if weight.ndim == 2:
        weight = weight[..., None]
    pixels = image_rgb_u8.astype(np.float32)
    return _to_u8(pixels + weight * (colour - pixels))


def _to_u8(pixels: F32) -> U8:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _check(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise ConfigError(f"A degradation's strength is {strength}; expected 0 to 1.")
