"""From what the lens sees to what the file holds: blur, exposure, cast, vignette, noise, soft chroma."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from workzone.data.scenes.world import Daytime, Shift


@dataclass(frozen=True, slots=True)
class Sensor:
    """How one sequence's camera renders light."""

    blur_px: float
    motion_px: int
    exposure: float
    cast: tuple[float, float, float]
    vignette: float
    noise: float
    """Standard deviation on 0 to 255."""
    saturation: float


def draw_sensor(rng: np.random.Generator, daytime: Daytime, shift: Shift) -> Sensor:
    """A sensor with its exposure; darkness brings noise."""
    other = shift is Shift.CAMERA
    cast = rng.normal(1.0, 0.025, 3)
    if other:
        cast = cast * np.array([0.86, 1.0, 1.16])
    noise = {Daytime.DAY: 2.2, Daytime.DUSK: 3.5, Daytime.NIGHT: 5.0}[daytime] * float(rng.uniform(0.6, 1.4))
    return Sensor(
        blur_px=float(rng.uniform(0.35, 0.75)) + (0.25 if other else 0.0),
        motion_px=3 if rng.random() < 0.12 else 0,
        exposure=float(rng.uniform(0.86, 1.16)),
        cast=(float(cast[0]), float(cast[1]), float(cast[2])),
        vignette=float(rng.uniform(0.08, 0.28)) + (0.15 if other else 0.0),
        noise=noise * (2.4 if other else 1.0),
        saturation=float(rng.uniform(0.75, 1.1)),
    )


def expose(image: NDArray[np.uint8], sensor: Sensor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture [H, W, 3] as the camera stores it; `rng` draws this frame's noise."""
    height, width = image.shape[:2]
    soft = cv2.GaussianBlur(image, (0, 0), sensor.blur_px)
    if sensor.motion_px:
        soft = cv2.blur(soft, (sensor.motion_px, 1))
    luma_chroma = cv2.cvtColor(soft, cv2.COLOR_RGB2YCrCb)
    # Cameras and JPEG keep colour at half the resolution of brightness.
    half = (max(width // 2, 1), max(height // 2, 1))
    chroma = cv2.resize(luma_chroma[:, :, 1:], half, interpolation=cv2.INTER_AREA)
    luma_chroma[:, :, 1:] = cv2.resize(chroma, (width, height), interpolation=cv2.INTER_LINEAR)
    picture = cv2.cvtColor(luma_chroma, cv2.COLOR_YCrCb2RGB).astype(np.float32)
    grey = picture.mean(axis=2, keepdims=True)
    picture = grey + (picture - grey) * np.float32(sensor.saturation)
    gain = np.array(sensor.cast, np.float32) * np.float32(sensor.exposure)
    falloff = 1.0 - sensor.vignette * _radius2(height, width)
    picture *= falloff[:, :, None] * gain
    picture += _noise(rng, height, width) * np.float32(sensor.noise)
    return np.asarray(np.clip(picture + 0.5, 0, 255), np.uint8)


def _noise(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Noise [H, W, 3] of unit variance: a window into a fixed pool, mirrored at random."""
    size = height * width * 3
    pool = _noise_pool()
    if size > len(pool) // 2:
        return rng.standard_normal((height, width, 3), dtype=np.float32)
    start = int(rng.integers(len(pool) - size))
    window = pool[start : start + size].reshape(height, width, 3)
    return window[:: (-1 if rng.random() < 0.5 else 1), :: (-1 if rng.random() < 0.5 else 1)]


@cache
def _noise_pool() -> NDArray[np.float32]:
    """Coarse and fine noise mixed, 1.2 million values, the same on every call."""
    values = np.random.default_rng(20_013).standard_normal(1_200_003, dtype=np.float32)
    mixed = values[3:] + 0.5 * values[:-3]
    return np.asarray(mixed / mixed.std(), np.float32)


@cache
def _radius2(height: int, width: int) -> NDArray[np.float32]:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return np.asarray((x * x + y * y) * 0.5, np.float32)
