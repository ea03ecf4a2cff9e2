"""Measures against formulas and other libraries."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import laplace

from workzone.data.measures import (
    HASH_SIDE_PX,
    N_DESCRIPTOR,
    N_HISTOGRAM,
    colour_histogram,
    descriptor,
    measure,
    perceptual_hashes,
    working_copy,
)


def smooth(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """A picture with structure at low frequencies, as photographs have."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.float32)
    fine = rng.normal(0, 4, (height, width, 3))
    return np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) + fine, 0, 255).astype(
        np.uint8
    )


def saved_anew(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def bits(value: int) -> int:
    return int(value).bit_count()


@given(st.integers(0, 10_000), st.floats(1, 255))
def test_the_hash_is_that_of_scipys_dct(seed, span):
    luma = (np.random.default_rng(seed).random((HASH_SIDE_PX, HASH_SIDE_PX)) * span).astype(np.float32)
    low = dctn(luma.astype(np.float64), norm="ortho")[1:9, 1:9].ravel()
    expected = int("".join("1" if value > np.median(low) else "0" for value in low), 2)
    assert int(perceptual_hashes(luma[None])[0]) == expected


def test_hashes_do_not_depend_on_what_stands_beside_them():
    lumas = np.random.default_rng(1).random((7, HASH_SIDE_PX, HASH_SIDE_PX)).astype(np.float32) * 255
    alone = [perceptual_hashes(luma[None])[0] for luma in lumas]
    np.testing.assert_array_equal(perceptual_hashes(lumas), alone)
    assert perceptual_hashes(lumas[:0]).shape == (0,)
    assert len(np.unique(alone)) == 7


@pytest.mark.parametrize("level", [0, 1, 77, 128, 255])
def test_every_blank_picture_has_the_hash_zero(level):
    assert perceptual_hashes(np.full((1, HASH_SIDE_PX, HASH_SIDE_PX), level, np.float32))[0] == 0
    grey = np.full((40, 60, 3), level, np.uint8)
    assert perceptual_hashes(measure(grey).hash_luma[None])[0] == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_saved_anew_is_near_and_another_is_not(seed):
    image, other = smooth(seed), smooth(seed + 100)
    small = cv2.resize(image, (90, 67), interpolation=cv2.INTER_AREA)
    one, *rest = (measure(i) for i in (image, saved_anew(image, 50), small, saved_anew(other, 50)))
    hashes = perceptual_hashes(np.stack([m.hash_luma for m in (one, *rest)]))
    distances = [bits(hashes[0] ^ h) for h in hashes[1:]]
    cosines = [float(one.descriptor @ m.descriptor) for m in rest]
    assert max(distances[:2]) <= 6 < distances[2]
    assert min(cosines[:2]) > 0.97 > cosines[2]


def test_brightness_contrast_and_sharpness_are_those_of_the_luma():
    image = smooth(3)
    luma = np.array(Image.fromarray(image).convert("L")).astype(np.float64)  # the same BT.601 weights
    found = measure(image)
    assert found.brightness == pytest.approx(luma.mean(), abs=0.6)
    assert found.contrast == pytest.approx(luma.std(), abs=0.6)
    grey = np.repeat(luma.astype(np.uint8)[..., None], 3, axis=2)
    exact = laplace(luma.astype(np.uint8).astype(np.float64), mode="mirror").var()
    assert measure(grey).sharpness == pytest.approx(exact, rel=1e-3)


def test_blur_lowers_sharpness_and_a_blank_picture_has_none():
    image = smooth(4)
    assert measure(cv2.GaussianBlur(image, (0, 0), 2)).sharpness < 0.1 * measure(image).sharpness
    blank = measure(np.full((50, 50, 3), 90, np.uint8))
    assert (blank.brightness, blank.contrast, blank.sharpness) == (90.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((100, 50), (100, 50)), ((512, 1024), (128, 256)), ((2000, 1), (256, 1)), ((256, 256), (256, 256))],
)
def test_the_working_copy_keeps_proportions_and_never_grows(shape, expected):
    assert working_copy(np.zeros((*shape, 3), np.uint8)).shape[:2] == expected


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (3000, 2), (8, 8), (480, 640)])
def test_any_shape_is_described(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = measure(image)
    assert found.descriptor.shape == (N_DESCRIPTOR,)
    assert np.linalg.norm(found.descriptor) == pytest.approx(1, abs=1e-5)
    assert found.colour_histogram.shape == (N_HISTOGRAM,)
    assert (found.colour_histogram.astype(np.float64) ** 2).sum() == pytest.approx(1, abs=1e-5)


def test_black_white_and_red_have_descriptors_of_length_one():
    for colour in ((0, 0, 0), (255, 255, 255), (255, 0, 0)):
        blank = np.full((20, 30, 3), colour, np.uint8)
        assert np.linalg.norm(descriptor(blank)) == pytest.approx(1, abs=1e-5)


def test_blank_pictures_resemble_each_other_despite_the_noise_of_their_compression():
    rng = np.random.default_rng(5)
    one, other = (
        (128 + rng.normal(0, 0.7, (60, 80, 3))).round().clip(0, 255).astype(np.uint8) for _ in range(2)
    )
    assert descriptor(one) @ descriptor(other) > 0.9


def test_the_colour_histogram_counts_pixels():
    half = np.zeros((128, 128, 3), np.uint8)
    half[:, 64:] = (255, 0, 0)
    shares = np.sort(colour_histogram(half) ** 2)[::-1]
    np.testing.assert_allclose(shares[:3], [0.5, 0.5, 0.0], atol=1e-9)
