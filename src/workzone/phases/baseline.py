"""`baseline`: a linear model on colour histograms, which the report compares with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workzone.core.observer import Observer
from workzone.core.types import Label, Role
from workzone.data.grants import Samples
from workzone.data.split import read_split
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.training.colour_histogram import (
    colour_histograms,
    fit_colour_histogram,
    write_colour_histogram,
)


def baseline_phase() -> Phase:
    """Build the phase."""

    def run(context: PhaseContext) -> None:
        split = read_split(context.inputs["split"])
        train = context.grant.open(split, Role.TRAIN)
        select = context.grant.open(split, Role.SELECT)
        model = fit_colour_histogram(
            *_decided(train, context.observer),
            *_decided(select, context.observer),
        )
        write_colour_histogram(context.output, model)

    return Phase(
        name="baseline",
        version=1,
        inputs=("split",),
        output="baseline",
        roles=frozenset({Role.TRAIN, Role.SELECT}),
        config={},
        run=run,
    )


def _decided(samples: Samples, observer: Observer) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Return histograms and labels of the pictures whose label is known and not ambiguous."""
    decided = (samples.labels != Label.UNKNOWN) & ~samples.ambiguous
    paths = [path for path, keep in zip(samples.paths, decided, strict=True) if keep]
    return colour_histograms(paths, observer, f"colour histograms of {samples.role}"), samples.labels[decided]
