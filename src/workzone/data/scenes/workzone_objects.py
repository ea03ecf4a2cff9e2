"""What work zones are made of: cones, drums, barricades, work signs, machines, spoil.

Dimensions follow common equipment: cones 0.7 to 0.9 m, drums 1.0 m, type I and III barricades, 0.9 to 1.2 m
diamond signs.
"""

from __future__ import annotations

import numpy as np

from workzone.data.scenes.shapes import Colour, Sculptor, Thing, shade, stripes, vary
from workzone.data.scenes.style import BLACK, GLASS, RED, RUBBER, SOIL, STEEL, WHITE, Style
from workzone.data.scenes.world import Category

_WORK = Category.ROADWORK
_AMBER: Colour = (255, 176, 40)


def cone(rng: np.random.Generator, x: float, z: float, style: Style) -> Thing:
    """A traffic cone with reflective collars; now and then one that was run over."""
    s = Sculptor(x, z)
    high = float(rng.uniform(0.72, 0.95))
    colour = vary(rng, style.cone, 0.05)
    s.shadow(0.7, 0.45)
    s.box((-0.22, 0.22), (0, 0.06), (-0.2, 0.2), shade(colour, 0.55))
    if rng.random() < 0.05:
        s.face(((0.15, 0.02, -0.1), (0.15, 0.34, -0.1), (-high, 0.14, -0.1), (-high, 0.08, -0.1)), colour)
        return s.thing("cone", _WORK)
    bottom, tip = 0.165, 0.03

    def half(share: float) -> float:
        return bottom + (tip - bottom) * share

    s.taper((0.04, high), (half(0), half(1)), -0.05, colour)
    for low, top in ((0.42, 0.60), (0.70, 0.82)) if rng.random() < 0.6 else ((0.48, 0.70),):
        s.taper((high * low, high * top), (half(low), half(top)), -0.06, style.collar, retro=0.9)
    s.face(((half(0), 0.04, -0.07), (half(0.9), high * 0.9, -0.07), (half(0) * 0.3, 0.04, -0.07)),
           shade(colour, 0.8), fine_px=18)  # fmt: skip
    return s.thing("cone", _WORK)


def drum(rng: np.random.Generator, x: float, z: float, style: Style) -> Thing:
    """A channelising drum, banded, sometimes with a warning lamp."""
    s = Sculptor(x, z)
    s.shadow(0.9, 0.6)
    s.taper((0, 0.1), (0.34, 0.34), 0, RUBBER)
    body, band = style.drum
    edges = np.linspace(0.08, 1.0, 6)
    for number in range(5):
        low, high = float(edges[number]), float(edges[number + 1])
        half = 0.30 - 0.05 * low
        white = number % 2 == 1
        s.taper((low, high), (half, half - 0.01), -0.02, band if white else body, retro=0.9 if white else 0.5)
    s.taper((0.08, 1.0), (0.05, 0.05), -0.03, shade(body, 0.75), x=0.2, fine_px=14)
    s.disc((0, 1.0, -0.02), (0.25, 0.05), shade(body, 1.1), corners=10)
    if rng.random() < 0.3:
        _beacon(s, 1.1)
    return s.thing("drum", _WORK)


def _beacon(s: Sculptor, y: float, x: float = 0.0) -> None:
    s.disc((x, y, -0.03), (0.1, 0.1), _AMBER, emit=0.8, corners=8)
    s.glow((x, y, -0.05), 0.5, (220, 130, 20))


def barricade(rng: np.random.Generator, x: float, z: float, style: Style, boards: int = 1) -> Thing:
    """A barricade with one board (type I) or three (type III) between two legs."""
    s = Sculptor(x, z)
    wide = float(rng.uniform(1.2, 1.7)) if boards == 1 else float(rng.uniform(1.8, 2.6))
    high = 1.0 if boards == 1 else 1.5
    s.shadow(wide, 0.6)
    for sign in (-1, 1):
        at = sign * (wide / 2 - 0.15)
        s.panel((at - 0.04, at + 0.04), (0, high), 0, shade(WHITE, 0.8))
        s.panel((at - 0.1, at + 0.1), (0, 0.08), -0.2, RUBBER, fine_px=6)
    for number in range(boards):
        top = high - number * 0.5
        stripes(s, (-wide / 2, wide / 2), (top - 0.3, top), -0.02, style.board, 4 if boards == 1 else 6)
    if boards == 1 and rng.random() < 0.5:
        stripes(s, (-wide / 2, wide / 2), (0.25, 0.45), -0.02, style.board, 4)
    if rng.random() < 0.4:
        for sign in (-1, 1):
            _beacon(s, high + 0.1, sign * (wide / 2 - 0.15))
    return s.thing("barricade", _WORK)


def work_sign(rng: np.random.Generator, x: float, z: float, style: Style) -> Thing:
    """The warning of road work: an orange diamond (or, in the other city, a yellow triangle)."""
    s = Sculptor(x, z)
    half = float(rng.uniform(0.62, 0.85))
    foot = float(rng.choice([0.35, 0.9, 1.5]))
    y = foot + half
    for sign in (-1, 1):
        leg = ((0.05, foot + 0.3), (0.1, foot + 0.3), (0.45, 0), (0.38, 0))
        s.face([(sign * px, py, 0) for px, py in leg], STEEL)
    s.shadow(0.9, 0.4)
    if style.work_sign_triangle:
        for reach, colour, z_m in ((half, RED, -0.02), (half * 0.74, style.work_sign, -0.03)):
            low = y - reach * 0.75
            s.face(((-reach, low, z_m), (reach, low, z_m), (0, low + reach * 1.6, z_m)), colour, retro=0.9)
        _digger_pictogram(s, y - half * 0.25, half * 0.55)
        return s.thing("work_sign", _WORK)
    for reach, colour, z_m in ((half, BLACK, -0.02), (half * 0.93, style.work_sign, -0.03)):
        s.face(
            ((0, y - reach, z_m), (reach, y, z_m), (0, y + reach, z_m), (-reach, y, z_m)), colour, retro=0.9
        )
    if rng.random() < 0.5:
        _digger_pictogram(s, y, half)
    else:
        for number in range(3):
            line = y + half * (0.3 - 0.25 * number)
            reach = half * (0.5 - 0.12 * abs(number - 1))
            s.panel((-reach, reach), (line - half * 0.09, line + half * 0.05), -0.04, BLACK, fine_px=8)
    return s.thing("work_sign", _WORK)


def _digger_pictogram(s: Sculptor, y: float, size: float) -> None:
    s.disc((-size * 0.02, y + size * 0.36, -0.04), (size * 0.11, size * 0.11), BLACK, corners=8, fine_px=7)
    s.face(((-size * 0.2, y - size * 0.4, -0.04), (-size * 0.05, y - size * 0.4, -0.04),
            (size * 0.12, y + size * 0.25, -0.04), (-size * 0.12, y + size * 0.25, -0.04)), BLACK,
           fine_px=7)  # fmt: skip
    s.face(((size * 0.1, y + size * 0.1, -0.04), (size * 0.45, y - size * 0.35, -0.04),
            (size * 0.3, y - size * 0.4, -0.04), (size * 0.05, y, -0.04)), BLACK, fine_px=7)  # fmt: skip


def arrow_board(rng: np.random.Generator, x: float, z: float, towards: int) -> Thing:
    """A trailer with a lamp arrow that points to the open lane."""
    s = Sculptor(x, z)
    s.shadow(2.2, 1.5)
    s.panel((-0.9, 0.9), (0.45, 0.75), 0, (230, 120, 30))
    for sign in (-1, 1):
        s.disc((sign * 0.8, 0.3, -0.02), (0.14, 0.3), RUBBER)
    s.panel((-0.06, 0.06), (0.7, 1.6), 0, STEEL)
    s.panel((-1.2, 1.2), (1.5, 2.7), -0.02, shade(BLACK, 1.1))
    lamps = [(-0.8 + 0.3 * number, 2.1) for number in range(6)] + [
        (0.45, 2.35),
        (0.45, 1.85),
        (0.2, 2.55),
        (0.2, 1.65),
    ]
    for dx, y in lamps:
        s.disc((towards * dx, y, -0.04), (0.11, 0.11), _AMBER, emit=0.9, corners=6)
    s.glow((0, 2.1, -0.05), 1.2, (120, 72, 12))
    return s.thing("arrow_board", _WORK)


def excavator(rng: np.random.Generator, x: float, z: float, style: Style) -> Thing:
    """A crawler excavator from the side, its arm towards one side or the other."""
    s = Sculptor(x, z)
    way = float(rng.choice([-1.0, 1.0]))
    size = float(rng.uniform(0.55, 1.0))
    paint = style.machine

    def flat(
        points: list[tuple[float, float]], colour: Colour, z_m: float = 0.0, fine_px: float = 0.0
    ) -> None:
        s.face([(way * px * size, py * size, z_m) for px, py in points], colour, fine_px=fine_px)

    s.shadow(5.0 * size, 2.5)
    flat([(-1.9, 0.15), (-1.6, 0), (1.6, 0), (1.9, 0.15), (1.9, 0.7), (1.6, 0.85), (-1.6, 0.85), (-1.9, 0.7)],
         (40, 40, 42))  # fmt: skip
    flat([(-1.4, 0.25), (1.4, 0.25), (1.4, 0.6), (-1.4, 0.6)], (72, 70, 68), -0.02, 6)
    lift, reach = float(rng.uniform(3.2, 4.4)), float(rng.uniform(2.6, 3.4))
    dip = float(rng.uniform(0.3, 1.4))
    boom = [(0.9, 1.3), (1.3, 1.1), (reach, lift - 0.35), (reach + 0.1, lift), (reach - 0.3, lift)]
    stick = [
        (reach - 0.25, lift),
        (reach + 0.2, lift - 0.1),
        (reach + 1.0, dip + 0.9),
        (reach + 0.7, dip + 0.8),
    ]
    bucket = [
        (reach + 0.5, dip + 0.95),
        (reach + 1.15, dip + 0.9),
        (reach + 1.1, dip + 0.1),
        (reach + 0.4, dip),
    ]
    flat(boom, shade(paint, 0.9), 0.1)
    flat(stick, shade(paint, 1.05), 0.05)
    flat(bucket, (66, 62, 58))
    flat([(-2.1, 0.95), (1.3, 0.95), (1.3, 1.55), (0.6, 1.8), (-2.1, 1.95)], paint, -0.05)
    flat([(-2.1, 0.95), (-1.6, 0.95), (-1.6, 1.95), (-2.1, 1.95)], shade(paint, 0.7), -0.06)
    flat([(-0.1, 1.5), (1.15, 1.5), (0.95, 2.95), (-0.1, 2.95)], shade(paint, 0.9), -0.07)
    flat([(0.05, 1.75), (1.0, 1.75), (0.85, 2.8), (0.05, 2.8)], GLASS, -0.08)
    if rng.random() < 0.6:
        _beacon(s, 3.1 * size)
    return s.thing("excavator", _WORK)


def spoil_heap(rng: np.random.Generator, x: float, z: float) -> Thing:
    """Dug-up soil or gravel."""
    s = Sculptor(x, z)
    wide, high = float(rng.uniform(1.2, 2.6)), float(rng.uniform(0.5, 1.1))
    colour = vary(rng, SOIL if rng.random() < 0.6 else (136, 130, 122), 0.12)
    s.shadow(wide * 1.2, 0.9)
    ridge = [(-1.0, 0.0), (-0.65, 0.45), (-0.2, 1.0), (0.15, 0.9), (0.6, 0.5), (1.0, 0.0)]
    s.face([(wide / 2 * px, high * py, 0) for px, py in ridge], colour, cover=0.6)
    s.face([(wide / 2 * px, high * py * 0.9, -0.02) for px, py in ridge[2:]], shade(colour, 0.78))
    return s.thing("spoil_heap", _WORK)


def trench(rng: np.random.Generator, x: float, z: float) -> Thing:
    """Broken-up ground: bare soil with a ragged dark edge."""
    s = Sculptor(x, z)
    half, length = float(rng.uniform(0.5, 1.1)), float(rng.uniform(2.0, 6.0))
    colour = vary(rng, SOIL, 0.1)
    outline = ((-1, 0.0), (1, 0.02), (1.1, 0.5), (0.95, 1.0), (-1, 0.97), (-1.1, 0.45))
    for grow, tone in ((1.12, 0.5), (1.0, 1.0)):
        reach = half * grow
        points = [(reach * px * float(rng.uniform(0.85, 1.1)), 0.02, length * pz) for px, pz in outline]
        s.face(points, shade(colour, tone), cover=0.3)
    pit = ((-0.5, 0.2), (0.4, 0.25), (0.3, 0.8), (-0.4, 0.7))
    s.face([(half * px, 0.03, length * pz) for px, pz in pit], shade(colour, 0.55))
    return s.thing("trench", _WORK, sort_m=z + length)


def work_van(rng: np.random.Generator, x: float, z: float, style: Style) -> Thing:
    """A maintenance van from behind: striped rear doors and a beacon."""
    s = Sculptor(x, z)
    paint = vary(rng, style.machine if rng.random() < 0.5 else WHITE, 0.08)
    s.shadow(2.7, 4.5)
    for left in (-0.95, 0.67):
        s.panel((left, left + 0.28), (0, 0.45), 0.3, RUBBER)
    s.side(s.flank() * 1.0, (0.36, 2.3), (0, 5.2), shade(paint, 0.72))
    s.taper((0.36, 2.3), (1.0, 0.93), 0, paint)
    s.panel((-0.8, -0.06), (1.5, 2.05), -0.01, GLASS)
    s.panel((0.06, 0.8), (1.5, 2.05), -0.01, GLASS)
    stripes(s, (-0.96, 0.96), (0.55, 1.35), -0.02, (style.board[0], style.board[1]), 5, retro=0.8)
    for sign in (-1, 1):
        s.panel((sign * 0.9 - 0.08, sign * 0.9 + 0.08), (1.4, 1.65), -0.03, (214, 30, 28), emit=0.5)
        _beacon(s, 2.42, sign * 0.6)
    return s.thing("work_van", _WORK)
