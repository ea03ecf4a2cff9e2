"""Degradations against the check values of the challenge profile, formulas and moments."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from workzone.core.errors import ConfigError
from workzone.imaging import degrade


def patch(rgb: tuple[int, int, int], side: int = 32) -> np.ndarray:
    return np.full((side, side, 3), rgb, dtype=np.uint8)


def street(height: int = 60, width: int = 80) -> np.ndarray:
    coarse = np.random.default_rng(3).integers(30, 226, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


DEGRADATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rotate": lambda x: degrade.rotate(x, 12.0),
    "scale_chroma": lambda x: degrade.scale_chroma(x, 0.4),
    "multiply": lambda x: degrade.multiply(x, 0.7),
    "adjust_contrast": lambda x: degrade.adjust_contrast(x, 0.7, 10),
    "adjust_gamma": lambda x: degrade.adjust_gamma(x, 1.5),
    "adjust_white_balance": lambda x: degrade.adjust_white_balance(x, 1.1, 0.9),
    "resample": lambda x: degrade.resample(x, 3),
    "add_noise": lambda x: degrade.add_noise(x, 0.002, rng()),
    "blur": lambda x: degrade.blur(x, 7),
    "motion_blur": lambda x: degrade.motion_blur(x, 9, 30),
    "recompress": lambda x: degrade.recompress(x, 30),
}


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_each_is_pure_keeps_the_shape_and_does_something(name: str) -> None:
    image = street()
    before = image.copy()
    once = DEGRADATIONS[name](image)
    assert np.array_equal(image, before)
    assert not np.shares_memory(once, image)
    assert once.shape == image.shape
    assert once.dtype == np.uint8
    assert not np.array_equal(once, image)
    assert np.array_equal(once, DEGRADATIONS[name](image))


@pytest.mark.parametrize(
    ("rgb", "factor", "expected"),
    [
        ((255, 120, 20), 0.4, (191, 137, 97)),
        ((255, 120, 20), 0.3, (180, 140, 110)),
        ((40, 80, 200), 0.4, (65, 81, 129)),
    ],
)
def test_chroma_check_values(rgb, factor, expected) -> None:
    assert tuple(degrade.scale_chroma(patch(rgb), factor)[4, 4]) == expected


@pytest.mark.parametrize(
    ("rgb", "factor", "expected"),
    [
        ((255, 120, 20), 0.85, (216, 102, 17)),
        ((40, 80, 200), 0.725, (29, 58, 145)),
        ((200, 9, 0), 2, (255, 18, 0)),
    ],
)
def test_multiply_check_values(rgb, factor, expected) -> None:
    assert tuple(degrade.multiply(patch(rgb), factor)[4, 4]) == expected


def test_neutral_parameters_change_nothing() -> None:
    image = street()
    same = (
        degrade.scale_chroma(image, 1.0),
        degrade.multiply(image, 1.0),
        degrade.adjust_contrast(image, 1.0),
        degrade.adjust_gamma(image, 1.0),
        degrade.adjust_white_balance(image, 1.0, 1.0),
        degrade.resample(image, 1),
        degrade.blur(image, 1),
        degrade.motion_blur(image, 1, 45),
        degrade.rotate(image, 0.0),
    )
    for result in same:
        assert np.array_equal(result, image)
    grey = degrade.scale_chroma(image, 0.0).astype(int)
    assert np.ptp(grey, axis=2).max() == 0


def test_rotation_turns_counter_clockwise_about_the_centre_with_black_corners() -> None:
    image = street(41, 41)
    assert np.array_equal(degrade.rotate(image, 90), np.rot90(image))
    turned = degrade.rotate(np.full((41, 41, 3), 200, np.uint8), 20)
    assert set(np.unique(turned)) == {0, 200}  # nearest neighbour: nothing in between
    assert not turned[0, 0].any()
    assert turned[20, 20, 0] == 200


def test_noise_has_the_stated_variance_in_ycbcr() -> None:
    noisy = degrade.add_noise(patch((128, 128, 128), 300), 0.002, rng()).astype(np.float32)
    ycrcb = cv2.cvtColor(noisy / 255, cv2.COLOR_RGB2YCrCb)
    # Cutting off to 8 bits adds the variance of a uniform grey level, and half a level of bias.
    expected = 0.002 + 1 / 12 / 255**2
    assert ycrcb.var(axis=(0, 1)) == pytest.approx([expected] * 3, rel=0.03)
    assert ycrcb.mean(axis=(0, 1)) == pytest.approx([127.5 / 255, 0.5, 0.5], abs=0.002)


def test_noise_in_studio_range_is_stronger_by_the_ratio_of_the_ranges() -> None:
    noisy = degrade.add_noise(patch((128, 128, 128), 300), 0.002, rng(), studio_range=True).astype(np.float32)
    variances = cv2.cvtColor(noisy / 255, cv2.COLOR_RGB2YCrCb).var(axis=(0, 1)) - 1 / 12 / 255**2
    assert variances == pytest.approx(0.002 * np.array([255 / 219, 255 / 224, 255 / 224]) ** 2, rel=0.03)


def test_chroma_in_studio_range_is_scaled_half_a_code_below_neutral() -> None:
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    scaled = degrade.scale_chroma(greys, 0.4, studio_range=True).astype(int) - greys
    assert np.array_equal(np.unique(scaled[0, 1:], axis=0), [[-1, 0, -1]])
    assert not scaled[0, 0].any()  # black has nothing to lose
    assert tuple(degrade.scale_chroma(patch((255, 120, 20)), 0.4, studio_range=True)[0, 0]) == (191, 137, 97)
    assert np.array_equal(degrade.scale_chroma(street(), 1.0, studio_range=True), street())


def test_resample_is_bilinear_there_and_back() -> None:
    image = street()
    small = cv2.resize(image, (26, 20), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(
        degrade.resample(image, 3), cv2.resize(small, (80, 60), interpolation=cv2.INTER_LINEAR)
    )
    assert degrade.resample(image[:2, :2], 5).shape == (2, 2, 3)


def test_blur_spreads_a_point_with_its_sigma() -> None:
    point = np.zeros((61, 61, 3), np.uint8)
    point[25:36, 25:36] = 250  # a block, so that 8-bit rounding does not hide the tails
    for kernel in (7, 13):
        row = degrade.blur(point, kernel)[30, :, 0].astype(float)
        x = np.arange(61) - 30
        variance = (row * x**2).sum() / row.sum()
        cut = np.exp(-0.5 * (np.arange(-(kernel // 2), kernel // 2 + 1) / (kernel / 6)) ** 2)
        sigma2 = (cut * np.arange(-(kernel // 2), kernel // 2 + 1) ** 2).sum() / cut.sum()
        assert variance == pytest.approx(10 + sigma2, rel=0.03)  # 10: variance of 11 equal columns


def test_motion_blur_goes_its_way_only() -> None:
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    smeared = degrade.motion_blur(image, 9, 0)
    assert (smeared[20, 16:25, 0] > 0).all()
    assert not smeared[19].any()
    assert smeared.astype(int).sum() == pytest.approx(255 * 3, rel=0.05)
    upright = degrade.motion_blur(image, 9, 90)
    assert (upright[16:25, 20, 0] > 0).all()


def test_recompress_is_jpeg() -> None:
    image = street()
    fine, coarse = (np.abs(degrade.recompress(image, q).astype(int) - image).mean() for q in (95, 10))
    assert fine < 2 < coarse
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=60, subsampling=2)
    theirs = np.asarray(Image.open(buffer)).astype(int)
    assert np.abs(degrade.recompress(image, 60) - theirs).mean() < 1


def test_random_resized_crop_draws_area_and_place() -> None:
    y, x = np.mgrid[0:100, 0:200]
    image = np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)
    generator = rng()
    sides, centres = [], []
    for _ in range(300):
        part = degrade.random_resized_crop(image, 32, (0.1, 0.4), generator).astype(int)
        assert part.shape == (32, 32, 3)
        sides.append((part[16, -1, 0] - part[16, 0, 0]) * 32 / 31)
        centres.append(part[16, 16, 0])
    areas = np.array(sides) ** 2 / (100 * 200)
    assert 0.08 < areas.min() < 0.14
    assert 0.35 < areas.max() < 0.42
    assert areas.mean() == pytest.approx(0.25, abs=0.02)
    assert np.mean(centres) == pytest.approx(100, abs=8)


def test_a_random_crop_box_lies_inside_and_has_its_area() -> None:
    generator = rng()
    for _ in range(200):
        left, top, width, height = degrade.random_crop_box(200, 100, (0.1, 0.4), generator)
        assert 0 <= left <= 200 - width
        assert 0 <= top <= 100 - height
        assert width == height
        assert 0.09 < width * height / 20_000 < 0.41
    # Areas above a half fit into no square of half a picture: after ten draws it is the middle.
    assert degrade.random_crop_box(200, 100, (0.6, 1.0), generator) == (50, 0, 100, 100)


def test_random_resized_crop_falls_back_to_the_middle() -> None:
    image = np.zeros((10, 100, 3), np.uint8)
    image[:, 45:55] = 200
    assert (degrade.random_resized_crop(image, 8, (0.9, 1.0), rng()) == 200).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: degrade.blur(x, 4),
        lambda x: degrade.resample(x, 0),
        lambda x: degrade.recompress(x, 0),
        lambda x: degrade.motion_blur(x, 0, 0),
        lambda x: degrade.random_resized_crop(x, 8, (0.5, 0.2), rng()),
        lambda x: degrade.random_resized_crop(x, 8, (0.0, 0.2), rng()),
    ],
)
def test_impossible_parameters_are_refused(call) -> None:
    with pytest.raises(ConfigError):
        call(street())
