"""Finds the two thresholds, and certifies the lower one.

The upper threshold and the lower one's grid come from `select`; `calib` only decides how far along the grid
the promise holds. Were both free on `calib`, "road work, always" would be the optimum. No score of `calib`
enters the grid, and nothing here looks at `test`.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.calibration.certificate import build_certificate, refuse_certificate
from workzone.calibration.groups import one_positive_per_group
from workzone.core.errors import ConfigError, DataError
from workzone.core.scores import Scores
from workzone.core.types import Label
from workzone.policy.binomial import binomial_cdf
from workzone.policy.threshold import ThresholdPolicy

_BEYOND = (2.0, 1.0, 0.5, 0.1)
"""Grid points below the range of `select`, in widths of it: room for calibration positives down there."""


def fit_threshold_policy(
    select: Scores,
    calib: Scores,
    *,
    split_sha256: str,
    dataset_sha256: str,
    alpha: float = 0.02,
    delta: float = 0.05,
    beta: float = 0.05,
    grid_size: int = 200,
) -> ThresholdPolicy:
    """Freeze t_hi and the grid on `select`, then certify t_lo on `calib`.

    Raises:
        ConfigError: A rate is out of its range.
        DataError: `select` has no negatives, or shares a group with `calib`.
    """
    shared = np.intersect1d(select.groups, calib.groups)
    if len(shared):
        raise DataError(
            f"{len(shared)} groups are in both 'select' and 'calib' (such as '{shared[0]}'): what is "
            "certified must not have been used to choose. Split by group."
        )
    t_hi = freeze_upper_threshold(select, beta)
    grid = threshold_grid(select, t_hi, grid_size)
    return certify_lower_threshold(
        calib,
        split_sha256=split_sha256,
        dataset_sha256=dataset_sha256,
        t_hi=t_hi,
        grid=grid,
        alpha=alpha,
        delta=delta,
        beta=beta,
    )


def freeze_upper_threshold(select: Scores, beta: float) -> float:
    """Return the smallest logit at which at most `beta` of the negatives of `select` are called road work.

    All decided negative pictures count the same, whatever their group: this is a choice, not a promise.
    What it costs is stated with a bound, one picture per group, by the certificate. The result is the next
    float above a negative's logit.

    Raises:
        ConfigError: `beta` is not in [0, 1).
        DataError: There are no decided negatives.
    """
    _require_beta(beta)
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


def threshold_grid(select: Scores, t_hi: float, size: int = 200) -> NDArray[np.float64]:
    """Return the lower thresholds to test, rising from the safe end to `t_hi`, from `select` only.

    Four points below the range of the logits of `select`, quantiles of those below `t_hi`, and `t_hi` itself:
    at most `size`, fewer where quantiles coincide. The labels are not used.

    Args:
        select: Any pictures of `select`, labelled or not.
        t_hi: The frozen upper threshold.
        size: Largest number of points, at least 10. A finer grid costs no confidence: tests in fixed sequence
            have no price of multiplicity.

    Raises:
        ConfigError: `size` is too small or `t_hi` is not finite.
    """
    if size < 10 or not math.isfinite(t_hi):
        raise ConfigError(f"A grid needs at least 10 points and a finite t_hi, got size={size}, t_hi={t_hi}.")
    below = select.logits[select.logits < t_hi]
    low = float(below.min()) if len(below) else t_hi
    top = float(select.logits.max()) if len(select.logits) else t_hi
    width = (max(top, t_hi) - low) or 1.0
    beyond = low - width * np.array(_BEYOND)
    n_quantiles = size - len(_BEYOND) - 1
    quantiles = np.quantile(below, np.linspace(0.0, 1.0, n_quantiles)) if len(below) else np.empty(0)
    return np.unique(np.concatenate([beyond, quantiles, [t_hi]]))


def certify_lower_threshold(
    calib: Scores,
    *,
    split_sha256: str,
    dataset_sha256: str,
    t_hi: float,
    grid: ArrayLike,
    alpha: float,
    delta: float,
    beta: float,
) -> ThresholdPolicy:
    """Return the policy with the largest lower threshold that exact tests in fixed sequence certify.

    At each t of the grid, from the safe end: B groups are answered road work (chosen picture's logit >=
    t_hi), k are missed (logit < t), n = B + k. Given n, k is Bin(n, risk), so p = P(Bin(n, alpha) <= k) is an
    exact p-value of "risk > alpha"; the walk goes on while p <= delta and the last t that passes is taken
    (Learn-then-Test, arXiv 2110.01052, fixed sequence). With t_hi frozen the risk rises along the grid, and p
    with k (it is the probability that B answers come before k + 1 misses), so no later t could pass.

    Args:
        calib: Scores of the calibration pictures; unknown and ambiguous labels are left out and counted.
        split_sha256: Hash of the split; it chooses the picture that stands for its group.
        dataset_sha256: Hash of the data set, for the record.
        t_hi: Upper threshold, frozen before `calib` was opened.
        grid: Lower thresholds, strictly rising, none above `t_hi`, fixed before `calib` was opened.
        alpha: Largest selective FNR, in (0, 1).
        delta: Probability that the promise is wrong, in (0, 1).
        beta: The share of negatives that `t_hi` was frozen at, for the record.

    Returns:
        A policy with a certificate; or, where not even the safest threshold passes, one that never answers
        "none" and says how many answered positive groups are missing.

    Raises:
        ConfigError: A rate, the grid or a hash is not as above.
        DataError: A sample occurs twice.
    """
    thresholds = _checked_grid(grid, t_hi)
    _require_beta(beta)
    for name, rate in (("alpha", alpha), ("delta", delta)):
        if not 0.0 < rate < 1.0:
            raise ConfigError(f"'{name}' is a probability strictly between 0 and 1, got {rate}.")
    logits = np.sort(calib.logits[one_positive_per_group(calib, split_sha256)])
    called = int((logits >= t_hi).sum())
    missed = np.searchsorted(logits, thresholds, side="left")
    index = _last_passing(called, missed, alpha, delta)
    if index is None:
        refusal = refuse_certificate(called, int(missed[0]), len(logits), alpha, delta)
        return ThresholdPolicy(-math.inf, t_hi, beta, certificate=None, refusal=refusal)
    t_lo = float(thresholds[index])
    certificate = build_certificate(
        calib,
        split_sha256=split_sha256,
        dataset_sha256=dataset_sha256,
        t_lo=t_lo,
        t_hi=t_hi,
        alpha=alpha,
        delta=delta,
        sequence=tuple(thresholds.tolist()),
        certified_index=index,
    )
    return ThresholdPolicy(t_lo, t_hi, beta, certificate=certificate, refusal=None)


def _last_passing(called: int, missed: NDArray[np.intp], alpha: float, delta: float) -> int | None:
    """Return the index of the last threshold before the first test that fails; None if the first does."""
    passed: int | None = None
    for index, misses in enumerate(missed.tolist()):
        if binomial_cdf(misses, called + misses, alpha) > delta:  # 1 without an answered group
            break
        passed = index
    return passed


def _checked_grid(grid: ArrayLike, t_hi: float) -> NDArray[np.float64]:
    thresholds = np.asarray(grid, dtype=np.float64)
    rising = thresholds.ndim == 1 and all(a < b for a, b in pairwise(thresholds.tolist()))
    if not (rising and len(thresholds) and math.isfinite(t_hi) and np.isfinite(thresholds).all()):
        raise ConfigError(
            "The grid of lower thresholds is a non-empty, strictly rising row of finite logits."
        )
    if thresholds[-1] > t_hi:
        raise ConfigError(
            f"The grid ends at {thresholds[-1]}, above the upper threshold {t_hi}; cut it off there."
        )
    return thresholds


def _require_beta(beta: float) -> None:
    if not 0.0 <= beta < 1.0:
        raise ConfigError(
            f"'beta' is the share of negatives that may be called road work, in [0, 1), got {beta}."
        )
