"""Every kind of object: it can be built, is painted, and has about the size it has in the world."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from workzone.data.scenes import furniture, hard_negatives, people, surroundings, vehicles, workzone_objects
from workzone.data.scenes.camera import Camera
from workzone.data.scenes.canvas import Canvas
from workzone.data.scenes.lighting import draw_light
from workzone.data.scenes.shapes import Thing
from workzone.data.scenes.style import draw_style
from workzone.data.scenes.world import Category, Conditions, Daytime, Environment, Shift, Weather

CAMERA = Camera("test", 256, 192, focal_px=240.0, centre_px=128.0, horizon_px=96.0, height_m=1.5)
STYLE = draw_style(np.random.default_rng(0), Shift.NONE)
Build = Callable[[np.random.Generator], Thing]

SIZES: dict[str, tuple[Build, Category, float, float]] = {
    "cone": (lambda r: workzone_objects.cone(r, 1, 9, STYLE), Category.ROADWORK, 0.3, 1.1),
    "drum": (lambda r: workzone_objects.drum(r, 1, 9, STYLE), Category.ROADWORK, 0.9, 1.4),
    "barricade": (lambda r: workzone_objects.barricade(r, 1, 9, STYLE, 3), Category.ROADWORK, 1.4, 1.9),
    "work_sign": (lambda r: workzone_objects.work_sign(r, 1, 9, STYLE), Category.ROADWORK, 1.3, 3.6),
    "excavator": (lambda r: workzone_objects.excavator(r, 1, 12, STYLE), Category.ROADWORK, 1.6, 4.8),
    "worker": (lambda r: people.worker(r, 1, 9, STYLE), Category.ROADWORK, 1.5, 2.1),
    "arrow_board": (lambda r: workzone_objects.arrow_board(r, 1, 9, 1), Category.ROADWORK, 2.5, 3.0),
    "spoil_heap": (lambda r: workzone_objects.spoil_heap(r, 1, 9), Category.ROADWORK, 0.4, 1.2),
    "trench": (lambda r: workzone_objects.trench(r, 1, 9), Category.ROADWORK, 0.0, 2.0),
    "work_van": (lambda r: workzone_objects.work_van(r, 1, 9, STYLE), Category.ROADWORK, 2.2, 2.8),
    "orange_van": (
        lambda r: vehicles.vehicle(r, 1, 9, "van", False, loud=True),
        Category.HARD_NEGATIVE,
        2.2,
        2.5,
    ),
    "orange_bus": (
        lambda r: vehicles.vehicle(r, 1, 12, "bus", True, loud=True),
        Category.HARD_NEGATIVE,
        2.8,
        3.4,
    ),
    "person_orange": (lambda r: people.pedestrian(r, 1, 9, loud=True), Category.HARD_NEGATIVE, 1.5, 2.0),
    "cyclist_orange": (lambda r: people.cyclist(r, 1, 9, loud=True), Category.HARD_NEGATIVE, 1.5, 2.0),
    "billboard": (lambda r: hard_negatives.billboard(r, 1, 14), Category.HARD_NEGATIVE, 2.2, 5.3),
    "shop_sign": (lambda r: hard_negatives.shop_sign(r, 1, 9), Category.HARD_NEGATIVE, 0.8, 1.3),
    "bollard": (lambda r: hard_negatives.bollard(r, 1, 9), Category.HARD_NEGATIVE, 0.7, 1.1),
    "orange_bin": (lambda r: hard_negatives.bin_(r, 1, 9), Category.HARD_NEGATIVE, 0.9, 1.3),
    "umbrella": (lambda r: hard_negatives.umbrella(r, 1, 9), Category.HARD_NEGATIVE, 2.4, 2.8),
    "post_box": (lambda r: hard_negatives.post_box(r, 1, 9), Category.HARD_NEGATIVE, 1.2, 1.6),
    "banner": (lambda r: hard_negatives.banner(r, 1, 9), Category.HARD_NEGATIVE, 2.3, 3.7),
    "car_park_gate": (lambda r: hard_negatives.car_park_gate(r, 1, 9), Category.HARD_NEGATIVE, 0.9, 1.2),
    "traffic_light": (lambda r: furniture.traffic_light(r, 1, 9, STYLE), Category.HARD_NEGATIVE, 3.3, 3.6),
    "autumn_tree": (lambda r: surroundings.tree(r, 1, 20, True, False), Category.HARD_NEGATIVE, 3.5, 12),
    "car": (lambda r: vehicles.vehicle(r, 1, 9, "car", True), Category.CONTEXT, 1.4, 1.6),
    "pedestrian": (lambda r: people.pedestrian(r, 1, 9), Category.CONTEXT, 1.5, 2.0),
}


@pytest.mark.parametrize("kind", SIZES)
def test_objects_have_their_name_category_and_natural_size(kind: str) -> None:
    build, category, least_m, most_m = SIZES[kind]
    light = draw_light(
        np.random.default_rng(0), Conditions(Daytime.DAY, Weather.CLEAR, Environment.URBAN, autumn=False)
    )
    for seed in range(12):
        thing = build(np.random.default_rng(seed))
        assert (thing.type, thing.category) == (kind, category)
        trace = Canvas(CAMERA, light).paint(thing, 1)
        assert trace is not None
        assert trace.painted > 20
        height_m = (trace.bottom_px - trace.top_px) * thing.z_m / CAMERA.focal_px
        # Depth adds a little: near feet stand lower in the picture than the origin.
        assert least_m <= height_m <= most_m * 1.15 + 0.1


@pytest.mark.parametrize("kind", furniture.SIGNS)
def test_ordinary_signs_are_never_road_work(kind: str) -> None:
    thing = furniture.ordinary_sign(kind, 2.0, 9.0)
    assert thing.type == kind
    assert thing.category is (Category.CONTEXT if kind == "parking_sign" else Category.HARD_NEGATIVE)


def test_the_other_city_has_other_equipment_and_drives_on_the_left() -> None:
    usual, other = (draw_style(np.random.default_rng(1), shift) for shift in (Shift.NONE, Shift.CITY))
    assert (usual.traffic_side, other.traffic_side) == (1, -1)
    assert np.abs(np.array(usual.cone) - np.array(other.cone)).max() > 60
    assert usual.work_sign_triangle is not other.work_sign_triangle
