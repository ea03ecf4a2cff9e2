"""What lines the road: houses, shops, trees, hedges, guard rails."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from workzone.data.scenes.shapes import Colour, Sculptor, Thing, shade, vary
from workzone.data.scenes.street import Street
from workzone.data.scenes.style import AUTUMN, GLASS, LEAVES, ORANGE_PAINTS, STEEL, Style, pick
from workzone.data.scenes.world import Category, Conditions, Daytime, Environment

_AWNINGS: tuple[Colour, ...] = ((150, 40, 44), (40, 82, 66), (46, 66, 120), (206, 190, 150), (110, 110, 112))


def houses(rng: np.random.Generator, street: Street, style: Style, conditions: Conditions) -> Iterator[Thing]:
    """Rows of houses on both sides; none beside a highway but a far shed."""
    environment = street.environment
    lit_share = {Daytime.DAY: 0.0, Daytime.DUSK: 0.25, Daytime.NIGHT: 0.35}[conditions.daytime]
    for side, edge in ((street.side, street.kerb), (-street.side, street.far_kerb)):
        z = float(rng.uniform(-8, 4))
        while z < (130 if environment is Environment.URBAN else 110):
            urban = environment is Environment.URBAN
            length = float(rng.uniform(9, 22) if urban else rng.uniform(8, 13))
            gap = 0.0 if urban and rng.random() < 0.8 else float(rng.uniform(4, 10))
            setback = street.pavement_m + (0.3 if urban else float(rng.uniform(4.5, 9)))
            if environment is Environment.HIGHWAY:
                length, gap, setback = 24.0, float(rng.uniform(20, 90)), float(rng.uniform(25, 50))
            x = edge + side * setback + street.curve(min(z + length / 2, 120))
            if z + length > 3:
                build = _tower if urban else (_cottage if setback < 20 else _shed)
                yield build(rng, (x, z, side, length), style, lit_share)
            z += length + gap


def _tower(
    rng: np.random.Generator, site: tuple[float, float, int, float], style: Style, lit_share: float
) -> Thing:
    x, z, side, length = site
    storeys = int(rng.integers(style.storey_range[0], style.storey_range[1] + 1))
    height = storeys * 3.1 + 1.0
    wall = pick(rng, style.facades, 0.12)
    depth = 10.0
    s = Sculptor(x, z)
    front, back = (0.0, depth) if side > 0 else (-depth, 0.0)
    s.panel((front, back), (0, height), 0.0, shade(wall, 0.82))
    s.side(0.0, (0, height), (0, length), shade(wall, 0.95))
    s.side(0.0, (height - 0.5, height), (0, length), shade(wall, 0.75))
    shop = bool(rng.random() < 0.7)
    count = max(2, round(length / 2.6))
    pitch = length / count
    glass = shade(GLASS, float(rng.uniform(0.8, 1.3)))
    for storey in range(1 if shop else 0, storeys):
        base = storey * 3.1 + 1.3
        fine = 0.0 if storey < 4 else 1.5
        for number in range(count):
            lit = rng.random() < lit_share
            colour = vary(rng, (255, 214, 140), 0.1) if lit else glass
            bay = (pitch * (number + 0.25), pitch * (number + 0.75))
            s.side(0.0, (base, base + 1.5), bay, colour, emit=0.85 if lit else 0.0, fine_px=max(fine, 2.2))
        s.panel((front + 1.5, front + 3.0), (base, base + 1.4), -0.01, glass, fine_px=4)
        s.panel((front + 5.0, front + 6.5), (base, base + 1.4), -0.01, glass, fine_px=4)
    if shop:
        _shop(rng, s, length, lit_share)
    return s.thing("building", Category.CONTEXT, sort_m=z + length)


def _shop(rng: np.random.Generator, s: Sculptor, length: float, lit_share: float) -> None:
    lit = rng.random() < lit_share * 2
    window = (255, 226, 168) if lit else (48, 56, 62)
    s.side(0.0, (0.5, 2.6), (0.6, length - 0.6), window, emit=0.8 if lit else 0.0)
    loud = rng.random() < 0.12
    colour = pick(rng, ORANGE_PAINTS if loud else _AWNINGS, 0.1)
    s.side(0.0, (2.7, 3.3), (0.3, length - 0.3), colour)
    for number in range(1, int(length // 3)):
        s.side(0.0, (0, 2.7), (number * 3.0, number * 3.0 + 0.35), shade(colour, 0.6), fine_px=4)


def _cottage(
    rng: np.random.Generator, site: tuple[float, float, int, float], style: Style, lit_share: float
) -> Thing:
    x, z, side, length = site
    eaves = float(rng.choice([2.9, 5.4]))
    ridge = eaves + float(rng.uniform(2.0, 3.2))
    wall = pick(rng, style.facades, 0.12)
    roof = vary(rng, ((120, 62, 46), (84, 78, 76), (104, 84, 70), (66, 66, 74))[int(rng.integers(4))], 0.1)
    depth = 9.0
    s = Sculptor(x, z)
    near, far = (0.0, depth) if side > 0 else (-depth, 0.0)
    gable = ((near, 0, 0), (far, 0, 0), (far, eaves, 0), ((near + far) / 2, ridge, 0), (near, eaves, 0))
    s.side(0.0, (0, eaves), (0, length), shade(wall, 0.95))
    centre = (near + far) / 2
    slope = (
        (0.0, eaves, -0.3),
        (0.0, eaves, length + 0.3),
        (centre, ridge, length + 0.3),
        (centre, ridge, -0.3),
    )
    s.face(slope, roof, cover=0.95)
    s.face(gable, shade(wall, 0.85))
    glass = shade(GLASS, float(rng.uniform(0.8, 1.3)))
    for base in np.arange(0.9, eaves - 1.5, 2.6):
        for z0 in np.arange(1.2, length - 1.2, 2.9):
            lit = rng.random() < lit_share
            colour = (255, 214, 140) if lit else glass
            s.side(0.0, (base, base + 1.3), (z0, z0 + 1.3), colour, 0.85 if lit else 0.0, fine_px=2.5)
        for x0 in (near + 1.5, near + 5.5):
            lit = rng.random() < lit_share
            colour = (255, 214, 140) if lit else glass
            s.panel((x0, x0 + 1.4), (base, base + 1.3), -0.01, colour, 0.85 if lit else 0.0, fine_px=3)
    s.panel((near + 3.5, near + 4.5), (0, 2.1), -0.01, shade(roof, 0.7), fine_px=3)
    return s.thing("building", Category.CONTEXT, sort_m=z + length)


def _shed(
    rng: np.random.Generator, site: tuple[float, float, int, float], style: Style, lit_share: float
) -> Thing:
    x, z, side, length = site
    s = Sculptor(x, z + 30)
    wall = pick(rng, style.facades, 0.12)
    height = float(rng.uniform(5, 9))
    wide = (0.0, 24.0) if side > 0 else (-24.0, 0.0)
    s.side(0.0, (0, height), (0, length), shade(wall, 0.9))
    s.panel(wide, (0, height), 0, shade(wall, 1.05))
    lit = rng.random() < lit_share
    s.panel((wide[0] + 2, wide[1] - 2), (height - 1.6, height - 0.6), -0.01,
            (230, 226, 210) if lit else shade(wall, 0.6), 0.7 if lit else 0.0)  # fmt: skip
    return s.thing("building", Category.CONTEXT, sort_m=z + 30 + length)


def tree(rng: np.random.Generator, x: float, z: float, turned: bool, bare: bool) -> Thing:
    """A broad-leaved tree, green, in autumn colours (a hard negative), or bare."""
    s = Sculptor(x, z)
    height = float(rng.uniform(4.5, 9))
    trunk = height * 0.4
    s.shadow(height * 0.5, 1.5)
    s.taper((0, trunk + 0.6), (0.17, 0.11), 0, vary(rng, (78, 62, 50), 0.1))
    crown = height * 0.33
    base = pick(rng, AUTUMN if turned else LEAVES, 0.12)
    if bare:
        for _ in range(9):
            tip = (float(rng.normal(0, crown * 0.7)), trunk + float(rng.uniform(0.5, 1.0)) * (height - trunk))
            s.face(((-0.07, trunk, 0), (0.07, trunk, 0), (tip[0], tip[1], 0)), (78, 66, 58), cover=0.25)
        return s.thing("tree", Category.CONTEXT)
    for number in range(16):
        lift = number / 15
        cx, cy = float(rng.normal(0, crown * 0.42)), trunk + crown * (0.35 + 1.5 * lift * 0.8)
        radius = crown * float(rng.uniform(0.3, 0.55)) * (1.15 - 0.45 * lift)
        tone = shade(vary(rng, base, 0.1), 0.72 + 0.42 * lift)
        _blob(rng, s, (cx, cy), radius, tone, cover=0.25 + 0.5 * lift)
    kind = ("autumn_tree", Category.HARD_NEGATIVE) if turned else ("tree", Category.CONTEXT)
    return s.thing(*kind)


def _blob(
    rng: np.random.Generator,
    s: Sculptor,
    at: tuple[float, float],
    radius: float,
    colour: Colour,
    cover: float,
) -> None:
    angles = np.arange(13) * (2 * np.pi / 13) + rng.uniform(0, 0.7)
    reach = radius * rng.uniform(0.78, 1.15, 13)
    across = (at[0] + reach * np.cos(angles)).tolist()
    above = (at[1] + 0.85 * reach * np.sin(angles)).tolist()
    s.face([(px, py, 0.0) for px, py in zip(across, above, strict=True)], colour, cover=cover)


def conifer(rng: np.random.Generator, x: float, z: float) -> Thing:
    """A dark fir."""
    s = Sculptor(x, z)
    height = float(rng.uniform(5, 11))
    colour = vary(rng, (44, 66, 50), 0.15)
    s.taper((0, 1), (0.15, 0.15), 0, (70, 56, 46))
    for level in range(4):
        y = 0.7 + level * height * 0.22
        half = height * 0.2 * (1 - level * 0.2)
        s.taper((y, y + height * 0.36), (half, 0.05), 0, shade(colour, 0.85 + 0.1 * level))
        lit = ((-half * 0.6, height * 0.12), (half * 0.2, height * 0.1), (0, height * 0.34))
        s.face([(px, y + py, 0) for px, py in lit], shade(colour, 1.1), cover=0.8)
    return s.thing("tree", Category.CONTEXT)


def hedge(rng: np.random.Generator, x: float, z: float, length: float) -> Thing:
    """A hedge or low wall along the plot."""
    s = Sculptor(x, z)
    green = rng.random() < 0.65
    colour = vary(rng, (60, 84, 46) if green else (150, 140, 126), 0.12)
    height = float(rng.uniform(0.7, 1.5))
    s.box((-0.3, 0.3), (0, height), (0, length), colour)
    return s.thing("hedge", Category.CONTEXT, sort_m=z + length)


def guard_rail(street: Street, x: float, z: float, length: float) -> Thing:
    """A steel guard rail following the bend, with posts."""
    s = Sculptor(x, z)
    for number in range(int(length // 4)):
        z0, z1 = number * 4.0, number * 4.0 + 4.0
        a, b = (street.curve(z + z0) - street.curve(z), street.curve(z + z1) - street.curve(z))
        s.panel((a - 0.06, a + 0.06), (0, 0.5), z0, shade(STEEL, 0.6), fine_px=6)
        s.face(((a, 0.45, z0), (b, 0.45, z1), (b, 0.62, z1), (a, 0.62, z0)), STEEL)
        s.face(((a, 0.62, z0), (b, 0.62, z1), (b, 0.78, z1), (a, 0.78, z0)), shade(STEEL, 1.2), cover=0.4)
    return s.thing("guard_rail", Category.CONTEXT, sort_m=z + length)
