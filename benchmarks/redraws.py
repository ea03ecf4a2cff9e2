"""One calibration draw after another from a known population, certified by the project's own walk.

What a policy freezes on `select` (upper threshold, grid, start of the walk, selection band, gate) is frozen
once: the promise is conditional on it. A redraw then costs a walk, no hashing and no record. That it ends at
the rule that `fit_policy` would have certified is tested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.populations import Sample, Scored, TwoFeatures
from benchmarks.unequal_groups import UnequalGroups
from workzone.calibration.conformal import freeze_selection
from workzone.calibration.gate import fit_gate
from workzone.calibration.path import Path, falling_path, rising_path
from workzone.calibration.threshold import freeze_thresholds, threshold_grid, threshold_path
from workzone.calibration.walk import WalkPlan, plan_walk, walk
from workzone.core.scores import Scores
from workzone.core.types import Verdict
from workzone.policy.gate import GatePolicy
from workzone.policy.gate_features import FeatureStatistics
from workzone.policy.risks import RISKS, Population, Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    Counting,
    GateSettings,
    RiskLimit,
    ThresholdSettings,
)
from workzone.policy.verdicts import CODES

F64 = NDArray[np.float64]
PathOf = Callable[[Sample], Path]

SELECT_GROUPS = 600
TRUTH_PICTURES = 2_000_000
"""For the gate's true risks: a rate of 0.05 of half of them is known to 0.0002 (one standard error)."""
_NONE, _ROADWORK, _DEFER = CODES[Verdict.NONE], CODES[Verdict.ROADWORK], CODES[Verdict.DEFER]


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """A policy's J candidate rules, frozen, with their truth.

    Attributes:
        path_of: What the rules do to the pictures of a draw.
        select: The draw that they were frozen on.
        risks: Risk → true risk of each rule, float64 [J].
        coverage: True answered share of each rule, float64 [J].
    """

    path_of: PathOf
    select: Sample
    risks: Callable[[Risk], F64]
    coverage: F64


def as_scores(sample: Sample, prefix: str = "p") -> Scores:
    """Return a draw as the table that the fitters take; every picture has a name of its own."""
    n = len(sample.logits)
    return Scores(
        ids=np.array([f"{prefix}{i:08d}" for i in range(n)], dtype=np.str_),
        labels=sample.grouped.labels,
        ambiguous=np.zeros(n, dtype=np.bool_),
        groups=np.char.add(prefix, sample.grouped.groups.astype(np.str_)).astype(np.str_),
        logits=sample.logits,
        features=sample.features,
    )


def freeze_threshold(
    population: Scored | UnequalGroups, settings: ThresholdSettings, generator: np.random.Generator
) -> Family:
    """Freeze t_hi and the grid of t_lo."""
    select = population.draw(generator, SELECT_GROUPS)
    t_hi, grid = freeze_thresholds(settings, as_scores(select))
    above = np.full_like(grid, t_hi)
    return Family(
        path_of=lambda sample: threshold_path(sample.logits, grid, t_hi),
        select=select,
        risks=lambda risk: population.risk(risk, grid, above),
        coverage=population.coverage(grid, above),
    )


def freeze_upper(population: Scored, grid_size: int, generator: np.random.Generator) -> Family:
    """Freeze a falling grid of upper thresholds, for a rule that only ever says "road work" or defers."""
    select = population.draw(generator, SELECT_GROUPS)
    grid = np.unique(np.quantile(select.logits, np.linspace(0.0, 1.0, grid_size)))[::-1].copy()

    def path_of(sample: Sample) -> Path:
        before = np.full(len(sample.logits), _DEFER, dtype=np.int8)
        return falling_path("t_hi", grid, sample.logits, before, np.full_like(before, _ROADWORK))

    never = np.full_like(grid, -np.inf)
    return Family(
        path_of=path_of,
        select=select,
        risks=lambda risk: population.risk(risk, never, grid),
        coverage=population.coverage(never, grid),
    )


def freeze_selective(
    population: Scored, settings: ConformalSettings, generator: np.random.Generator
) -> Family:
    """Freeze the deferred band and the grid of the decision threshold, as `scrc` does."""
    assert settings.method is ConformalMethod.SCRC
    select = population.draw(generator, SELECT_GROUPS)
    scores = as_scores(select)
    band = freeze_selection(scores, settings.coverage)
    grid = threshold_grid(scores, math.inf, settings.grid_size)

    def path_of(sample: Sample) -> Path:
        deferred = (sample.logits >= band[0]) & (sample.logits < band[1])
        before, after = (np.where(deferred, _DEFER, code).astype(np.int8) for code in (_ROADWORK, _NONE))
        return rising_path("t", grid, sample.logits, before, after)

    answered = population.coverage(np.array([band[0]]), np.array([band[1]]))
    return Family(
        path_of=path_of,
        select=select,
        risks=lambda risk: population.risk(risk, grid, grid, band),
        coverage=np.repeat(answered, len(grid)),
    )


def freeze_gate(population: TwoFeatures, settings: GateSettings, generator: np.random.Generator) -> Family:
    """Freeze the gate's weights and the grid of its score; the truth is a large sample's."""
    select = population.draw(generator, SELECT_GROUPS)
    train = population.draw(generator, SELECT_GROUPS)
    gate = fit_gate(settings, as_scores(select), feature_statistics(train))
    scores = gate.score(select.logits, select.features)
    grid = np.unique(np.quantile(scores, np.linspace(0.0, 1.0, settings.grid_size)))[::-1]
    truth = TwoFeatures(prevalence=population.prevalence).draw(generator, TRUTH_PICTURES)
    path = gate_path(gate, truth, grid)
    shares = _shares_along(path, truth)

    def risks(risk: Risk) -> F64:
        definition = RISKS[risk]
        labels = {
            Population.POSITIVES: (1,),
            Population.NEGATIVES: (0,),
            Population.ALL: (0, 1),
        }[definition.population]
        counted = np.sum([shares[label, code] for label in labels for code in definition.counted], axis=0)
        events = shares[int(definition.event_label), definition.event_code]
        result: F64 = np.divide(events, counted, out=np.zeros_like(events), where=counted > 0)
        return result

    answered = np.sum([shares[label, code] for label in (0, 1) for code in (_NONE, _ROADWORK)], axis=0)
    return Family(lambda sample: gate_path(gate, sample, grid), select, risks, answered / TRUTH_PICTURES)


def gate_path(gate: GatePolicy, sample: Sample, grid: F64) -> Path:
    """Return what each score of the falling grid does: the first answer from it on, deferred below."""
    scores = gate.score(sample.logits, sample.features)
    before = np.full(len(scores), _DEFER, dtype=np.int8)
    after = np.where(sample.logits >= gate.decision, _ROADWORK, _NONE).astype(np.int8)
    return falling_path("tau", grid, scores, before, after)


def feature_statistics(train: Sample) -> FeatureStatistics:
    """Return mean and deviation of the features of either class."""
    of_class = [train.features[train.grouped.labels == label].astype(np.float64) for label in (0, 1)]
    return FeatureStatistics(
        np.stack([x.mean(axis=0) for x in of_class]), np.stack([x.std(axis=0) for x in of_class])
    )


def frozen_plan(
    family: Family,
    limits: Sequence[RiskLimit],
    delta: float,
    n_groups: int,
    group_shares: Mapping[Population, float],
) -> WalkPlan:
    """Choose the start (and stakes) on `select` for calibration draws of so many groups."""
    expected = [round(n_groups * group_shares[RISKS[limit.risk].population]) for limit in limits]
    return plan_walk(family.path_of(family.select), family.select.grouped, expected, limits, delta)


def walked(
    family: Family,
    sample: Sample,
    limits: Sequence[RiskLimit],
    delta: float,
    counting: Counting,
    plan: WalkPlan,
) -> int | None:
    """Return the rule that a draw certifies; None where it certifies none."""
    return walk(family.path_of(sample), sample.grouped, limits, delta, counting, plan)


def _shares_along(path: Path, truth: Sample) -> dict[tuple[int, int], F64]:
    """Return how many pictures of each class get each verdict under each rule: (label, code) → [J]."""
    labels, j = truth.grouped.labels, len(path)
    shares = {}
    for label in (0, 1):
        of_class = labels == label
        for code in (_NONE, _ROADWORK, _DEFER):
            gained = np.bincount(path.switch[of_class & (path.after == code)], minlength=j + 1)[:j]
            lost = np.bincount(path.switch[of_class & (path.before == code)], minlength=j + 1)[:j]
            start = int((of_class & (path.before == code)).sum())
            shares[label, int(code)] = (start + np.cumsum(gained - lost)).astype(np.float64)
    return shares
