"""The camera against the pinhole formula, and the lens against its own inverse."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.data.scenes.camera import Camera, distort, distort_points, distortion_maps, draw_camera
from workzone.data.scenes.world import Shift, WorldSpec

CAMERA = Camera("test", 256, 192, focal_px=240.0, centre_px=128.0, horizon_px=96.0, height_m=1.5)


def test_projection_is_the_pinhole_formula() -> None:
    points = np.array([[2.0, 0.0, 10.0], [-1.0, 1.5, 20.0]], np.float32)
    expected = [[128 + 240 * 2 / 10, 96 + 240 * 1.5 / 10], [128 - 240 * 1 / 20, 96.0]]
    np.testing.assert_allclose(CAMERA.project(points), expected, rtol=1e-6)


def test_height_halves_when_distance_doubles() -> None:
    def height(z: float) -> float:
        foot, head = CAMERA.project(np.array([[0, 0, z], [0, 0.9, z]], np.float32))[:, 1]
        return float(foot - head)

    assert height(10.0) == pytest.approx(2 * height(20.0), rel=1e-5)
    assert height(10.0) == pytest.approx(240 * 0.9 / 10, rel=1e-5)


def test_ground_distance_inverts_the_projection_of_the_ground() -> None:
    z = np.array([5.0, 12.0, 40.0], np.float32)
    rows = CAMERA.project(np.stack([0 * z, 0 * z, z], axis=1))[:, 1]
    np.testing.assert_allclose(CAMERA.ground_distance_m(rows), z, rtol=1e-4)


def test_moving_on_brings_things_nearer() -> None:
    point = np.array([[1.0, 0.0, 11.0]], np.float32)
    moved = CAMERA.moved(0.0, 1.0, 0.0).project(point)
    np.testing.assert_allclose(moved, CAMERA.project(point - np.array([0, 0, 1], np.float32)), rtol=1e-6)


def test_distorted_points_are_where_the_maps_fetch_them_from() -> None:
    camera = draw_camera(np.random.default_rng(0), WorldSpec(shift=Shift.CAMERA))
    assert camera.barrel > 0
    map_x, map_y = distortion_maps(camera)
    for x, y in ((128, 96), (30, 40), (200, 150)):
        source = np.array([[float(map_x[y, x]), float(map_y[y, x])]])
        np.testing.assert_allclose(distort_points(camera, source), [[x, y]], atol=0.1)


def test_barrel_bends_a_straight_line_outwards() -> None:
    camera = draw_camera(np.random.default_rng(0), WorldSpec(shift=Shift.CAMERA))
    image = np.zeros((192, 256, 3), np.uint8)
    image[:, 40] = 255
    bent = distort(camera, image)[:, :, 0].astype(float)
    column = [float((bent[row] * np.arange(256)).sum() / bent[row].sum()) for row in (10, 96, 182)]
    assert column[1] < column[0] - 1
    assert column[1] < column[2] - 1
