"""The cascade on disk: a directory that can be copied as a whole, with the bundle of every stage in it.

`cascade.json` (stages by digest, costs, deadlines, the certificate of every path), `seen.npz` (the pictures that it was
certified on) and `stages/<name>/` (a copy of each stage's bundle). Opening verifies all of it, every bundle included.

The decision a reader would question: a cascade is refused where it was certified on pictures that a stage's
*policy* was fitted on, though that bundle's own certificate was made on them. That certificate allows for its
thresholds having been walked there; the end-to-end test does not.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from workzone.bundle.cascade_manifest import (
    CascadeManifest,
    CascadeStage,
    faults,
    parse_cascade,
    render_cascade,
)
from workzone.bundle.files import list_files, read_bounded
from workzone.bundle.reader import Bundle, open_bundle
from workzone.bundle.seen import SEEN_NAME, Part, SeenPictures, seen_from_bytes, seen_to_bytes
from workzone.core.errors import BundleError, ConfigError, DataError
from workzone.policy.cascade import CascadePath, Reach, check_paths, check_reach
from workzone.policy.strict_json import read_record
from workzone.policy.verification import verify_certificate
from workzone.storage.atomic import atomic_directory
from workzone.storage.hashing import sha256_bytes

CASCADE_NAME = "cascade.json"
STAGES_NAME = "stages"
_MAX_BYTES = {CASCADE_NAME: 16 << 20, SEEN_NAME: 256 << 20}
_LEARNED = (Part.TRAIN, Part.SELECT, Part.CALIB, Part.ANCESTOR_MODEL)
"""What a stage's present answers derive from; `ancestor_policy` was used by policies that are gone."""


@dataclass(frozen=True, slots=True)
class CascadeParts:
    """Everything that goes into a cascade."""

    name: str
    created: datetime
    package_version: str
    stages: tuple[CascadeStage, ...]
    bundles: tuple[Path, ...]
    """The stages' bundles, which are copied."""
    reach: Reach
    paths: tuple[CascadePath, ...]
    """As `calibration.cascade.certify_cascade` gives them."""
    calibration_ids: tuple[str, ...]
    """Sample ids of all pictures that it was certified on."""


@dataclass(frozen=True, slots=True)
class CascadeBundle:
    """A verified cascade."""

    path: Path
    manifest: CascadeManifest
    stages: tuple[Bundle, ...]
    paths: tuple[CascadePath, ...]
    """For 1, 2, ... stages."""
    seen: SeenPictures

    @property
    def digest(self) -> str:
        """The cascade's identity, which holds the digest of every stage."""
        return self.manifest.digest


def is_cascade(path: Path) -> bool:
    """Return whether `path` is meant as a cascade rather than as a bundle; says nothing of its soundness."""
    return (path / CASCADE_NAME).is_file()


def write_cascade(directory: Path, parts: CascadeParts) -> CascadeBundle:
    """Write a cascade to `directory` and return it, opened and verified.

    Raises:
        ConfigError: `directory` holds files already, or the parts are not of the right form.
        BundleError: A stage is not the bundle that it should be, the certificates do not hold, or were made
            on pictures that a stage has learned from.
    """
    check_new_directory(directory)
    seen = seen_to_bytes(SeenPictures.from_ids(calib=parts.calibration_ids))
    try:
        manifest = CascadeManifest(
            name=parts.name,
            created=parts.created,
            package_version=parts.package_version,
            stages=parts.stages,
            reach=parts.reach,
            paths=json.loads(json.dumps([asdict(path) for path in parts.paths], allow_nan=False)),
            seen_sha256=sha256_bytes(seen),
        )
    except ValidationError as error:
        raise ConfigError(f"This is no cascade: {faults(error)}.") from error
    _check_distinct(directory, manifest)
    if len(parts.bundles) != len(parts.stages):
        raise ConfigError(f"{len(parts.stages)} stages need as many bundles, got {len(parts.bundles)}.")
    with atomic_directory(directory) as temporary:
        for stage, bundle in zip(parts.stages, parts.bundles, strict=True):
            _copy(bundle, temporary / STAGES_NAME / stage.name)
        (temporary / SEEN_NAME).write_bytes(seen)
        (temporary / CASCADE_NAME).write_bytes(render_cascade(manifest))
        open_cascade(temporary)  # before it appears: a cascade that cannot be opened is not written
    return open_cascade(directory)


def open_cascade(path: Path) -> CascadeBundle:
    """Open and verify the cascade in the directory `path`, with the bundle of every stage.

    Raises:
        BundleError: It or a stage was changed, is incomplete, or is another; the certificates do not follow
            from their counts, or were made on pictures that a stage has learned from.
    """
    _check_files(path)
    manifest = parse_cascade(_read(path / CASCADE_NAME), str(path / CASCADE_NAME))
    data = _read(path / SEEN_NAME)
    if sha256_bytes(data) != manifest.seen_sha256:
        raise BundleError(f"'{path / SEEN_NAME}' was changed after the cascade was sealed. Get it again.")
    seen = seen_from_bytes(data, _MAX_BYTES[SEEN_NAME])
    _check_distinct(path, manifest)
    _check_directories(path, manifest)
    stages = tuple(_open_stage(path, stage) for stage in manifest.stages)
    paths = _paths(path, manifest)
    _check_calibration(path, manifest, stages, paths, seen)
    check_reach(manifest.reach, paths, len(seen.calib))
    return CascadeBundle(path, manifest, stages, paths, seen)


def check_new_directory(directory: Path) -> None:
    """Refuse a place where something is already: asked before hours of scoring, not after.

    Raises:
        ConfigError: `directory` is no empty directory.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"'{directory}' exists and is not empty; a cascade is written to a new directory.")


def check_new_to_stages(
    stages: Mapping[str, SeenPictures], ids: ArrayLike, groups: ArrayLike, *, what: str
) -> None:
    """Refuse to certify a cascade on pictures that model or policy of a stage learned from.

    Args:
        stages: Name → what that stage's bundle has seen.
        ids: str [N], sample ids of all pictures that it would be certified on.
        groups: str [N], their groups, so that the message can say how much must go.
        what: What the message calls these pictures, as "data set 'kerb'".

    Raises:
        DataError: There are such pictures; says how many by stage, in how many groups, and what to do.
    """
    by_stage = {name: _learned(seen, ids) for name, seen in stages.items()}
    known = np.logical_or.reduce(list(by_stage.values()))
    if not known.any():
        return
    names = np.asarray(groups, dtype=np.str_)
    tainted = np.unique(names[known])
    which = " and ".join(f"{int(k.sum())} by stage '{name}'" for name, k in by_stage.items() if k.any())
    raise DataError(
        f"Of the {len(known)} pictures of {what} some were learned from: {which}, for its model or its policy; "
        "expected none: the thresholds of a stage look good on the pictures that they were chosen on, and the "
        f"test of the whole does not allow for that. Leave out their {len(tainted)} groups whole "
        f"({int(np.isin(names, tainted).sum())} pictures, such as group '{tainted[0]}'), or label pictures that "
        "are new to every stage."
    )


def _learned(seen: SeenPictures, ids: ArrayLike) -> NDArray[np.bool_]:
    return seen.overlap_with(ids, parts=_LEARNED)


def _copy(bundle: Path, target: Path) -> None:
    """Copy a bundle's files; whether they are the right ones is seen when the copy is opened."""
    target.mkdir(parents=True)
    for name in list_files(bundle):
        shutil.copyfile(bundle / name, target / name, follow_symlinks=False)


def _open_stage(cascade: Path, stage: CascadeStage) -> Bundle:
    bundle = open_bundle(cascade / STAGES_NAME / stage.name)
    if bundle.digest != stage.digest:
        raise BundleError(
            f"'{bundle.path}' is not the bundle of stage '{stage.name}' of '{cascade}': its digest is "
            f"{bundle.digest[:12]}, expected {stage.digest[:12]}. Another bundle there voids every certificate "
            "of the cascade: put the old one back, or certify the cascade again."
        )
    return bundle


def _paths(path: Path, manifest: CascadeManifest) -> tuple[CascadePath, ...]:
    values = manifest.paths
    if not isinstance(values, list) or len(values) != len(manifest.stages):
        raise BundleError(f"'{path}': {len(manifest.stages)} stages need as many paths.")
    paths = tuple(read_record(CascadePath, value, "cascade's path") for value in values)
    for each in paths:
        if each.certificate is not None:
            verify_certificate(each.certificate)
    check_paths(paths)
    return paths


def _check_distinct(path: Path, manifest: CascadeManifest) -> None:
    for key in ("name", "digest"):
        if len({getattr(stage, key) for stage in manifest.stages}) < len(manifest.stages):
            raise BundleError(
                f"'{path}': two stages have one {key}; each is asked once. Give different bundles, each with a "
                "name of its own."
            )


def _check_calibration(
    path: Path,
    manifest: CascadeManifest,
    stages: Sequence[Bundle],
    paths: Sequence[CascadePath],
    seen: SeenPictures,
) -> None:
    """Check that the certificates were made on the listed pictures, and no stage has learned from these."""
    promise = paths[-1].certificate  # without it no shorter path has one
    if promise is None:
        return
    if promise.calibration_sha256 != seen.sha256(Part.CALIB):
        raise BundleError(f"'{path}': the pictures of {SEEN_NAME} are not those of the certificates.")
    ids = seen.ids(Part.CALIB)
    for stage, bundle in zip(manifest.stages, stages, strict=True):
        known = int(_learned(bundle.seen, ids).sum())
        if known:
            raise BundleError(
                f"'{path}': {known} of the {len(ids)} pictures that the cascade was certified on are among those "
                f"that model or policy of stage '{stage.name}' learned from; expected none. Certify it on "
                "pictures that are new to every stage."
            )


def _check_files(path: Path) -> None:
    if not path.is_dir():
        raise BundleError(f"'{path}' is not a cascade: expected a directory with {CASCADE_NAME}.")
    expected = {**dict.fromkeys(_MAX_BYTES, stat.S_IFREG), STAGES_NAME: stat.S_IFDIR}
    with os.scandir(path) as entries:
        found = {e.name: stat.S_IFMT(e.stat(follow_symlinks=False).st_mode) for e in entries}
    if missing := sorted(expected.keys() - found.keys()):
        raise BundleError(f"'{path}' is not a whole cascade: it lacks '{missing[0]}'. Get it again.")
    if strange := sorted(name for name, kind in found.items() if expected.get(name) != kind):
        raise BundleError(f"'{path}' holds '{strange[0]}', which no cascade holds. Remove it.")


def _check_directories(path: Path, manifest: CascadeManifest) -> None:
    """Check that `stages/` holds a real directory for each stage and nothing else: a link may lead outside."""
    with os.scandir(path / STAGES_NAME) as entries:
        found = {e.name: e.is_dir(follow_symlinks=False) for e in entries}
    names = {stage.name for stage in manifest.stages}
    if missing := sorted(names - found.keys()):
        raise BundleError(f"'{path}' is not a whole cascade: it lacks the bundle of stage '{missing[0]}'.")
    if strange := sorted(name for name, plain in found.items() if name not in names or not plain):
        raise BundleError(
            f"'{path / STAGES_NAME}' holds '{strange[0]}', which is no stage's directory; a cascade holds the "
            "bundles of its stages themselves, no links, and nothing else."
        )


def _read(path: Path) -> bytes:
    return read_bounded(path, _MAX_BYTES[path.name])
