"""The cascade on disk: which bundles answer in which order, what each costs, and what each path promises.

A directory with `cascade.json` (stages by digest and relative path, costs, deadlines, the certificate of every
path) and `seen.npz` (the pictures that it was certified on). Sealed as a bundle is: canonical text, a digest of
itself, the hash of the other file; integrity, not authenticity. Opening opens every stage.

The decision a reader would question: a cascade is refused where it was certified on pictures that a stage's
*policy* was fitted on, though that bundle's own certificate was made on them. That certificate allows for its
thresholds having been walked there; the end-to-end test does not.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError

from workzone.bundle.files import read_bounded
from workzone.bundle.manifest import Section, Sha256
from workzone.bundle.reader import Bundle, open_bundle
from workzone.bundle.seen import SEEN_NAME, Part, SeenPictures, seen_from_bytes, seen_to_bytes
from workzone.core.errors import ArtifactError, BundleError, ConfigError
from workzone.policy.cascade import CascadePath, check_paths
from workzone.policy.strict_json import read_record
from workzone.policy.verification import verify_certificate
from workzone.storage.atomic import atomic_directory
from workzone.storage.hashing import sha256_bytes, sha256_json
from workzone.storage.jsonfile import parse_json

CASCADE_NAME = "cascade.json"
_MAX_BYTES = {CASCADE_NAME: 16 << 20, SEEN_NAME: 256 << 20}
_LEARNED = (Part.TRAIN, Part.SELECT, Part.CALIB, Part.ANCESTOR_MODEL)
"""What a stage's present answers derive from; `ancestor_policy` was used by policies that are gone."""


class CascadeStage(Section):
    """One stage: a bundle that answers, or defers to the next."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    path: Annotated[str, Field(min_length=1, max_length=1000)] = Field(
        description="Directory of the bundle, relative to the cascade's, with '/'."
    )
    digest: Sha256 = Field(description="Of the bundle.")
    cost: float = Field(ge=0, allow_inf_nan=False, description="Of asking it for one picture.")
    deadline_ms: float = Field(gt=0, allow_inf_nan=False, description="It is late after this.")
    fallback: Literal["defer"] = Field("defer", description="What is answered while it is out or late.")


class CascadeManifest(Section):
    """`cascade.json` without its digest, which is computed from it."""

    schema_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
    created: datetime
    package_version: Annotated[str, Field(min_length=1, max_length=1000)]
    stages: tuple[CascadeStage, ...] = Field(min_length=2)
    paths: JsonValue = Field(description="For 1, 2, ... stages: the certificate, or why there is none.")
    seen_sha256: Sha256 = Field(description="Of seen.npz.")

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the manifest: the identity of the cascade."""
        return sha256_json(self.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class CascadeParts:
    """Everything that goes into a cascade."""

    name: str
    created: datetime
    package_version: str
    stages: tuple[CascadeStage, ...]
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


def write_cascade(directory: Path, parts: CascadeParts) -> CascadeBundle:
    """Write a cascade to `directory` and return it, opened and verified.

    Raises:
        ConfigError: `directory` holds files already, or the parts are not of the right form.
        BundleError: A stage is not the bundle that it should be, the certificates do not hold, or were made
            on pictures that a stage has learned from.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"'{directory}' exists and is not empty; a cascade is written to a new directory.")
    seen = seen_to_bytes(SeenPictures.from_ids(calib=parts.calibration_ids))
    try:
        manifest = CascadeManifest(
            name=parts.name,
            created=parts.created,
            package_version=parts.package_version,
            stages=parts.stages,
            paths=json.loads(json.dumps([asdict(path) for path in parts.paths], allow_nan=False)),
            seen_sha256=sha256_bytes(seen),
        )
    except ValidationError as error:
        raise ConfigError(f"This is no cascade: {_faults(error)}.") from error
    with atomic_directory(directory) as temporary:
        (temporary / SEEN_NAME).write_bytes(seen)
        (temporary / CASCADE_NAME).write_bytes(_render(manifest))
        open_cascade(temporary)  # a sibling of `directory`, so that relative paths lead to the same place
    return open_cascade(directory)


def open_cascade(path: Path) -> CascadeBundle:
    """Open and verify the cascade in the directory `path`, with the bundle of every stage.

    Raises:
        BundleError: It or a stage was changed, is incomplete, or is another; the certificates do not follow
            from their counts, or were made on pictures that a stage has learned from.
    """
    _check_files(path)
    manifest = _parse(_read(path / CASCADE_NAME), str(path / CASCADE_NAME))
    data = _read(path / SEEN_NAME)
    if sha256_bytes(data) != manifest.seen_sha256:
        raise BundleError(f"'{path / SEEN_NAME}' was changed after the cascade was sealed. Get it again.")
    seen = seen_from_bytes(data, _MAX_BYTES[SEEN_NAME])
    stages = tuple(_open_stage(path, stage) for stage in manifest.stages)
    for key in ("name", "digest"):
        if len({getattr(stage, key) for stage in manifest.stages}) < len(stages):
            raise BundleError(f"'{path}': two stages have one {key}; each is asked once.")
    paths = _paths(path, manifest)
    _check_calibration(path, manifest, stages, paths, seen)
    return CascadeBundle(path, manifest, stages, paths, seen)


def stage_path(cascade: Path, stage: CascadeStage) -> Path:
    """Return where a stage's bundle lies.

    Raises:
        BundleError: Its path is not relative, or is not plain.
    """
    relative = PurePosixPath(stage.path)
    if relative.is_absolute() or "\\" in stage.path or "\0" in stage.path:
        raise BundleError(
            f"'{cascade}': the path '{stage.path}' of stage '{stage.name}' is not relative to the cascade. "
            "Put the bundles beside it, and write it again."
        )
    return cascade.absolute() / relative


def _open_stage(cascade: Path, stage: CascadeStage) -> Bundle:
    bundle = open_bundle(stage_path(cascade, stage))
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
        known = int(bundle.seen.overlap_with(ids, parts=_LEARNED).sum())
        if known:
            raise BundleError(
                f"'{path}': {known} of the {len(ids)} pictures that the cascade was certified on are among those "
                f"that model or policy of stage '{stage.name}' learned from; expected none. Certify it on "
                "pictures that are new to every stage."
            )


def _check_files(path: Path) -> None:
    if not path.is_dir():
        raise BundleError(f"'{path}' is not a cascade: expected a directory with {CASCADE_NAME}.")
    with os.scandir(path) as entries:
        plain = {e.name: stat.S_ISREG(e.stat(follow_symlinks=False).st_mode) for e in entries}
    if missing := sorted(_MAX_BYTES.keys() - plain.keys()):
        raise BundleError(f"'{path}' is not a whole cascade: it lacks '{missing[0]}'. Get it again.")
    if strange := sorted(name for name, regular in plain.items() if name not in _MAX_BYTES or not regular):
        raise BundleError(f"'{path}' holds '{strange[0]}', which no cascade holds. Remove it.")


def _read(path: Path) -> bytes:
    return read_bounded(path, _MAX_BYTES[path.name])


def _render(manifest: CascadeManifest) -> bytes:
    value = {**manifest.model_dump(mode="json"), "digest": manifest.digest}
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode()


def _parse(data: bytes, where: str) -> CascadeManifest:
    try:
        value: Any = parse_json(data, f"'{where}'")
    except ArtifactError as error:
        raise BundleError(str(error)) from error
    digest = value.pop("digest", None) if isinstance(value, dict) else None
    try:
        manifest = CascadeManifest.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise BundleError(f"'{where}' is not a cascade of schema version 1 ({_faults(error)}).") from error
    if digest != manifest.digest or _render(manifest) != data:
        raise BundleError(
            f"'{where}' was changed after the cascade was sealed: its digest does not fit its content. "
            "Get the cascade again from where it came from."
        )
    return manifest


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors()[:3])
