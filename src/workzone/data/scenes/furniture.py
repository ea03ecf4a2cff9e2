"""Street furniture that belongs to every street: lamps, poles, traffic lights and ordinary signs."""

from __future__ import annotations

import numpy as np

from workzone.data.scenes.shapes import Colour, Sculptor, Thing, shade
from workzone.data.scenes.style import BLACK, BLUE, RED, STEEL, WHITE, YELLOW, Style
from workzone.data.scenes.world import Category

_GREEN_LAMP: Colour = (60, 214, 140)
_AMBER_LAMP: Colour = (255, 176, 40)
_RED_LAMP: Colour = (244, 44, 36)


def street_lamp(x: float, z: float, towards: int, style: Style, lit: bool) -> Thing:
    """A street lamp whose arm reaches over the road."""
    s = Sculptor(x, z)
    pole = shade(style.furniture, 0.9)
    s.taper((0, 7.4), (0.09, 0.06), 0, pole)
    tip = towards * 1.7
    s.face(((0, 7.3, 0), (tip, 7.7, 0), (tip, 7.8, 0), (0, 7.5, 0)), pole)
    x0, x1 = sorted((tip - towards * 0.5, tip + towards * 0.2))
    s.panel((x0, x1), (7.62, 7.8), -0.02, style.lamp_colour if lit else STEEL, emit=0.95 if lit else 0.0)
    if lit:
        red, green, blue = style.lamp_colour
        s.glow(((x0 + x1) / 2, 7.65, 0), 1.15, (red * 0.75, green * 0.75, blue * 0.75))
    return s.thing("street_lamp", Category.CONTEXT)


def utility_pole(x: float, z: float) -> Thing:
    """A wooden pole with a crossbar."""
    s = Sculptor(x, z)
    s.taper((0, 8.6), (0.13, 0.09), 0, (92, 76, 62))
    s.panel((-0.9, 0.9), (7.8, 7.95), -0.02, (84, 70, 58))
    return s.thing("pole", Category.CONTEXT)


def traffic_light(rng: np.random.Generator, x: float, z: float, style: Style) -> Thing:
    """A signal head on a pole: red, amber and green discs in a dark case."""
    s = Sculptor(x, z)
    s.taper((0, 3.4), (0.07, 0.06), 0, shade(style.furniture, 0.9))
    s.panel((-0.2, 0.2), (2.4, 3.5), -0.05, BLACK)
    on = int(rng.integers(3))
    for number, colour in enumerate((_GREEN_LAMP, _AMBER_LAMP, _RED_LAMP)):
        y = 2.6 + 0.33 * number
        lit = number == on
        s.disc((0, y, -0.08), (0.13, 0.13), colour if lit else shade(colour, 0.25), emit=0.95 if lit else 0.0,
               corners=8)  # fmt: skip
        if lit:
            s.glow((0, y, -0.1), 0.45, shade(colour, 0.6))
    return s.thing("traffic_light", Category.HARD_NEGATIVE)


def _post(s: Sculptor, height: float) -> None:
    s.taper((0, height), (0.035, 0.035), 0, STEEL)


def _triangle(s: Sculptor, y: float, half: float, colour: Colour, up: bool, z: float) -> None:
    tip, base = (y + half * 1.6, y) if up else (y, y + half * 1.6)
    s.face(((-half, base, z), (half, base, z), (0, tip, z)), colour, retro=0.9)


def _yield(s: Sculptor) -> None:
    _triangle(s, 2.0, 0.48, RED, up=False, z=-0.03)
    _triangle(s, 2.2, 0.30, WHITE, up=False, z=-0.04)


def _danger(s: Sculptor) -> None:
    _triangle(s, 2.0, 0.48, RED, up=True, z=-0.03)
    _triangle(s, 2.09, 0.31, WHITE, up=True, z=-0.04)
    s.panel((-0.04, 0.04), (2.2, 2.42), -0.05, BLACK, fine_px=10)


def _stop(s: Sculptor) -> None:
    s.disc((0, 2.35, -0.03), (0.42, 0.42), WHITE, retro=0.9, corners=8)
    s.disc((0, 2.35, -0.04), (0.38, 0.38), RED, retro=0.9, corners=8)
    s.panel((-0.26, 0.26), (2.28, 2.42), -0.05, WHITE, retro=0.9, fine_px=6)


def _crossing(s: Sculptor) -> None:
    """The yellow diamond that warns of pedestrians: a work sign's shape, another colour and meaning."""
    half = 0.55
    for reach, colour, z in ((half, BLACK, -0.03), (half - 0.04, YELLOW, -0.04)):
        s.face(((0, 2.35 - reach, z), (reach, 2.35, z), (0, 2.35 + reach, z), (-reach, 2.35, z)), colour,
               retro=0.9)  # fmt: skip
    s.panel((-0.06, 0.06), (2.16, 2.45), -0.05, BLACK, fine_px=6)
    s.disc((0, 2.54, -0.05), (0.07, 0.07), BLACK, corners=6, fine_px=6)


def _limit(s: Sculptor) -> None:
    s.disc((0, 2.35, -0.03), (0.36, 0.36), RED, retro=0.9)
    s.disc((0, 2.35, -0.04), (0.27, 0.27), WHITE, retro=0.9)
    for left in (-0.16, 0.03):
        s.panel((left, left + 0.12), (2.25, 2.45), -0.05, BLACK, fine_px=9)


def _parking(s: Sculptor) -> None:
    s.panel((-0.3, 0.3), (2.05, 2.65), -0.03, BLUE, retro=0.8)
    s.panel((-0.1, 0.0), (2.15, 2.55), -0.04, WHITE, retro=0.8, fine_px=7)


def _chevron(s: Sculptor) -> None:
    """A bend marker: red and white like a barricade, alone on a post."""
    s.panel((-0.45, 0.45), (1.0, 1.6), -0.03, WHITE, retro=0.9)
    for left in (-0.4, -0.1, 0.2):
        s.face(((left, 1.02, -0.04), (left + 0.14, 1.02, -0.04), (left + 0.28, 1.3, -0.04),
                (left + 0.14, 1.58, -0.04), (left, 1.58, -0.04), (left + 0.14, 1.3, -0.04)), RED,
               retro=0.9)  # fmt: skip


SIGNS = {
    "yield_sign": (_yield, 2.2),
    "danger_sign": (_danger, 2.1),
    "stop_sign": (_stop, 2.1),
    "crossing_sign": (_crossing, 2.0),
    "limit_sign": (_limit, 2.2),
    "chevron_sign": (_chevron, 1.1),
    "parking_sign": (_parking, 2.1),
}
"""Ordinary signs by type: what draws the plate, and the height of its post in metres."""

HARD_SIGNS = tuple(name for name in SIGNS if name != "parking_sign")


def ordinary_sign(kind: str, x: float, z: float) -> Thing:
    """An ordinary sign; all but parking signs share red, yellow or shape with road work's."""
    draw, height = SIGNS[kind]
    s = Sculptor(x, z)
    _post(s, height)
    draw(s)
    hard = kind in HARD_SIGNS
    return s.thing(kind, Category.HARD_NEGATIVE if hard else Category.CONTEXT)
