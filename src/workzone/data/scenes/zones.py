"""Road works as they are set up: several kinds of zone, each a recipe for what stands where.

A zone is laid out from an edge of the carriageway: `edge` is its lateral position, `out` the direction away
from the traffic, `z` the distance of its first object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from workzone.data.scenes.people import worker
from workzone.data.scenes.shapes import Thing
from workzone.data.scenes.street import Street
from workzone.data.scenes.style import Style
from workzone.data.scenes.workzone_objects import (
    arrow_board,
    barricade,
    cone,
    drum,
    excavator,
    spoil_heap,
    trench,
    work_sign,
    work_van,
)
from workzone.data.scenes.world import Environment


class ZoneKind(StrEnum):
    """Kinds of road work."""

    LANE_TAPER = "lane taper"
    PAVEMENT_REPAIR = "pavement repair"
    EXCAVATION = "excavation"
    SIGN_AND_WORKERS = "sign and workers"
    SHOULDER_BARRICADE = "shoulder barricade"


@dataclass(frozen=True, slots=True)
class Plot:
    """A piece of ground that nothing else may stand on, metres, relative to the bent road."""

    left: float
    right: float
    near: float
    far: float

    def holds(self, x_m: float, z_m: float) -> bool:
        """Whether a place lies in it."""
        return self.left < x_m < self.right and self.near < z_m < self.far


@dataclass(frozen=True, slots=True)
class Zone:
    """A road work: its objects and the ground it takes."""

    kind: ZoneKind
    things: tuple[Thing, ...]
    plot: Plot


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a zone is laid out and with what."""

    rng: np.random.Generator
    street: Street
    style: Style
    edge: float
    out: int
    z: float

    def at(self, outward: float, along: float) -> tuple[float, float]:
        """World place: metres away from the traffic beyond the edge, metres beyond the first object."""
        z = self.z + along
        return self.edge + self.out * outward + self.street.curve(z), z

    def marker(self, outward: float, along: float, drums: bool) -> Thing:
        """A cone or a drum, set down by hand."""
        x, z = self.at(outward + float(self.rng.normal(0, 0.06)), along + float(self.rng.normal(0, 0.15)))
        return drum(self.rng, x, z, self.style) if drums else cone(self.rng, x, z, self.style)

    def workers(
        self, outward: tuple[float, float], along: tuple[float, float], count: int
    ) -> Iterator[Thing]:
        """Workers somewhere in a rectangle."""
        for _ in range(count):
            x, z = self.at(float(self.rng.uniform(*outward)), float(self.rng.uniform(*along)))
            yield worker(self.rng, x, z, self.style)

    def sign(self, along: float, outward: float = 0.6) -> Thing:
        """A work sign beside the road."""
        return work_sign(self.rng, *self.at(outward, along), self.style)


def _lane_taper(site: _Site) -> Iterator[Thing]:
    rng, street = site.rng, site.street
    drums = rng.random() < (0.6 if street.environment is Environment.HIGHWAY else 0.3)
    across = min(street.shoulder_m + street.lane_m * float(rng.uniform(0.3, 0.85)), 4.2)
    steps, length = int(rng.integers(5, 8)), float(rng.uniform(9, 17))
    for number in range(steps):
        share = number / (steps - 1)
        yield site.marker(-0.25 - across * share, length * share, drums)
    for number in range(int(rng.integers(2, 6))):
        yield site.marker(-0.25 - across, length + 3.5 * (number + 1), drums)
    if rng.random() < 0.7:
        yield site.sign(float(rng.uniform(-1.0, 2.5)))
    yield from site.workers((-across * 0.8, 0.0), (length * 0.6, length + 12), int(rng.integers(0, 3)))
    final = rng.random()
    x, z = site.at(-across * 0.5, length + float(rng.uniform(4, 9)))
    if final < 0.3:
        yield work_van(rng, x, z, site.style)
    elif final < 0.5:
        yield arrow_board(rng, x, z, -site.out)
    elif final < 0.65:
        yield excavator(rng, x, z + 3, site.style)
    elif final < 0.85:
        yield barricade(rng, x, z, site.style, boards=3)


def _pavement_repair(site: _Site) -> Iterator[Thing]:
    rng = site.rng
    wide = max(site.street.pavement_m, 1.6)
    for number in range(int(rng.integers(2, 4))):
        along = (0.0, 3.5, 7.0)[number] + float(rng.uniform(0, 0.8))
        yield barricade(rng, *site.at(wide * float(rng.uniform(0.35, 0.6)), along), site.style)
    yield trench(rng, *site.at(wide * 0.5, 1.0))
    for number in range(int(rng.integers(3, 6))):
        yield site.marker(-0.3, number * 2.2, drums=False)
    if rng.random() < 0.5:
        yield spoil_heap(rng, *site.at(wide * 0.7, 5.0))
    if rng.random() < 0.5:
        yield site.sign(float(rng.uniform(-1.5, 0.0)), 0.4)
    yield from site.workers((0.1, wide), (1.5, 8), int(rng.integers(1, 4)))


def _excavation(site: _Site) -> Iterator[Thing]:
    rng = site.rng
    inward = float(rng.uniform(0.2, 1.6))
    yield excavator(rng, *site.at(-inward, float(rng.uniform(5, 9))), site.style)
    yield barricade(rng, *site.at(-inward, 0.0), site.style, boards=3 if rng.random() < 0.5 else 1)
    yield trench(rng, *site.at(-inward, 2.0))
    drums = bool(rng.random() < 0.4)
    for number in range(int(rng.integers(3, 7))):
        yield site.marker(-inward - 1.5, number * 2.8, drums)
    yield spoil_heap(rng, *site.at(0.5, float(rng.uniform(2, 5))))
    yield from site.workers((-inward - 1, 0.8), (2, 8), int(rng.integers(1, 3)))
    if rng.random() < 0.6:
        yield site.sign(float(rng.uniform(-2.0, 1.0)), 0.9)


def _sign_and_workers(site: _Site) -> Iterator[Thing]:
    rng = site.rng
    yield site.sign(0.0, float(rng.uniform(0.2, 0.8)))
    yield from site.workers((-1.0, 1.2), (1.5, 9), int(rng.integers(2, 5)))
    for number in range(int(rng.integers(2, 5))):
        yield site.marker(-0.4 - 0.3 * number, 1.0 + number * 2.6, drums=False)
    if rng.random() < 0.4:
        yield work_van(rng, *site.at(-0.9, float(rng.uniform(9, 14))), site.style)


def _shoulder_barricade(site: _Site) -> Iterator[Thing]:
    rng = site.rng
    inward = 0.7 * max(site.street.shoulder_m, 0.8)
    yield barricade(rng, *site.at(-inward * 0.8, 0.0), site.style, boards=3)
    if rng.random() < 0.6:
        yield barricade(rng, *site.at(0.9, float(rng.uniform(1.0, 3.0))), site.style, boards=3)
    drums = bool(rng.random() < 0.7)
    for number in range(int(rng.integers(4, 8))):
        yield site.marker(-inward - 0.5, 2.0 + number * 3.0, drums)
    if rng.random() < 0.7:
        yield site.sign(float(rng.uniform(-2.0, 4.0)), 1.0)
    if rng.random() < 0.4:
        yield excavator(rng, *site.at(1.5, float(rng.uniform(8, 14))), site.style)
    yield from site.workers((-inward, 1.5), (4, 14), int(rng.integers(0, 3)))


_Recipe = Callable[[_Site], Iterator[Thing]]
_RECIPES: dict[ZoneKind, _Recipe] = {
    ZoneKind.LANE_TAPER: _lane_taper,
    ZoneKind.PAVEMENT_REPAIR: _pavement_repair,
    ZoneKind.EXCAVATION: _excavation,
    ZoneKind.SIGN_AND_WORKERS: _sign_and_workers,
    ZoneKind.SHOULDER_BARRICADE: _shoulder_barricade,
}
_SHARES = {
    Environment.URBAN: (0.28, 0.26, 0.20, 0.18, 0.08),
    Environment.RESIDENTIAL: (0.22, 0.24, 0.24, 0.20, 0.10),
    Environment.HIGHWAY: (0.42, 0.0, 0.12, 0.16, 0.30),
}


def draw_zone(rng: np.random.Generator, street: Street, style: Style, near: bool) -> Zone:
    """A zone of a kind that suits the surroundings, at a distance.

    Args:
        rng: where the choices come from.
        street: the road it stands on.
        style: the equipment in use.
        near: put it close and on the own side, so that it cannot be overlooked.
    """
    kind = list(ZoneKind)[int(rng.choice(5, p=_SHARES[street.environment]))]
    far_side = not near and rng.random() < 0.15 and street.environment is not Environment.HIGHWAY
    edge, out = (street.far_kerb, -street.side) if far_side else (street.kerb, street.side)
    if near:
        z = 8.0
    elif rng.random() < 0.12:
        z = float(rng.uniform(20, 32))
    else:
        z = float(rng.triangular(5.5, 8.5, 18))
    # Objects at the edge of a wide road leave the picture when they are near.
    z = max(z, abs(edge) * 1.9)
    things = tuple(_RECIPES[kind](_Site(rng, street, style, edge, out, z)))
    reach = street.shoulder_m + street.lane_m * 0.9 if kind is ZoneKind.LANE_TAPER else 2.4
    left, right = sorted((edge - out * reach, edge + out * 2.5))
    return Zone(kind, things, Plot(left, right, z - 3.0, z + (32 if kind is ZoneKind.LANE_TAPER else 18)))
