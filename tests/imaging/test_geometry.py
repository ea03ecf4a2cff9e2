"""Squares from pictures of any shape, checked against means, positions and Pillow's resizing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from workzone.core.errors import DataError
from workzone.imaging.geometry import Geometry, letterbox_box, resize_exact, resize_to


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 128), st.sampled_from(Geometry))
def test_every_shape_gives_the_square(height: int, width: int, size: int, geometry: Geometry) -> None:
    square = resize_to(np.full((height, width, 3), 77, np.uint8), size, geometry)
    assert square.shape == (size, size, 3)
    assert square.dtype == np.uint8
    assert square.flags.c_contiguous
    assert set(np.unique(square)) <= ({0, 77} if geometry is Geometry.LETTERBOX else {77})


def test_letterbox_keeps_everything_between_centred_black_bars() -> None:
    image = np.zeros((90, 160, 3), np.uint8)
    image[:] = (10, 20, 30)
    image[:, :10] = (200, 0, 0)
    image[:, -10:] = (0, 0, 200)
    square = resize_to(image, 64, Geometry.LETTERBOX)
    left, top, width, height = letterbox_box(160, 90, 64)
    assert (left, top, width, height) == (0, 14, 64, 36)
    assert not square[:14].any()
    assert not square[50:].any()
    assert tuple(square[32, 1]) == (200, 0, 0)
    assert tuple(square[32, 62]) == (0, 0, 200)
    upright = resize_to(np.ascontiguousarray(image.transpose(1, 0, 2)), 64, Geometry.LETTERBOX)
    assert not upright[:, :14].any()
    assert tuple(upright[1, 32]) == (200, 0, 0)


def test_crop_takes_the_middle() -> None:
    image = np.zeros((40, 100, 3), np.uint8)
    image[:, :30], image[:, 30:70], image[:, 70:] = 50, 150, 250
    assert (resize_to(image, 20, Geometry.CROP) == 150).all()
    assert (resize_to(image.transpose(1, 0, 2), 20, Geometry.CROP) == 150).all()


def test_squash_keeps_both_ends() -> None:
    image = np.zeros((40, 100, 3), np.uint8)
    image[:, :30], image[:, 30:70], image[:, 70:] = 50, 150, 250
    square = resize_to(image, 20, Geometry.SQUASH)
    assert (square[:, 0] == 50).all()
    assert (square[:, 10] == 150).all()
    assert (square[:, 19] == 250).all()


def test_shrinking_averages_areas() -> None:
    image = noise(128, 192)
    blocks = image.reshape(32, 4, 48, 4, 3).mean(axis=(1, 3))
    assert np.abs(resize_exact(image, 48, 32) - blocks).max() <= 0.51


def test_fine_stripes_do_not_alias() -> None:
    stripes = np.zeros((100, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    for geometry in Geometry:
        square = resize_to(stripes, 100, geometry).astype(int)
        inside = square[45:55] if geometry is Geometry.LETTERBOX else square
        if geometry is not Geometry.CROP:  # the crop stays at its own size
            assert np.abs(inside - 127).max() <= 16
    # one side shrinks while the other grows
    assert np.abs(resize_exact(stripes, 100, 300).astype(int) - 127).max() <= 16


def test_shrinking_agrees_with_pillow() -> None:
    image = noise(300, 420)
    ours = resize_exact(image, 70, 50)
    theirs = np.asarray(Image.fromarray(image).resize((70, 50), Image.Resampling.BOX))
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_a_picture_of_the_right_size_is_unchanged() -> None:
    image = noise(64, 64)
    for geometry in Geometry:
        assert np.array_equal(resize_to(image, 64, geometry), image)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match="uint8"):
        resize_to(wrong, 8, Geometry.CROP)
