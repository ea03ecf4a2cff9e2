"""The pinhole camera that everything is seen through.

World: x to the right, y up, z ahead, in metres; the camera stands above the origin and looks along z.
Tilt is modelled as a moved horizon (a shift lens), which keeps verticals vertical. Barrel distortion is
applied to the finished picture, not to single vertices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from workzone.data.scenes.world import Shift, WorldSpec

NEAREST_M = 0.6
"""Vertices nearer than this are drawn as if they were here."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the camera is and how it projects; pixels are those of the finished picture."""

    name: str
    width_px: int
    height_px: int
    focal_px: float
    centre_px: float
    horizon_px: float
    height_m: float
    x_m: float = 0.0
    z_m: float = 0.0
    barrel: float = 0.0
    """Radial coefficient k of r' = r (1 - k r²), r in half diagonals."""

    def project(self, points_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pixel coordinates [N, 2] of points [N, 3]."""
        scale = self.focal_px / np.maximum(points_m[:, 2] - self.z_m, NEAREST_M)
        out = np.empty((len(points_m), 2), np.float32)
        out[:, 0] = self.centre_px + (points_m[:, 0] - self.x_m) * scale
        out[:, 1] = self.horizon_px + (self.height_m - points_m[:, 1]) * scale
        return out

    def ground_distance_m(self, rows_px: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distance ahead at which each row below the horizon meets the ground."""
        below = np.maximum(rows_px - self.horizon_px, 0.05)
        return np.asarray(self.focal_px * self.height_m / below, np.float32)

    def moved(self, x_m: float, z_m: float, horizon_px: float) -> Camera:
        """The same camera a little further on, its horizon moved by the road's bumps."""
        return replace(self, x_m=self.x_m + x_m, z_m=self.z_m + z_m, horizon_px=self.horizon_px + horizon_px)


def draw_camera(rng: np.random.Generator, spec: WorldSpec) -> Camera:
    """A dash camera as drivers mount them, or, under Shift.CAMERA, a roof camera with a wide lens."""
    width, height = spec.width_px, spec.height_px
    if spec.shift is Shift.CAMERA:
        name = "roof-wide"
        focal, horizon, height_m = rng.uniform(0.60, 0.68), rng.uniform(0.34, 0.40), rng.uniform(2.3, 2.8)
        barrel = rng.uniform(0.10, 0.16)
    else:
        name = ("dash-a", "dash-b", "dash-c")[int(rng.integers(3))]
        focal = {"dash-a": 0.92, "dash-b": 1.02, "dash-c": 1.12}[name] * rng.uniform(0.98, 1.02)
        horizon, height_m = rng.uniform(0.43, 0.53), rng.uniform(1.3, 1.75)
        barrel = 0.0
    return Camera(
        name=name,
        width_px=width,
        height_px=height,
        focal_px=float(focal * width),
        centre_px=float(width * rng.uniform(0.46, 0.54)),
        horizon_px=float(height * horizon),
        height_m=float(height_m),
        barrel=float(barrel),
    )


def distortion_maps(camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For `cv2.remap`: where in the straight picture each pixel [H, W] of the distorted one comes from.

    The straight picture is zoomed so that the corners stay inside it.
    """
    x, y = np.meshgrid(
        np.arange(camera.width_px, dtype=np.float32), np.arange(camera.height_px, dtype=np.float32)
    )
    centre, half = _centre_and_half(camera)
    dx, dy = (x - centre[0]) / half, (y - centre[1]) / half
    stretch = (1.0 - camera.barrel) * (1.0 + camera.barrel * (dx * dx + dy * dy))
    map_x, map_y = centre[0] + dx * stretch * half, centre[1] + dy * stretch * half
    return np.asarray(map_x, np.float32), np.asarray(map_y, np.float32)


def distort_points(camera: Camera, points_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where points [N, 2] of the straight picture land in the distorted one (inverse of the maps)."""
    centre, half = _centre_and_half(camera)
    offset = (points_px - centre) / half
    guess = offset.copy()
    for _ in range(8):
        radius2 = np.sum(guess * guess, axis=1, keepdims=True)
        guess = offset / ((1.0 - camera.barrel) * (1.0 + camera.barrel * radius2))
    return guess * half + centre


def distort(camera: Camera, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture as the lens bends it."""
    map_x, map_y = distortion_maps(camera)
    return np.asarray(
        cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _centre_and_half(camera: Camera) -> tuple[NDArray[np.float64], float]:
    centre = np.array([(camera.width_px - 1) / 2, (camera.height_px - 1) / 2])
    return centre, float(np.hypot(*centre))
