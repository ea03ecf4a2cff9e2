"""The road as lanes and edges, before anything stands on it, and the ground painted from that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from workzone.data.scenes.canvas import OVERSAMPLING, Canvas
from workzone.data.scenes.lighting import SNOW_WHITE
from workzone.data.scenes.shapes import Colour, shade
from workzone.data.scenes.style import Style
from workzone.data.scenes.world import Environment

_STATIONS = np.array([0.8, 2, 4, 7, 11, 16, 22, 30, 40, 55, 75, 110, 170, 300, 900], np.float32)


@dataclass(frozen=True, slots=True)
class Street:
    """Lateral positions in metres from the camera; the camera drives in lane 0, `side` is the kerb's side."""

    environment: Environment
    side: int
    """+1: kerb to the right of the own carriageway; -1: to the left."""
    lane_m: float
    lanes_kerb: int
    """Lanes between the own lane and the near kerb."""
    lanes_same: int
    """Lanes of one's own direction between the own lane and the middle."""
    lanes_other: int
    """Lanes of the other direction (beyond a median on highways)."""
    shoulder_m: float
    """Parking strip or hard shoulder at the near kerb."""
    pavement_m: float
    median_m: float
    bend: float
    """Curvature: the road lies at x + bend z²."""
    worn: float
    seed: int

    @property
    def kerb(self) -> float:
        """The near edge of the carriageway, signed like `side`."""
        return self.side * (self.lane_m * (0.5 + self.lanes_kerb) + self.shoulder_m)

    @property
    def middle(self) -> float:
        """The line between the directions, signed."""
        return -self.side * self.lane_m * (0.5 + self.lanes_same)

    @property
    def far_kerb(self) -> float:
        """The far edge of the carriageway, signed."""
        return self.middle - self.side * (
            self.median_m + self.lanes_other * self.lane_m + self.far_shoulder_m
        )

    @property
    def far_shoulder_m(self) -> float:
        """Parking strip at the far kerb."""
        return self.shoulder_m * 0.9

    def curve(self, z_m: float) -> float:
        """How far the road has bent sideways at a distance."""
        return self.bend * z_m * z_m


def draw_street(rng: np.random.Generator, environment: Environment, side: int) -> Street:
    """A street as they are built in such surroundings."""
    highway, urban = environment is Environment.HIGHWAY, environment is Environment.URBAN
    if highway:
        kerb_lanes, same = ((0, 1), (1, 0), (1, 1), (0, 2))[int(rng.integers(4))]
        shoulder, other, pavement, median = rng.uniform(1.5, 3.2), int(rng.integers(2, 4)), 0.0, 3.0
    elif urban:
        kerb_lanes, same = ((0, 0), (0, 1), (1, 0), (0, 0))[int(rng.integers(4))]
        shoulder, other = (rng.uniform(2.0, 2.4) if rng.random() < 0.6 else 0.3), int(rng.integers(1, 3))
        pavement, median = rng.uniform(2.4, 4.2), 0.0
    else:
        kerb_lanes, same, other, median = 0, 0, 1, 0.0
        shoulder = rng.uniform(1.8, 2.3) if rng.random() < 0.45 else 0.2
        pavement = rng.uniform(1.4, 2.2) if rng.random() < 0.8 else 0.0
    return Street(
        environment=environment,
        side=side,
        lane_m=float(rng.uniform(3.4, 3.8) if highway else rng.uniform(2.9, 3.4)),
        lanes_kerb=kerb_lanes,
        lanes_same=same,
        lanes_other=other,
        shoulder_m=float(shoulder),
        pavement_m=float(pavement),
        median_m=float(median),
        bend=float(rng.normal(0, 0.0006 if highway else 0.0004)),
        worn=float(rng.uniform(0.3, 1.0)),
        seed=int(rng.integers(1 << 31)),
    )


def paint_ground(canvas: Canvas, street: Street, style: Style) -> None:
    """Everything level: verges, pavements, asphalt, markings, patches; then light, texture, wetness, haze."""
    rng = np.random.default_rng([street.seed, 1])
    rural = street.environment is not Environment.URBAN
    base = style.grass if rural else shade(style.pavement, 0.92)
    canvas.pixels[canvas.horizon_row :, :, :3] = np.array(base, np.uint8)
    edges = sorted((street.kerb, street.far_kerb))
    if street.pavement_m > 0:
        outer = street.pavement_m
        _strip(canvas, street, (edges[0] - outer, edges[1] + outer), style.pavement)
    if street.environment is not Environment.HIGHWAY:
        _strip(canvas, street, (edges[0] - 0.28, edges[1] + 0.28), shade(style.pavement, 1.18))
    _strip(canvas, street, (edges[0], edges[1]), style.asphalt)
    if street.median_m > 0:
        inner = sorted((street.middle, street.middle - street.side * street.median_m))
        _strip(canvas, street, (inner[0], inner[1]), shade(style.grass, 0.95))
    _paint_wear(canvas, street, style, rng)
    _paint_markings(canvas, street, style)
    _light_ground(canvas, street, rng)


def _strip(
    canvas: Canvas,
    street: Street,
    x: tuple[float, float],
    colour: Colour,
    z: tuple[float, float] = (0.8, 900),
) -> None:
    stations = _STATIONS[(z[0] < _STATIONS) & (z[1] > _STATIONS)]
    stations = np.concatenate([[z[0]], stations, [z[1]]]).astype(np.float32)
    bend = street.bend * np.minimum(stations, 200.0) ** 2
    left = np.stack([x[0] + bend, np.zeros_like(bend), stations], axis=1)
    right = np.stack([x[1] + bend, np.zeros_like(bend), stations], axis=1)[::-1]
    canvas.ground(np.concatenate([left, right]).astype(np.float32), colour)


def _paint_wear(canvas: Canvas, street: Street, style: Style, rng: np.random.Generator) -> None:
    """Old repairs, darker or lighter, and manhole covers: every street has them, road work or not."""
    edges = sorted((street.kerb, street.far_kerb))
    for _ in range(int(rng.integers(1, 5))):
        x, z = float(rng.uniform(edges[0], edges[1] - 1.5)), float(rng.uniform(4, 40))
        size = (float(rng.uniform(0.6, 2.4)), float(rng.uniform(1.0, 9.0)))
        tone = float(rng.choice([0.72, 0.82, 1.12]))
        _strip(canvas, street, (x, min(x + size[0], edges[1])), shade(style.asphalt, tone), (z, z + size[1]))
    if street.environment is not Environment.HIGHWAY:
        for _ in range(int(rng.integers(0, 3))):
            x, z = float(rng.uniform(edges[0], edges[1] - 0.6)), float(rng.uniform(5, 25))
            _strip(canvas, street, (x, x + 0.6), shade(style.asphalt, 0.55), (z, z + 0.6))


def _paint_markings(canvas: Canvas, street: Street, style: Style) -> None:
    fade = 0.6 + 0.4 * street.worn
    paint, centre = shade(style.marking, fade), shade(style.centre_marking, fade)
    lane, side = street.lane_m, street.side
    highway = street.environment is Environment.HIGHWAY
    lines = [side * lane * (0.5 + number) for number in range(street.lanes_kerb)]
    lines += [-side * lane * (0.5 + number) for number in range(street.lanes_same)]
    for number in range(1, street.lanes_other):
        lines.append(street.middle - side * (street.median_m + number * lane))
    for x in lines:
        _dashes(canvas, street, x, paint, (3.0, 9.0) if highway else (3.0, 6.0))
    if highway or street.shoulder_m > 1:
        x = side * lane * (0.5 + street.lanes_kerb)
        _strip(canvas, street, (x - 0.08, x + 0.08), paint)
    if highway:
        x = street.middle + side * 0.25
        _strip(canvas, street, (x - 0.08, x + 0.08), centre)
    elif street.seed % 4 == 0:
        _strip(canvas, street, (street.middle - 0.07, street.middle + 0.07), centre)
    elif street.environment is Environment.URBAN or street.seed % 3:
        _dashes(canvas, street, street.middle, centre, (3.0, 5.0))


def _dashes(canvas: Canvas, street: Street, x: float, colour: Colour, on_off: tuple[float, float]) -> None:
    period = sum(on_off)
    z = 1.0 + (street.seed % 97) / 97 * period - period
    while z < 110:
        if z + on_off[0] > 1.0:
            _strip(canvas, street, (x - 0.07, x + 0.07), colour, (max(z, 0.9), z + on_off[0]))
        z += period


def _light_ground(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    camera, light = canvas.camera, canvas.light
    first = canvas.horizon_row // OVERSAMPLING
    rows = np.arange(first, camera.height_px, dtype=np.float32) + 0.5
    z = camera.ground_distance_m(rows)[:, None]
    columns = np.arange(camera.width_px, dtype=np.float32)[None, :] + 0.5
    x = (columns - camera.centre_px) * z / camera.focal_px
    clear = np.exp(-light.haze_per_m * np.minimum(z, 800))
    offset = rng.uniform(0, 256, 2).astype(np.float32)
    wrap = (((x + camera.x_m) * 22 + offset[0]) % 512, ((z + camera.z_m) * 9 + offset[1]) % 512 + 0 * x)
    grain = cv2.remap(ground_noise(), wrap[0], wrap[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    grain = (grain - 0.5) * np.exp(-z / 28.0)
    gain = light.ambient + light.beam(x, z)[:, :, None]
    factor = gain * (clear * (1 + 0.55 * grain))[:, :, None]
    add = np.broadcast_to(light.haze * (1 - clear)[:, :, None], factor.shape)
    if light.snow > 0:
        factor, add = _lay_snow(street, canvas, (x, z, grain), (factor, add, gain, clear))
    size = (camera.width_px * OVERSAMPLING, (camera.height_px - first) * OVERSAMPLING)
    factor = cv2.resize(np.ascontiguousarray(factor, np.float32), size)
    add = cv2.resize(np.ascontiguousarray(add, np.float32), size)
    view = canvas.pixels[first * OVERSAMPLING :, :, :3]
    below = slice(canvas.horizon_row - first * OVERSAMPLING, None)
    lit = view[below] * factor[below] + add[below]
    view[below] = np.clip(lit, 0, 255).astype(np.uint8)


def _lay_snow(
    street: Street,
    canvas: Canvas,
    place: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    terms: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Snow beside the road, thinner on it and nearly gone in the wheel tracks."""
    x, z, grain = place
    factor, add, gain, clear = terms
    across = x + canvas.camera.x_m - street.bend * np.minimum(z, 200.0) ** 2
    edges = sorted((street.kerb, street.far_kerb))
    on_road = (across > edges[0]) & (across < edges[1])
    track = np.abs(np.abs((across + 0.5 * street.lane_m) % street.lane_m - 0.5 * street.lane_m) - 0.75) < 0.3
    lie = np.where(on_road, np.where(track, 0.12, 0.5), 0.92) + grain * 0.9
    lie = (np.clip(lie, 0, 0.95) * canvas.light.snow)[:, :, None]
    white = SNOW_WHITE * gain * clear[:, :, None] * 0.93
    return factor * (1 - lie), add + white * lie


@cache
def ground_noise() -> NDArray[np.float32]:
    """Tiling grain [512, 512] in [0, 1], coarse and fine, the same on every call."""
    rng = np.random.default_rng(20_012)
    total = np.zeros((512, 512), np.float32)
    for cells, weight in ((512, 0.5), (128, 0.5), (24, 0.8)):
        coarse = rng.random((cells, cells), dtype=np.float32)
        coarse = np.pad(coarse, 2, mode="wrap")
        scale = 512 // cells if 512 % cells == 0 else 512 / cells
        side = round(len(coarse) * scale)
        grown = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR)
        edge = round(2 * scale)
        total += weight * grown[edge : edge + 512, edge : edge + 512]
    total -= total.min()
    return np.asarray(total / total.max(), np.float32)
