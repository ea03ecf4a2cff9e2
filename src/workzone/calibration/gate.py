"""Fits the gate on `select` and certifies how far it may open on `calib`.

The gate is a ridge-penalised logistic regression of "the first answer is right" on what can be seen of it
(`policy.gate_features`); the idea is that of a post-hoc deferral rule (Jitkrittum et al. 2023, arXiv
2307.02764). It decides the order in which pictures are answered; the certificate decides how many are.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workzone.calibration.certificate import NOT_YET, certify_policy
from workzone.calibration.groups import group_pictures
from workzone.calibration.logistic import fit_logistic
from workzone.calibration.path import Path, falling_path
from workzone.calibration.walk import plan_walk, walk
from workzone.calibration.walked import populations, reaches_rule, refusal, walk_record
from workzone.core.errors import DataError
from workzone.core.scores import Scores
from workzone.core.types import Label, Verdict
from workzone.metrics.classification import best_mcc_threshold
from workzone.policy.gate import GatePolicy
from workzone.policy.gate_features import FeatureStatistics, FirstAnswers, gate_matrix
from workzone.policy.settings import Counting, GateSettings
from workzone.policy.verdicts import CODES

F64 = NDArray[np.float64]


def fit_gate_policy(
    settings: GateSettings,
    select: Scores,
    calib: Scores,
    *,
    split_sha256: str,
    dataset_sha256: str,
    statistics: FeatureStatistics | None,
) -> GatePolicy:
    """Fit the gate on `select`, then certify its score `tau` on `calib`.

    Returns:
        A policy with a certificate; or, where not even the first rule passes, one that defers everything and
        says how many groups are missing.

    Raises:
        DataError: `select` lacks a class or a wrong (or right) first answer, or a sample occurs twice.
        ConfigError: There is no such gate feature.
        InferenceError: A gate feature needs statistics or features that are not there.
    """
    closed = fit_gate(settings, select, statistics)
    planned, decided = select.decided(), calib.decided()
    scores = closed.score(planned.logits, planned.features)
    grid = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, settings.grid_size)))[::-1]
    grouped = group_pictures(decided, split_sha256)
    plan = plan_walk(
        _gate_path(closed, planned, grid),
        group_pictures(planned, split_sha256),
        populations(settings.limits, grouped),
        settings.limits,
        settings.delta,
    )
    path = _gate_path(closed, decided, grid)
    passed = walk(path, grouped, settings.limits, settings.delta, settings.counting, plan)
    if passed is None:
        reason = refusal(path, grouped, settings, plan.start, "Until then the policy defers everything.")
        return _with_tau(closed, math.inf, reason)
    certified = certify_policy(
        _with_tau(closed, float(grid[passed]), NOT_YET),
        calib,
        kind="pac",
        split_sha256=split_sha256,
        dataset_sha256=dataset_sha256,
        walk=walk_record(path, plan.start, passed, passed),
        stakes=[
            float(row[passed]) if settings.counting is Counting.ALL_FRAMES else None for row in plan.stakes
        ],
        reaches=reaches_rule(
            lambda pictures: _gate_path(closed, pictures, grid), settings, plan, passed, split_sha256
        ),
    )
    assert isinstance(certified, GatePolicy)
    return certified


def fit_gate(settings: GateSettings, select: Scores, statistics: FeatureStatistics | None) -> GatePolicy:
    """Return the gate, closed: fitted on `select`, not certified.

    Raises:
        DataError: `select` lacks a class, or a wrong (or right) first answer to learn from.
    """
    decided = select.decided()
    positive = decided.labels == Label.ROADWORK
    if not positive.any() or positive.all():
        raise DataError("'select' needs decided pictures of both classes to fit a gate.")
    decision = float(best_mcc_threshold(positive, decided.logits)[0])
    right = (decided.logits >= decision) == positive
    if right.all() or not right.any():
        raise DataError(
            f"All {len(right)} first answers on 'select' are {'right' if right.all() else 'wrong'}: a gate has "
            "nothing to learn from. Use the threshold policy."
        )
    first = FirstAnswers(decided.logits - decision, decided.features, statistics)
    matrix = gate_matrix(settings.features, first)
    centre, scale = matrix.mean(axis=0), matrix.std(axis=0)
    scale = np.where(scale > 1e-12 * np.maximum(1.0, np.abs(centre)), scale, 1.0)
    design = np.column_stack([(matrix - centre) / scale, np.ones(len(matrix))])
    weights = fit_logistic(design, right.astype(np.float64), l2=settings.l2)
    return GatePolicy(
        tau=math.inf,
        decision=decision,
        centre=tuple(centre.tolist()),
        scale=tuple(scale.tolist()),
        weights=tuple(weights[:-1].tolist()),
        intercept=float(weights[-1]),
        statistics=statistics if "feature_distance" in settings.features else None,
        settings=settings,
        certificate=None,
        refusal=NOT_YET,
    )


def _gate_path(gate: GatePolicy, pictures: Scores, grid: F64) -> Path:
    """Return what each score of the falling grid does: answered from it on, deferred below."""
    scores = gate.score(pictures.logits, pictures.features)
    before = np.full(len(scores), CODES[Verdict.DEFER], dtype=np.int8)
    roadwork = pictures.logits >= gate.decision
    after = np.where(roadwork, CODES[Verdict.ROADWORK], CODES[Verdict.NONE]).astype(np.int8)
    return falling_path("tau", grid, scores, before, after)


def _with_tau(gate: GatePolicy, tau: float, refusal: str) -> GatePolicy:
    return replace(gate, tau=tau, refusal=refusal)
