"""`freeze`: the checkpoint becomes ONNX, if its answers are those of its torch ancestor."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workzone.core.types import Role
from workzone.data.split import read_split
from workzone.phases.recipe import FreezeSection
from workzone.pipeline.phase import Phase, PhaseContext


def freeze_phase(settings: FreezeSection) -> Phase:
    """Build the phase."""

    def run(context: PhaseContext) -> None:
        from workzone.export.freeze import freeze  # torch: only where a phase really freezes

        freeze(
            context.inputs["checkpoint"],
            context.output,
            parity_pictures(context, settings.pictures),
            tolerance=settings.tolerance,
            backend=settings.backend,
            observer=context.observer,
        )

    return Phase(
        name="freeze",
        version=2,  # 2: through the runtime that serves, which it records
        inputs=("split", "checkpoint"),
        output="model",
        roles=frozenset({Role.SELECT}),
        config=settings.model_dump(mode="json", include={"tolerance", "pictures", "backend"}),
        run=run,
    )


def parity_pictures(context: PhaseContext, count: int) -> list[Path]:
    """Return so many pictures of `select`, or all there are."""
    samples = context.grant.open(read_split(context.inputs["split"]), Role.SELECT)
    # Samples are sorted by their hash, so evenly spaced rows are a random choice without a seed.
    rows = np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int))
    return [samples.paths[row] for row in rows]
