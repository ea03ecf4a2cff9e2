"""Scores drawn from a known law, and a report made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from workzone.core.scores import Scores
from workzone.core.types import Opening, Role
from workzone.evaluation.evaluate import Baseline, evaluate
from workzone.evaluation.records import Evaluation, SliceColumn
from workzone.evaluation.report import Provenance, Report
from workzone.policy.calibrators import PlattCalibrator
from workzone.policy.threshold import ThresholdPolicy

CALIBRATOR = PlattCalibrator(1.3, 0.1)
POLICY = ThresholdPolicy(
    t_lo=-1.0, t_hi=0.8, beta=0.05, certificate=None, refusal="30 more groups are needed."
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


def measured(scores: Scores, **options: object) -> Evaluation:
    settings: dict[str, object] = {"decision_threshold": THRESHOLD, "n_resamples": 200, "seed": 3}
    return evaluate(scores, CALIBRATOR, POLICY, **(settings | options))  # type: ignore[arg-type]


@pytest.fixture(name="draw")
def _draw() -> Draw:
    return draw


@pytest.fixture(name="measured")
def _measured() -> Callable[..., Evaluation]:
    return measured


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
