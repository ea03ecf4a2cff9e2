"""Cars, vans, lorries and buses, seen from behind or from the front."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workzone.data.scenes.shapes import Colour, Sculptor, Thing, shade, vary
from workzone.data.scenes.style import BLACK, CAR_PAINTS, GLASS, ORANGE_PAINTS, RUBBER, WHITE, YELLOW, pick
from workzone.data.scenes.world import Category

_RED_LAMP: Colour = (214, 30, 28)
_WHITE_LAMP: Colour = (255, 246, 222)


@dataclass(frozen=True, slots=True)
class Body:
    """Dimensions of a kind of vehicle, metres."""

    width: float
    length: float
    sill: float
    belt: float
    """Height at which the windows begin."""
    roof: float
    taper: float
    """How much narrower the roof is."""
    bonnet: float
    """Length of bonnet or boot at the seen end; 0 for boxes on wheels."""


BODIES = {
    "car": Body(1.78, 4.3, 0.28, 0.92, 1.46, 0.22, 0.7),
    "suv": Body(1.90, 4.6, 0.36, 1.08, 1.74, 0.16, 0.3),
    "van": Body(2.02, 5.4, 0.36, 1.25, 2.35, 0.08, 0.0),
    "lorry": Body(2.50, 8.5, 0.55, 1.6, 3.5, 0.0, 0.0),
    "bus": Body(2.52, 11.0, 0.35, 1.2, 3.1, 0.04, 0.0),
}
"""Dimensions by kind."""


def vehicle(
    rng: np.random.Generator,
    x: float,
    z: float,
    kind: str,
    oncoming: bool,
    loud: bool = False,
    speed: float = 0.0,
) -> Thing:
    """A vehicle; `loud` ones are orange or yellow: hard negatives."""
    body = BODIES[kind]
    paint = pick(rng, ORANGE_PAINTS, 0.1) if loud else pick(rng, CAR_PAINTS, 0.1)
    if loud and kind in {"lorry", "bus"} and rng.random() < 0.35:
        paint = vary(rng, YELLOW, 0.08)
    s = Sculptor(x, z)
    s.shadow(body.width * 1.35, body.length * 0.8)
    _wheels(s, body)
    _flank(s, body, paint, kind)
    _end(rng, s, body, paint, kind, oncoming)
    _lamps(s, body, oncoming, braking=bool(rng.random() < 0.4))
    name = "car" if kind == "suv" else kind
    if loud:
        return s.thing(f"orange_{name}", Category.HARD_NEGATIVE, speed)
    return s.thing(name, Category.CONTEXT, speed)


def _wheels(s: Sculptor, body: Body) -> None:
    half = body.width / 2
    radius = min(0.34 if body.roof < 3 else 0.48, body.sill + 0.1)
    for left in (-half + 0.04, half - 0.30):
        s.panel((left, left + 0.26), (0, body.sill + 0.1), 0.3, RUBBER)
    edge = s.flank() * half
    for along in (0.8 + radius, body.length - 0.8 - radius):
        angles = np.arange(10) * (2 * np.pi / 10)
        s.face([(edge, radius * 0.95 * (1 + float(np.sin(a))), along + radius * float(np.cos(a)))
                for a in angles], RUBBER, fine_px=6)  # fmt: skip


def _flank(s: Sculptor, body: Body, paint: Colour, kind: str) -> None:
    """The long side towards the camera: sheet metal, then windows."""
    half, top = body.width / 2, body.width / 2 - body.taper
    sign = s.flank()
    lower, upper = sign * half, sign * top
    dark = shade(paint, 0.72)
    s.side(lower, (body.sill, body.belt), (0, body.length), dark)
    cabin0, cabin1 = body.bonnet * 0.6, body.length - body.bonnet * 1.6
    slope = body.bonnet * 0.5
    s.face(
        (
            (lower, body.belt, cabin0),
            (lower, body.belt, cabin1 + slope),
            (upper, body.roof, cabin1),
            (upper, body.roof, cabin0 + slope),
        ),
        dark if kind in {"van", "lorry"} else shade(GLASS, 0.8),
    )
    if kind in {"bus", "van"}:
        start = 0.5 if kind == "bus" else body.length * 0.72
        s.side(upper, (body.belt + 0.15, body.roof - 0.55), (start, body.length - 0.4), shade(GLASS, 0.75))
    if body.roof < 2:
        for pillar in (0.38, 0.68):
            z0 = cabin0 + slope + (cabin1 - cabin0 - slope) * pillar
            corners = ((lower, body.belt, z0), (lower, body.belt, z0 + 0.1), (upper, body.roof, z0 + 0.1))
            s.face((*corners, (upper, body.roof, z0)), dark, fine_px=8)
        s.face(
            ((-top, body.roof, cabin0 + slope), (top, body.roof, cabin0 + slope),
             (top, body.roof, cabin1), (-top, body.roof, cabin1)),
            shade(paint, 1.1), cover=0.9,
        )  # fmt: skip
        s.top((-half, half), body.belt, (0, cabin0 + slope), shade(paint, 1.12))


def _end(rng: np.random.Generator, s: Sculptor, body: Body, paint: Colour, kind: str, oncoming: bool) -> None:
    """The end towards the camera."""
    half, top = body.width / 2, body.width / 2 - body.taper
    set_back = body.bonnet * (1.3 if oncoming else 0.6)
    glass = shade(GLASS, 1.15 if oncoming else 0.85)
    if kind in {"car", "suv"}:
        if set_back > 0.3:
            s.top((-half, half), body.belt, (0, set_back), shade(paint, 1.12))
        s.taper((body.belt, body.roof), (half - 0.06, top), set_back, shade(paint, 0.85))
        s.taper((body.belt + 0.04, body.roof - 0.1), (half - 0.16, top - 0.08), set_back - 0.01, glass)
        s.panel((-half, half), (body.sill, body.belt), 0, paint)
        s.panel((-half, half), (body.sill, body.sill + 0.16), -0.01, shade(BLACK, 1.4))
        if oncoming:
            s.panel((-half * 0.5, half * 0.5), (body.sill + 0.22, body.belt - 0.18), -0.01, BLACK, fine_px=6)
    else:
        s.taper((body.sill, body.roof), (half, top), 0, paint)
        _box_end(rng, s, body, kind, oncoming, glass)
    s.panel((-0.26, 0.26), (body.sill + 0.2, body.sill + 0.32), -0.02, WHITE, retro=0.7, fine_px=7)


def _box_end(
    rng: np.random.Generator, s: Sculptor, body: Body, kind: str, oncoming: bool, glass: Colour
) -> None:
    half, top = body.width / 2, body.width / 2 - body.taper
    if oncoming:
        screen = (body.belt + 0.1, body.roof - (0.35 if kind != "lorry" else 1.3))
        s.taper(screen, (half - 0.12, top - 0.14), -0.01, glass)
        s.panel((-half * 0.6, half * 0.6), (body.sill + 0.2, body.belt - 0.25), -0.01, shade(BLACK, 1.6))
    elif kind == "lorry":
        doors = vary(rng, (206, 206, 202), 0.1) if rng.random() < 0.4 else shade(s.last_colour, 0.92)
        s.panel((-half + 0.06, half - 0.06), (body.sill + 0.55, body.roof - 0.08), -0.01, doors)
        s.panel((-0.03, 0.03), (body.sill + 0.55, body.roof - 0.1), -0.02, (70, 70, 72), fine_px=5)
        s.panel((-half, half), (body.sill - 0.1, body.sill + 0.5), -0.02, shade(BLACK, 1.5))
    else:
        window = (body.belt + (0.25 if kind == "van" else 0.3), body.roof - 0.35)
        for sign in (-1, 1):
            x = sorted((sign * 0.05, sign * (top - 0.14)))
            s.panel((x[0], x[1]), window, -0.01, glass)
        s.panel((-0.02, 0.02), (body.sill + 0.15, body.roof - 0.15), -0.02, (60, 60, 62), fine_px=6)


def _lamps(s: Sculptor, body: Body, oncoming: bool, braking: bool) -> None:
    half = body.width / 2
    low = body.belt - 0.30 if body.roof < 2 else body.sill + 0.30
    for sign in (-1, 1):
        x = sorted((sign * (half - 0.04), sign * (half - 0.34)))
        colour = _WHITE_LAMP if oncoming else _RED_LAMP
        if not oncoming and body.roof >= 2:
            x = sorted((sign * (half - 0.02), sign * (half - 0.2)))
        s.panel((x[0], x[1]), (low, low + 0.2), -0.03, colour, emit=0.75 if oncoming or braking else 0.4)
        at = ((x[0] + x[1]) / 2, low + 0.1, -0.05)
        if oncoming:
            s.glow(at, 0.75, (235, 226, 200))
        else:
            s.glow(at, 0.42 if braking else 0.28, (190, 26, 18))
