"""Opening a bundle: everything is verified before anything of it is used.

Sizes, names, digest, hashes, schema, certificate and lineage are checked here; the engine then runs the
golden pictures. That is integrity, not authenticity: it shows that the files are those that were sealed
together, not who sealed them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from workzone.bundle.files import MAX_BYTES, hash_file, list_files, read_file, require_files
from workzone.bundle.golden import GOLDEN_NAME, GoldenSet, golden_from_bytes
from workzone.bundle.manifest import MANIFEST_NAME, BundleManifest, parse_manifest
from workzone.bundle.seen import ANCESTORS, SEEN_NAME, Part, SeenPictures, seen_from_bytes
from workzone.core.errors import ArtifactError, BundleError
from workzone.core.types import Role
from workzone.imaging.preprocessing import Preprocessing
from workzone.policy.calibrators import AnyCalibrator, calibrator_from_json
from workzone.policy.policies import AnyPolicy, policy_from_json
from workzone.policy.verification import verify_certificate
from workzone.storage.hashing import sha256_bytes
from workzone.storage.lineage import check_lineage


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle."""

    path: Path
    manifest: BundleManifest
    calibrator: AnyCalibrator
    policy: AnyPolicy
    preprocessing: Preprocessing
    model_path: Path
    """The model file that serves."""
    golden: GoldenSet
    seen: SeenPictures
    """Which pictures model, calibrator and policy derive from."""
    metrics: JsonValue
    card: str
    """CARD.md."""

    @property
    def digest(self) -> str:
        """The bundle's identity: SHA-256 of its manifest, which holds the hash of every file."""
        return self.manifest.digest


def open_bundle(path: Path) -> Bundle:
    """Open and verify the bundle in the directory `path`.

    Raises:
        BundleError: A file is missing, too much, too large, a link or changed (names it), the schema is of
            another version, the certificate does not follow from its counts or was made on what the model
            learned from, or it derives from `test`.
    """
    sizes = list_files(path)
    require_files(path, sizes, (MANIFEST_NAME,))  # before the others: an older version has other files
    manifest = parse_manifest(read_file(path / MANIFEST_NAME), str(path / MANIFEST_NAME))
    require_files(path, sizes)
    _check_names(path, set(sizes), manifest)
    small = {
        name: _verified(path / name, manifest)
        for name in ("policy.json", GOLDEN_NAME, SEEN_NAME, "metrics.json", "CARD.md")
    }
    for name in sorted(manifest.files.keys() - small.keys()):
        _check_hash(path / name, hash_file(path / name), manifest.files[name])
    policy = _policy(small["policy.json"], path / "policy.json")
    _check_consistent(path, manifest, policy)
    seen = _seen(small[SEEN_NAME], path, manifest)
    _check_calibration(path, policy, seen)
    return Bundle(
        path=path,
        manifest=manifest,
        calibrator=calibrator_from_json(manifest.calibrator),
        policy=policy,
        preprocessing=manifest.preprocessing,
        model_path=path / manifest.serving.model_file,
        golden=golden_from_bytes(small[GOLDEN_NAME]),
        seen=seen,
        metrics=_json(small["metrics.json"], path / "metrics.json"),
        card=_decoded(small["CARD.md"], path / "CARD.md"),
    )


def _check_names(path: Path, found: set[str], manifest: BundleManifest) -> None:
    listed = manifest.files.keys() | {MANIFEST_NAME}
    if extra := sorted(found - listed):
        raise BundleError(f"'{path}' holds '{extra[0]}', which its bundle.json does not list. Remove it.")
    if missing := sorted(listed - found):
        raise BundleError(
            f"'{path}' lacks '{missing[0]}', which its bundle.json lists. Get the bundle again."
        )
    if manifest.serving.model_file not in found:
        raise BundleError(
            f"'{path}' says that '{manifest.serving.model_file}' serves, which it does not hold."
        )


def _verified(path: Path, manifest: BundleManifest) -> bytes:
    """Return a file's bytes, which are the ones that were hashed."""
    data = read_file(path)
    _check_hash(path, sha256_bytes(data), manifest.files[path.name])
    return data


def _check_hash(path: Path, found: str, sealed: str) -> None:
    if found != sealed:
        raise BundleError(
            f"'{path}' was changed after the bundle was sealed: its SHA-256 is {found[:12]}, bundle.json "
            f"says {sealed[:12]}. Get the bundle again from where it came from."
        )


def _check_consistent(path: Path, manifest: BundleManifest, policy: AnyPolicy) -> None:
    """Check what ties the parts together: they are whole each by itself, but must also belong together."""
    spec, preprocessing = manifest.model, manifest.preprocessing
    if policy.kind != manifest.policy_kind:
        raise BundleError(f"'{path}': policy.json is of kind '{policy.kind}', not '{manifest.policy_kind}'.")
    if spec.size_px != preprocessing.size_px or spec.views != manifest.views:
        raise BundleError(
            f"'{path}': the model reads {spec.views} views of {spec.size_px} px, bundle.json promises "
            f"{manifest.views} views of {preprocessing.size_px} px."
        )
    try:
        check_lineage("bundle", manifest.opened)
    except ArtifactError as error:
        raise BundleError(f"'{path}': {error}") from error
    if any(role is Role.TEST for _, role in manifest.ancestor_lineage):
        raise BundleError(f"'{path}' comes from a bundle that derives from test, which none may know.")
    certificate = policy.certificate
    if certificate is None:
        return
    verify_certificate(certificate)
    if (certificate.split_sha256, Role.CALIB) not in manifest.lineage:
        raise BundleError(
            f"'{path}': the certificate names the calibration part of split {certificate.split_sha256[:12]}, "
            "which is not in the bundle's lineage. Policy and bundle do not belong together."
        )


def _seen(data: bytes, path: Path, manifest: BundleManifest) -> SeenPictures:
    """Read `seen.npz`, which must list pictures of exactly the roles that the lineage names.

    So a certified bundle lists its calibration pictures: without `calib` its certificate's split would not be
    in the lineage.
    """
    try:
        seen = seen_from_bytes(data, MAX_BYTES[SEEN_NAME])
    except BundleError as error:
        raise BundleError(f"'{path}': {error}") from error
    roles = {str(role) for _, role in manifest.lineage}
    for part in (Role.TRAIN, Role.SELECT, Role.CALIB):
        listed = len(getattr(seen, part))
        if (listed > 0) != (part in roles):
            raise BundleError(
                f"'{path}': {SEEN_NAME} lists {listed} pictures of '{part}', its lineage names "
                f"{', '.join(sorted(roles)) or 'no role'}. They do not belong together; pack the bundle again."
            )
    if manifest.recertified_from is None and any(len(getattr(seen, part)) for part in ANCESTORS):
        raise BundleError(f"'{path}': {SEEN_NAME} lists pictures of ancestors, which the bundle has not.")
    return seen


def _check_calibration(path: Path, policy: AnyPolicy, seen: SeenPictures) -> None:
    """Check that the listed calibration pictures are those that the certificate was made on."""
    certificate = policy.certificate
    if certificate is not None and certificate.calibration_sha256 != seen.sha256(Part.CALIB):
        raise BundleError(
            f"'{path}': the {len(seen.calib)} pictures of 'calib' in {SEEN_NAME} are not those that the "
            f"certificate was made on: their hash is {seen.sha256(Part.CALIB)[:12]}, it names "
            f"{certificate.calibration_sha256[:12]}. Policy and bundle do not belong together."
        )


def _policy(data: bytes, path: Path) -> AnyPolicy:
    try:
        return policy_from_json(_json(data, path))
    except BundleError as error:
        raise BundleError(f"'{path}': {error}") from error


def _decoded(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"'{path}' is not UTF-8 text ({error.reason}).") from error


def _json(data: bytes, path: Path) -> JsonValue:
    try:
        value: JsonValue = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"'{path}' is not JSON ({error}).") from error
    return value
