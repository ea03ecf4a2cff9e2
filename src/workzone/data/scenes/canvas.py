"""The picture being painted: colours and object numbers together, far to near.

One array of four channels at twice the picture's size: red, green, blue, and the number of the object whose
surface is seen. Filling a polygon writes all four, so occlusion needs no second pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from workzone.data.scenes.camera import Camera
from workzone.data.scenes.lighting import Light
from workzone.data.scenes.shapes import Glow, Thing

OVERSAMPLING = 2
_SHIFT = 4
_FIXED = OVERSAMPLING * (1 << _SHIFT)
_FAR_OUT = 1 << 19
MAX_NUMBER = 255


@dataclass(frozen=True, slots=True)
class Trace:
    """What was painted of one thing, before anything nearer hid it."""

    thing: Thing
    number: int
    left_px: float
    top_px: float
    right_px: float
    bottom_px: float
    painted: int
    """Oversampled pixels painted inside the picture."""


class Canvas:
    """Paints things as seen by one camera under one light."""

    def __init__(self, camera: Camera, light: Light) -> None:
        self.camera = camera
        self.light = light
        shape = (camera.height_px * OVERSAMPLING, camera.width_px * OVERSAMPLING, 4)
        self.pixels: NDArray[np.uint8] = np.zeros(shape, np.uint8)

    @property
    def horizon_row(self) -> int:
        """First oversampled row below the horizon."""
        return int(np.clip(np.ceil(self.camera.horizon_px * OVERSAMPLING), 1, len(self.pixels) - 1))

    def ground(self, points_m: NDArray[np.float32], colour: tuple[float, float, float]) -> None:
        """A polygon [N, 3] painted in its own colour, unlit: the ground is lit as a whole afterwards."""
        fixed = self._fixed(points_m)
        cv2.fillPoly(self.pixels, [fixed], (*colour, 0), cv2.LINE_8, _SHIFT)

    def paint(self, thing: Thing, number: int, ahead_m: float = 0.0) -> Trace | None:
        """Paint a thing moved `ahead_m`; None if it lies behind the camera or outside the picture.

        Args:
            thing: what to paint.
            number: 0 to 255, written where its surface is seen; 0 is not counted.
            ahead_m: how far it has moved since the sequence began.
        """
        distance = thing.z_m + ahead_m - self.camera.z_m
        vertices = thing.vertices
        if ahead_m:
            vertices = vertices + np.array([0, 0, ahead_m], np.float32)
        if float(vertices[:, 2].max()) - self.camera.z_m < 1.0:
            return None
        fixed = self._fixed(vertices)
        low, high = fixed.min(axis=0), fixed.max(axis=0)
        rows, columns = self.pixels.shape[:2]
        outside = high[0] < 0 or high[1] < 0 or low[0] >= columns << _SHIFT or low[1] >= rows << _SHIFT
        if outside and not thing.glows:
            return None
        distance = max(distance, 1.0)
        if thing.shadow_m is not None:
            self._shade_ground(thing, ahead_m)
        self._fill(thing, fixed, number, distance)
        if self.light.lamps:
            for glow in thing.glows:
                self._add_glow(thing, glow, ahead_m)
        painted = self._count(number, low, high) if number else 0
        left, top = (low / _FIXED).tolist()
        right, bottom = (high / _FIXED).tolist()
        return Trace(thing, number, left, top, right, bottom, painted)

    def picture(self) -> NDArray[np.uint8]:
        """The picture [H, W, 3] at its own size."""
        size = (self.camera.width_px, self.camera.height_px)
        return np.ascontiguousarray(cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)[:, :, :3])

    def seen_counts(self) -> NDArray[np.int64]:
        """How many oversampled pixels each number [256] still has."""
        return np.bincount(self.pixels[:, :, 3].ravel(), minlength=MAX_NUMBER + 1)

    def _fixed(self, points_m: NDArray[np.float32]) -> NDArray[np.int32]:
        points = self.camera.project(points_m)
        return np.asarray(np.clip(points * _FIXED, -_FAR_OUT, _FAR_OUT), np.int32)

    def _fill(self, thing: Thing, fixed: NDArray[np.int32], number: int, distance: float) -> None:
        place = (thing.x_m - self.camera.x_m, distance)
        seen = self.light.surfaces(thing.colours, thing.emit, thing.retro, thing.cover, place).tolist()
        metre_px = self.camera.focal_px / distance
        start = 0
        for end, fine_px, (red, green, blue) in zip(thing.ends, thing.fine_px, seen, strict=True):
            if fine_px <= metre_px:
                cv2.fillPoly(self.pixels, [fixed[start:end]], (red, green, blue, number), cv2.LINE_8, _SHIFT)
            start = end

    def _count(self, number: int, low: NDArray[np.int32], high: NDArray[np.int32]) -> int:
        x0, y0 = np.maximum(low >> _SHIFT, 0).tolist()
        x1, y1 = ((high >> _SHIFT) + 2).tolist()
        return int(np.count_nonzero(self.pixels[y0:y1, x0:x1, 3] == number)) if x1 > 0 and y1 > 0 else 0

    def _shade_ground(self, thing: Thing, ahead_m: float) -> None:
        width, depth = thing.shadow_m or (0.0, 0.0)
        near = thing.z_m + ahead_m
        ends = np.array([[thing.x_m, 0, near - 0.25], [thing.x_m, 0, near + depth]], np.float32)
        (x, y1), (_, y0) = (self.camera.project(ends) * OVERSAMPLING).tolist()
        half = width / 2 * self.camera.focal_px / max(near - self.camera.z_m, 1.0) * OVERSAMPLING
        patch = self._patch((x - half, y0 - 2, x + half, y1 + 2))
        if patch is None:
            return
        view, weight = patch
        view[:] = (view * (1.0 - self.light.shadow * weight[:, :, None])).astype(np.uint8)

    def _add_glow(self, thing: Thing, glow: Glow, ahead_m: float) -> None:
        dx, dy, dz = glow.offset_m
        centre = np.array([[thing.x_m + dx, dy, thing.z_m + dz + ahead_m]], np.float32)
        distance = float(centre[0, 2]) - self.camera.z_m
        if distance < 2.0:
            return
        clear = float(np.exp(-0.6 * self.light.haze_per_m * distance))
        ((x, y),) = (self.camera.project(centre) * OVERSAMPLING).tolist()
        radius = max(glow.radius_m * self.camera.focal_px / distance, 1.5) * OVERSAMPLING
        self._lighten((x - radius, y - radius, x + radius, y + radius), glow, 0.8 * clear)
        if self.light.wet > 0:
            # A lamp's reflection on a wet road: mirrored below the ground and drawn out towards the viewer.
            ((_, foot),) = (self.camera.project(centre * np.array([[1, 0, 1]])) * OVERSAMPLING).tolist()
            length = foot - y
            box = (x - radius * 0.5, foot + length * 0.1, x + radius * 0.5, foot + length * 1.9)
            self._lighten(box, glow, 0.6 * clear * self.light.wet)

    def _lighten(self, box: tuple[float, float, float, float], glow: Glow, strength: float) -> None:
        patch = self._patch(box)
        if patch is None:
            return
        view, weight = patch
        # Cubed: a bright core and a faint skirt, where a shadow is flat in the middle.
        add = (weight**3 * strength)[:, :, None] * np.array(glow.colour, np.float32)
        view[:] = np.minimum(view + add, 255).astype(np.uint8)

    def _patch(
        self, box: tuple[float, float, float, float]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]] | None:
        """The part of the picture under a box, and a soft ellipse that fills the box, cut to it."""
        x0, y0, x1, y1 = (round(value) for value in box)
        rows, columns = self.pixels.shape[:2]
        if x1 - x0 < 2 or y1 - y0 < 2 or x1 - x0 > 3 * columns or y1 - y0 > 3 * rows:
            return None
        left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, columns), min(y1, rows)
        if left >= right or top >= bottom:
            return None
        blob = cv2.resize(_soft_ellipse(), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        view = self.pixels[top:bottom, left:right, :3]
        return view, blob[top - y0 : bottom - y0, left - x0 : right - x0]


@cache
def _soft_ellipse() -> NDArray[np.float32]:
    axis = np.linspace(-1, 1, 33, dtype=np.float32)
    radius2 = axis[:, None] ** 2 + axis[None, :] ** 2
    return np.asarray(np.clip((1.0 - radius2) * 1.15, 0, 1), np.float32)
