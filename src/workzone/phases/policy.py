"""`policy`: freeze t_hi on `select`, certify t_lo on `calib`, or say what it would take."""

from __future__ import annotations

from workzone.calibration.threshold import fit_threshold_policy
from workzone.data.split import read_split
from workzone.phases.recipe import PolicySection
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.policy.threshold import ThresholdPolicy, policy_from_json, policy_to_json
from workzone.storage.atomic import write_json
from workzone.storage.jsonfile import read_json
from workzone.storage.scores import read_scores

FILE_NAME = "policy.json"
MAX_BYTES = 16 << 20


def policy_phase(settings: PolicySection) -> Phase:
    """Build the phase."""

    def run(context: PhaseContext) -> None:
        split = read_split(context.inputs["split"])
        policy = fit_threshold_policy(
            read_scores(context.inputs["predictions-select"]),
            read_scores(context.inputs["predictions-calib"]),
            split_sha256=split.sha256,
            dataset_sha256=split.dataset_sha256,
            alpha=settings.alpha,
            delta=settings.delta,
            beta=settings.beta,
            grid_size=settings.grid_size,
        )
        context.observer.note(policy.certificate.statement if policy.certificate else str(policy.refusal))
        write_json(context.output / FILE_NAME, policy_to_json(policy))

    return Phase(
        name="policy",
        version=1,
        inputs=("split", "predictions-select", "predictions-calib"),
        output="policy",
        roles=frozenset(),
        config=settings.model_dump(mode="json"),
        run=run,
    )


def read_policy(context: PhaseContext) -> ThresholdPolicy:
    """Read the policy among a phase's inputs."""
    return policy_from_json(read_json(context.inputs["policy"] / FILE_NAME, MAX_BYTES))
