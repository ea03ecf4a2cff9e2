"""Where a model should decide under a challenge profile, and the map that puts that decision at one half.

Validators decide at 0.5 and pay nothing for calibration, so a model whose best logit is elsewhere must move it there.
Knows logits, labels and groups of a replay; does not know pictures or bundles. What a reader would question: the point
is fitted by the expected reward in the long run, not by MCC, and it is never judged on the groups it was fitted on.
`FittedThreshold` remembers them, and `judge` refuses them. The gain that comes with it is cross-fitted: each
group is decided by a threshold fitted without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import DataError
from workzone.metrics.bootstrap import Interval, bootstrap_totals
from workzone.metrics.classification import binary
from workzone.subnet.expectation import steady_reward

F64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

_JUST_ABOVE_HALF = math.nextafter(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class FittedThreshold:
    """The logit above which road work is called, and what is known of it."""

    threshold: float
    in_sample_reward: float
    """On the rows it was fitted on: too good, by the choice."""
    cross_fitted_reward: float
    """Each group decided by a threshold fitted on the other folds: what to expect of the procedure."""
    cross_fitted_gain: float
    """That, less the reward at the baseline on the same rows; below 0: leave the threshold where it was."""
    baseline: float
    groups: frozenset[str]
    """What it was fitted on, and cannot be judged on."""
    n: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A threshold on groups that it has not seen; intervals resample groups."""

    reward: Interval
    baseline_reward: Interval
    gain: Interval


def map_to_half(logits: ArrayLike, threshold: float) -> F64:
    """Return probabilities that rise with the logit and pass one half at the threshold: σ(logit - threshold).

    In floating point too the result is above 0.5 if and only if the logit is above the threshold: where σ would
    round to 0.5 just above it, the next larger number is returned.

    Args:
        logits: Any shape; infinite ones are 0 and 1.
        threshold: Finite.

    Returns:
        float64 of the shape of `logits`, in [0, 1].

    Raises:
        DataError: A logit is nan, or the threshold is not finite.

    >>> map_to_half([1.0, 2.0, 3.0], 2.0).round(3).tolist()
    [0.269, 0.5, 0.731]
    """
    values = np.asarray(logits, dtype=np.float64)
    if not math.isfinite(threshold) or np.isnan(values).any():
        raise DataError(
            f"Logits hold nan, or the threshold {threshold} is not finite; no probability comes of it."
        )
    with np.errstate(over="ignore"):
        above = values - threshold
        rising = 1.0 / (1.0 + np.exp(-above))
    return np.asarray(np.where(values > threshold, np.maximum(rising, _JUST_ABOVE_HALF), rising))


def fit_threshold(
    logits: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    n_folds: int = 5,
    baseline: float = 0.0,
    seed: int = 0,
) -> FittedThreshold:
    """Fit the logit above which calling road work earns most, labels being asked equally often.

    The threshold is the middle of the best gap between two neighbouring logits, of equally good ones the widest.

    Args:
        logits: [N], of challenges under one profile.
        labels: [N] of 0 and 1.
        groups: [N], the sequence or place of each picture.
        weights: [N], how much each row stands for among its label's (`answers.answer_weights`); None: equally.
        n_folds: Folds of the cross-fitting, at least 2; fewer where a label has fewer groups.
        baseline: The logit that the gain is against; 0: a probability of one half.
        seed: Of the folds.

    Raises:
        DataError: Lengths differ, a value is not finite, all logits are equal, or a label has fewer than
            two groups.
    """
    rows = _Rows.of(logits, labels, groups, weights)
    threshold, reward = _best(rows)
    folds = _folds(rows, n_folds, seed)
    called = np.zeros(len(rows.logits), dtype=bool)
    for fold in np.unique(folds):
        held_out = folds == fold
        called[held_out] = rows.logits[held_out] > _best(rows.take(~held_out))[0]
    cross_fitted = _reward(rows, called)
    return FittedThreshold(
        threshold=threshold,
        in_sample_reward=reward,
        cross_fitted_reward=cross_fitted,
        cross_fitted_gain=cross_fitted - _reward(rows, rows.logits > baseline),
        baseline=baseline,
        groups=frozenset(rows.groups.tolist()),
        n=len(rows.logits),
    )


def judge(
    fitted: FittedThreshold,
    logits: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Judged:
    """Return what a fitted threshold earns on other groups, and how much more than its baseline.

    Args:
        fitted: Of `fit_threshold`.
        logits: [N], as there.
        labels: [N], as there.
        groups: [N]; none of those it was fitted on.
        weights: [N], as there.
        n_resamples: Of groups.
        confidence: Of the intervals.
        seed: Of the resamples.

    Raises:
        DataError: It was fitted on one of these groups, or as `fit_threshold`.
    """
    rows = _Rows.of(logits, labels, groups, weights)
    seen = sorted(fitted.groups & set(rows.groups.tolist()))
    if seen:
        raise DataError(
            f"The threshold was fitted on {len(seen)} of these groups, '{seen[0]}' among them; what it earns "
            "there says nothing. Judge it on groups that were not used for fitting."
        )
    columns = np.stack(
        [
            rows.weights * (rows.positive == label) * counted
            for counted in (1.0, rows.logits > fitted.threshold, rows.logits > fitted.baseline)
            for label in (True, False)
        ],
        axis=1,
    )

    def rewards(totals: F64) -> F64:
        all_of, none_of = np.where(totals[:, :2] > 0, totals[:, :2], np.nan).T
        # Weights add up to 1 only within rounding, and a share may not pass 1.
        at, before = (
            steady_reward(np.minimum(totals[:, i] / all_of, 1), np.minimum(totals[:, i + 1] / none_of, 1))
            for i in (2, 4)
        )
        return np.stack([at, before, at - before], axis=1)

    return Judged(*bootstrap_totals(rows.groups, columns, rewards, n_resamples, confidence, seed))


@dataclass(frozen=True, slots=True)
class _Rows:
    logits: F64
    positive: Flags
    groups: NDArray[np.str_]
    weights: F64

    @classmethod
    def of(cls, logits: ArrayLike, labels: ArrayLike, groups: ArrayLike, weights: ArrayLike | None) -> _Rows:
        values = np.asarray(logits, dtype=np.float64)
        names = np.asarray(groups).astype(np.str_)
        shares = np.ones(values.shape) if weights is None else np.asarray(weights, dtype=np.float64)
        positive = binary(labels, "labels")
        columns: tuple[NDArray[Any], ...] = (names, shares, positive)
        if values.ndim != 1 or any(column.shape != values.shape for column in columns):
            raise DataError(
                f"Logits have shape {list(values.shape)}, labels {list(positive.shape)}, groups "
                f"{list(names.shape)}, weights {list(shares.shape)}; expected one row of each, equally long."
            )
        if not np.isfinite(values).all() or not np.isfinite(shares).all() or (shares < 0).any():
            raise DataError("A logit or a weight is not finite, or a weight is below 0; leave such rows out.")
        return cls(values, positive, names, shares)

    def take(self, rows: Flags) -> _Rows:
        return _Rows(self.logits[rows], self.positive[rows], self.groups[rows], self.weights[rows])


def _best(rows: _Rows) -> tuple[float, float]:
    """The best threshold and its reward.

    Only gaps with none just below and road work just above are tried: across any other, a neighbour calls no more of
    one label and no less of the other, and the reward rises with recall and falls with false alarms.
    """
    counted = rows.weights > 0
    values, member = np.unique(rows.logits[counted], return_inverse=True)
    if len(values) < 2:
        raise DataError(
            "All logits are equal, so no threshold tells anything apart; the model's output is broken."
        )
    at = [
        np.bincount(member, rows.weights[counted] * of[counted], len(values))
        for of in (rows.positive, ~rows.positive)
    ]
    if not all(weights.any() for weights in at):
        raise DataError("One of the labels has no weight; a threshold needs pictures of both.")
    gaps = np.flatnonzero((at[1][:-1] > 0) & (at[0][1:] > 0))
    if not len(gaps):
        gaps = np.arange(len(values) - 1)  # all road work lies below all none
    below = [np.cumsum(weights)[gaps] / weights.sum() for weights in at]
    rewards = steady_reward(*(np.clip(1 - share, 0, 1) for share in below))
    equally_good = gaps[rewards >= rewards.max() - 1e-12]
    best = int(equally_good[np.argmax((values[1:] - values[:-1])[equally_good])])
    middle = float(values[best] + (values[best + 1] - values[best]) / 2)
    if not values[best] <= middle < values[best + 1]:
        middle = float(values[best])  # neighbouring numbers, or a gap too wide for a difference
    return middle, float(rewards.max())


def _reward(rows: _Rows, called: Flags) -> float:
    rates = [
        min(1.0, float(rows.weights[of & called].sum() / rows.weights[of].sum()))
        for of in (rows.positive, ~rows.positive)
    ]
    return float(steady_reward(rates[:1], rates[1:])[0])


def _folds(rows: _Rows, n_folds: int, seed: int) -> NDArray[np.intp]:
    """Fold of each row: groups are dealt in a drawn order, those with road work first."""
    if n_folds < 2:
        raise DataError(f"{n_folds} folds leave nothing out; expected at least 2.")
    weighty = rows.weights > 0
    names, member = np.unique(rows.groups, return_inverse=True)
    holds = [
        np.bincount(member[weighty & of], minlength=len(names)) > 0 for of in (rows.positive, ~rows.positive)
    ]
    fewest = int(min(has.sum() for has in holds))
    if fewest < 2:
        raise DataError(
            f"A label has {fewest} group(s), {len(names)} groups in all; fitting needs two of each label, so that "
            "one can be left out. Name more pictures."
        )
    drawn = np.random.default_rng(seed).permutation(len(names))
    # Those with both labels first, then those with one: each fold gets its part of each kind.
    dealt = drawn[np.argsort(-(2 * holds[0][drawn] + holds[1][drawn]), kind="stable")]
    fold = np.empty(len(names), dtype=np.intp)
    fold[dealt] = np.arange(len(names)) % min(n_folds, fewest)
    return fold[member]
