"""Sequences of frames: draw a world once, then paint it from a camera that moves on a little.

The one function others call is `render_sequence`. Conditions, street and traffic come from streams of
random numbers that know nothing of the label. A scene with road work in which no road-work object can be
seen is drawn again under the same conditions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workzone.core.errors import ConfigError
from workzone.core.types import Label
from workzone.data.scenes import layout
from workzone.data.scenes.camera import Camera, distort, distort_points, draw_camera
from workzone.data.scenes.canvas import MAX_NUMBER, Canvas, Trace
from workzone.data.scenes.caption import caption
from workzone.data.scenes.lighting import Light, draw_light
from workzone.data.scenes.sensor import Sensor, draw_sensor, expose
from workzone.data.scenes.shapes import Thing
from workzone.data.scenes.sky import paint_sky
from workzone.data.scenes.street import Street, draw_street, paint_ground
from workzone.data.scenes.style import Style, draw_style
from workzone.data.scenes.surroundings import houses
from workzone.data.scenes.weather import add_falling, mirror_in_road
from workzone.data.scenes.world import (
    Box,
    Category,
    Conditions,
    Daytime,
    Environment,
    Frame,
    Shift,
    Weather,
    WorldSpec,
)
from workzone.data.scenes.zones import Zone, draw_zone

MIN_VISIBLE = 0.3
"""Least visible share of some road-work object in a frame labelled road work."""
MIN_HEIGHT_PX = 6
"""Least height of that object."""
_ATTEMPTS = 12
_FIXTURES = {"street_lamp", "pole", "tree", "autumn_tree", "hedge", "guard_rail", "traffic_light"}
_CLEAR_FROM = 8
"""From this attempt on the zone is near and nothing drives in front of it."""


@dataclass(frozen=True, slots=True)
class _World:
    """Everything that the frames of one sequence share."""

    conditions: Conditions
    street: Street
    style: Style
    light: Light
    camera: Camera
    sensor: Sensor
    backdrop: tuple[Thing, ...]
    things: tuple[Thing, ...]
    zone: Zone | None
    sky_seed: int


def render_sequence(seed: int, index: int, label: Label, frames: int, spec: WorldSpec) -> list[Frame]:
    """Frames of one short drive past one place: near-identical views with the same label.

    Args:
        seed: of the whole data set, at least 0.
        index: of the sequence in it, at least 0. The same (seed, index, label, spec) gives the same bytes.
        label: whether there is road work. With Label.ROADWORK every frame shows at least one road-work
            object of which 30 % are visible and which is 6 pixels high; with Label.NONE none is drawn.
        frames: how many, at least 1.
        spec: the distribution of scenes.

    Raises:
        ConfigError: the label is unknown, or seed, index or frames are out of range.
    """
    if label is Label.UNKNOWN:
        raise ConfigError("A scene is rendered with or without road work; its label cannot be UNKNOWN.")
    if frames < 1 or seed < 0 or index < 0:
        raise ConfigError(
            f"seed {seed}, index {index}, frames {frames}: a sequence needs a seed and an index of at "
            "least 0 and at least one frame."
        )
    rendered: list[Frame] = []
    for attempt in range(_ATTEMPTS):
        world = _draw_world((seed, index), label, spec, attempt)
        rendered = [_render(world, (seed, index), number, spec) for number in range(frames)]
        if label is Label.NONE or all(_shows_roadwork(frame) for frame in rendered):
            return rendered
    raise ConfigError(
        f"Sequence {index} of seed {seed} shows no road work {MIN_HEIGHT_PX} px high in {_ATTEMPTS} "
        f"drawings: pictures of {spec.width_px} x {spec.height_px} px are too small for it."
    )


def _shows_roadwork(frame: Frame) -> bool:
    return any(
        box.category is Category.ROADWORK and box.visible >= MIN_VISIBLE and box.height_px >= MIN_HEIGHT_PX
        for box in frame.boxes
    )


def draw_conditions(rng: np.random.Generator, shift: Shift) -> Conditions:
    """Daytime, weather and surroundings, in the shares of the usual world or of a shifted one."""
    day_shares = (0.02, 0.03, 0.95) if shift is Shift.NIGHT else (0.50, 0.22, 0.28)
    weather_shares = (0.02, 0.02, 0.01, 0.95) if shift is Shift.SNOW else (0.52, 0.20, 0.13, 0.15)
    daytime = list(Daytime)[int(rng.choice(3, p=day_shares))]
    weather = list(Weather)[int(rng.choice(4, p=weather_shares))]
    environment = list(Environment)[int(rng.choice(3, p=(0.4, 0.33, 0.27)))]
    return Conditions(daytime, weather, environment, autumn=bool(rng.random() < 0.3))


def _draw_world(key: tuple[int, int], label: Label, spec: WorldSpec, attempt: int) -> _World:
    rng = np.random.default_rng([*key, 1])
    conditions = draw_conditions(rng, spec.shift)
    style = draw_style(rng, spec.shift)
    light = draw_light(rng, conditions)
    camera = draw_camera(rng, spec)
    sensor = draw_sensor(rng, conditions.daytime, spec.shift)
    place = np.random.default_rng([*key, 2, attempt])
    street = draw_street(place, conditions.environment, style.traffic_side)
    clear_view = attempt >= _CLEAR_FROM
    positive = label is Label.ROADWORK
    zone = (
        draw_zone(np.random.default_rng([*key, 3, attempt]), street, style, clear_view) if positive else None
    )
    crowd = np.random.default_rng([*key, 4, attempt])
    share = spec.hard_negative_share * (0.5 if positive else 1.0)
    decoys = list(layout.decoys(crowd, street)) if crowd.random() < share else []
    usual = [
        *decoys,
        *layout.traffic(place, street, clear_view),
        *layout.parked(place, street),
        *layout.people(place, street),
        *layout.furniture(place, street, style, light.street_lamps),
        *layout.greenery(place, street, conditions),
    ]
    things = _apart(usual, zone, street)
    backdrop = sorted(houses(place, street, style, conditions), key=lambda thing: -thing.sort_m)
    return _World(
        conditions, street, style, light, camera, sensor, tuple(backdrop), tuple(things), zone, key[1]
    )


def _apart(usual: list[Thing], zone: Zone | None, street: Street) -> list[Thing]:
    """The zone's things and all others that do not stand in it or inside one another's vehicles."""
    kept: list[Thing] = list(zone.things) if zone else []
    vehicles: list[Thing] = []
    for thing in usual:
        # Fixtures stay where they are: a missing lamp must not give the zone away.
        if (
            zone is not None
            and thing.type not in _FIXTURES
            and zone.plot.holds(thing.x_m - street.curve(thing.z_m), thing.z_m)
        ):
            continue
        if thing.speed or (thing.shadow_m and thing.shadow_m[0] > 2.2):
            if any(abs(v.x_m - thing.x_m) < 1.9 and abs(v.z_m - thing.z_m) < 9 for v in vehicles):
                continue
            vehicles.append(thing)
        kept.append(thing)
    return kept


def _render(world: _World, key: tuple[int, int], number: int, spec: WorldSpec) -> Frame:
    rng = np.random.default_rng([*key, 5, number])
    x_m, horizon_px = float(rng.normal(0, 0.03)), float(rng.normal(0, 0.35))
    camera = world.camera.moved(x_m, 0.45 * number, horizon_px * spec.height_px / 192)
    canvas = Canvas(camera, world.light)
    paint_sky(canvas, world.conditions, world.street.seed)
    paint_ground(canvas, world.street, world.style)
    for thing in world.backdrop:
        canvas.paint(thing, 0)
    mirror_in_road(canvas)
    traces = _paint_things(canvas, world.things, number)
    counts = canvas.seen_counts().tolist()
    image = add_falling(canvas.picture(), world.conditions, rng)
    if camera.barrel:
        image = distort(camera, image)
    boxes = tuple(box for trace in traces if (box := _box(trace, counts[trace.number], camera)) is not None)
    image = expose(image, world.sensor, rng)
    conditions = world.conditions
    kind = world.zone.kind if world.zone else None
    text = caption(conditions, kind, boxes)
    return Frame(
        image, boxes, conditions.daytime, conditions.weather, conditions.environment, text, camera.name
    )


def _paint_things(canvas: Canvas, things: tuple[Thing, ...], frame: int) -> list[Trace]:
    """Far to near; the nearest things get numbers if there are more than numbers."""
    ordered = sorted(things, key=lambda thing: -(thing.sort_m + thing.speed * frame))
    traces = []
    surplus = max(0, len(ordered) - MAX_NUMBER)
    for place, thing in enumerate(ordered):
        trace = canvas.paint(thing, max(0, place - surplus + 1), thing.speed * frame)
        if trace is not None and trace.number:
            traces.append(trace)
    return traces


def _box(trace: Trace, seen: int, camera: Camera) -> Box | None:
    """The trace as a box clipped to the picture, or None if less than two pixels of it are inside."""
    left, top, right, bottom = trace.left_px, trace.top_px, trace.right_px, trace.bottom_px
    inside_w = min(right, camera.width_px) - max(left, 0.0)
    inside_h = min(bottom, camera.height_px) - max(top, 0.0)
    if inside_w <= 0 or inside_h <= 0 or trace.painted == 0:
        return None
    inside = (inside_w * inside_h) / max((right - left) * (bottom - top), 1e-6)
    visible = min(1.0, seen / trace.painted) * min(1.0, inside)
    if camera.barrel:
        xs, ys = np.meshgrid(np.linspace(left, right, 3), np.linspace(top, bottom, 3))
        points = np.clip(np.stack([xs.ravel(), ys.ravel()], axis=1), -camera.width_px, 2 * camera.width_px)
        bent = distort_points(camera, points)
        (left, top), (right, bottom) = bent.min(axis=0).tolist(), bent.max(axis=0).tolist()
    x0, y0 = max(int(np.floor(left)), 0), max(int(np.floor(top)), 0)
    x1, y1 = min(int(np.ceil(right)), camera.width_px), min(int(np.ceil(bottom)), camera.height_px)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    return Box(trace.thing.type, trace.thing.category, x0, y0, x1 - x0, y1 - y0, round(visible, 4))
