"""Which challenges the validators sent when: the versions of the protocol, as frozen records.

The table is `profiles.yaml`; here is how it is read and looked up. Knows no pixels (see `challenge`) and no model. The
challenge has changed three times in five months of 2026, so nothing elsewhere may assume one: every command that
depends on it names a profile. Dates are days in UTC, from the subnet's own commits; validators update by themselves,
so on the day of a change both may be met.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from workzone.core.errors import ConfigError, nearest

_TABLE = Path(__file__).with_name("profiles.yaml")
HIGHEST_DISTORTION = 5
"""Distortion levels have parameters from 1 to this."""


class Source(StrEnum):
    """Where a challenge's picture comes from."""

    SYNTHETIC = "synthetic"
    """Drawn by a diffusion model, from text or from a real picture."""
    REAL = "real"
    """A photograph of the public data set."""
    CUSTOMER = "customer"
    """A photograph of the operator's customers."""


class Framing(StrEnum):
    """How a picture becomes the challenge's canvas."""

    CENTRE_CROP = "centre_crop"
    """The central square, resized."""
    ROTATED_CROP = "rotated_crop"
    """Turned by up to 20 degrees, then a random square of a fifth of the area or more, resized."""
    LETTERBOX = "letterbox"
    """All of it, between black bars."""
    ROTATED_LETTERBOX = "rotated_letterbox"
    """All of it, between black bars, then turned by up to 20 degrees on the same canvas."""
    FULL = "full"
    """As it is, in its own size."""


class Distortion(StrEnum):
    """What may be done to the pixels afterwards; the validators' names for them are in `profiles.yaml`."""

    CHROMA = "chroma"
    CONTRAST = "contrast"
    RESAMPLING = "resampling"
    NOISE = "noise"
    BLUR = "blur"


@dataclass(frozen=True, slots=True)
class Level:
    """One of the degrees of difficulty of a profile."""

    number: int
    """From 0, by what is done to the picture."""
    probability: float
    framing: Framing
    distortions: tuple[tuple[Distortion, int], ...] = ()
    """In the order of application: what, and the highest level that is drawn (0, none, is as likely as each)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One version of the challenge."""

    name: str
    first_day: date
    last_seen: date
    """The last day on which it is known to have been in force."""
    size_px: int | None
    """Side of the square that is sent; None: pictures keep their size."""
    levels: tuple[Level, ...]
    sources: Mapping[Source, float]
    """Share of the challenges by where the picture comes from; adds up to 1."""
    jpeg_quality: int
    """Of the JPEG that travels."""
    note: str

    @property
    def sends(self) -> bool:
        """Whether there are any challenges under it."""
        return bool(self.levels)

    def level(self, number: int) -> Level:
        """Return the level of this number.

        Raises:
            ConfigError: The profile has no such level.
        """
        for level in self.levels:
            if level.number == number:
                return level
        raise ConfigError(
            f"Profile '{self.name}' has no level {number}; "
            f"it has {', '.join(str(one.number) for one in self.levels) or 'none, for nothing is sent'}."
        )


@cache
def load_profiles() -> Mapping[str, Profile]:
    """Return all known profiles by name, oldest first."""
    profiles = [_profile(row) for row in _table()["profiles"]]
    return MappingProxyType({one.name: one for one in sorted(profiles, key=lambda one: one.first_day)})


def profile(name: str) -> Profile:
    """Return the profile of this name.

    Raises:
        ConfigError: There is none; the nearest name is in the message.
    """
    profiles = load_profiles()
    if name not in profiles:
        raise ConfigError(f"There is no challenge profile '{name}'.{nearest(name, profiles)}")
    return profiles[name]


def in_force(day: date) -> Profile:
    """Return the profile that is in force on this day, as far as is known: the youngest that began by then.

    Raises:
        ConfigError: The day is before the first known profile.
    """
    profiles = list(load_profiles().values())
    begun = [one for one in profiles if one.first_day <= day]
    if not begun:
        raise ConfigError(
            f"No challenge profile is known for {day.isoformat()}; the first one, '{profiles[0].name}', "
            f"began on {profiles[0].first_day.isoformat()}."
        )
    return begun[-1]


def distortion_parameter(distortion: Distortion, level: int) -> float:
    """Return what a distortion is applied with at a level from 1 to 5: a factor, a variance or pixels.

    >>> distortion_parameter(Distortion.CONTRAST, 2)
    0.725

    Raises:
        ConfigError: There is no such level.
    """
    if not 1 <= level <= HIGHEST_DISTORTION:
        raise ConfigError(f"Distortions have levels 1 to {HIGHEST_DISTORTION}, not {level}; 0 means none.")
    return float(_table()["distortions"][distortion.value][level - 1])


@cache
def _table() -> Mapping[str, Any]:
    table: dict[str, Any] = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    return MappingProxyType(table)


def _profile(row: Mapping[str, Any]) -> Profile:
    levels = tuple(
        Level(
            number=number,
            probability=float(level["probability"]),
            framing=Framing(level["framing"]),
            distortions=tuple((Distortion(k), int(v)) for k, v in level.get("distortions", {}).items()),
        )
        for number, level in enumerate(row["levels"])
    )
    sources = {Source(name): float(share) for name, share in row["sources"].items()}
    assert not levels or math.isclose(sum(level.probability for level in levels), 1)
    assert not levels or math.isclose(sum(sources.values()), 1)
    return Profile(
        name=str(row["name"]),
        first_day=row["first_day"],
        last_seen=row["last_seen"],
        size_px=row["size_px"],
        levels=levels,
        sources=MappingProxyType(sources),
        jpeg_quality=int(row["jpeg_quality"]),
        note=str(row["note"]),
    )
