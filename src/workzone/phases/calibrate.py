"""`calibrate`: the strictly increasing map from logit to displayed probability, fitted on `calib`."""

from __future__ import annotations

from workzone.bundle.reader import AnyCalibrator
from workzone.calibration.calibrators import FITTERS
from workzone.core.lazy import resolve
from workzone.phases.recipe import CalibrateSection
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.policy.calibrators import calibrator_from_json, calibrator_to_json
from workzone.storage.atomic import write_json
from workzone.storage.jsonfile import read_json
from workzone.storage.scores import read_scores

FILE_NAME = "calibrator.json"
MAX_BYTES = 1 << 16


def calibrate_phase(settings: CalibrateSection) -> Phase:
    """Build the phase."""

    def run(context: PhaseContext) -> None:
        calib = read_scores(context.inputs["predictions-calib"])
        calibrator = resolve(FITTERS[settings.method])(calib)
        write_json(context.output / FILE_NAME, calibrator_to_json(calibrator))

    return Phase(
        name="calibrate",
        version=1,
        inputs=("predictions-calib",),
        output="calibrator",
        roles=frozenset(),
        config=settings.model_dump(mode="json"),
        run=run,
    )


def read_calibrator(context: PhaseContext) -> AnyCalibrator:
    """Read the calibrator among a phase's inputs."""
    return calibrator_from_json(read_json(context.inputs["calibrator"] / FILE_NAME, MAX_BYTES))
