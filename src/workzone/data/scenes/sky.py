"""Sky, clouds, sun glow, and the far hills that close the view."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from workzone.data.scenes.canvas import OVERSAMPLING, Canvas
from workzone.data.scenes.world import Conditions, Daytime, Environment, Weather

_ZENITH = {
    Daytime.DAY: ((86, 140, 210), (168, 182, 200)),
    Daytime.DUSK: ((74, 82, 130), (86, 84, 98)),
    Daytime.NIGHT: ((8, 10, 22), (24, 24, 32)),
}
_HILL = 0.045
"""Height of a hill as a share of the picture's height."""
_CLOUD = {Daytime.DAY: (246, 246, 248), Daytime.DUSK: (222, 150, 122), Daytime.NIGHT: (34, 34, 44)}


def paint_sky(canvas: Canvas, conditions: Conditions, seed: int) -> None:
    """Fill everything above the horizon, and a little below it, for where the ground ends."""
    rng = np.random.default_rng([seed, 11])
    rows, columns = (side // OVERSAMPLING for side in canvas.pixels.shape[:2])
    height = min(canvas.horizon_row // OVERSAMPLING + 2, rows)
    clear = conditions.weather is Weather.CLEAR
    zenith = np.array(_ZENITH[conditions.daytime][0 if clear else 1], np.float32) * rng.uniform(0.9, 1.08)
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None] ** 1.3
    gradient = zenith * (1 - ramp) + canvas.light.haze * ramp
    sky = np.repeat(gradient[:, None, :], columns, axis=1)
    if conditions.weather is not Weather.FOG:
        _add_clouds(sky, rng, conditions.daytime, clear)
    if clear and conditions.daytime is not Daytime.NIGHT:
        _add_sun(sky, rng, conditions.daytime)
    small = np.clip(sky, 0, 255).astype(np.uint8)
    height *= OVERSAMPLING
    canvas.pixels[:height, :, :3] = cv2.resize(small, (columns * OVERSAMPLING, height))
    canvas.pixels[height:, :, :3] = canvas.light.haze.astype(np.uint8)
    _paint_hills(canvas, rng, conditions.environment)


def _add_clouds(sky: NDArray[np.float32], rng: np.random.Generator, daytime: Daytime, clear: bool) -> None:
    height, columns = sky.shape[:2]
    noise = cloud_noise()
    top, left = rng.integers(0, 128, 2)
    crop = noise[top : top + 96, left : left + 128]
    cover = cv2.resize(crop, (columns, height), interpolation=cv2.INTER_LINEAR)
    threshold = float(rng.uniform(0.45, 0.75)) if clear else 0.25
    amount = np.clip((cover - threshold) * 2.2, 0, 0.85 if clear else 0.5)[:, :, None]
    if not clear:
        amount = amount * np.float32(0.35)
    sky += (np.array(_CLOUD[daytime], np.float32) - sky) * amount


def _add_sun(sky: NDArray[np.float32], rng: np.random.Generator, daytime: Daytime) -> None:
    height, columns = sky.shape[:2]
    x = float(rng.uniform(-0.3, 1.3)) * columns
    y = height * (float(rng.uniform(0.7, 1.0)) if daytime is Daytime.DUSK else float(rng.uniform(-0.4, 0.3)))
    dx = (np.arange(columns, dtype=np.float32) - x) / (0.5 * columns)
    dy = (np.arange(height, dtype=np.float32) - y) / (0.35 * columns)
    glow = np.exp(-2.5 * dy * dy)[:, None] * np.exp(-2.5 * dx * dx)[None, :]
    colour = (255, 150, 70) if daytime is Daytime.DUSK else (255, 248, 226)
    sky += (np.array(colour, np.float32) - sky) * (0.55 * glow)[:, :, None]


def _paint_hills(canvas: Canvas, rng: np.random.Generator, environment: Environment) -> None:
    columns = canvas.pixels.shape[1]
    horizon = canvas.horizon_row
    light = canvas.light
    layers = 1 if environment is Environment.URBAN else 2
    for layer in range(layers):
        wave = np.zeros(25)
        for octave in range(1, 4):
            wave += np.sin(np.linspace(0, octave * 5.0, 25) + rng.uniform(0, 6.3)) / octave
        height = len(canvas.pixels) * _HILL * rng.uniform(0.5, 1.3) / (1 + layer)
        ridge = horizon - np.clip(wave * 0.4 + 0.7, 0.1, None) * height
        line = np.stack([np.linspace(0, columns, 25), ridge], axis=1)
        polygon = np.concatenate([line, [[columns, horizon + 4], [0, horizon + 4]]]).astype(np.int32)
        albedo = np.array((86, 100, 84), np.float32) * rng.uniform(0.85, 1.15)
        clear = float(np.exp(-light.haze_per_m * (420 - 200 * layer)))
        colour = albedo * light.ambient * clear * 0.8 + light.haze * (1 - clear * 0.8)
        cv2.fillPoly(canvas.pixels, [polygon], (*np.clip(colour, 0, 255).tolist(), 0))


@cache
def cloud_noise() -> NDArray[np.float32]:
    """Smooth noise [256, 256] in [0, 1], the same on every call."""
    rng = np.random.default_rng(20_011)
    total = np.zeros((256, 256), np.float32)
    for cells, weight in ((6, 1.0), (12, 0.6), (24, 0.35), (48, 0.2)):
        coarse = rng.random((cells, cells), dtype=np.float32)
        total += weight * cv2.resize(coarse, (256, 256), interpolation=cv2.INTER_CUBIC)
    total -= total.min()
    return np.asarray(total / total.max(), np.float32)
