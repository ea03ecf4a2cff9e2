"""`alternatives`: the other kinds of policy at the same alpha and delta, for the report to compare.

They choose on `select` and are certified on `calib`, just as the recipe's policy, and never see `test`. A
reader may ask why a policy that cannot be fitted does not fail the run: nothing depends on it but a row of a
table, which then says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workzone.calibration.fit import fit_policy
from workzone.core.errors import ArtifactError, WorkzoneError
from workzone.core.scores import Scores
from workzone.data.split import read_split
from workzone.evaluation.policies import PolicyCandidate, policy_title
from workzone.phases.feature_statistics import read_feature_statistics
from workzone.phases.policy import read_policy
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.policy.gate_features import FeatureStatistics
from workzone.policy.policies import policy_from_json, policy_to_json
from workzone.policy.risks import Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    Counting,
    GateSettings,
    PolicySettings,
    RiskLimit,
    ThresholdSettings,
)
from workzone.storage.atomic import write_json
from workzone.storage.jsonfile import read_json
from workzone.storage.scores import read_scores

FILE_NAME = "alternatives.json"
MAX_BYTES = 64 << 20
_BETA = 0.05
"""Of negatives called road work, where the recipe's policy states none."""
_MISSES = (Risk.SELECTIVE_FNR, Risk.COMMITTED_MISS_RATE, Risk.FALSE_OMISSION_RATE)


def alternatives_phase() -> Phase:
    """Build the phase."""

    def run(context: PhaseContext) -> None:
        split = read_split(context.inputs["split"])
        found = fit_alternatives(
            read_policy(context).settings,
            read_scores(context.inputs["predictions-select"]),
            read_scores(context.inputs["predictions-calib"]),
            split_sha256=split.sha256,
            dataset_sha256=split.dataset_sha256,
            statistics=read_feature_statistics(context.inputs["checkpoint"]),
        )
        write_alternatives(context.output, found)

    return Phase(
        name="alternatives",
        version=1,
        inputs=("split", "checkpoint", "predictions-select", "predictions-calib", "policy"),
        output="alternatives",
        roles=frozenset(),
        config={},
        run=run,
    )


def alternative_settings(settings: PolicySettings) -> tuple[PolicySettings, ...]:
    """Return the settings of the other policies, at the same limits and delta.

    What is promised with confidence keeps the risks of `settings`. Class-conditional sets and conformal risk
    control cannot promise a ratio such as the selective FNR: they get its alpha for the committed miss rate,
    which is weaker, and the report shows the selective FNR that comes of it.
    """
    limits, delta, grid = settings.limits, settings.delta, settings.grid_size
    alphas = {limit.risk: limit.alpha for limit in limits}
    missed = next((alphas[risk] for risk in _MISSES if risk in alphas), limits[0].alpha)
    beta = (_BETA if isinstance(settings, GateSettings) else settings.beta) or _BETA
    misses = RiskLimit(Risk.COMMITTED_MISS_RATE, missed)
    alarms = RiskLimit(Risk.FALSE_ALARM_RATE, alphas.get(Risk.FALSE_ALARM_RATE, beta))
    thresholds = (
        settings
        if isinstance(settings, ThresholdSettings)
        else ThresholdSettings(limits, delta, beta, grid_size=grid)
    )
    gate = settings if isinstance(settings, GateSettings) else GateSettings(limits, delta, grid_size=grid)
    scrc = (
        replace(settings, method=ConformalMethod.SCRC)
        if isinstance(settings, ConformalSettings)
        else ConformalSettings(ConformalMethod.SCRC, limits, delta, beta, grid_size=grid)
    )
    others: tuple[PolicySettings, ...] = (
        replace(thresholds, counting=Counting.ONE_PER_GROUP),
        replace(thresholds, counting=Counting.ALL_FRAMES),
        gate,
        replace(scrc, method=ConformalMethod.SETS, limits=(misses, alarms)),
        replace(scrc, method=ConformalMethod.CRC, limits=(misses,)),
        scrc,
    )
    return tuple(other for other in others if policy_title(other) != policy_title(settings))


def fit_alternatives(
    settings: PolicySettings,
    select: Scores,
    calib: Scores,
    *,
    split_sha256: str,
    dataset_sha256: str,
    statistics: FeatureStatistics | None,
) -> tuple[PolicyCandidate, ...]:
    """Fit the other policies; one that cannot be fitted is a candidate with the reason.

    Args:
        settings: Of the recipe's policy.
        select: Scores of the pictures that choose.
        calib: Scores of the pictures that certify.
        split_sha256: Hash of the split.
        dataset_sha256: Hash of the data set.
        statistics: Of the training features, for the gate.
    """

    def fitted(other: PolicySettings) -> PolicyCandidate:
        try:
            policy = fit_policy(
                other,
                select,
                calib,
                split_sha256=split_sha256,
                dataset_sha256=dataset_sha256,
                statistics=statistics,
            )
        except WorkzoneError as error:
            return PolicyCandidate(policy_title(other), None, str(error))
        return PolicyCandidate(policy_title(other), policy, None)

    return tuple(fitted(other) for other in alternative_settings(settings))


def write_alternatives(directory: Path, candidates: tuple[PolicyCandidate, ...]) -> None:
    """Write `alternatives.json` atomically."""
    rows = [
        {
            "title": candidate.title,
            "policy": None if candidate.policy is None else policy_to_json(candidate.policy),
            "reason": candidate.reason,
        }
        for candidate in candidates
    ]
    write_json(directory / FILE_NAME, {"alternatives": rows})


def read_alternatives(directory: Path) -> tuple[PolicyCandidate, ...]:
    """Read `alternatives.json`; every certificate in it is derived again from its counts.

    Raises:
        ArtifactError: It is missing or no such file.
        BundleError: A policy in it is not valid.
    """
    document = read_json(directory / FILE_NAME, MAX_BYTES)
    rows = document.get("alternatives") if isinstance(document, Mapping) else None
    if not isinstance(rows, list):
        raise ArtifactError(f"'{directory / FILE_NAME}' holds no list 'alternatives'. Run the phase again.")
    return tuple(_candidate(row, directory / FILE_NAME) for row in rows)


def _candidate(row: Any, path: Path) -> PolicyCandidate:
    keys = {"title", "policy", "reason"}
    if not isinstance(row, Mapping) or set(row) != keys or not isinstance(row["title"], str):
        raise ArtifactError(f"'{path}': an alternative has the keys {', '.join(sorted(keys))}. Run it again.")
    reason = row["reason"]
    if (row["policy"] is None) != isinstance(reason, str) or not isinstance(reason, str | None):
        raise ArtifactError(f"'{path}': an alternative is either a policy or the reason why there is none.")
    policy = None if row["policy"] is None else policy_from_json(row["policy"])
    return PolicyCandidate(row["title"], policy, reason)
