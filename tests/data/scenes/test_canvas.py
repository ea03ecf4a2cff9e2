"""The painter: who hides whom, how much stays visible, and what light and haze do."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.data.scenes.camera import Camera
from workzone.data.scenes.canvas import Canvas
from workzone.data.scenes.compose import draw_conditions
from workzone.data.scenes.lighting import Light, draw_light
from workzone.data.scenes.shapes import Sculptor, Thing
from workzone.data.scenes.sky import paint_sky
from workzone.data.scenes.street import draw_street, paint_ground
from workzone.data.scenes.style import draw_style
from workzone.data.scenes.weather import add_falling, mirror_in_road
from workzone.data.scenes.world import Category, Conditions, Daytime, Environment, Shift, Weather

CAMERA = Camera("test", 256, 192, focal_px=240.0, centre_px=128.0, horizon_px=96.0, height_m=1.5)


def _conditions(daytime: Daytime = Daytime.DAY, weather: Weather = Weather.CLEAR) -> Conditions:
    return Conditions(daytime, weather, Environment.RESIDENTIAL, autumn=False)


def _light(daytime: Daytime = Daytime.DAY, weather: Weather = Weather.CLEAR) -> Light:
    return draw_light(np.random.default_rng(1), _conditions(daytime, weather))


def _board(x: tuple[float, float], z: float, colour: tuple[float, float, float] = (200, 100, 50)) -> Thing:
    s = Sculptor(0.0, z)
    s.panel(x, (0.5, 2.5), 0.0, colour)
    return s.thing("board", Category.CONTEXT)


def test_a_nearer_board_hides_half_of_a_farther_one() -> None:
    canvas = Canvas(CAMERA, _light())
    far = canvas.paint(_board((-2.0, 2.0), 20.0), 1)
    near = canvas.paint(_board((-5.0, 0.0), 10.0), 2)
    assert far is not None
    assert near is not None
    counts = canvas.seen_counts()
    assert counts[1] / far.painted == pytest.approx(0.5, abs=0.04)
    assert counts[2] == near.painted


def test_painted_area_is_the_projected_area() -> None:
    canvas = Canvas(CAMERA, _light())
    trace = canvas.paint(_board((-1.0, 1.0), 12.0), 1)
    assert trace is not None
    side_px = 2 * 2.0 * 240 / 12
    assert trace.painted == pytest.approx(side_px**2, rel=0.06)
    assert trace.right_px - trace.left_px == pytest.approx(40.0, abs=0.3)


def test_what_is_behind_or_beside_the_picture_is_not_painted() -> None:
    canvas = Canvas(CAMERA, _light())
    assert canvas.paint(_board((-1, 1), -3.0), 1) is None
    assert canvas.paint(_board((90, 91), 10.0), 1) is None
    assert canvas.seen_counts()[1] == 0


def test_fog_takes_contrast_with_distance() -> None:
    def contrast(weather: Weather, z: float) -> float:
        light = _light(weather=weather)
        pair = np.array([[20, 20, 20], [230, 230, 230]], np.float32)
        zero = np.zeros(2, np.float32)
        dark, bright = light.surfaces(pair, zero, zero, zero, (0.0, z))
        return float((bright - dark).mean())

    assert contrast(Weather.FOG, 40.0) < 0.5 * contrast(Weather.FOG, 8.0)
    assert contrast(Weather.CLEAR, 40.0) > 0.85 * contrast(Weather.CLEAR, 8.0)
    assert contrast(Weather.FOG, 40.0) < 0.5 * contrast(Weather.CLEAR, 40.0)


def test_reflectors_answer_headlights_at_night_only() -> None:
    def gain(daytime: Daytime) -> float:
        grey = np.full((2, 3), 60, np.float32)
        zero = np.zeros(2, np.float32)
        plain, retro = _light(daytime).surfaces(grey, zero, np.array([0, 1], np.float32), zero, (1.0, 15.0))
        return float((retro / plain).mean())

    assert gain(Daytime.NIGHT) > 2.0
    assert gain(Daytime.DAY) == pytest.approx(1.0)


def _empty_street(daytime: Daytime, weather: Weather) -> np.ndarray:
    conditions = _conditions(daytime, weather)
    canvas = Canvas(CAMERA, draw_light(np.random.default_rng(1), conditions))
    street = draw_street(np.random.default_rng(2), conditions.environment, 1)
    paint_sky(canvas, conditions, 3)
    paint_ground(canvas, street, draw_style(np.random.default_rng(4), Shift.NONE))
    mirror_in_road(canvas)
    return add_falling(canvas.picture(), conditions, np.random.default_rng(5)).astype(float)


def test_night_is_darker_than_dusk_and_dusk_than_day() -> None:
    day, dusk, night = (_empty_street(daytime, Weather.CLEAR).mean() for daytime in Daytime)
    assert night < 0.75 * dusk
    assert dusk < 0.85 * day


def test_snow_whitens_the_ground_and_fog_the_horizon() -> None:
    clear, snow, fog = (
        _empty_street(Daytime.DAY, weather) for weather in (Weather.CLEAR, Weather.SNOW, Weather.FOG)
    )
    assert snow[140:].mean() > 1.15 * clear[140:].mean()
    just_below, near = slice(102, 110), slice(170, 190)
    assert fog[just_below].std() < clear[just_below].std()
    assert fog[just_below].mean() > clear[just_below].mean() + 20
    assert abs(fog[near].mean() - clear[near].mean()) < 40


def test_rain_draws_upright_streaks_and_a_wet_road_mirrors_the_sky() -> None:
    grey = np.full((192, 256, 3), 90, np.uint8)
    wet = add_falling(grey, _conditions(weather=Weather.RAIN), np.random.default_rng(5)).astype(float)
    across, along = np.abs(np.diff(wet, axis=1)).mean(), np.abs(np.diff(wet, axis=0)).mean()
    assert across > 2 * along > 0
    assert add_falling(grey, _conditions(), np.random.default_rng(5)) is grey
    mirrored = [_empty_street(Daytime.DAY, weather)[150:].mean() for weather in (Weather.CLEAR, Weather.RAIN)]
    assert mirrored[1] > mirrored[0] + 10


def test_every_condition_is_drawn() -> None:
    drawn = [draw_conditions(np.random.default_rng(seed), Shift.NONE) for seed in range(300)]
    for kind, values in (("daytime", Daytime), ("weather", Weather), ("environment", Environment)):
        shares = [sum(getattr(c, kind) is value for c in drawn) / 300 for value in values]
        assert min(shares) > 0.07
    assert {c.autumn for c in drawn} == {True, False}
