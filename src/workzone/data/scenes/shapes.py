"""Objects as lists of flat faces in metres, and the builder that objects are modelled with.

A `Thing` is static data: the same thing is drawn from every camera of a sequence. Because the camera stays
near the origin, a builder decides which sides of a box can be seen when it is built, not when it is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.data.scenes.world import Category

Colour = tuple[float, float, float]
"""RGB, 0 to 255, under white light."""
Point = tuple[float, float, float]

EYE_M = 1.6
"""Tops of boxes lower than this are seen from above."""


@dataclass(frozen=True, slots=True)
class Glow:
    """A halo of light around a lamp, at an offset from the thing's origin."""

    offset_m: Point
    radius_m: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Face:
    """One flat polygon; `emit` gives light itself, `retro` throws headlights back, `cover` holds snow."""

    points: tuple[Point, ...]
    colour: Colour
    emit: float = 0.0
    retro: float = 0.0
    cover: float = 0.0
    fine_px: float = 0.0
    """Drawn only where one metre is at least this many pixels."""


@dataclass(frozen=True, slots=True)
class Thing:
    """An object standing in the world."""

    type: str
    category: Category
    x_m: float
    z_m: float
    vertices: NDArray[np.float32]
    """[N, 3] in world metres."""
    ends: tuple[int, ...]
    """Where each face's vertices end."""
    colours: NDArray[np.float32]
    """[F, 3]."""
    emit: NDArray[np.float32]
    retro: NDArray[np.float32]
    cover: NDArray[np.float32]
    fine_px: tuple[float, ...]
    shadow_m: tuple[float, float] | None
    """Width and depth of the shade beneath, or None."""
    glows: tuple[Glow, ...]
    speed: float = 0.0
    """How far it moves ahead per frame, metres."""
    sort_m: float = 0.0
    """Distance by which the painter orders it."""


class Sculptor:
    """Builds one thing around the origin (x_m, 0, z_m); later faces are painted over earlier ones."""

    def __init__(self, x_m: float, z_m: float) -> None:
        self.x_m = float(x_m)
        self.z_m = float(z_m)
        self._faces: list[Face] = []
        self._glows: list[Glow] = []
        self._shadow: tuple[float, float] | None = None

    def face(
        self,
        points: Sequence[Point],
        colour: Colour,
        emit: float = 0.0,
        retro: float = 0.0,
        cover: float = 0.0,
        fine_px: float = 0.0,
    ) -> None:
        """A polygon through points relative to the origin."""
        self._faces.append(Face(tuple(points), colour, emit, retro, cover, fine_px))

    def panel(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: float,
        colour: Colour,
        emit: float = 0.0,
        retro: float = 0.0,
        fine_px: float = 0.0,
        cover: float = 0.0,
    ) -> None:
        """A rectangle that faces the camera."""
        corners = ((x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z))
        self.face(corners, colour, emit, retro, cover, fine_px)

    def taper(
        self,
        y: tuple[float, float],
        half: tuple[float, float],
        z: float,
        colour: Colour,
        x: float = 0.0,
        emit: float = 0.0,
        retro: float = 0.0,
        fine_px: float = 0.0,
    ) -> None:
        """An upright trapezium that faces the camera, half widths at its bottom and top."""
        (y0, y1), (h0, h1) = y, half
        self.face(((x - h0, y0, z), (x + h0, y0, z), (x + h1, y1, z), (x - h1, y1, z)),
                  colour, emit, retro, 0.0, fine_px)  # fmt: skip

    def side(
        self,
        x: float,
        y: tuple[float, float],
        z: tuple[float, float],
        colour: Colour,
        emit: float = 0.0,
        fine_px: float = 0.0,
        retro: float = 0.0,
    ) -> None:
        """A rectangle in the plane x, along the road."""
        corners = ((x, y[0], z[0]), (x, y[0], z[1]), (x, y[1], z[1]), (x, y[1], z[0]))
        self.face(corners, colour, emit, retro, 0.0, fine_px)

    def top(self, x: tuple[float, float], y: float, z: tuple[float, float], colour: Colour) -> None:
        """A level rectangle seen from above; snow lies on it."""
        corners = ((x[0], y, z[0]), (x[1], y, z[0]), (x[1], y, z[1]), (x[0], y, z[1]))
        self.face(corners, colour, cover=0.9)

    def box(
        self, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], colour: Colour
    ) -> None:
        """The sides of a box that the camera can see: flank, top, front."""
        if self.x_m + x[0] > 0:
            self.side(x[0], y, z, shade(colour, 0.78))
        elif self.x_m + x[1] < 0:
            self.side(x[1], y, z, shade(colour, 0.78))
        if y[1] < EYE_M:
            self.top(x, y[1], z, shade(colour, 1.1))
        self.panel(x, y, z[0], colour)

    def disc(
        self,
        centre: Point,
        radius: tuple[float, float],
        colour: Colour,
        emit: float = 0.0,
        retro: float = 0.0,
        corners: int = 12,
        fine_px: float = 0.0,
        cover: float = 0.0,
    ) -> None:
        """An ellipse (or, with few corners, a regular polygon standing on a flat side) facing the camera."""
        angles = (np.arange(corners) + 0.5) * (2 * np.pi / corners) - np.pi / 2
        points = tuple(
            (centre[0] + radius[0] * float(np.cos(a)), centre[1] + radius[1] * float(np.sin(a)), centre[2])
            for a in angles
        )
        self.face(points, colour, emit, retro, cover, fine_px)

    def flank(self) -> int:
        """Which side along the road the camera sees: -1 the left one, +1 the right one."""
        return -1 if self.x_m > 0 else 1

    def glow(self, offset_m: Point, radius_m: float, colour: Colour) -> None:
        """A halo of light."""
        self._glows.append(Glow(offset_m, radius_m, colour))

    @property
    def last_colour(self) -> Colour:
        """The colour of the face modelled last."""
        return self._faces[-1].colour

    def shadow(self, width_m: float, depth_m: float) -> None:
        """A soft dark patch on the ground."""
        self._shadow = (width_m, depth_m)

    def thing(self, kind: str, category: Category, speed: float = 0.0, sort_m: float | None = None) -> Thing:
        """The finished object."""
        faces = self._faces
        points = np.array([p for face in faces for p in face.points], np.float32)
        points += np.array([self.x_m, 0.0, self.z_m], np.float32)
        return Thing(
            type=kind,
            category=category,
            x_m=self.x_m,
            z_m=self.z_m,
            vertices=points,
            ends=tuple(np.cumsum([len(face.points) for face in faces]).tolist()),
            colours=np.array([face.colour for face in faces], np.float32),
            emit=np.array([face.emit for face in faces], np.float32),
            retro=np.array([face.retro for face in faces], np.float32),
            cover=np.array([face.cover for face in faces], np.float32),
            fine_px=tuple(face.fine_px for face in faces),
            shadow_m=self._shadow,
            glows=tuple(self._glows),
            speed=speed,
            sort_m=self.z_m if sort_m is None else sort_m,
        )


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, lighter or darker."""
    return (
        min(255.0, colour[0] * factor),
        min(255.0, colour[1] * factor),
        min(255.0, colour[2] * factor),
    )


def vary(rng: np.random.Generator, colour: Colour, amount: float = 0.1) -> Colour:
    """The colour, a little different: paint fades, light differs."""
    red, green, blue = np.clip(np.array(colour) * rng.uniform(1 - amount, 1 + amount)
                               + rng.uniform(-60 * amount, 60 * amount, 3), 0, 255)  # fmt: skip
    return (float(red), float(green), float(blue))


def stripes(
    sculptor: Sculptor,
    x: tuple[float, float],
    y: tuple[float, float],
    z: float,
    colours: tuple[Colour, Colour],
    count: int,
    retro: float = 0.6,
) -> None:
    """A board with slanted stripes: a ground and `count` parallelograms on it."""
    sculptor.panel(x, y, z, colours[1], retro=retro)
    step = (x[1] - x[0]) / count
    slant = min(step * 0.5, (y[1] - y[0]))
    for number in range(count):
        left = x[0] + number * step
        right = left + step * 0.5
        points = (
            (left, y[0], z),
            (right, y[0], z),
            (min(right + slant, x[1]), y[1], z),
            (min(left + slant, x[1]), y[1], z),
        )
        sculptor.face(points, colours[0], retro=retro)
