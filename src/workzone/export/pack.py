"""`pack`: the frozen model, its calibrator and its policy become the bundle that is deployed.

Knows what belongs in it; opens no data. What it wrote is opened with the serving engine before it
counts as done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import JsonValue

from workzone.bundle.manifest import Serving
from workzone.bundle.model import open_model as open_frozen
from workzone.bundle.seen import SeenPictures
from workzone.bundle.writer import BundleParts, write_bundle
from workzone.core.types import Lineage
from workzone.engine.predictor import Predictor, open_predictor
from workzone.engine.scorer import open_model
from workzone.export.card import DataFacts, MeasureLine, render_card
from workzone.export.golden import DEFAULT_TOLERANCE, select_golden
from workzone.policy.calibrators import AnyCalibrator
from workzone.policy.policies import AnyPolicy


def pack(
    model: Path,
    output: Path,
    *,
    name: str,
    created: datetime,
    calibrator: AnyCalibrator,
    policy: AnyPolicy,
    golden_candidates: Sequence[bytes],
    lineage: Lineage,
    seen: SeenPictures,
    data: DataFacts,
    metrics: JsonValue = None,
    measures: Sequence[MeasureLine] = (),
    n_golden: int = 6,
    golden_tolerance: float = DEFAULT_TOLERANCE,
) -> Predictor:
    """Write a bundle to `output` and return it, opened by the engine.

    Args:
        model: The frozen model that `freeze` wrote.
        output: A new or empty directory.
        name: Of the bundle.
        created: When its run began.
        calibrator: For the displayed probability.
        policy: With its certificate, or with the refusal.
        golden_candidates: Encoded rendered pictures, a few times as many as `n_golden`; never photographs.
        lineage: All that model, calibrator and policy derive from.
        seen: The pictures of it: of every role that the lineage names.
        data: What the card says of the data.
        metrics: What was measured, for `metrics.json`.
        measures: The same for a reader, for the card.
        n_golden: How many golden pictures.
        golden_tolerance: Largest difference of a golden logit that is let through; of a reduced precision at least
            what it changed on the parity pictures, because another machine may round as differently.

    Raises:
        ArtifactError: The frozen model is incomplete, no candidate can be a golden picture, or the lineage is
            one that a bundle must not have.
        BundleError: What was written does not open or does not answer as sealed.
        ConfigError: `output` holds files already.
    """
    frozen = open_frozen(model)
    record = frozen.record
    golden = select_golden(
        open_model(model),
        golden_candidates,
        calibrator,
        policy,
        n=n_golden,
        tolerance=golden_tolerance
        if record.precision == "fp32"
        else max(golden_tolerance, record.parity.max_abs_logit),
        precision=record.precision,
    )
    parts = BundleParts(
        name=name,
        created=created,
        package_version=version("workzone"),
        model=frozen.model_path,
        weights=frozen.weights_path,
        spec=record.spec,
        preprocessing=record.preprocessing,
        calibrator=calibrator,
        policy=policy,
        backbone=record.backbone,
        golden=golden,
        seen=seen,
        metrics=metrics,
        card=render_card(name, record, policy, data, measures),
        lineage=lineage,
        serving=Serving(precision=record.precision, backend=record.backend),
    )
    return open_predictor(write_bundle(output, parts).path)
