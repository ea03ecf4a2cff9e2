"""`pack`: model, calibrator and policy become the bundle; the report is cited, not derived from.

The split is read for which pictures had which role: no picture is opened, and the ids of `test` stay out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workzone.bundle.seen import SeenPictures
from workzone.core.types import Label, Role
from workzone.data.render import encode_jpeg
from workzone.data.scenes.compose import render_sequence
from workzone.data.scenes.world import WorldSpec
from workzone.data.split import Split, read_split
from workzone.data.tables import equal_to, strings
from workzone.evaluation.report_json import FILE_NAME, read_report
from workzone.export.card import DataFacts, MeasureLine
from workzone.phases.calibrate import read_calibrator
from workzone.phases.policy import read_policy
from workzone.phases.recipe import PackSection
from workzone.pipeline.phase import Phase, PhaseContext

GOLDEN_SEED = 20_000_003
"""Far from any data set's seed: golden pictures are of no data set."""
CANDIDATES_PER_GOLDEN = 6


def pack_phase(settings: PackSection, name: str, data: DataFacts) -> Phase:
    """Build the phase."""

    def run(context: PhaseContext) -> None:
        from workzone.export.pack import pack

        report = read_report(context.inputs["report"] / FILE_NAME)
        pack(
            context.inputs["model"],
            context.output,
            name=name,
            created=context.created,
            calibrator=read_calibrator(context),
            policy=read_policy(context),
            golden_candidates=golden_candidates(settings.golden * CANDIDATES_PER_GOLDEN),
            lineage=context.lineage,
            seen=seen_pictures(read_split(context.inputs["split"])),
            data=data,
            metrics={"provenance": report["provenance"], "measures": report["evaluation"]["measures"]},
            measures=_lines(report["evaluation"]["measures"]),
            n_golden=settings.golden,
        )

    return Phase(
        name="pack",
        version=2,
        inputs=("split", "model", "calibrator", "policy", "report"),
        cites=("report",),
        output="bundle",
        roles=frozenset(),
        config={"name": name, "dataset": data.sha256, **settings.model_dump(mode="json")},
        run=run,
    )


def seen_pictures(split: Split) -> SeenPictures:
    """Return what a bundle of this split has seen: its pictures of train, select and calib."""
    train, select, calib = (
        strings(split.table.filter(equal_to(split.table["role"], str(role))), "id")
        for role in (Role.TRAIN, Role.SELECT, Role.CALIB)
    )
    return SeenPictures.from_ids(train=train, select=select, calib=calib)


def golden_candidates(count: int) -> list[bytes]:
    """Return rendered pictures as JPEG, half of them with road work."""
    frames = (
        render_sequence(GOLDEN_SEED, index, Label(index % 2), 1, WorldSpec())[0] for index in range(count)
    )
    return [encode_jpeg(frame.image_rgb_u8) for frame in frames]


def _lines(measures: Sequence[dict[str, Any]]) -> list[MeasureLine]:
    return [
        MeasureLine(
            name=measure["name"],
            estimate=measure["estimate"],
            low=measure["low"],
            high=measure["high"],
            note=measure["reason"] or "",
        )
        for measure in measures
    ]
