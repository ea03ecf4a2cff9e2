"""Scores drawn from a known law, and a report made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from workzone.calibration.fit import fit_policy
from workzone.core.scores import Scores
from workzone.core.types import Opening, Role
from workzone.evaluation.evaluate import Baseline, evaluate
from workzone.evaluation.frontier import policy_frontier
from workzone.evaluation.grouped import Sampling
from workzone.evaluation.policies import PolicyCandidate, compare_policies, policy_title
from workzone.evaluation.records import Evaluation, SliceColumn
from workzone.evaluation.report import Provenance, Report
from workzone.policy.calibrators import PlattCalibrator
from workzone.policy.gate_features import FeatureStatistics
from workzone.policy.policies import AnyPolicy
from workzone.policy.risks import Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    Counting,
    GateSettings,
    PolicySettings,
    Prices,
    RiskLimit,
    ThresholdSettings,
)
from workzone.policy.threshold import ThresholdPolicy

CALIBRATOR = PlattCalibrator(1.3, 0.1)
SETTINGS = ThresholdSettings((RiskLimit(Risk.SELECTIVE_FNR, 0.05),))
POLICY = ThresholdPolicy(
    t_lo=-1.0, t_hi=0.8, settings=SETTINGS, certificate=None, refusal="30 more groups are needed."
)
THRESHOLD = 0.15

Draw = Callable[..., Scores]


def draw(n_groups: int = 60, per_group: int = 2, seed: int = 0, separation: float = 1.3) -> Scores:
    """Groups of like pictures; half of the groups show road work."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), per_group)
    labels = np.repeat(np.arange(n_groups) % 2, per_group).astype(np.int8)
    shared = np.repeat(rng.normal(size=n_groups), per_group)
    logits = np.where(labels == 1, separation, -separation) + shared + 0.5 * rng.normal(size=len(labels))
    n = len(labels)
    return Scores(
        ids=np.array([f"{index:05d}" for index in np.random.default_rng(7).permutation(n)]),
        labels=labels,
        ambiguous=np.zeros(n, dtype=np.bool_),
        groups=np.array([f"seq-{index:03d}" for index in group]),
        logits=logits,
        features=np.zeros((n, 1), dtype=np.float32),
    )


def role(name: str, scores: Scores) -> Scores:
    """The same scores as pictures and groups of their own."""
    return replace(
        scores,
        ids=np.char.add(f"{name}-", scores.ids),
        groups=np.char.add(f"{name}-", scores.groups),
        features=np.random.default_rng(len(name)).normal(size=(len(scores.ids), 2)).astype(np.float32),
    )


@cache
def fitted(settings: PolicySettings) -> AnyPolicy:
    """Fit a policy on 200 groups of `select` and 900 of `calib`, of which it can certify 5 %."""
    return fit_policy(
        settings,
        role("select", draw(n_groups=200, seed=1, separation=2.0)),
        role("calib", draw(n_groups=900, seed=2, separation=2.0)),
        split_sha256="5" * 64,
        dataset_sha256="d" * 64,
        statistics=FeatureStatistics(np.zeros((2, 2)), np.ones((2, 2))),
    )


LIMITS = (RiskLimit(Risk.SELECTIVE_FNR, 0.05),)
CLASS_LIMITS = (RiskLimit(Risk.COMMITTED_MISS_RATE, 0.05), RiskLimit(Risk.FALSE_ALARM_RATE, 0.06))
KINDS: dict[str, PolicySettings] = {
    "threshold": ThresholdSettings(LIMITS),
    "frames": ThresholdSettings(LIMITS, counting=Counting.ALL_FRAMES),
    "two": ThresholdSettings((*LIMITS, RiskLimit(Risk.FALSE_OMISSION_RATE, 0.05)), beta=0.03),
    "precision": ThresholdSettings((RiskLimit(Risk.FALSE_DISCOVERY_RATE, 0.12),), beta=0.03),
    "gate": GateSettings(LIMITS),
    "sets": ConformalSettings(ConformalMethod.SETS, CLASS_LIMITS),
    "crc": ConformalSettings(ConformalMethod.CRC, CLASS_LIMITS[:1]),
    "scrc": ConformalSettings(ConformalMethod.SCRC, LIMITS),
}


def measured(scores: Scores, **options: object) -> Evaluation:
    settings: dict[str, object] = {"decision_threshold": THRESHOLD, "n_resamples": 200, "seed": 3}
    policy = options.pop("policy", POLICY)
    return evaluate(scores, CALIBRATOR, policy, **(settings | options))  # type: ignore[arg-type]


@pytest.fixture(name="draw", scope="session")
def _draw() -> Draw:
    return draw


@pytest.fixture(name="measured")
def _measured() -> Callable[..., Evaluation]:
    return measured


@pytest.fixture(name="role", scope="session")
def _role() -> Callable[[str, Scores], Scores]:
    return role


@pytest.fixture(name="kinds", scope="session")
def _kinds() -> dict[str, AnyPolicy]:
    return {name: fitted(settings) for name, settings in KINDS.items()}


@pytest.fixture(scope="session")
def certified_report(report, kinds) -> Report:
    """All that a report may hold: a certificate, five other policies, one that failed, and a frontier."""
    scores = role("test", draw(n_groups=80, seed=4, separation=2.0))
    policy, sampling = kinds["threshold"], Sampling(200, 0.95, 3)
    others = [PolicyCandidate(policy_title(kinds[k].settings), kinds[k], None) for k in list(KINDS)[4:]]
    others.append(PolicyCandidate("Two thresholds, all frames counted", None, "All of it was <b>wrong</b>."))
    refused = replace(POLICY, t_lo=-np.inf, refusal="30 more groups are needed.")
    others.append(PolicyCandidate("Two thresholds, none certified", refused, None))
    prices = Prices(100.0, 5.0, 1.0)
    return replace(
        report,
        evaluation=measured(scores, policy=policy),
        policy=policy,
        policies=compare_policies(scores, policy, others, prices, sampling),
        frontier=policy_frontier(scores, policy, None, sampling),
    )


@pytest.fixture(scope="session")
def report() -> Report:
    scores = draw()
    weather = np.array(["clear", "rain", "fog"])[np.arange(len(scores.ids)) // 2 % 3]
    ambiguous = scores.ambiguous.copy()
    ambiguous[:4] = True
    scores = Scores(scores.ids, scores.labels, ambiguous, scores.groups, scores.logits, scores.features)
    evaluation = measured(
        scores,
        slices=[SliceColumn.of("weather", weather)],
        baseline=Baseline("colour histograms", draw(separation=0.3), 0.0),
    )
    return Report(
        evaluation=evaluation,
        policy=POLICY,
        calibrator=CALIBRATOR,
        provenance=Provenance(
            dataset_name="scenes",
            dataset_revision="1",
            dataset_licence="Apache-2.0",
            dataset_sha256="d" * 64,
            split_sha256="5" * 64,
            model_sha256="a" * 64,
            bundle_digest=None,
            backbone="embedded/convnext",
            backbone_licence="Apache-2.0",
            package_version="0.1.0",
            lineage=frozenset(Opening("5" * 64, role) for role in Role),
            test_openings=2,
        ),
    )
