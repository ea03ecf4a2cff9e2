"""The look of a city: paints, materials and the equipment its road workers use, as tables.

Every sequence draws one `Style`, so that no single tint tells a class; the usual world and the other city
draw from different tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workzone.data.scenes.shapes import Colour, vary
from workzone.data.scenes.world import Shift

ORANGE: Colour = (238, 104, 26)
WHITE: Colour = (236, 236, 232)
RED: Colour = (196, 32, 36)
YELLOW: Colour = (242, 190, 28)
LIME: Colour = (196, 232, 44)
BLACK: Colour = (26, 26, 28)
BLUE: Colour = (36, 84, 168)
STEEL: Colour = (140, 144, 148)
RUBBER: Colour = (30, 30, 32)
GLASS: Colour = (58, 72, 84)
SOIL: Colour = (116, 84, 58)

CAR_PAINTS: tuple[Colour, ...] = (
    (226, 228, 230), (40, 42, 46), (128, 132, 138), (170, 174, 178), (38, 58, 104), (122, 26, 30),
    (58, 76, 66), (90, 74, 60), (196, 190, 176), (34, 36, 52), (210, 212, 210), (74, 98, 130),
)  # fmt: skip
ORANGE_PAINTS: tuple[Colour, ...] = ((236, 110, 24), (226, 84, 22), (244, 134, 30), (232, 96, 40))
CLOTHES: tuple[Colour, ...] = (
    (44, 48, 62), (72, 76, 84), (32, 34, 36), (112, 96, 82), (86, 104, 128), (150, 146, 138),
    (60, 82, 66), (120, 44, 52), (186, 182, 172), (54, 62, 96),
)  # fmt: skip
LOUD_CLOTHES: tuple[Colour, ...] = (
    (236, 104, 30),
    (214, 48, 38),
    (240, 140, 34),
    (226, 66, 52),
    (238, 186, 40),
)
SKIN: tuple[Colour, ...] = ((226, 184, 152), (188, 140, 106), (128, 88, 62), (92, 62, 44), (210, 166, 132))
AUTUMN: tuple[Colour, ...] = ((206, 104, 30), (196, 132, 36), (178, 70, 30), (214, 152, 48), (150, 92, 40))
LEAVES: tuple[Colour, ...] = ((62, 92, 44), (78, 108, 52), (52, 80, 46), (92, 116, 56), (70, 100, 64))

_FACADES: tuple[Colour, ...] = (
    (176, 160, 138), (152, 120, 100), (198, 188, 170), (140, 136, 132), (168, 100, 80), (186, 176, 160),
    (122, 116, 112), (206, 184, 142), (158, 146, 128), (128, 90, 76),
)  # fmt: skip
_FACADES_CITY: tuple[Colour, ...] = (
    (108, 124, 142), (84, 100, 118), (146, 160, 170), (120, 70, 58), (96, 108, 110), (170, 178, 184),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """What one sequence's city looks like."""

    traffic_side: int
    """Side of the road that one drives on: +1 right, -1 left."""
    facades: tuple[Colour, ...]
    storey_range: tuple[int, int]
    marking: Colour
    centre_marking: Colour
    asphalt: Colour
    pavement: Colour
    grass: Colour
    lamp_colour: Colour
    cone: Colour
    collar: Colour
    drum: tuple[Colour, Colour]
    board: tuple[Colour, Colour]
    """Barricade stripes: the colour and its ground."""
    work_sign: Colour
    work_sign_triangle: bool
    machine: Colour
    vests: tuple[Colour, ...]
    furniture: Colour
    """Posts, bins and railings."""


def draw_style(rng: np.random.Generator, shift: Shift) -> Style:
    """A style from the usual tables, or from the other city's."""
    asphalt = float(rng.uniform(74, 118))
    warm = float(rng.uniform(-4, 6))
    road = (asphalt + warm, asphalt, asphalt - warm * 0.5)
    slab = asphalt + float(rng.uniform(26, 56))
    pavement = (slab + 4, slab, slab - 6)
    grass = vary(rng, ((96, 118, 62), (120, 122, 72), (84, 108, 58))[int(rng.integers(3))], 0.12)
    if shift is Shift.CITY:
        return Style(
            traffic_side=-1,
            facades=_FACADES_CITY,
            storey_range=(6, 14),
            marking=(228, 198, 70),
            centre_marking=(228, 198, 70),
            asphalt=(asphalt * 0.8, asphalt * 0.84, asphalt * 0.9),
            pavement=(slab * 0.9, slab * 0.86, slab * 0.98),
            grass=grass,
            lamp_colour=(206, 226, 255),
            cone=vary(rng, (236, 196, 40), 0.06),
            collar=(44, 70, 150),
            drum=((236, 196, 40), (44, 60, 130)),
            board=((36, 60, 140), (240, 204, 60)) if rng.random() < 0.5 else (BLACK, (240, 204, 40)),
            work_sign=vary(rng, (244, 208, 48), 0.05),
            work_sign_triangle=True,
            machine=vary(rng, (66, 120, 160), 0.08),
            vests=(LIME, (80, 200, 220)),
            furniture=(46, 78, 120),
        )
    red_white = rng.random() < 0.5
    return Style(
        traffic_side=1,
        facades=_FACADES,
        storey_range=(2, 7),
        marking=vary(rng, (222, 222, 216), 0.06),
        centre_marking=(214, 176, 66) if rng.random() < 0.4 else (220, 220, 214),
        asphalt=road,
        pavement=pavement,
        grass=grass,
        lamp_colour=(255, 206, 136) if rng.random() < 0.6 else (236, 238, 255),
        cone=vary(rng, ORANGE, 0.09),
        collar=WHITE,
        drum=(vary(rng, ORANGE, 0.08), WHITE),
        board=((vary(rng, RED, 0.08) if red_white else vary(rng, ORANGE, 0.08)), WHITE),
        work_sign=vary(rng, (242, 124, 22), 0.08),
        work_sign_triangle=False,
        machine=vary(rng, ((238, 176, 30), (236, 120, 28))[int(rng.integers(2))], 0.08),
        vests=(vary(rng, (248, 112, 26), 0.06), vary(rng, LIME, 0.06)),
        furniture=(72, 78, 80),
    )


def pick(rng: np.random.Generator, colours: tuple[Colour, ...], amount: float = 0.1) -> Colour:
    """One of the colours, a little varied."""
    return vary(rng, colours[int(rng.integers(len(colours)))], amount)
