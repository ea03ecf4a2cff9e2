"""`calibrate`: the map from logit to displayed probability, fitted on `calib`, or on `select`.

A reader may ask why a map that ties logits may be fitted on `calib`: the policy's thresholds live on the
logits and never see it. It is noted all the same, because it must not be used for anything but display.
"""

from __future__ import annotations

from workzone.calibration.auto import comparison_to_json, fit_auto
from workzone.calibration.calibrators import fit_calibrator
from workzone.phases.recipe import CalibrateSection
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.policy.calibrators import (
    AnyCalibrator,
    calibrator_from_json,
    calibrator_kind,
    calibrator_to_json,
)
from workzone.storage.atomic import write_json
from workzone.storage.jsonfile import read_json
from workzone.storage.scores import read_scores

FILE_NAME = "calibrator.json"
COMPARISON_NAME = "comparison.json"
"""Beside the calibrator where `auto` chose it: what each candidate was worth."""
MAX_BYTES = 1 << 20


def calibrate_phase(settings: CalibrateSection) -> Phase:
    """Build the phase."""
    predictions = f"predictions-{settings.fit_on}"

    def run(context: PhaseContext) -> None:
        scores = read_scores(context.inputs[predictions])
        if settings.method == "auto":
            chosen = fit_auto(scores)
            calibrator = chosen.calibrator
            context.observer.note(f"Calibrator: {chosen.comparison.sentence}")
            write_json(context.output / COMPARISON_NAME, comparison_to_json(chosen.comparison))
        else:
            calibrator = fit_calibrator(settings.method, scores)
        if settings.fit_on == "calib" and not calibrator.strictly_increasing:
            context.observer.note(
                f"The calibrator '{calibrator_kind(calibrator)}' may give different logits the same "
                "probability, and was fitted on `calib`: it is for the displayed probability only. "
                "calibrate.fit_on=select lifts that."
            )
        write_json(context.output / FILE_NAME, calibrator_to_json(calibrator))

    return Phase(
        name="calibrate",
        version=2,
        inputs=(predictions,),
        output="calibrator",
        roles=frozenset(),
        config=settings.model_dump(mode="json"),
        run=run,
    )


def read_calibrator(context: PhaseContext) -> AnyCalibrator:
    """Read the calibrator among a phase's inputs."""
    return calibrator_from_json(read_json(context.inputs["calibrator"] / FILE_NAME, MAX_BYTES))
