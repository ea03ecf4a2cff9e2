"""`predict-select`, `predict-calib`, `predict-test`: what the frozen model says, through the serving engine.

One phase a role: the predictions of `select` must not inherit the lineage of `test`.
"""

from __future__ import annotations

import numpy as np

from workzone.core.scores import Scores
from workzone.core.types import Role
from workzone.data.split import read_split
from workzone.engine.scorer import open_model, score_sources
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.storage.scores import write_scores

PREDICTED = (Role.SELECT, Role.CALIB, Role.TEST)


def predict_phase(role: Role) -> Phase:
    """Build the phase that scores the pictures of one role."""

    def run(context: PhaseContext) -> None:
        samples = context.grant.open(read_split(context.inputs["split"]), role)
        model = open_model(context.inputs["model"])
        logits, features = score_sources(
            model.backend,
            model.preprocessing,
            samples.paths,
            observer=context.observer,
            task=f"predict {role}",
        )
        scores = Scores(
            ids=samples.ids,
            labels=samples.labels,
            ambiguous=samples.ambiguous,
            groups=samples.groups,
            logits=logits.astype(np.float64),
            features=features,
        )
        write_scores(context.output, scores)

    return Phase(
        name=f"predict-{role}",
        version=1,
        inputs=("split", "model"),
        output=f"predictions-{role}",
        roles=frozenset({role}),
        config={},
        run=run,
    )
