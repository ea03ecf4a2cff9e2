"""Writing a bundle: the one function that `pack` and `recertify` both end in.

Knows the layout; decides nothing about its content. The directory appears whole or not at all.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue

from workzone.bundle.golden import GOLDEN_NAME, GoldenSet, golden_to_bytes
from workzone.bundle.manifest import (
    MANIFEST_NAME,
    BackboneInfo,
    BundleManifest,
    ModelSpec,
    OperatingPoint,
    Serving,
    openings,
    render_manifest,
)
from workzone.bundle.reader import Bundle, open_bundle
from workzone.bundle.seen import SEEN_NAME, SeenPictures, seen_to_bytes
from workzone.core.errors import ConfigError
from workzone.core.types import Lineage
from workzone.imaging.preprocessing import Preprocessing
from workzone.policy.calibrators import AnyCalibrator, calibrator_to_json
from workzone.policy.policies import AnyPolicy, policy_to_json
from workzone.storage.atomic import atomic_directory
from workzone.storage.hashing import sha256_file
from workzone.storage.lineage import check_lineage


@dataclass(frozen=True, slots=True)
class BundleParts:
    """Everything that goes into a bundle."""

    name: str
    created: datetime
    package_version: str
    model: Path
    """model.onnx, fp32."""
    weights: Path
    """model.safetensors."""
    spec: ModelSpec
    preprocessing: Preprocessing
    calibrator: AnyCalibrator
    policy: AnyPolicy
    backbone: BackboneInfo
    golden: GoldenSet
    seen: SeenPictures
    metrics: JsonValue
    """What evaluation measured: a document, shown and never read back by code."""
    card: str
    lineage: Lineage
    serving: Serving = field(default_factory=Serving)
    operating_point: OperatingPoint | None = None
    recertified_from: str | None = None
    ancestor_lineage: Lineage = frozenset()


def write_bundle(directory: Path, parts: BundleParts) -> Bundle:
    """Write a bundle to `directory` and return it, opened and verified.

    Raises:
        ConfigError: `directory` holds files already.
        ArtifactError: The lineage is one that a bundle must not have.
        BundleError: The parts do not belong together.
    """
    check_lineage("bundle", parts.lineage)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"'{directory}' exists and is not empty; a bundle is written to a new directory.")
    with atomic_directory(directory) as temporary:
        _write_files(temporary, parts)
        (temporary / MANIFEST_NAME).write_bytes(render_manifest(_manifest(temporary, parts)))
        open_bundle(temporary)  # before it appears: a bundle that cannot be opened is not written
    return open_bundle(directory)


def _write_files(directory: Path, parts: BundleParts) -> None:
    shutil.copyfile(parts.model, directory / "model.onnx")
    shutil.copyfile(parts.weights, directory / "model.safetensors")
    (directory / "policy.json").write_bytes(_document(policy_to_json(parts.policy)))
    (directory / GOLDEN_NAME).write_bytes(golden_to_bytes(parts.golden))
    (directory / SEEN_NAME).write_bytes(seen_to_bytes(parts.seen))
    (directory / "metrics.json").write_bytes(_document(parts.metrics))
    (directory / "CARD.md").write_text(parts.card, encoding="utf-8")


def _manifest(directory: Path, parts: BundleParts) -> BundleManifest:
    return BundleManifest(
        name=parts.name,
        created=parts.created,
        package_version=parts.package_version,
        files={name: sha256_file(directory / name) for name in sorted(f.name for f in directory.iterdir())},
        preprocessing=parts.preprocessing,
        calibrator=calibrator_to_json(parts.calibrator),
        policy_kind=parts.policy.kind,
        operating_point=parts.operating_point,
        model=parts.spec,
        views=parts.spec.views,
        backbone=parts.backbone,
        serving=parts.serving,
        lineage=openings(parts.lineage),
        recertified_from=parts.recertified_from,
        ancestor_lineage=openings(parts.ancestor_lineage),
    )


def _document(value: JsonValue) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()
