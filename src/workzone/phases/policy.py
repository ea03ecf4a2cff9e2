"""`policy`: choose on `select`, certify on `calib`, or say what it would take."""

from __future__ import annotations

from workzone.calibration.fit import fit_policy
from workzone.data.split import read_split
from workzone.phases.feature_statistics import read_feature_statistics
from workzone.phases.recipe import PolicySection
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.policy.policies import AnyPolicy, policy_from_json, policy_to_json
from workzone.policy.settings import GateSettings
from workzone.storage.atomic import write_json
from workzone.storage.jsonfile import read_json
from workzone.storage.scores import read_scores

FILE_NAME = "policy.json"
MAX_BYTES = 16 << 20


def policy_phase(section: PolicySection) -> Phase:
    """Build the phase."""
    settings = section.settings()
    # distances are measured from the statistics of the training features
    checkpoint = ("checkpoint",) if isinstance(settings, GateSettings) else ()

    def run(context: PhaseContext) -> None:
        split = read_split(context.inputs["split"])
        policy = fit_policy(
            settings,
            read_scores(context.inputs["predictions-select"]),
            read_scores(context.inputs["predictions-calib"]),
            split_sha256=split.sha256,
            dataset_sha256=split.dataset_sha256,
            statistics=read_feature_statistics(context.inputs["checkpoint"]) if checkpoint else None,
        )
        context.observer.note(policy.certificate.statement if policy.certificate else str(policy.refusal))
        write_json(context.output / FILE_NAME, policy_to_json(policy))

    return Phase(
        name="policy",
        version=2,  # 2: several kinds, risks and ways of counting
        inputs=("split", "predictions-select", "predictions-calib", *checkpoint),
        output="policy",
        roles=frozenset(),
        config=section.model_dump(mode="json"),
        run=run,
    )


def read_policy(context: PhaseContext) -> AnyPolicy:
    """Read the policy among a phase's inputs."""
    return policy_from_json(read_json(context.inputs["policy"] / FILE_NAME, MAX_BYTES))
