"""Augmentation: what it may do, that it is seeded, and that nothing is done when nothing is asked."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from workzone.data.augment import NO_AUGMENTATION, AugmentSettings, augment


def picture(side: int = 48) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def only(**settings: float) -> AugmentSettings:
    return NO_AUGMENTATION.model_copy(update=settings)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_nothing_asked_is_nothing_done() -> None:
    changed = augment(picture(), NO_AUGMENTATION, rng())
    np.testing.assert_array_equal(changed, picture())


def test_it_is_a_function_of_the_generator_and_spares_its_input() -> None:
    settings = AugmentSettings(weather=1, camera=1, erase=1)
    for seed in range(60):  # every kind of weather and camera
        image = picture()
        first = augment(image, settings, rng(seed))
        np.testing.assert_array_equal(image, picture())
        np.testing.assert_array_equal(first, augment(image, settings, rng(seed)))
        assert first.shape == image.shape
        assert first.dtype == np.uint8
        assert (first != image).any()


def test_flip_mirrors_and_half_of_the_pictures_are() -> None:
    mirrored = 0
    for seed in range(200):
        changed = augment(picture(), only(flip=0.5), rng(seed))
        if not np.array_equal(changed, picture()):
            np.testing.assert_array_equal(changed, picture()[:, ::-1])
            mirrored += 1
    assert 70 < mirrored < 130


def test_a_flip_is_the_same_with_and_without_the_warp() -> None:
    smooth = np.linspace(0, 255, 48).astype(np.uint8)[None, :, None].repeat(48, 0).repeat(3, 2)
    warped = augment(smooth, only(flip=1, shift=1e-9), rng())
    assert np.abs(warped.astype(int) - smooth[:, ::-1]).max() <= 1


def test_shift_moves_what_is_in_the_middle_by_no_more_than_it_may() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[31:33, 31:33] = 255
    places = []
    for seed in range(100):
        changed = augment(image, only(shift=0.25), rng(seed))[..., 0].astype(float)
        ys, xs = np.mgrid[:64, :64]
        places.append(((changed * ys).sum() / changed.sum(), (changed * xs).sum() / changed.sum()))
    offsets = np.abs(np.array(places) - 31.5)
    assert offsets.max() <= 16.5
    assert offsets.max() > 12


@pytest.mark.parametrize(
    ("setting", "value"), [("brightness", 0.2), ("contrast", 0.3), ("colour_cast", 0.2), ("gamma", 0.3),
                           ("saturation", 0.5)]
)  # fmt: skip
def test_light_changes_values_not_places(setting: str, value: float) -> None:
    flat = np.full((8, 8, 3), (150, 100, 60), np.uint8)
    outcomes = {tuple(augment(flat, only(**{setting: value}), rng(s))[0, 0]) for s in range(30)}
    assert len(outcomes) > 5
    for seed in range(5):
        changed = augment(flat, only(**{setting: value}), rng(seed))
        assert (changed == changed[0, 0]).all()


def test_erasing_covers_a_small_part() -> None:
    for seed in range(30):
        changed = augment(picture(64), only(erase=1), rng(seed))
        assert 0 < (changed != picture(64)).any(axis=2).mean() < 0.05


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError):
        AugmentSettings.model_validate({"flipp": 0.5})
    with pytest.raises(ValidationError):
        AugmentSettings(flip=1.5)
