"""Who and what is on the street: traffic, parked cars, people, furniture, trees, decoys.

Everything here is drawn alike for scenes with and without road work; only the share of decoys depends on
the caller's choice, and what stands where a zone is set up makes way for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from workzone.data.scenes.furniture import HARD_SIGNS, ordinary_sign, street_lamp, traffic_light, utility_pole
from workzone.data.scenes.hard_negatives import (
    banner,
    billboard,
    bin_,
    bollard,
    car_park_gate,
    post_box,
    shop_sign,
    umbrella,
)
from workzone.data.scenes.people import cyclist, pedestrian
from workzone.data.scenes.shapes import Thing
from workzone.data.scenes.street import Street
from workzone.data.scenes.style import Style
from workzone.data.scenes.surroundings import conifer, guard_rail, hedge, tree
from workzone.data.scenes.vehicles import vehicle
from workzone.data.scenes.world import Conditions, Environment, Weather

_KINDS = ("car", "car", "car", "suv", "suv", "van", "lorry", "bus")
_HIGHWAY_KINDS = ("car", "car", "suv", "van", "lorry", "lorry")


def traffic(rng: np.random.Generator, street: Street, clear_view: bool) -> Iterator[Thing]:
    """Moving vehicles in every lane; none ahead in the own lane if the view must be clear."""
    lane, side = street.lane_m, street.side
    highway = street.environment is Environment.HIGHWAY
    kinds = _HIGHWAY_KINDS if highway else _KINDS
    own = [0.0] + [side * lane * n for n in range(1, street.lanes_kerb + 1)]
    own += [-side * lane * n for n in range(1, street.lanes_same + 1)]
    for number, x in enumerate(own):
        z = float(rng.uniform(11, 38) if number == 0 else rng.uniform(7, 36))
        while z < 110:
            kind = kinds[int(rng.integers(len(kinds)))]
            present = rng.random() < (0.45 if number == 0 else 0.5)
            if present and not (clear_view and z < 30):
                at = x + float(rng.normal(0, 0.15)) + street.curve(z)
                yield vehicle(rng, at, z, kind, oncoming=False, loud=bool(rng.random() < 0.04), speed=0.25)
            z += float(rng.uniform(14, 45))
    for number in range(street.lanes_other):
        x = street.middle - side * (street.median_m + lane * (number + 0.5))
        z = float(rng.uniform(8, 40))
        while z < 110:
            kind = kinds[int(rng.integers(len(kinds)))]
            if rng.random() < 0.5:
                at = x + float(rng.normal(0, 0.15)) + street.curve(z)
                yield vehicle(rng, at, z, kind, oncoming=True, loud=bool(rng.random() < 0.04), speed=-0.4)
            z += float(rng.uniform(14, 45))


def parked(rng: np.random.Generator, street: Street) -> Iterator[Thing]:
    """Cars along the kerbs where there is a strip to park on."""
    if street.environment is Environment.HIGHWAY or street.shoulder_m < 1.7:
        return
    density = float(rng.uniform(0.15, 0.8))
    for edge, inward in ((street.kerb, -street.side), (street.far_kerb, street.side)):
        z = float(rng.uniform(3, 8))
        while z < 70:
            if rng.random() < density:
                kind = ("car", "car", "suv", "van")[int(rng.integers(4))]
                x = edge + inward * 1.05 + street.curve(z)
                yield vehicle(
                    rng, x, z, kind, oncoming=inward * street.side > 0, loud=bool(rng.random() < 0.03)
                )
            z += float(rng.uniform(5.8, 8.5))


def people(rng: np.random.Generator, street: Street) -> Iterator[Thing]:
    """Pedestrians on the pavements, a cyclist at the kerb."""
    if street.pavement_m <= 0:
        return
    count = int(rng.poisson(3.5 if street.environment is Environment.URBAN else 1.2))
    for _ in range(count):
        side, edge = _edge(rng, street)
        z = float(rng.uniform(6, 36))
        x = edge + side * float(rng.uniform(0.5, max(street.pavement_m - 0.3, 0.6))) + street.curve(z)
        yield pedestrian(rng, x, z, loud=bool(rng.random() < 0.1))
    if rng.random() < 0.15:
        z = float(rng.uniform(7, 25))
        x = street.kerb - street.side * 0.6 + street.curve(z)
        yield cyclist(rng, x, z, loud=bool(rng.random() < 0.25))


def furniture(rng: np.random.Generator, street: Street, style: Style, lit: bool) -> Iterator[Thing]:
    """Lamps, poles, signs and, in town, traffic lights."""
    spacing = float(rng.uniform(20, 32))
    start = float(rng.uniform(4, 20))
    both = street.environment is Environment.URBAN
    poles = street.environment is Environment.RESIDENTIAL and rng.random() < 0.5
    for side, edge in ((street.side, street.kerb), (-street.side, street.far_kerb)):
        if side != street.side and not both and not poles:
            continue
        z = start
        while z < 120:
            x = edge + side * 0.6 + street.curve(z)
            if poles and side != street.side:
                yield utility_pole(x, z)
            else:
                yield street_lamp(x, z, -side, style, lit)
            z += spacing
    for _ in range(int(rng.poisson(1.1))):
        side, edge = _edge(rng, street)
        z = float(rng.uniform(9, 38))
        kind = HARD_SIGNS[int(rng.integers(len(HARD_SIGNS)))] if rng.random() < 0.75 else "parking_sign"
        yield ordinary_sign(kind, edge + side * 0.5 + street.curve(z), z)
    if both and rng.random() < 0.4:
        z = float(rng.uniform(10, 32))
        for side, edge in ((street.side, street.kerb), (-street.side, street.far_kerb)):
            yield traffic_light(rng, edge + side * 0.4 + street.curve(z), z, style)


def greenery(rng: np.random.Generator, street: Street, conditions: Conditions) -> Iterator[Thing]:
    """Street trees, gardens, the verges and rails of a highway."""
    highway = street.environment is Environment.HIGHWAY
    bare = conditions.weather is Weather.SNOW and rng.random() < 0.7
    if highway:
        rail = street.middle - street.side * street.median_m * 0.5
        yield guard_rail(street, rail + street.curve(2), 2.0, 90)
        if rng.random() < 0.6:
            yield guard_rail(street, street.kerb + street.side * 0.8 + street.curve(2), 2.0, 90)
    density = {Environment.URBAN: 0.35, Environment.RESIDENTIAL: 0.6, Environment.HIGHWAY: 0.7}[
        street.environment
    ]
    density *= float(rng.uniform(0.3, 1.2))
    for side, edge in ((street.side, street.kerb), (-street.side, street.far_kerb)):
        z = float(rng.uniform(9, 18))
        while z < 95:
            if rng.random() < density:
                away = 0.9 if street.environment is Environment.URBAN else float(rng.uniform(3.0, 5.0))
                away = float(rng.uniform(5, 16)) if highway else away
                x = edge + side * (away + (street.pavement_m if density > 0.4 else 0)) + street.curve(z)
                if rng.random() < 0.2 and street.environment is not Environment.URBAN:
                    yield conifer(rng, x, z)
                else:
                    yield tree(rng, x, z, conditions.autumn and rng.random() < 0.8, bare)
            z += float(rng.uniform(6, 12))
        if street.environment is Environment.RESIDENTIAL:
            for z in np.arange(float(rng.uniform(1, 6)), 60, 11.0):
                if rng.random() < 0.6:
                    yield hedge(rng, edge + side * (street.pavement_m + 0.6) + street.curve(z), float(z), 8.0)


_Decoy = Callable[[np.random.Generator, Street], Thing]


def _beside(build: Callable[[np.random.Generator, float, float], Thing], away: float, far: float) -> _Decoy:
    def place(rng: np.random.Generator, street: Street) -> Thing:
        side, edge = _edge(rng, street)
        z = max(float(rng.triangular(6, 10, far)), abs(edge) * 1.7)
        room = street.pavement_m if street.environment is not Environment.HIGHWAY else 1.5
        return build(rng, edge + side * min(away, max(room, 0.6)) + street.curve(z), z)

    return place


def _loud_vehicle(rng: np.random.Generator, street: Street) -> Thing:
    kind = ("car", "suv", "van", "van", "lorry", "bus")[int(rng.integers(6))]
    oncoming = bool(rng.random() < 0.5)
    x = street.middle - street.side * (street.median_m + street.lane_m * 0.5) if oncoming else 0.0
    z = float(rng.uniform(9, 26))
    return vehicle(rng, x + street.curve(z), z, kind, oncoming, loud=True, speed=-0.4 if oncoming else 0.25)


def _loud_sign(rng: np.random.Generator, street: Street) -> Thing:
    side, edge = _edge(rng, street)
    z = max(float(rng.uniform(7, 20)), abs(edge) * 1.7)
    kind = HARD_SIGNS[int(rng.integers(len(HARD_SIGNS)))]
    return ordinary_sign(kind, edge + side * 0.5 + street.curve(z), z)


def _bollards(rng: np.random.Generator, street: Street) -> Iterator[Thing]:
    """A row of parking posts: a taper's rhythm without its meaning."""
    side, edge = _edge(rng, street)
    z = max(float(rng.uniform(6, 12)), abs(edge) * 1.7)
    for _ in range(int(rng.integers(3, 8))):
        yield bollard(rng, edge + side * 0.35 + street.curve(z), z)
        z += float(rng.uniform(1.6, 2.4))


def _loud_person(rng: np.random.Generator, x: float, z: float) -> Thing:
    return pedestrian(rng, x, z, loud=True)


def _autumn_tree(rng: np.random.Generator, x: float, z: float) -> Thing:
    return tree(rng, x, z, turned=True, bare=False)


_DECOYS: dict[Environment, tuple[_Decoy, ...]] = {
    Environment.URBAN: (
        _loud_vehicle, _loud_vehicle, _beside(bin_, 0.9, 20), _beside(shop_sign, 2.6, 26), _loud_sign,
        _beside(umbrella, 2.0, 22), _beside(post_box, 1.6, 18), _beside(_loud_person, 1.2, 18),
        _beside(billboard, 4.0, 28), _beside(banner, 1.8, 20), _beside(car_park_gate, 2.4, 20),
    ),
    Environment.RESIDENTIAL: (
        _loud_vehicle, _loud_vehicle, _beside(bin_, 0.9, 18), _loud_sign, _beside(post_box, 1.4, 18),
        _beside(_loud_person, 1.0, 18), _beside(_autumn_tree, 3.5, 22),
        _beside(banner, 1.8, 22),
    ),
    Environment.HIGHWAY: (
        _loud_vehicle, _loud_vehicle, _loud_vehicle, _beside(billboard, 6.0, 34), _loud_sign,
        _beside(banner, 4.0, 24), _beside(_autumn_tree, 6.0, 26),
    ),
}  # fmt: skip


def decoys(rng: np.random.Generator, street: Street) -> Iterator[Thing]:
    """Several hard negatives of the kinds that belong to the surroundings."""
    table = _DECOYS[street.environment]
    for number in rng.choice(len(table), int(rng.integers(2, 5)), replace=False):
        yield table[int(number)](rng, street)
    if street.environment is not Environment.HIGHWAY and rng.random() < 0.35:
        yield from _bollards(rng, street)


def _edge(rng: np.random.Generator, street: Street) -> tuple[int, float]:
    """One of the two sides of the street, and where it begins; the near one more often."""
    if rng.random() < 0.6:
        return street.side, street.kerb
    return -street.side, street.far_kerb
