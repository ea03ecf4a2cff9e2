"""`runtimes`: what each runtime would give on this kind of machine, measured on real pictures.

Nothing derives from it: which runtime serves is said by the recipe, because predictions, calibrator and certificate
are made with it. So this artifact alone differs from run to run.
"""

from __future__ import annotations

from dataclasses import asdict

from workzone.bundle.model import open_model
from workzone.core.types import Role
from workzone.engine.candidates import Candidate, fastest, measure_candidates
from workzone.engine.threads import usable_threads
from workzone.phases.freeze import parity_pictures
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.storage.atomic import write_json

FILE_NAME = "runtimes.json"
PICTURES = 16


def runtimes_phase() -> Phase:
    """Build the phase."""

    def run(context: PhaseContext) -> None:
        frozen = open_model(context.inputs["model"])
        record = frozen.record
        measured = measure_candidates(
            frozen.model_path,
            record.spec,
            record.preprocessing,
            record.preprocessing.prepare(parity_pictures(context, PICTURES)),
            reference=record.backend,
            observer=context.observer,
        )
        quickest = fastest(measured, record.backend)
        context.observer.note(_sentence(measured, record.backend, quickest.name))
        write_json(
            context.output / FILE_NAME,
            {
                "serves": record.backend,
                "fastest": quickest.name,
                "threads": usable_threads(),
                "pictures": PICTURES,
                "candidates": [asdict(candidate) for candidate in measured],
            },
        )

    return Phase(
        name="runtimes",
        version=1,
        inputs=("split", "model"),
        output="runtimes",
        roles=frozenset({Role.SELECT}),
        config={"pictures": PICTURES},
        run=run,
    )


def _sentence(measured: tuple[Candidate, ...], serves: str, quickest: str) -> str:
    served = next(candidate for candidate in measured if candidate.name == serves)
    assert served.alone_ms is not None  # the reference works here
    others = [
        f"{c.name} {served.alone_ms / c.alone_ms:.2f} times as fast (logits within {c.max_abs_logit:.2g})"
        for c in measured
        if c.name != serves and c.alone_ms is not None
    ]
    advice = f" freeze.backend={quickest} would be faster." if quickest != serves else ""
    return (
        f"Runtimes: {serves} serves, {served.alone_ms:.3g} ms a picture; "
        f"{'; '.join(others) or 'no other is installed'}.{advice}"
    )
