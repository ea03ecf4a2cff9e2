"""Where a model should decide under a challenge profile, and the map that puts that decision at one half.

Validators decide at 0.5 and pay nothing for calibration, so a model whose best logit is elsewhere must move it there.
Knows logits, labels and groups of a replay; does not know pictures or bundles. What a reader would question: the point
is fitted by the expected reward in the long run, not by MCC, and it is not the best threshold in sample. The reward is
flat about its best, where chance decides which threshold comes out on top; so all whose reward is within one standard
error of the best count as equally good, as in the rule of Breiman, Friedman, Olshen and Stone ("Classification and
regression trees", 1984, section 3.4.3), and their middle is taken.

The point is never judged on the groups it was fitted on: `judge` refuses them. The gain that comes with it is
cross-fitted: each group is decided by a threshold fitted without it.
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
_ONE_STANDARD_ERROR = math.erf(math.sqrt(0.5))  # of a Gaussian, the share within one
_FOLDS = 5  # of the cross-fitting; fewer where a label has fewer groups
_RESAMPLES = 200  # a standard error is known to a twentieth by them
_EQUAL = 1e-12  # rewards that differ by rounding only


@dataclass(frozen=True, slots=True)
class FittedThreshold:
    """The logit above which road work is called, and what is known of it."""

    threshold: float
    in_sample_reward: float
    """On the rows it was fitted on: rather too good, by the choice."""
    cross_fitted_reward: float
    """Each group decided by a threshold fitted on the other folds: what to expect of the procedure."""
    cross_fitted_gain: float
    """That, less the reward at the baseline on the same rows; below 0: leave the threshold where it was."""
    baseline: float
    groups: frozenset[str]
    """What it was fitted on, and cannot be judged on."""


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
    baseline: float = 0.0,
    seed: int = 0,
) -> FittedThreshold:
    """Fit the logit above which calling road work earns most, labels being asked equally often.

    Thresholds lie midway between two neighbouring logits. Of those that earn within one standard error (over resampled
    groups) of the most, it is the one nearest to the middle of their range.

    Args:
        logits: [N], of challenges under one profile.
        labels: [N] of 0 and 1.
        groups: [N], the sequence or place of each picture.
        weights: [N], how much each row stands for among its label's (`answers.answer_weights`); None: equally.
        baseline: The logit that the gain is against; 0: a probability of one half.
        seed: Of the folds of the cross-fitting, and of the resamples.

    Raises:
        DataError: Lengths differ, a value is not finite, all logits are equal, or a label has fewer than
            two groups.
    """
    rows = _Rows.of(logits, labels, groups, weights)
    threshold = _best(rows, seed)
    folds = _folds(rows, seed)
    called = np.zeros(len(rows.logits), dtype=bool)
    for fold in np.unique(folds):
        held_out = folds == fold
        called[held_out] = rows.logits[held_out] > _best(rows.take(~held_out), seed)
    cross_fitted = _reward(rows, called)
    return FittedThreshold(
        threshold=threshold,
        in_sample_reward=_reward(rows, rows.logits > threshold),
        cross_fitted_reward=cross_fitted,
        cross_fitted_gain=cross_fitted - _reward(rows, rows.logits > baseline),
        baseline=baseline,
        groups=frozenset(rows.groups.tolist()),
    )


def judge(
    threshold: float,
    logits: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    *,
    fitted_on: frozenset[str],
    baseline: float = 0.0,
    weights: ArrayLike | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Judged:
    """Return what a fitted threshold earns on other groups, and how much more than its baseline.

    Args:
        threshold: Of `fit_threshold`.
        logits: [N], as there.
        labels: [N], as there.
        groups: [N]; none of those it was fitted on.
        fitted_on: Those.
        baseline: As there.
        weights: [N], as there.
        n_resamples: Of groups.
        confidence: Of the intervals.
        seed: Of the resamples.

    Raises:
        DataError: It was fitted on one of these groups, or as `fit_threshold`.
    """
    rows = _Rows.of(logits, labels, groups, weights)
    seen = sorted(fitted_on & set(rows.groups.tolist()))
    if seen:
        raise DataError(
            f"The threshold was fitted on {len(seen)} of these groups, '{seen[0]}' among them; what it earns "
            "there says nothing. Judge it on groups that were not used for fitting."
        )

    def rewards(totals: F64) -> F64:
        at, before = _rewards(totals)
        return np.stack([at, before, at - before], axis=1)

    columns = _columns(rows, threshold, baseline)
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


def _best(rows: _Rows, seed: int) -> float:
    """The threshold in the middle of the best; see `fit_threshold`."""
    values, gaps, rewards = _candidates(rows)
    top = int(gaps[np.argmax(rewards)])
    error = _standard_error(rows, _between(values[top], values[top + 1]), seed)
    good = gaps[rewards >= rewards.max() - max(error, _EQUAL)]
    middle = _between(values[good[0]], values[good[-1] + 1])
    away = np.maximum(values[good] - middle, middle - values[good + 1])  # below 0: the middle is in this gap
    chosen = int(good[np.argmin(away)])
    return _between(values[chosen], values[chosen + 1])


def _candidates(rows: _Rows) -> tuple[F64, NDArray[np.intp], F64]:
    """Different logits, sorted; after which of them a threshold is worth a try; and what it earns there.

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
    return values, gaps, steady_reward(*(np.clip(1 - share, 0, 1) for share in below))


def _between(low: float, high: float) -> float:
    """Midway between two numbers: not below the lower one, and below the higher one."""
    middle = float(low / 2 + high / 2)  # their difference may be too wide for a number
    return middle if low <= middle < high else float(low)


def _standard_error(rows: _Rows, threshold: float, seed: int) -> float:
    """Of the reward at a threshold, over resampled groups; 0 where they tell none."""
    (found,) = bootstrap_totals(
        rows.groups,
        _columns(rows, threshold),
        lambda totals: _rewards(totals)[0][:, None],
        _RESAMPLES,
        _ONE_STANDARD_ERROR,
        seed,
    )
    return 0.0 if math.isnan(found.low) else (found.high - found.low) / 2


def _columns(rows: _Rows, *thresholds: float) -> F64:
    """[N, 2 + 2 T], whose totals are the weights of road work and of none: all, then those above each threshold."""
    return np.stack(
        [
            rows.weights * (rows.positive == label) * counted
            for counted in (1.0, *(rows.logits > threshold for threshold in thresholds))
            for label in (True, False)
        ],
        axis=1,
    )


def _rewards(totals: F64) -> list[F64]:
    """What is earned at each threshold, [R] of totals [R, 2 + 2 T] of `_columns`; nan where a label is missing."""
    of = np.where(totals[:, :2] > 0, totals[:, :2], np.nan)
    # Weights add up to 1 only within rounding, and a share may not pass 1.
    shares = (np.minimum(totals[:, i : i + 2] / of, 1.0) for i in range(2, totals.shape[1], 2))
    return [steady_reward(above[:, 0], above[:, 1]) for above in shares]


def _reward(rows: _Rows, called: Flags) -> float:
    rates = [
        min(1.0, float(rows.weights[of & called].sum() / rows.weights[of].sum()))
        for of in (rows.positive, ~rows.positive)
    ]
    return float(steady_reward(rates[:1], rates[1:])[0])


def _folds(rows: _Rows, seed: int) -> NDArray[np.intp]:
    """Fold of each row: groups are dealt in a drawn order, those with road work first."""
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
    fold[dealt] = np.arange(len(names)) % min(_FOLDS, fewest)
    return fold[member]
