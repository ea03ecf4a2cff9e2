"""Fits conformal policies: class-conditional sets, conformal risk control, selective risk control.

`sets` and `crc` promise averages over the calibration draw and the next picture; the chance that a given draw
gives a worse rule is near one half and is printed beside. `scrc` promises with confidence, because its
selection rule is frozen on `select`: given that, the accepted calibration pictures are independent draws and
the exact binomial test applies to them as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.calibration.certificate import NOT_YET, certify_policy
from workzone.calibration.groups import Grouped, group_pictures
from workzone.calibration.path import Path, rising_path
from workzone.calibration.threshold import freeze_upper_threshold, threshold_grid
from workzone.calibration.walk import plan_walk, walk
from workzone.calibration.walked import populations, reaches_rule, refusal, walk_record
from workzone.core.errors import DataError
from workzone.core.scores import Scores
from workzone.core.types import Label, Verdict
from workzone.metrics.classification import best_mcc_threshold
from workzone.policy.conformal import ConformalPolicy
from workzone.policy.risks import Population, Risk, risk_title
from workzone.policy.settings import ConformalMethod, ConformalSettings, RiskLimit
from workzone.policy.verdicts import CODES

F64 = NDArray[np.float64]

N_REDRAWS = 1000
"""Of the groups, for the chance that a draw gives a worse rule than promised on average."""


def fit_conformal_policy(
    settings: ConformalSettings, select: Scores, calib: Scores, *, split_sha256: str, dataset_sha256: str
) -> ConformalPolicy:
    """Fit the policy; without a certificate where there are too few groups.

    Raises:
        DataError: A class that the method needs is missing, or a sample occurs twice.
    """
    fitter = {
        ConformalMethod.SETS: _fit_sets,
        ConformalMethod.CRC: _fit_crc,
        ConformalMethod.SCRC: _fit_scrc,
    }[settings.method]
    return fitter(settings, select, calib, split_sha256, dataset_sha256)


def conformal_lower(logits: F64, alpha: float) -> float:
    """Return the largest threshold below which at most alpha · (n + 1) - 1 of n logits lie.

    A new exchangeable logit lies below it with probability at most alpha. It is the threshold of split
    conformal prediction with the score -logit: the ⌈(n + 1)(1 - alpha)⌉-th smallest (methods: at n = 500 and
    alpha = 0.1 the coverage of a draw is Beta(451, 50)). -inf where n < 1 / alpha - 1.
    """
    allowed = allowed_misses(len(logits), alpha)
    if allowed < 0:
        return -math.inf
    return float(np.partition(logits, allowed)[allowed])


def allowed_misses(n: int, alpha: float) -> int:
    """Return the most misses among n with (misses + 1) / (n + 1) <= alpha; -1 where not even none is enough."""
    allowed = math.floor(alpha * (n + 1)) - 1
    if (allowed + 2) / (n + 1) <= alpha:  # the product was rounded down
        allowed += 1
    elif (allowed + 1) / (n + 1) > alpha:
        allowed -= 1
    return max(-1, allowed)


def risk_control_lower(logits: F64, weights: F64, n_groups: int, alpha: float) -> float:
    """Return the largest threshold with (sum of the weights below it + 1) / (n_groups + 1) <= alpha.

    Conformal risk control (arXiv 2208.02814) of a loss in [0, 1] that is, for each group, the share of its
    pictures below the threshold; a picture's weight is one over the size of its group.
    """
    order = np.argsort(logits, kind="stable")
    ranked, below = logits[order], np.cumsum(weights[order])
    values, first = np.unique(ranked, return_index=True)
    # below the k-th distinct logit lies everything before it
    lost = np.concatenate([[0.0], below])[first]
    allowed = (lost + 1.0) / (n_groups + 1.0) <= alpha * (1 + 1e-12)
    if not allowed.any():
        return -math.inf
    last = int(np.flatnonzero(allowed)[-1])
    everything = last == len(values) - 1 and (below[-1] + 1.0) / (n_groups + 1.0) <= alpha
    return float(np.nextafter(values[-1], np.inf)) if everything else float(values[last])


def _fit_sets(
    settings: ConformalSettings, _select: Scores, calib: Scores, split_sha256: str, dataset_sha256: str
) -> ConformalPolicy:
    decided = calib.decided()
    grouped = group_pictures(decided, split_sha256)
    positives = decided.logits[grouped.chosen[Population.POSITIVES]]
    negatives = decided.logits[grouped.chosen[Population.NEGATIVES]]
    alpha_1, alpha_0 = (_limit(settings, r).alpha for r in (Risk.COMMITTED_MISS_RATE, Risk.FALSE_ALARM_RATE))
    lower = conformal_lower(positives, alpha_1)  # below: road work is not in the set
    upper = -conformal_lower(-negatives, alpha_0)  # above: none is not in the set
    after = float(np.nextafter(upper, np.inf)) if math.isfinite(upper) else upper
    # {none}: road work is out and none is in. {road work}: the other way round. Both or neither: deferred.
    none_below, roadwork_from = min(lower, after), max(lower, after)
    if not math.isfinite(lower):
        return _refused(settings, -math.inf, after, Risk.COMMITTED_MISS_RATE, len(positives), alpha_1)
    if not math.isfinite(upper):
        return _refused(settings, -math.inf, math.inf, Risk.FALSE_ALARM_RATE, len(negatives), alpha_0)
    policy = ConformalPolicy(none_below, roadwork_from, math.inf, math.inf, settings, None, NOT_YET)
    return _averaged(policy, calib, split_sha256, dataset_sha256, None)


def _fit_crc(
    settings: ConformalSettings, select: Scores, calib: Scores, split_sha256: str, dataset_sha256: str
) -> ConformalPolicy:
    decided = calib.decided()
    grouped = group_pictures(decided, split_sha256)
    alarms = next((limit for limit in settings.limits if limit.risk is Risk.FALSE_ALARM_RATE), None)
    misses = _limit(settings, Risk.COMMITTED_MISS_RATE)
    negatives = _Weighted.of(decided, grouped, Population.NEGATIVES)
    if alarms is None:
        after = freeze_upper_threshold(select, settings.beta)
    else:
        beyond = -negatives.mirrored().lower(alarms.alpha)
        if not math.isfinite(beyond):
            return _refused(settings, -math.inf, math.inf, alarms.risk, negatives.n_groups, alarms.alpha)
        after = float(np.nextafter(beyond, np.inf))
    positives = _Weighted.of(decided, grouped, Population.POSITIVES)
    lower = positives.lower(misses.alpha)
    if not math.isfinite(lower):
        return _refused(settings, -math.inf, after, misses.risk, positives.n_groups, misses.alpha)
    # where the two cross, both losses stay below their limits if the pictures between are deferred
    none_below, roadwork_from = min(lower, after), after if alarms is None else max(lower, after)
    chances: dict[Risk, float | None] = {misses.risk: positives.exceedance(misses.alpha, after)}
    if alarms is not None:
        chances[alarms.risk] = negatives.mirrored().exceedance(alarms.alpha, -lower)
    policy = ConformalPolicy(none_below, roadwork_from, math.inf, math.inf, settings, None, NOT_YET)
    return _averaged(policy, calib, split_sha256, dataset_sha256, [chances[x.risk] for x in settings.limits])


def _fit_scrc(
    settings: ConformalSettings, select: Scores, calib: Scores, split_sha256: str, dataset_sha256: str
) -> ConformalPolicy:
    band_low, band_high = freeze_selection(select, settings.coverage)
    grid = threshold_grid(select, math.inf, settings.grid_size)
    planned = group_pictures(select.decided(), split_sha256)
    decided = calib.decided()
    grouped = group_pictures(decided, split_sha256)
    plan = plan_walk(
        _selective_path(select.decided().logits, grid, band_low, band_high),
        planned,
        populations(settings.limits, grouped),
        settings.limits,
        settings.delta,
    )
    path = _selective_path(decided.logits, grid, band_low, band_high)
    passed = walk(path, grouped, settings.limits, settings.delta, settings.counting, plan)
    if passed is None:
        instead = "Until then the policy calls everything road work that it does not defer."
        reason = refusal(path, grouped, settings, plan.start, instead)
        return ConformalPolicy(-math.inf, -math.inf, band_low, band_high, settings, None, reason)
    t = float(grid[passed])
    certified = certify_policy(
        ConformalPolicy(t, t, band_low, band_high, settings, None, NOT_YET),
        calib,
        kind="pac",
        split_sha256=split_sha256,
        dataset_sha256=dataset_sha256,
        walk=walk_record(path, plan.start, passed, passed),
        stakes=[None] * len(settings.limits),
        reaches=reaches_rule(
            lambda pictures: _selective_path(pictures.logits, grid, band_low, band_high),
            settings,
            plan,
            passed,
            split_sha256,
        ),
    )
    assert isinstance(certified, ConformalPolicy)
    return certified


def freeze_selection(select: Scores, coverage: float) -> tuple[float, float]:
    """Return the band of logits around the decision threshold that is deferred, from `select` alone.

    The decision threshold is the one of the best MCC; the band is the narrowest symmetric one that leaves at
    most `coverage` of the pictures of `select` outside.

    Raises:
        DataError: `select` lacks a class.
    """
    decided = select.decided()
    positive = decided.labels == Label.ROADWORK
    if not positive.any() or positive.all():
        raise DataError("'select' needs decided pictures of both classes to choose what is deferred.")
    centre = float(best_mcc_threshold(positive, decided.logits)[0])
    distance = np.sort(np.abs(decided.logits - centre))
    deferred = min(len(distance) - 1, math.ceil((1.0 - coverage) * len(distance)))
    half = float(distance[deferred])
    return centre - half, centre + half


def _selective_path(logits: F64, grid: F64, band_low: float, band_high: float) -> Path:
    deferred = (logits >= band_low) & (logits < band_high)
    before = np.where(deferred, CODES[Verdict.DEFER], CODES[Verdict.ROADWORK]).astype(np.int8)
    after = np.where(deferred, CODES[Verdict.DEFER], CODES[Verdict.NONE]).astype(np.int8)
    return rising_path("t", grid, logits, before, after)


def _averaged(
    policy: ConformalPolicy,
    calib: Scores,
    split_sha256: str,
    dataset_sha256: str,
    exceedances: Sequence[float | None] | None,
) -> ConformalPolicy:
    certified = certify_policy(
        policy,
        calib,
        kind="average",
        split_sha256=split_sha256,
        dataset_sha256=dataset_sha256,
        walk=None,
        stakes=[None] * len(policy.settings.limits),
        exceedances=exceedances,
    )
    assert isinstance(certified, ConformalPolicy)
    return certified


def _refused(
    settings: ConformalSettings, none_below: float, after: float, risk: Risk, n: int, alpha: float
) -> ConformalPolicy:
    needed = math.ceil(1.0 / alpha - 1.0)
    reason = (
        f"Cannot promise a {risk_title(risk)} of at most {alpha:g} even on average: {n} calibration "
        f"groups have a picture of that class, at least {needed} are needed: {needed - n} more. Until then "
        "what it would take is deferred."
    )
    return ConformalPolicy(none_below, after, math.inf, math.inf, settings, None, reason)


def _limit(settings: ConformalSettings, risk: Risk) -> RiskLimit:
    return next(limit for limit in settings.limits if limit.risk is risk)


@dataclass(frozen=True, slots=True, eq=False)
class _Weighted:
    """The pictures of a population, each with one over the size of its group.

    Attributes:
        logits: float64 [N].
        weights: float64 [N].
        groups: intp [N].
        n_groups: How many groups they are of.
    """

    logits: F64
    weights: F64
    groups: NDArray[np.intp]
    n_groups: int

    @staticmethod
    def of(decided: Scores, grouped: Grouped, population: Population) -> _Weighted:
        rows, sizes = grouped.rows(population), grouped.sizes(population)
        groups = grouped.groups[rows]
        return _Weighted(decided.logits[rows], 1.0 / sizes[groups], groups, int((sizes > 0).sum()))

    def mirrored(self) -> _Weighted:
        return _Weighted(-self.logits, self.weights, self.groups, self.n_groups)

    def lower(self, alpha: float) -> float:
        return risk_control_lower(self.logits, self.weights, self.n_groups, alpha)

    def exceedance(self, alpha: float, most: float) -> float:
        """Estimate the chance that a draw of groups gives a threshold whose true risk is above alpha.

        Groups are drawn anew with replacement `N_REDRAWS` times, the threshold (at most `most`) found on each
        draw, and its risk taken on the groups as they are (a bootstrap estimate, not a bound; seeded).
        """
        order = np.argsort(self.logits, kind="stable")
        ranked, share = self.logits[order], self.weights[order]
        _, member = np.unique(self.groups[order], return_inverse=True)
        lost = np.concatenate([[0.0], np.cumsum(share)])
        generator = np.random.default_rng(0)
        above = 0
        for _ in range(N_REDRAWS):
            drawn = np.bincount(
                generator.integers(self.n_groups, size=self.n_groups), minlength=self.n_groups
            )
            below = np.concatenate([[0.0], np.cumsum(share * drawn[member])])
            allowed = (below[:-1] + 1.0) / (self.n_groups + 1.0) <= alpha
            threshold = ranked[np.flatnonzero(allowed)[-1]] if allowed.any() else ranked[0]
            at = int(np.searchsorted(ranked, min(float(threshold), most), side="left"))
            above += bool(lost[at] / self.n_groups > alpha)
        return above / N_REDRAWS
