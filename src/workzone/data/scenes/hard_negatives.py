"""Things in road work's colours and shapes that mean nothing of the kind.

Orange vehicles, people and trees live with their kinds; here is the rest: billboards, shop signs, bollards,
bins, umbrellas, post boxes.
"""

from __future__ import annotations

import numpy as np

from workzone.data.scenes.shapes import Sculptor, Thing, shade, stripes, vary
from workzone.data.scenes.style import ORANGE, ORANGE_PAINTS, RED, RUBBER, STEEL, WHITE, YELLOW, pick
from workzone.data.scenes.world import Category

_HARD = Category.HARD_NEGATIVE


def billboard(rng: np.random.Generator, x: float, z: float) -> Thing:
    """An advertisement in orange, with blocks of picture and text."""
    s = Sculptor(x, z)
    wide, high = float(rng.uniform(2.4, 4.6)), float(rng.uniform(1.5, 2.6))
    foot = float(rng.uniform(0.8, 2.6))
    ground = pick(rng, ORANGE_PAINTS, 0.12)
    for sign in (-1, 1):
        s.panel((sign * wide * 0.35 - 0.07, sign * wide * 0.35 + 0.07), (0, foot), 0.02, (84, 86, 88))
    s.panel((-wide / 2, wide / 2), (foot, foot + high), 0, (70, 70, 72))
    s.panel((-wide / 2 + 0.08, wide / 2 - 0.08), (foot + 0.08, foot + high - 0.08), -0.01, ground, emit=0.15)
    contrast = WHITE if rng.random() < 0.6 else (40, 36, 40)
    for row in range(int(rng.integers(1, 4))):
        y = foot + high * (0.62 - 0.2 * row)
        left = -wide * 0.42
        s.panel((left, left + wide * float(rng.uniform(0.2, 0.5))), (y, y + high * 0.1), -0.02, contrast)
    s.disc((wide * 0.25, foot + high * 0.45, -0.02), (high * 0.28, high * 0.28), vary(rng, YELLOW, 0.2))
    return s.thing("billboard", _HARD)


def shop_sign(rng: np.random.Generator, x: float, z: float) -> Thing:
    """A sign board hung out from a wall, orange and white."""
    s = Sculptor(x, z)
    y = float(rng.uniform(2.6, 3.6))
    colour = pick(rng, ORANGE_PAINTS, 0.1)
    if rng.random() < 0.4:
        s.disc((0, y + 0.5, 0), (0.5, 0.5), colour, emit=0.3)
        s.disc((0, y + 0.5, -0.01), (0.3, 0.3), WHITE, emit=0.3)
    else:
        s.panel((-0.45, 0.45), (y, y + 1.1), 0, colour, emit=0.3)
        s.panel((-0.3, 0.3), (y + 0.45, y + 0.65), -0.01, WHITE, emit=0.3)
    s.panel((-0.5, 0.5), (y + 1.1, y + 1.16), 0, STEEL)
    return s.thing("shop_sign", _HARD)


def bollard(rng: np.random.Generator, x: float, z: float) -> Thing:
    """A parking post: red and white, or orange plastic with a reflective band."""
    s = Sculptor(x, z)
    s.shadow(0.4, 0.3)
    plastic = rng.random() < 0.4
    body = vary(rng, ORANGE if plastic else RED, 0.1)
    high = float(rng.uniform(0.75, 1.0))
    half = 0.055 if plastic else 0.075
    s.taper((0, high), (half, half), 0, body if plastic else WHITE)
    bands = ((0.6, 0.72),) if plastic else ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0))
    for low, top in bands:
        s.taper((high * low, high * top), (half, half), -0.01, WHITE if plastic else body, retro=0.5)
    return s.thing("bollard", _HARD)


def bin_(rng: np.random.Generator, x: float, z: float) -> Thing:
    """An orange rubbish bin, on a post or standing."""
    s = Sculptor(x, z)
    colour = pick(rng, ORANGE_PAINTS, 0.12)
    if rng.random() < 0.5:
        s.taper((0, 1.2), (0.04, 0.04), 0, STEEL)
        s.taper((0.5, 1.05), (0.19, 0.23), -0.01, colour)
        s.panel((-0.15, 0.15), (0.84, 0.92), -0.02, RUBBER, fine_px=7)
    else:
        s.shadow(0.9, 0.5)
        s.box((-0.3, 0.3), (0.08, 1.0), (0, 0.6), colour)
        s.panel((-0.33, 0.33), (0.98, 1.08), -0.01, shade(colour, 0.7))
        for sign in (-1, 1):
            s.panel((sign * 0.24 - 0.05, sign * 0.24 + 0.05), (0, 0.14), -0.01, RUBBER, fine_px=7)
    return s.thing("orange_bin", _HARD)


def umbrella(rng: np.random.Generator, x: float, z: float) -> Thing:
    """A café's sun umbrella over a table: from afar a cone of the right colour, upside up."""
    s = Sculptor(x, z)
    colour = pick(rng, ORANGE_PAINTS, 0.1)
    other = WHITE if rng.random() < 0.5 else shade(colour, 0.86)
    s.shadow(2.0, 1.0)
    s.taper((0, 2.3), (0.03, 0.03), 0, (150, 140, 126))
    s.panel((-0.45, 0.45), (0.70, 0.75), -0.3, (146, 112, 80), fine_px=6)
    half = float(rng.uniform(1.1, 1.5))
    edges = np.linspace(-half, half, 6)
    for number in range(5):
        tint = colour if number % 2 == 0 else other
        left, right = float(edges[number]), float(edges[number + 1])
        s.face(((left, 2.05, -0.1), (right, 2.05, -0.1), (0, 2.65, -0.1)), tint, cover=0.5)
        s.panel((left, right), (1.92, 2.05), -0.1, shade(tint, 0.85), fine_px=6)
    return s.thing("umbrella", _HARD)


def post_box(rng: np.random.Generator, x: float, z: float) -> Thing:
    """A red or yellow post box."""
    s = Sculptor(x, z)
    s.shadow(0.8, 0.5)
    colour = vary(rng, RED if rng.random() < 0.6 else YELLOW, 0.1)
    s.box((-0.26, 0.26), (0.1, 1.35), (0, 0.45), colour)
    s.disc((0, 1.35, -0.01), (0.26, 0.12), shade(colour, 1.1), corners=10)
    s.panel((-0.16, 0.16), (1.05, 1.11), -0.02, RUBBER, fine_px=6)
    return s.thing("post_box", _HARD)


def banner(rng: np.random.Generator, x: float, z: float) -> Thing:
    """A sales flag beside a forecourt: tall, narrow, orange."""
    s = Sculptor(x, z)
    high = float(rng.uniform(2.4, 3.6))
    colour = pick(rng, ORANGE_PAINTS, 0.1)
    s.taper((0, high), (0.025, 0.02), 0, STEEL)
    outline = ((0, 0.6), (0.6, 0.7), (0.65, high - 0.5), (0.3, high), (0, high))
    s.face([(px, py, -0.01) for px, py in outline], colour)
    s.panel((0.15, 0.45), (high * 0.35, high * 0.7), -0.02, WHITE)
    return s.thing("banner", _HARD)


def car_park_gate(rng: np.random.Generator, x: float, z: float) -> Thing:
    """A car-park gate: a striped bar across an entrance, without a zone."""
    s = Sculptor(x, z)
    s.box((-0.2, 0.2), (0, 1.05), (0, 0.3), vary(rng, (180, 180, 176), 0.1))
    reach = float(rng.uniform(2.0, 3.0))
    span = (-reach, 0.0) if x < 0 else (0.0, reach)
    stripes(s, span, (0.9, 1.0), -0.02, (vary(rng, RED, 0.1), WHITE), 5, retro=0.4)
    return s.thing("car_park_gate", _HARD)
