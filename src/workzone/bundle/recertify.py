"""The same model under a new policy: how a bundle is made valid for another city, without torch.

Knows how the copy is written and what it says of its origin; how the new policy was fitted and certified is
the caller's (`workzone.calibration`).
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import JsonValue

from workzone.bundle.files import hash_file
from workzone.bundle.reader import Bundle
from workzone.bundle.seen import SeenPictures
from workzone.bundle.writer import BundleParts, write_bundle
from workzone.core.errors import BundleError
from workzone.core.types import Lineage, Opening
from workzone.policy.calibrators import AnyCalibrator
from workzone.policy.policies import AnyPolicy


def write_recertified(
    bundle: Bundle,
    out: Path,
    *,
    policy: AnyPolicy,
    calibrator: AnyCalibrator,
    lineage: Lineage,
    seen: SeenPictures,
    metrics: JsonValue,
    card_note: str,
    created: datetime,
) -> Path:
    """Write a bundle with the model of `bundle` and a new policy and calibrator.

    Golden pictures, their logits and tolerances stay; their probabilities follow the new calibrator. The
    card keeps its text, with the note and the new promise put before it. The operating point is dropped: it
    was fitted for the old calibrator.

    Args:
        bundle: The verified bundle to start from.
        out: A new directory.
        policy: Certified on the new data, or with its refusal.
        calibrator: For the displayed probability.
        lineage: What policy and calibrator derive from, of the new data's split. What the model derives
            from is kept as the ancestor's lineage.
        seen: The new data's pictures of `select` and `calib`. What `bundle` has seen is kept as its
            ancestors'.
        metrics: What was measured on the new data.
        card_note: One paragraph of the card: on which data, when, by whom.
        created: When.

    Raises:
        ConfigError: `out` holds files already.
        ArtifactError: The lineage is one that a bundle must not have.
        BundleError: The model changed since `bundle` was opened, was trained or chosen on pictures of the
            new data, or the parts do not belong together.
    """
    manifest = bundle.manifest
    ancestors = manifest.opened | _ancestors(bundle)
    parts = BundleParts(
        name=manifest.name,
        created=created,
        package_version=version("workzone"),
        model=bundle.path / "model.onnx",
        weights=bundle.path / "model.safetensors",
        spec=manifest.model,
        preprocessing=manifest.preprocessing,
        calibrator=calibrator,
        policy=policy,
        backbone=manifest.backbone,
        golden=dataclasses.replace(bundle.golden, probs=calibrator.apply(bundle.golden.logits)),
        seen=bundle.seen.recertified(seen),
        metrics=metrics,
        card=_card(bundle, policy, card_note),
        lineage=lineage,
        serving=manifest.serving,
        recertified_from=bundle.digest,
        ancestor_lineage=ancestors,
    )
    for source in (parts.model, parts.weights):
        if hash_file(source) != manifest.files[source.name]:
            raise BundleError(f"'{source}' was changed since its bundle was opened. Get the bundle again.")
    return write_bundle(out, parts).path


def _ancestors(bundle: Bundle) -> Lineage:
    return frozenset(Opening(split, role) for split, role in bundle.manifest.ancestor_lineage)


def _card(bundle: Bundle, policy: AnyPolicy, note: str) -> str:
    promise = policy.certificate.statement if policy.certificate else f"No certificate. {policy.refusal}"
    return (
        f"# {bundle.manifest.name}, re-certified\n\n"
        f"The model of bundle {bundle.digest[:12]} under a new policy. {note.strip()}\n\n"
        f"{promise}\n\n"
        "What follows is the card of the bundle it was made from: its measures and its promise are those of "
        "the data it was made with, and do not hold here.\n\n---\n\n"
        f"{bundle.card}"
    )
