"""Augmentation of fitted pictures: geometry, light, weather, camera.

Works picture by picture in numpy and OpenCV, on uint8 at the network's size: there a warp costs a fiftieth
of a millisecond, a hundredth of what even a small network needs for the same picture on a CPU, so batching
it in torch would win nothing. Knows no labels, and no epoch: the caller hands in a generator seeded for
this picture and epoch, which is what lets an interrupted training be resumed exactly.

Nothing is cut out of the picture (no CutMix, small patches only are erased): one cone may be all there is.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from workzone.imaging.degrade import (
    add_noise,
    adjust_gamma,
    blur,
    motion_blur,
    recompress,
    resample,
    scale_chroma,
)
from workzone.imaging.weather import add_fog, add_rain, add_snow, darken, dirty_lens, vignette

U8 = NDArray[np.uint8]
MINIMUM_RESAMPLED_PX = 96
"""Below this side, shrinking and growing again would leave nothing of a distant cone."""


class AugmentSettings(BaseModel):
    """What is done to a training picture, and how strongly; all zero leaves it as it is.

    Probabilities are per picture and epoch. Ranges are drawn from uniformly and symmetrically.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: float = Field(0.5, ge=0, le=1, description="Probability of mirroring left and right.")
    warp: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Probability of zoom, rotation and stretch: they blur a cone of few pixels.",
    )
    zoom: float = Field(0.20, ge=0, lt=1, description="Scale is drawn log-uniformly from 1/(1+z) to 1+z.")
    shift: float = Field(0.10, ge=0, lt=1, description="Largest displacement, as a share of the side.")
    rotate_deg: float = Field(4.0, ge=0, le=180, description="Largest rotation, in degrees.")
    stretch: float = Field(0.08, ge=0, lt=1, description="Largest change of the aspect ratio.")
    brightness: float = Field(0.15, ge=0, lt=1, description="Largest offset, as a share of full scale.")
    contrast: float = Field(0.20, ge=0, lt=1, description="Largest relative change of contrast.")
    saturation: float = Field(0.25, ge=0, le=1, description="Largest relative change of chroma.")
    colour_cast: float = Field(0.06, ge=0, lt=1, description="Largest relative change of a channel.")
    gamma: float = Field(0.15, ge=0, lt=1, description="Gamma is drawn log-uniformly from 1/(1+g) to 1+g.")
    weather: float = Field(0.05, ge=0, le=1, description="Probability of fog, rain, snow or darkness.")
    camera: float = Field(
        0.08, ge=0, le=1, description="Probability of noise, blur, compression, resampling or a dirty lens."
    )
    erase: float = Field(0.0, ge=0, le=1, description="Probability of one small grey patch.")


NO_AUGMENTATION = AugmentSettings(
    flip=0, warp=0, zoom=0, shift=0, rotate_deg=0, stretch=0, brightness=0, contrast=0, saturation=0, colour_cast=0,
    gamma=0, weather=0, camera=0, erase=0,
)  # fmt: skip


def augment(image_rgb_u8: U8, settings: AugmentSettings, rng: np.random.Generator) -> U8:
    """Return a changed copy of a fitted picture.

    Args:
        image_rgb_u8: uint8 [N, N, 3].
        settings: What may be done.
        rng: Seeded by the caller for this picture and epoch.
    """
    # A fixed number of draws for every decision, so that one setting does not shift another's randomness.
    chances = rng.random(5)
    image = np.ascontiguousarray(image_rgb_u8[:, ::-1]) if chances[0] < settings.flip else image_rgb_u8
    draws = rng.uniform(-1, 1, 5)
    image = _warp(image, settings, draws) if chances[4] < settings.warp else _shift(image, settings, draws)
    image = _light(image, settings, rng)
    if chances[1] < settings.weather:
        image = _weather(image, rng)
    if chances[2] < settings.camera:
        image = _camera(image, rng)
    if chances[3] < settings.erase:
        image = _erase(image, rng)
    return image


def _shift(image: U8, settings: AugmentSettings, draws: NDArray[np.float64]) -> U8:
    """Shift by whole pixels: nothing is blurred, and networks that cut a picture into patches need it most."""
    pad = round(settings.shift * image.shape[0])
    if pad == 0:
        return image.copy()
    left, top = np.rint(draws[3:5] * pad).astype(int) + pad
    padded: U8 = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
    return np.ascontiguousarray(padded[top : top + image.shape[0], left : left + image.shape[1]])


def _warp(image: U8, settings: AugmentSettings, draws: NDArray[np.float64]) -> U8:
    """Zoom, stretch, rotate and shift at once; what comes in from outside mirrors the edge."""
    side = image.shape[0]
    zoom = (1 + settings.zoom) ** draws[0]
    ratio = math.sqrt(1 + settings.stretch) ** draws[1]
    angle = math.radians(settings.rotate_deg) * draws[2]
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([zoom * ratio, zoom / ratio])
    centre = (side - 1) / 2
    offset = centre + draws[3:5] * settings.shift * side - turn @ np.array([centre, centre])
    warped: U8 = cv2.warpAffine(
        image,
        np.column_stack([turn, offset]),
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return warped


def _light(image: U8, settings: AugmentSettings, rng: np.random.Generator) -> U8:
    """Saturation, then contrast, brightness, colour cast and gamma in one table per channel."""
    draws = rng.uniform(-1, 1, 7)
    if settings.saturation:
        image = scale_chroma(image, 1 + settings.saturation * float(draws[0]))
    if settings.brightness or settings.contrast or settings.colour_cast or settings.gamma:
        levels = np.arange(256, dtype=np.float64)[:, None] / 255
        levels = (levels - 0.5) * (1 + settings.contrast * draws[1]) + 0.5 + settings.brightness * draws[2]
        levels = np.clip(levels * (1 + settings.colour_cast * draws[3:6]), 0, 1)
        levels = levels ** ((1 + settings.gamma) ** draws[6])
        table = np.rint(255 * levels).astype(np.uint8).reshape(256, 1, 3)
        changed: U8 = cv2.LUT(image, table)
        return changed
    return image


def _weather(image: U8, rng: np.random.Generator) -> U8:
    kind = int(rng.integers(4))
    strength = float(rng.uniform(0.1, 0.6))
    if kind == 3:
        return darken(image, strength, rng)
    return (add_fog, add_rain, add_snow)[kind](image, strength, rng)


def _camera(image: U8, rng: np.random.Generator) -> U8:
    kind = int(rng.integers(7))
    side = image.shape[0]
    if kind == 0:
        return add_noise(image, float(rng.uniform(2e-4, 2e-3)), rng)
    if kind == 1:
        return blur(image, 3)
    if kind == 2:
        return motion_blur(image, int(rng.integers(2, 4 + side // 128)), float(rng.uniform(0, 180)))
    if kind == 3:
        return recompress(image, int(rng.integers(40, 90)))
    if kind == 4:
        return resample(image, 2) if side >= MINIMUM_RESAMPLED_PX else adjust_gamma(image, 1.2)
    if kind == 5:
        return dirty_lens(image, float(rng.uniform(0.1, 0.5)), rng)
    return vignette(image, float(rng.uniform(0.3, 1.0)))


def _erase(image: U8, rng: np.random.Generator) -> U8:
    side = image.shape[0]
    height, width = (int(n) for n in rng.integers(max(1, side // 16), max(2, side // 6), size=2))
    top, left = int(rng.integers(side - height + 1)), int(rng.integers(side - width + 1))
    erased = image.copy()
    erased[top : top + height, left : left + width] = 127
    return erased
