"""A phase once more, on the artifacts of a variant.

Knows names: a variant's artifacts are called `KIND@VARIANT`. The phase finds them under the names that it knows, so no
phase knows of variants.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from workzone.pipeline.phase import Phase, PhaseContext


def variant_of(phase: Phase, variant: str, made: Collection[str]) -> Phase:
    """Return the phase, making and reading what belongs to the variant.

    Args:
        phase: As it is without variants.
        variant: Lower-case words joined by hyphens.
        made: The artifacts that the variant has of its own; the phase shares all others.
    """

    def own(name: str) -> str:
        return f"{name}@{variant}" if name in made else name

    def run(context: PhaseContext) -> None:
        phase.run(
            replace(
                context,
                inputs={name: context.inputs[own(name)] for name in phase.inputs},
                input_sha256={name: context.input_sha256[own(name)] for name in phase.inputs},
            )
        )

    return replace(
        phase,
        name=f"{phase.name}@{variant}",
        inputs=tuple(own(name) for name in phase.inputs),
        output=own(phase.output),
        cites=tuple(own(name) for name in phase.cites),
        run=run,
    )
