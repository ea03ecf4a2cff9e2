"""Which bundle a miner may answer with: one that carries an operating point for the challenge profile in force.

Knows bundles and profiles; does not know the chain or how a bundle answers. There is no way round: without the point a
model would decide at its calibrated 0.5, and nobody would have measured what that earns.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from workzone.bundle.cascade import is_cascade
from workzone.bundle.reader import open_bundle
from workzone.core.errors import ConfigError
from workzone.core.lazy import check_installed
from workzone.engine.backend import PACKAGES, check_precision
from workzone.subnet.profiles import Profile, in_force, profile


@dataclass(frozen=True, slots=True)
class MinedBundle:
    """A verified bundle as the miner uses it.

    Attributes:
        path: Its directory.
        digest: Of the manifest that the threshold was read from.
        threshold: The logit that becomes one half.
        created: When it was packed.
    """

    path: Path
    digest: str
    threshold: float
    created: datetime


def profile_to_mine(name: str | None, today: date) -> Profile:
    """Return the profile to answer under.

    Args:
        name: As the user says; None: the one in force.
        today: In UTC.

    Raises:
        ConfigError: There is no such profile, or validators send nothing under it.
    """
    found = in_force(today) if name is None else profile(name)
    if not found.sends:
        raise ConfigError(
            f"Under the profile '{found.name}', in force since {found.first_day.isoformat()} as far as is known (last "
            f"seen {found.last_seen.isoformat()}), validators send no challenges and the miners' share is burnt. "
            "'workzone subnet state' shows whether that still holds; if challenges are sent again, name their profile "
            "with --profile."
        )
    return found


def mined_bundle(path: Path, under: Profile, backend: str | None = None) -> MinedBundle:
    """Verify a bundle and return it with its operating point.

    Args:
        path: Its directory.
        under: The profile to answer under.
        backend: What is to run it, a key of `engine.backend.BACKENDS`; None: what it was made for.

    Raises:
        BundleError: It was changed or is incomplete.
        ConfigError: It is a cascade, has no operating point for the profile, or is not for this backend.
        MissingExtraError: The backend's package is not installed.
    """
    if is_cascade(path):
        raise ConfigError(
            f"'{path}' is a cascade, which may defer and has no single threshold; a miner always answers. Give one of "
            "its bundles, and a cheaper one with --small."
        )
    bundle = open_bundle(path)
    manifest = bundle.manifest
    point = manifest.operating_point
    if point is None or point.profile != under.name:
        has = "none" if point is None else f"one for '{point.profile}'"
        raise ConfigError(
            f"'{path}' has no operating point for the profile '{under.name}' (it has {has}), so its answers would not "
            "be decided where they earn most. Make a bundle that has it: workzone subnet point "
            f"{path} DATASET --profile {under.name} --out NEW"
        )
    name = backend or manifest.serving.backend
    check_precision(name, manifest.serving.precision)
    if name in PACKAGES:
        check_installed(*PACKAGES[name])
    return MinedBundle(path, bundle.digest, point.threshold, manifest.created)
