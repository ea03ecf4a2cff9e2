"""Weather does to a picture what weather does: less contrast, lighter or darker, more with strength."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from workzone.core.errors import ConfigError
from workzone.imaging import weather

Effect = Callable[[np.ndarray, float], np.ndarray]


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


EFFECTS: dict[str, Effect] = {
    "fog": lambda x, s: weather.add_fog(x, s, rng()),
    "rain": lambda x, s: weather.add_rain(x, s, rng()),
    "snow": lambda x, s: weather.add_snow(x, s, rng()),
    "night": lambda x, s: weather.darken(x, s, rng()),
    "lens": lambda x, s: weather.dirty_lens(x, s, rng()),
    "vignette": weather.vignette,
}


def street(height: int = 120, width: int = 160) -> np.ndarray:
    coarse = np.random.default_rng(3).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("name", EFFECTS)
def test_pure_repeatable_nothing_at_zero_and_more_with_strength(name: str) -> None:
    image = street()
    before = image.copy()
    effect = EFFECTS[name]
    assert np.array_equal(effect(image, 0.0), image)
    weak, strong = effect(image, 0.25), effect(image, 0.8)
    assert np.array_equal(image, before)
    assert weak.shape == strong.shape == image.shape
    assert weak.dtype == np.uint8
    assert np.array_equal(weak, effect(image, 0.25))
    change = [np.abs(x.astype(int) - image).mean() for x in (weak, strong)]
    assert 0.2 < change[0] < change[1]


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 5)])
def test_tiny_pictures(name: str, shape: tuple[int, int]) -> None:
    assert EFFECTS[name](np.full((*shape, 3), 90, np.uint8), 1.0).shape == (*shape, 3)


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strength_is_from_0_to_1(name: str, strength: float) -> None:
    with pytest.raises(ConfigError, match="0 to 1"):
        EFFECTS[name](street(), strength)


def test_directions() -> None:
    image = street()
    fog, night = EFFECTS["fog"](image, 0.7), EFFECTS["night"](image, 0.7)
    assert fog.std() < 0.8 * image.std()
    assert fog[:40].std() < fog[-20:].std()  # thicker far away
    assert night.mean() < 0.5 * image.mean()
    assert EFFECTS["snow"](image, 0.8).mean() > image.mean()
    corner, centre = (np.s_[:10, :10], np.s_[55:65, 75:85])
    dim = weather.vignette(np.full_like(image, 200), 0.8)
    assert dim[corner].mean() < 0.5 * dim[centre].mean()


def test_other_draws_give_other_pictures() -> None:
    image = street()
    first = weather.add_rain(image, 0.5, np.random.default_rng(1))
    assert not np.array_equal(first, weather.add_rain(image, 0.5, np.random.default_rng(2)))
