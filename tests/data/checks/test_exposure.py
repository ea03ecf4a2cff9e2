"""Dark, bright, blank and blurred: by daytime, and by source."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from workzone.core.types import Status
from workzone.data.checks.exposure import blank, blurred, exposure_limits, too_bright, too_dark


def at_level(pixels: np.ndarray, mean: float) -> np.ndarray:
    """The same picture at another mean luma, its contrast cut to what fits."""
    grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    room = min(mean, 255 - mean)
    factor = min(1.0, room / 2.5 / grey.std())
    return (mean + (pixels - grey.mean()) * factor).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("number", "mean", "named"),
    [(0, 24, True), (0, 36, False), (4, 24, False), (4, 4, True)],
    ids=["day 24", "day 36", "night 24", "night 4"],
)
def test_dark_is_judged_by_daytime(bench, encoded, pixels, ids_of, number, mean, named):
    image = encoded(at_level(pixels(number), mean))
    result = too_dark(bench.look(bench.samples({number: {"image": image}})))
    assert set(result.samples) == (ids_of(image) if named else set()), result.offenders
    assert result.status is (Status.WARN if named else Status.PASS)


@pytest.mark.parametrize(("mean", "named"), [(236, True), (227, True), (223, False), (214, False)])
def test_bright_by_day(bench, encoded, pixels, ids_of, mean, named):
    image = encoded(at_level(pixels(1), mean))
    result = too_bright(bench.look(bench.samples({1: {"image": image}})))
    assert set(result.samples) == (ids_of(image) if named else set())


BY_DAY = [n for n in range(48) if n // 2 % 3 != 2]
AT_NIGHT = [n for n in range(48) if n // 2 % 3 == 2]


@pytest.mark.parametrize(("mean", "named"), [(28, True), (32, False)])
@pytest.mark.parametrize("daytime", ["day", None])
def test_thirty_is_the_dark_limit_by_day_however_dark_the_others_are(
    bench, encoded, pixels, ids_of, daytime, mean, named
):
    """Medians of 50 and 100 alike, and where the daytime is not stated."""
    image = encoded(at_level(pixels(0), mean))
    for others in (50, 100):
        changes = {n: {"image": encoded(at_level(pixels(n), others)), "daytime": daytime} for n in BY_DAY}
        subject = bench.look(bench.samples(changes | {0: {"image": image, "daytime": daytime}}))
        assert exposure_limits(subject)[daytime or ""] == (30.0, 225.0)
        assert set(too_dark(subject).samples) == (ids_of(image) if named else set())


@pytest.mark.parametrize(
    ("numbers", "changed", "limits"),
    [
        (AT_NIGHT, {"daytime": "night"}, (7.5, 225.0)),  # 16 pictures only
        (BY_DAY, {"daytime": "Late Night"}, (15.0, 225.0)),
        (BY_DAY, {"daytime": "dusk"}, (15.0, 225.0)),
        (BY_DAY, {"daytime": "noon"}, (30.0, 225.0)),
    ],
    ids=["few at night", "night", "dusk", "noon"],
)
def test_only_a_dim_daytime_loosens_its_dark_limit(bench, encoded, pixels, numbers, changed, limits):
    """To a quarter of the median, here 60."""
    changes = {n: {"image": encoded(at_level(pixels(n), 60)), **changed} for n in numbers}
    found = exposure_limits(bench.look(bench.samples(changes)))
    assert found[changed["daytime"]] == pytest.approx(limits, abs=0.3)


@pytest.mark.parametrize(("mean", "limit"), [(10, 7.5), (24, 7.5), (200, 30.0)])
def test_the_dark_limit_of_a_night_stays_in_bounds(bench, encoded, pixels, mean, limit):
    changes = {n: {"image": encoded(at_level(pixels(n), mean)), "daytime": "night"} for n in BY_DAY}
    assert exposure_limits(bench.look(bench.samples(changes)))["night"] == (limit, 225.0)


@pytest.mark.parametrize(
    ("check", "daytime", "mean", "all_named"),
    [
        (too_dark, "day", 10, True),
        (too_bright, "day", 240, True),
        (too_dark, None, 10, True),
        (too_dark, "night", 20, False),
        (too_bright, "night", 240, True),
    ],
)
def test_a_daytime_that_is_bad_as_a_whole_is_told(bench, encoded, pixels, check, daytime, mean, all_named):
    """At night its median is told; pictures are named only where they are below the limit of the night."""
    dark = {n: {"image": encoded(at_level(pixels(n), mean)), "daytime": daytime} for n in range(48)}
    subject = bench.look(bench.samples(dark))
    result = check(subject)
    assert result.status is Status.WARN
    assert result.count == (48 if all_named else 0)
    assert f"Half of all of daytime '{daytime or 'not stated'}'" in result.summary
    assert "camera" in result.advice
    assert dict(result.figures)[f"median_{daytime or 'not_stated'}"] == pytest.approx(mean, abs=1.5)


def test_a_daytime_that_is_good_as_a_whole_is_not_told(clean_subject):
    for check in (too_dark, too_bright):
        result = check(clean_subject)
        assert (result.status, result.advice) == (Status.PASS, "")
        assert not any(name.startswith("median") for name, _ in result.figures)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (30, 90, 200)])
def test_a_blank_picture(bench, encoded, ids_of, colour):
    image = encoded(np.full((96, 128, 3), colour, dtype=np.uint8))
    subject = bench.look(bench.samples({3: {"image": image}}))
    assert blank(subject).status is Status.FAIL
    assert set(blank(subject).samples) == ids_of(image)
    assert blurred(subject).status is Status.PASS  # told once


def test_a_black_night_with_one_lamp_is_not_blank(bench, encoded):
    pixels = np.zeros((96, 128, 3), dtype=np.uint8)
    cv2.circle(pixels, (40, 30), 5, (255, 240, 200), -1)
    assert blank(bench.look(bench.samples({4: {"image": encoded(pixels)}}))).status is Status.PASS


@pytest.mark.parametrize(("sigma", "named"), [(0.5, False), (5.0, True)])
def test_a_blurred_picture(bench, encoded, pixels, ids_of, sigma, named):
    image = encoded(np.asarray(cv2.GaussianBlur(pixels(6), (0, 0), sigma), dtype=np.uint8))
    result = blurred(bench.look(bench.samples({6: {"image": image}})))
    assert set(result.samples) == (ids_of(image) if named else set())


def test_a_soft_camera_is_not_all_blurred(bench, encoded, pixels):
    """Judged within the source: the same blur in every picture of a source is that source's lens."""
    soft = {
        n: {
            "image": encoded(np.asarray(cv2.GaussianBlur(pixels(n), (0, 0), 5.0), np.uint8)),
            "source": "soft",
        }
        for n in range(24)
    }
    assert blurred(bench.look(bench.samples(soft))).status is Status.PASS


def test_fog_takes_contrast_not_sharpness(bench, encoded, pixels):
    foggy = (190 + (pixels(6).astype(np.float32) - 128) * 0.25).clip(0, 255).astype(np.uint8)
    assert blurred(bench.look(bench.samples({6: {"image": encoded(foggy)}}))).status is Status.PASS
