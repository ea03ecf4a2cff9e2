"""Pedestrians and road workers: one figure, other clothes."""

from __future__ import annotations

import numpy as np

from workzone.data.scenes.shapes import Colour, Sculptor, Thing, shade, vary
from workzone.data.scenes.style import CLOTHES, LOUD_CLOTHES, SKIN, WHITE, YELLOW, Style, pick
from workzone.data.scenes.world import Category


def pedestrian(rng: np.random.Generator, x: float, z: float, loud: bool = False) -> Thing:
    """Someone walking or standing; `loud` ones wear orange or red: hard negatives."""
    s = Sculptor(x, z)
    coat = pick(rng, LOUD_CLOTHES if loud else CLOTHES, 0.1)
    trousers = pick(rng, CLOTHES, 0.15)
    skin = pick(rng, SKIN, 0.08)
    height = _figure(rng, s, coat, trousers, skin, long_coat=bool(rng.random() < 0.3))
    s.disc((0, height - 0.07, -0.04), (0.105, 0.09), vary(rng, (60, 44, 34), 0.4), fine_px=6)
    if rng.random() < 0.3:
        side = 0.3 * float(rng.choice([-1, 1]))
        s.panel((side - 0.12, side + 0.12), (0.35, 0.7), -0.02, pick(rng, CLOTHES, 0.2), fine_px=6)
    kind = ("person_orange", Category.HARD_NEGATIVE) if loud else ("pedestrian", Category.CONTEXT)
    return s.thing(*kind, speed=float(rng.normal(0, 0.02)))


def worker(rng: np.random.Generator, x: float, z: float, style: Style) -> Thing:
    """A road worker: high-visibility vest with reflective bands, helmet, often a shovel."""
    s = Sculptor(x, z)
    vest = style.vests[int(rng.integers(len(style.vests)))]
    trousers = vest if rng.random() < 0.4 else pick(rng, CLOTHES, 0.15)
    skin = pick(rng, SKIN, 0.08)
    if rng.random() < 0.5:
        lean = float(rng.uniform(0.3, 0.7) * rng.choice([-1, 1]))
        s.face(((lean * 0.2, 0.9, -0.05), (lean * 0.2 + 0.05, 0.9, -0.05),
                (lean + 0.05, 0.05, -0.05), (lean, 0.05, -0.05)), (120, 90, 60), fine_px=8)  # fmt: skip
    height = _figure(rng, s, vest, shade(trousers, 0.9), skin, long_coat=False)
    for y in (0.60, 0.70):
        s.panel((-0.24, 0.24), (height * y, height * y + 0.07), -0.05, (226, 228, 220), retro=1.4, fine_px=5)
    for side in (-0.11, 0.11):
        s.panel((side - 0.03, side + 0.03), (height * 0.70, height * 0.82), -0.05, (226, 228, 220), retro=1.4,
                fine_px=9)  # fmt: skip
    helmet = (WHITE, YELLOW, style.cone)[int(rng.integers(3))]
    s.disc((0, height + 0.01, -0.05), (0.145, 0.12), helmet, corners=10)
    s.panel((-0.17, 0.17), (height - 0.05, height - 0.01), -0.06, shade(helmet, 0.85), fine_px=8)
    return s.thing("worker", Category.ROADWORK, speed=float(rng.normal(0, 0.01)))


def _figure(
    rng: np.random.Generator, s: Sculptor, coat: Colour, trousers: Colour, skin: Colour, long_coat: bool
) -> float:
    """Legs, arms, trunk and head; returns the height in metres."""
    height = float(rng.uniform(1.58, 1.88))
    s.shadow(0.8, 0.5)
    hip, shoulder = height * 0.50, height * 0.83
    stride = float(rng.uniform(0.05, 0.24))
    for sign in (-1, 1):
        foot = sign * stride
        s.face(
            (
                (foot - 0.07, 0, 0),
                (foot + 0.08, 0, 0),
                (sign * 0.08 + 0.09, hip, 0),
                (sign * 0.08 - 0.09, hip, 0),
            ),
            shade(trousers, 1.0 if sign > 0 else 0.8),
        )
        s.panel((foot - 0.08, foot + 0.1), (0, 0.09), -0.01, (32, 30, 30), fine_px=8)
        swing = float(rng.uniform(0.02, 0.2))
        wrist = sign * (0.27 + swing)
        s.face(
            ((sign * 0.19, shoulder, 0), (sign * 0.28, shoulder - 0.05, 0), (wrist + 0.05, hip - 0.02, 0),
             (wrist - 0.05, hip - 0.02, 0)),
            shade(coat, 0.8),
        )  # fmt: skip
        s.disc((wrist, hip - 0.05, -0.01), (0.05, 0.06), skin, corners=6, fine_px=9)
    hem = hip - (0.25 if long_coat else 0.02)
    s.face(((-0.2, hem, -0.02), (0.2, hem, -0.02), (0.25, shoulder, -0.02), (-0.25, shoulder, -0.02)), coat)
    s.panel((-0.05, 0.05), (shoulder - 0.02, shoulder + 0.08), -0.02, shade(skin, 0.85), fine_px=8)
    s.disc((0, height - 0.115, -0.03), (0.10, 0.13), skin, corners=10)
    return height


def cyclist(rng: np.random.Generator, x: float, z: float, loud: bool) -> Thing:
    """A cyclist from behind; `loud` ones wear a bright jacket: hard negatives."""
    s = Sculptor(x, z)
    jacket = pick(rng, LOUD_CLOTHES if loud else CLOTHES, 0.1)
    s.shadow(0.7, 1.4)
    s.disc((0, 0.34, 0.2), (0.05, 0.34), (28, 28, 30))
    s.panel((-0.3, 0.3), (0.98, 1.02), 0.3, (40, 40, 42), fine_px=6)
    for sign in (-1, 1):
        leg = ((0.13, 0.25), (0.2, 0.25), (0.16, 0.95), (0.02, 0.95))
        s.face([(sign * px, py, 0) for px, py in leg], pick(rng, CLOTHES, 0.1))
        s.face(((sign * 0.18, 1.4, 0), (sign * 0.26, 1.36, 0), (sign * 0.32, 1.0, 0), (sign * 0.24, 1.0, 0)),
               shade(jacket, 0.8))  # fmt: skip
    s.face(((-0.18, 0.88, -0.02), (0.18, 0.88, -0.02), (0.22, 1.45, -0.02), (-0.22, 1.45, -0.02)), jacket)
    s.disc((0, 1.6, -0.03), (0.1, 0.13), pick(rng, SKIN, 0.08), corners=10)
    s.disc((0, 1.67, -0.04), (0.13, 0.1), pick(rng, CLOTHES, 0.2), corners=10)
    s.panel((-0.03, 0.03), (0.66, 0.72), -0.05, (220, 30, 30), emit=0.7)
    s.glow((0, 0.69, -0.05), 0.2, (170, 20, 14))
    kind = ("cyclist_orange", Category.HARD_NEGATIVE) if loud else ("cyclist", Category.CONTEXT)
    return s.thing(*kind, speed=float(rng.uniform(0.1, 0.3)))
