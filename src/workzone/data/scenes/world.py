"""What a rendered world is made of, in words: its conditions, its specification, and the frames it yields.

Knows no geometry and draws nothing. Whether a scene has road work is not drawn here but given by the
caller (`Label`), so that a data set can be balanced; `roadwork_share` is there for callers that draw it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError


class Daytime(StrEnum):
    """How much light there is."""

    DAY = "day"
    DUSK = "dusk"
    NIGHT = "night"


class Weather(StrEnum):
    """What is in the air."""

    CLEAR = "clear"
    RAIN = "rain"
    FOG = "fog"
    SNOW = "snow"


class Environment(StrEnum):
    """What stands beside the road."""

    URBAN = "urban"
    RESIDENTIAL = "residential"
    HIGHWAY = "highway"


class Shift(StrEnum):
    """How a world differs from the usual one, for tests of drift."""

    NONE = "none"
    NIGHT = "night"
    """Nearly always night."""
    SNOW = "snow"
    """Nearly always snow."""
    CITY = "city"
    """Another city: left-hand traffic, taller houses, other markings, other road-work equipment."""
    CAMERA = "camera"
    """Another camera: wide, high, tilted, barrel-distorted, with a colour cast and more noise."""


class Category(StrEnum):
    """What an object means for the question."""

    ROADWORK = "roadwork"
    HARD_NEGATIVE = "hard_negative"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """The distribution that scenes are drawn from.

    Args:
        width_px: picture width, 64 to 2048.
        height_px: picture height, 64 to 2048.
        roadwork_share: share of sequences with road work, in [0, 1]; for callers that draw the label.
        hard_negative_share: share of sequences without road work that are crowded with its colours and
            shapes, in [0, 1]. Sequences with road work get them at half that share.
        shift: how the world differs from the usual one.

    Raises:
        ConfigError: a value is outside its range.
    """

    width_px: int = 256
    height_px: int = 192
    roadwork_share: float = 0.5
    hard_negative_share: float = 0.8
    shift: Shift = Shift.NONE

    def __post_init__(self) -> None:
        for name, size in (("width_px", self.width_px), ("height_px", self.height_px)):
            if not 64 <= size <= 2048:
                raise ConfigError(f"{name} is {size}; a scene is 64 to 2048 pixels wide and high.")
        for name, share in (
            ("roadwork_share", self.roadwork_share),
            ("hard_negative_share", self.hard_negative_share),
        ):
            if not 0.0 <= share <= 1.0:
                raise ConfigError(f"{name} is {share}; a share lies between 0 and 1.")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one sequence shares: drawn once, before anything is placed and without looking at the label."""

    daytime: Daytime
    weather: Weather
    environment: Environment
    autumn: bool
    """Whether broad-leaved trees have turned."""


@dataclass(frozen=True, slots=True)
class Box:
    """One object in the picture: what it is and where, clipped to the picture."""

    type: str
    category: Category
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    visible: float
    """Share of the object's drawn surface that nothing hides and the picture's edge does not cut, [0, 1]."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a sequence and everything known of it."""

    image_rgb_u8: NDArray[np.uint8]
    """[H, W, 3]."""
    boxes: tuple[Box, ...]
    """Every object with at least two pixels of width and height in the picture, near ones last."""
    daytime: Daytime
    weather: Weather
    environment: Environment
    caption: str
    """One English sentence: conditions, and what the scene shows."""
    camera: str
    """Name of the camera that took it."""

    @property
    def hard_negatives(self) -> tuple[str, ...]:
        """Types of the hard negatives in the picture, sorted, each once."""
        return tuple(sorted({box.type for box in self.boxes if box.category is Category.HARD_NEGATIVE}))

    @property
    def roadwork(self) -> tuple[str, ...]:
        """Types of the road-work objects in the picture, sorted, each once."""
        return tuple(sorted({box.type for box in self.boxes if box.category is Category.ROADWORK}))
