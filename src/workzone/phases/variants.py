"""A bundle for each further runtime: the phases behind the frozen model, run once more for a variant.

A reader may ask why the calibrator and the certificate are not those of float32: a
certificate says what the served answers do, and these are others.
"""

from __future__ import annotations

from collections.abc import Sequence

from workzone.core.types import Role
from workzone.engine.backend import PRECISIONS
from workzone.phases.freeze import parity_pictures
from workzone.phases.recipe import FreezeSection
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.pipeline.variants import variant_of

MODEL = "model"


def variant_phases(variant: str, freeze: FreezeSection, behind: Sequence[Phase]) -> list[Phase]:
    """Return the phases that make the bundle of a variant.

    Args:
        variant: A key of `engine.backend.BACKENDS`.
        freeze: How its parity is checked.
        behind: The phases behind the frozen model, as for the bundle that has no variant.
    """
    made = {MODEL, *(phase.output for phase in behind)}
    return [_freeze(variant, freeze), *(variant_of(phase, variant, made) for phase in behind)]


def _freeze(variant: str, settings: FreezeSection) -> Phase:
    tolerance = settings.tolerance_of(PRECISIONS[variant])

    def run(context: PhaseContext) -> None:
        from workzone.export.variant import freeze_variant  # openvino: only where a phase really freezes

        freeze_variant(
            context.inputs[MODEL],
            context.output,
            parity_pictures(context, settings.pictures),
            backend=variant,
            tolerance=tolerance,
            observer=context.observer,
        )

    return Phase(
        name=f"freeze@{variant}",
        version=1,
        inputs=("split", MODEL),
        output=f"{MODEL}@{variant}",
        roles=frozenset({Role.SELECT}),
        config={"tolerance": tolerance, "pictures": settings.pictures},
        run=run,
    )
