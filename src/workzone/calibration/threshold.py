"""Fits the policy of two thresholds: the upper one on `select`, the lower one certified on `calib`.

The upper threshold and the lower one's grid come from `select`; `calib` only decides how far along the grid
the promise holds. Were both free on `calib`, "road work, always" would be the optimum. No score of `calib`
enters the grid, and nothing here looks at `test`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from workzone.calibration.certificate import NOT_YET, certify_policy
from workzone.calibration.cost import path_costs
from workzone.calibration.groups import group_pictures
from workzone.calibration.path import Path, rising_path
from workzone.calibration.walk import WalkPlan, plan_walk, walk
from workzone.calibration.walked import populations, reaches_rule, refusal, walk_record
from workzone.core.errors import ConfigError, DataError
from workzone.core.scores import Scores
from workzone.core.types import Label, Verdict
from workzone.policy.settings import Counting, Objective, ThresholdSettings
from workzone.policy.threshold import ThresholdPolicy
from workzone.policy.verdicts import CODES

F64 = NDArray[np.float64]

_BEYOND = (2.0, 1.0, 0.5, 0.1)
"""Grid points below the range of `select`, in widths of it: room for calibration positives down there."""


def fit_threshold_policy(
    settings: ThresholdSettings, select: Scores, calib: Scores, *, split_sha256: str, dataset_sha256: str
) -> ThresholdPolicy:
    """Freeze t_hi and the grid on `select`, then certify t_lo on `calib`.

    Returns:
        A policy with a certificate; or, where not even the first rule passes, one that never answers "none"
        and says how many groups are missing.

    Raises:
        DataError: `select` has no negatives, or a sample occurs twice.
    """
    t_hi, grid = freeze_thresholds(settings, select)
    chosen_on = select.decided()
    plan = plan_walk(
        threshold_path(chosen_on.logits, grid, t_hi),
        group_pictures(chosen_on, split_sha256),
        populations(settings.limits, group_pictures(calib.decided(), split_sha256)),
        settings.limits,
        settings.delta,
    )
    return certify_threshold(
        settings,
        calib,
        t_hi=t_hi,
        grid=grid,
        plan=plan,
        split_sha256=split_sha256,
        dataset_sha256=dataset_sha256,
    )


def certify_threshold(
    settings: ThresholdSettings,
    calib: Scores,
    *,
    t_hi: float,
    grid: F64,
    plan: WalkPlan,
    split_sha256: str,
    dataset_sha256: str,
) -> ThresholdPolicy:
    """Certify a lower threshold of the grid on `calib`; t_hi, grid and plan were fixed before.

    Args:
        settings: Risks, limits and how they are counted.
        calib: Scores of the calibration pictures; unknown and ambiguous labels are left out and counted.
        t_hi: Upper threshold.
        grid: Lower thresholds, strictly rising, none above `t_hi`.
        plan: Where the walk starts, and its stakes.
        split_sha256: Hash of the split; it chooses the picture that stands for its group.
        dataset_sha256: Hash of the data set, for the record.

    Raises:
        ConfigError: The grid or a hash is not as above.
        DataError: A sample occurs twice.
    """
    thresholds = _checked_grid(grid, t_hi)
    decided = calib.decided()
    grouped = group_pictures(decided, split_sha256)
    path = threshold_path(decided.logits, thresholds, t_hi)
    passed = walk(path, grouped, settings.limits, settings.delta, settings.counting, plan)
    if passed is None:
        reason = refusal(path, grouped, settings, plan.start, "Until then the policy never answers 'none'.")
        return ThresholdPolicy(-math.inf, t_hi, settings, None, reason)
    chosen = _chosen(settings, path, decided, plan, passed)
    policy = ThresholdPolicy(float(thresholds[chosen]), t_hi, settings, None, NOT_YET)
    all_frames = settings.counting is Counting.ALL_FRAMES
    certified = certify_policy(
        policy,
        calib,
        kind="pac",
        split_sha256=split_sha256,
        dataset_sha256=dataset_sha256,
        walk=walk_record(path, plan.start, passed, chosen),
        stakes=[float(row[chosen]) if all_frames else None for row in plan.stakes],
        reaches=reaches_rule(
            lambda pictures: threshold_path(pictures.logits, thresholds, t_hi),
            settings,
            plan,
            chosen,
            split_sha256,
        ),
    )
    assert isinstance(certified, ThresholdPolicy)
    return certified


def threshold_path(logits: F64, grid: F64, t_hi: float) -> Path:
    """Return what each lower threshold of the grid does to pictures with these logits."""
    above = logits >= t_hi
    before = np.where(above, CODES[Verdict.ROADWORK], CODES[Verdict.DEFER]).astype(np.int8)
    after = np.where(above, CODES[Verdict.ROADWORK], CODES[Verdict.NONE]).astype(np.int8)
    return rising_path("t_lo", grid, logits, before, after)


def freeze_thresholds(settings: ThresholdSettings, select: Scores) -> tuple[float, F64]:
    """Return t_hi and the grid of lower thresholds, both from `select` alone.

    For the objective `cost`, t_hi is the one of least expected cost on `select`, with the best lower threshold
    below it, among those that let at most `beta` of the negatives through.
    """
    lowest = freeze_upper_threshold(select, settings.beta)
    if settings.objective is Objective.COVERAGE or settings.prices is None:
        return lowest, threshold_grid(select, lowest, settings.grid_size)
    decided = select.decided()
    top = decided.logits[decided.logits >= lowest]
    candidates = np.unique(
        np.concatenate([[lowest], np.quantile(top, np.linspace(0, 1, 25)) if len(top) else []])
    )
    costs = []
    for t_hi in candidates:
        path = threshold_path(
            decided.logits, threshold_grid(select, float(t_hi), settings.grid_size), float(t_hi)
        )
        costs.append(float(path_costs(path, decided.labels, settings.prices).min()))
    t_hi = float(candidates[int(np.argmin(costs))])
    return t_hi, threshold_grid(select, t_hi, settings.grid_size)


def freeze_upper_threshold(select: Scores, beta: float) -> float:
    """Return the smallest logit at which at most `beta` of the negatives of `select` are called road work.

    All decided negative pictures count the same, whatever their group: this is a choice, not a promise.
    What it costs is stated with a bound, one picture per group, by the certificate. The result is the next
    float above a negative's logit.

    Raises:
        ConfigError: `beta` is not in [0, 1).
        DataError: There are no decided negatives.
    """
    if not 0.0 <= beta < 1.0:
        raise ConfigError(
            f"'beta' is the share of negatives that may be called road work, in [0, 1), got {beta}."
        )
    negatives = np.sort(select.logits[(select.labels == Label.NONE) & ~select.ambiguous])
    if not len(negatives):
        raise DataError(
            f"'select' has no decided picture without road work among its {len(select.labels)}: the upper "
            "threshold is set by false alarms and needs some. Split with a larger 'select', or "
            "label negatives."
        )
    values = np.unique(negatives)
    called = len(negatives) - np.searchsorted(negatives, values, side="right")
    # the division, not floor(beta * n): 0.29 * 100 is 28.999999999999996
    return float(np.nextafter(values[np.argmax(called / len(negatives) <= beta)], np.inf))


def threshold_grid(select: Scores, t_hi: float, size: int = 200) -> F64:
    """Return the lower thresholds to test, rising from the safe end to `t_hi`, from `select` only.

    Four points below the range of the logits of `select`, quantiles of those below `t_hi`, and `t_hi` itself:
    at most `size`, fewer where quantiles coincide. The labels are not used.

    Args:
        select: Any pictures of `select`, labelled or not.
        t_hi: The frozen upper threshold; may be inf, then the grid ends above all logits of `select`.
        size: Largest number of points, at least 10. A finer grid costs no confidence: tests in fixed sequence
            have no price of multiplicity.

    Raises:
        ConfigError: `size` is too small or `t_hi` is not a number.
    """
    if size < 10 or math.isnan(t_hi) or t_hi == -math.inf:
        raise ConfigError(f"A grid needs at least 10 points and a t_hi, got size={size}, t_hi={t_hi}.")
    below = select.logits[select.logits < t_hi]
    top = float(select.logits.max()) if len(select.logits) else 0.0
    end = t_hi if math.isfinite(t_hi) else float(np.nextafter(top, np.inf))
    low = float(below.min()) if len(below) else end
    width = (max(top, end) - low) or 1.0
    beyond = low - width * np.array(_BEYOND)
    n_quantiles = size - len(_BEYOND) - 1
    quantiles = np.quantile(below, np.linspace(0.0, 1.0, n_quantiles)) if len(below) else np.empty(0)
    return np.unique(np.concatenate([beyond, quantiles, [end]]))


def _chosen(settings: ThresholdSettings, path: Path, decided: Scores, plan: WalkPlan, passed: int) -> int:
    """Return which of the certified rules is used; all of them are safe, so the scores may choose."""
    if settings.objective is Objective.COVERAGE or settings.prices is None:
        return passed  # coverage grows along the path
    costs = path_costs(path, decided.labels, settings.prices)
    return plan.start + int(np.argmin(costs[plan.start : passed + 1]))


def _checked_grid(grid: F64, t_hi: float) -> F64:
    thresholds = np.asarray(grid, dtype=np.float64)
    rising = thresholds.ndim == 1 and len(thresholds) > 0 and bool((np.diff(thresholds) > 0).all())
    if not (rising and math.isfinite(t_hi) and np.isfinite(thresholds).all()):
        raise ConfigError(
            "The grid of lower thresholds is a non-empty, strictly rising row of finite logits."
        )
    if thresholds[-1] > t_hi:
        raise ConfigError(
            f"The grid ends at {thresholds[-1]}, above the upper threshold {t_hi}; cut it off there."
        )
    return thresholds
