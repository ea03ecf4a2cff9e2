"""Challenges against the validators' arithmetic, done here once more with Pillow, torch and OpenCV's conversions.

The truth keeps colours as float32 fractions of 1, as their tensors do, and cuts off where theirs cut off. Values that
hang on the last bit of a float may differ by one grey level; how many is bounded in each test.
"""

from __future__ import annotations

import io
import math

import cv2
import numpy as np
import pytest
from PIL import Image

from workzone.core.errors import ConfigError, DataError
from workzone.imaging.degrade import random_crop_box
from workzone.subnet.challenge import distort, make_challenge, transform
from workzone.subnet.profiles import Distortion, profile

U8 = np.ndarray


def street(height: int, width: int) -> U8:
    coarse = np.random.default_rng(3).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def patch(rgb: tuple[int, int, int]) -> U8:
    return np.full((16, 16, 3), rgb, dtype=np.uint8)


def cut(fractions: np.ndarray) -> U8:
    return (fractions.astype(np.float32) * np.float32(255)).astype(np.uint8)


def turned_and_cropped(image: U8, rng: np.random.Generator) -> np.ndarray:
    """Nearest neighbour about the centre by torch's sampling, then torch's antialiased bilinear resize."""
    torch = pytest.importorskip("torch")
    height, width = image.shape[:2]
    angle = math.radians(rng.uniform(-20, 20))
    y, x = torch.meshgrid(
        torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2, indexing="ij"
    )
    cos, sin = math.cos(angle), math.sin(angle)
    grid = torch.stack([(cos * x - sin * y) / (width / 2), (sin * x + cos * y) / (height / 2)], dim=-1)[None]
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy()).float().div(255)[None]
    tensor = torch.nn.functional.grid_sample(tensor, grid, mode="nearest", align_corners=False)
    left, top, w, h = random_crop_box(width, height, (0.2, 1.0), rng)
    tensor = tensor[:, :, top : top + h, left : left + w]
    tensor = torch.nn.functional.interpolate(tensor, size=(224, 224), mode="bilinear", antialias=True)
    return tensor[0].permute(1, 2, 0).numpy()


def distorted(image: U8, distortion: Distortion, strength: int, rng: np.random.Generator) -> U8:
    """One distortion on 8-bit BGR with OpenCV's float conversions and studio-range codes."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    at = strength - 1
    match distortion:
        case Distortion.CHROMA:
            codes = _coded(bgr)
            codes[..., 1:] = 0.5 + (codes[..., 1:] - 0.5) * (0.4, 0.3)[at]
            done = _decoded(codes).astype(np.uint8)
        case Distortion.CONTRAST:
            done = (bgr.astype(np.float32) * (0.85, 0.725)[at]).astype(np.uint8)
        case Distortion.RESAMPLING:
            height, width = bgr.shape[:2]
            done = cv2.resize(cv2.resize(bgr, (width // (2, 3)[at], height // (2, 3)[at])), (width, height))
        case Distortion.NOISE:
            noise = rng.standard_normal(bgr.shape, dtype=np.float32)
            codes = _coded(bgr) / 255 + math.sqrt((0.001, 0.002)[at]) * noise
            done = np.clip(_decoded(codes * 255), 0, 255).astype(np.uint8)
        case Distortion.BLUR:
            kernel = (7, 9)[at]
            done = cv2.GaussianBlur(bgr, (kernel, kernel), kernel / 6)
    return done[..., ::-1]


def _coded(bgr: U8) -> np.ndarray:
    luma, red, blue = cv2.split(cv2.cvtColor(bgr.astype(np.float32), cv2.COLOR_BGR2YCrCb))
    return np.dstack([luma * 219 + 16, blue * 224 + 16, red * 224 + 16]).astype(np.float32) / 255


def _decoded(codes: np.ndarray) -> np.ndarray:
    luma, blue, red = cv2.split(codes.astype(np.float32) * 255 - 16)
    return cv2.cvtColor(
        np.dstack([luma / 219, red / 224, blue / 224]).astype(np.float32), cv2.COLOR_YCrCb2BGR
    )


def differing(ours: U8, theirs: U8, most: int = 1) -> float:
    """Share of values that differ, all of them by at most `most` levels."""
    apart = np.abs(ours.astype(int) - theirs)
    assert apart.max() <= most
    return float((apart > 0).mean())


@pytest.mark.parametrize(
    ("height", "width"), [(300, 301), (301, 300), (300, 303), (303, 300), (100, 160), (224, 224)]
)
def test_level_0_is_the_centre_resized_by_pillow(height: int, width: int) -> None:
    image, january = street(height, width), profile("2026-01")
    side = min(height, width)
    top, left = round((height - side) / 2), round((width - side) / 2)
    box = (left, top, left + side, top + side)
    theirs = Image.fromarray(image).crop(box).resize((224, 224), Image.Resampling.BILINEAR)
    ours = transform(image, january.level(0), january, np.random.default_rng(0))
    assert np.array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("height", "width"), [(360, 640), (640, 360), (130, 150)])
def test_level_1_is_turned_and_cropped(height: int, width: int, seed: int) -> None:
    image, january = street(height, width), profile("2026-01")
    theirs = cut(turned_and_cropped(image, np.random.default_rng(seed)))
    ours = transform(image, january.level(1), january, np.random.default_rng(seed))
    apart = np.abs(ours.astype(int) - theirs)
    # A pixel that the rotation takes from next door shows in the few values around it.
    assert (apart > 1).mean() < 0.002
    assert (apart > 0).mean() < 0.06


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("number", [2, 3])
def test_levels_2_and_3_distort_what_level_1_frames(number: int, seed: int) -> None:
    image, january = street(360, 640), profile("2026-01")
    level, rng = january.level(number), np.random.default_rng(seed)
    theirs = transform(image, january.level(1), january, rng)
    for distortion, highest in level.distortions:
        strength = int(rng.integers(highest + 1))
        if strength:
            theirs = distorted(theirs, distortion, strength, rng)
    ours = transform(image, level, january, np.random.default_rng(seed))
    assert differing(ours, theirs, most=2) < 0.03


@pytest.mark.parametrize("strength", [1, 2])
@pytest.mark.parametrize("distortion", list(Distortion))
def test_each_distortion(distortion: Distortion, strength: int) -> None:
    image = np.random.default_rng(4).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    image[:32] = np.arange(224, dtype=np.uint8)[None, :, None]  # greys, where a last bit decides
    ours = distort(image, distortion, strength, np.random.default_rng(9))
    theirs = distorted(image, distortion, strength, np.random.default_rng(9))
    exact = distortion in {Distortion.CONTRAST, Distortion.RESAMPLING, Distortion.BLUR}
    assert differing(ours, theirs) <= (0 if exact else 0.02)
    assert not np.array_equal(ours, image)


def test_grey_loses_blue_and_red_where_chroma_is_scaled() -> None:
    """Their scaling is about half a code below neutral; being cut off makes a level of it."""
    assert tuple(distort(patch((128, 128, 128)), Distortion.CHROMA, 1, np.random.default_rng(0))[4, 4]) == (
        127, 128, 127,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("distortion", "strength", "rgb", "expected"),
    [
        (Distortion.CHROMA, 1, (255, 120, 20), (191, 137, 97)),
        (Distortion.CHROMA, 2, (255, 120, 20), (180, 140, 110)),
        (Distortion.CHROMA, 1, (40, 80, 200), (65, 81, 129)),
        (Distortion.CONTRAST, 1, (255, 120, 20), (216, 102, 17)),
        (Distortion.CONTRAST, 2, (40, 80, 200), (29, 58, 145)),
    ],
)
def test_check_values(distortion, strength, rgb, expected) -> None:
    found = distort(patch(rgb), distortion, strength, np.random.default_rng(0))
    assert tuple(found.reshape(-1, 3).mean(axis=0)) == expected


@pytest.mark.parametrize(
    ("height", "width", "inner"), [(1080, 1920, (126, 224)), (90, 60, (224, 149)), (500, 1327, (84, 223))]
)
def test_letterboxing_cuts_sides_off(height: int, width: int, inner: tuple[int, int]) -> None:
    image, april = street(height, width), profile("2026-04")
    theirs = np.zeros((224, 224, 3), dtype=np.uint8)
    top, left = (224 - inner[0]) // 2, (224 - inner[1]) // 2
    resized = Image.fromarray(image).resize((inner[1], inner[0]), Image.Resampling.BILINEAR)
    theirs[top : top + inner[0], left : left + inner[1]] = np.asarray(resized)
    assert np.array_equal(transform(image, april.level(0), april, np.random.default_rng(0)), theirs)


def test_april_turns_the_letterboxed_picture_and_crops_nothing() -> None:
    april, image = profile("2026-04"), street(300, 400)
    boxed = transform(image, april.level(0), april, np.random.default_rng(0))
    for seed in range(3):
        angle = np.random.default_rng(seed).uniform(-20, 20)
        turn = cv2.getRotationMatrix2D((111.5, 111.5), angle, 1.0)
        theirs = cv2.warpAffine(boxed, turn, (224, 224), flags=cv2.INTER_NEAREST)
        ours = transform(image, april.level(1), april, np.random.default_rng(seed))
        assert np.array_equal(ours, theirs)
        assert not np.array_equal(ours, boxed)


def test_may_sends_the_picture_as_it_is() -> None:
    image = street(333, 517)
    sent = make_challenge(image, profile("2026-05"), np.random.default_rng(0))
    written = io.BytesIO()
    Image.fromarray(image).save(written, "JPEG")  # at Pillow's own default
    assert sent.jpeg == written.getvalue()
    assert sent.level == 0


@pytest.mark.parametrize("name", ["2026-01", "2026-04"])
def test_a_challenge_is_a_jpeg_of_the_transformed_picture_at_pillows_default_quality(name: str) -> None:
    image, one = street(200, 300), profile(name)
    for number in range(4):
        made = make_challenge(image, one, np.random.default_rng(5), level=number)
        written = io.BytesIO()
        pixels = transform(image, one.level(number), one, np.random.default_rng(5))
        Image.fromarray(pixels).save(written, "JPEG")
        assert made.jpeg == written.getvalue()
        assert made.level == number
        assert Image.open(io.BytesIO(made.jpeg)).size == (224, 224)


def test_levels_are_drawn_evenly_and_the_draws_repeat() -> None:
    image, january = street(64, 64), profile("2026-01")
    rng = np.random.default_rng(8)
    drawn = np.bincount([make_challenge(image, january, rng).level for _ in range(200)], minlength=4)
    assert drawn.min() >= 30  # 50 each; four standard deviations are 24
    again = [make_challenge(image, january, np.random.default_rng(6)).jpeg for _ in range(2)]
    assert again[0] == again[1]


def test_nothing_is_flipped() -> None:
    """Left is dark and right is light, top lighter than bottom, under every angle."""
    ramp = np.linspace(0, 200, 300).astype(np.uint8)
    image = np.repeat(np.repeat(ramp[None, :, None], 300, axis=0), 3, axis=2)
    image[:150] += 55
    january = profile("2026-01")
    for seed in range(20):
        seen = transform(image, january.level(1), january, np.random.default_rng(seed))[
            40:184, 40:184
        ].astype(int)
        assert seen[:, -30:].mean() > seen[:, :30].mean()
        assert seen[:30].mean() >= seen[-30:].mean()


def test_the_picture_is_left_alone() -> None:
    image = street(120, 90)
    before = image.copy()
    for name in ("2026-01", "2026-04", "2026-05"):
        for seed in range(4):
            make_challenge(image, profile(name), np.random.default_rng(seed))
    assert np.array_equal(image, before)


def test_a_sliver_of_a_picture_still_makes_a_challenge() -> None:
    for name in ("2026-01", "2026-04"):
        for number in range(4):
            made = make_challenge(street(1, 400), profile(name), np.random.default_rng(1), level=number)
            assert Image.open(io.BytesIO(made.jpeg)).size == (224, 224)


def test_what_cannot_be_made_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="no challenges"):
        make_challenge(street(8, 8), profile("halted"), rng)
    with pytest.raises(ConfigError, match="no level 7"):
        make_challenge(street(8, 8), profile("2026-01"), rng, level=7)
    with pytest.raises(DataError, match="no picture"):
        make_challenge(np.zeros((8, 8), dtype=np.uint8), profile("2026-01"), rng)
    with pytest.raises(DataError, match="fits into no JPEG"):
        make_challenge(np.zeros((1, 65_536, 3), dtype=np.uint8), profile("2026-05"), rng)
