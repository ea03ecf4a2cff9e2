"""What falls between the scene and the lens, and what the wet road mirrors. Haze is the light's business."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from workzone.data.scenes.canvas import Canvas
from workzone.data.scenes.world import Conditions, Daytime, Weather


def mirror_in_road(canvas: Canvas) -> None:
    """Blend the backdrop, upside down and drawn out, into a wet ground; before anything stands on it."""
    if canvas.light.wet <= 0:
        return
    horizon = canvas.horizon_row
    rows = len(canvas.pixels) - horizon
    # The mirrored view is stretched towards the viewer as a rough surface does.
    source = np.clip(horizon - 1 - (np.arange(rows) * 0.8).astype(int), 0, horizon - 1)
    mirrored = cv2.blur(canvas.pixels[source][:, :, :3], (5, 41))
    weight = canvas.light.wet * np.linspace(0.85, 0.35, rows, dtype=np.float32)[:, None, None]
    view = canvas.pixels[horizon:, :, :3]
    view[:] = (view * (1 - weight) + mirrored * weight).astype(np.uint8)


def add_falling(
    image: NDArray[np.uint8], conditions: Conditions, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Rain streaks or snow flakes over a picture [H, W, 3]; other weather leaves it as it is."""
    if conditions.weather is Weather.RAIN:
        return _rain(image, conditions.daytime, rng)
    if conditions.weather is Weather.SNOW:
        return _snow(image, conditions.daytime, rng)
    return image


def _rain(image: NDArray[np.uint8], daytime: Daytime, rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    count = int(rng.integers(60, 160) * height * width / 49_152)
    starts = np.stack([rng.uniform(-20, width, count), rng.uniform(-20, height, count)], axis=1)
    lengths = rng.uniform(5, 16, count) * height / 192
    lean = float(rng.normal(0, 0.15))
    ends = starts + np.stack([lengths * lean, lengths], axis=1)
    strengths = rng.integers(50, 170, count).tolist()
    for start, end, strength in zip(
        (starts * 8).astype(int).tolist(), (ends * 8).astype(int).tolist(), strengths, strict=True
    ):
        cv2.line(layer, start, end, strength, 1, cv2.LINE_AA, 3)
    layer = cv2.GaussianBlur(layer, (0, 0), 0.5)
    bright = {Daytime.DAY: 215, Daytime.DUSK: 165, Daytime.NIGHT: 105}[daytime]
    alpha = (layer.astype(np.float32) * np.float32(0.45 / 255))[:, :, None]
    return np.asarray(image * (1 - alpha) + bright * alpha, np.uint8)


def _snow(image: NDArray[np.uint8], daytime: Daytime, rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    total = np.zeros((height, width), np.float32)
    density = float(rng.uniform(0.5, 1.4)) * height * width / 49_152
    for count, sigma, strength in ((220, 0.55, 1.5), (60, 0.9, 4.0), (9, 1.7, 14.0)):
        layer = np.zeros((height, width), np.float32)
        number = int(count * density)
        layer[rng.integers(0, height, number), rng.integers(0, width, number)] = strength
        total += cv2.GaussianBlur(layer, (0, 0), sigma)
    bright = {Daytime.DAY: 248, Daytime.DUSK: 205, Daytime.NIGHT: 150}[daytime]
    alpha = np.clip(total * 0.75, 0, 0.85)[:, :, None]
    return np.asarray(image * (1 - alpha) + bright * alpha, np.uint8)
