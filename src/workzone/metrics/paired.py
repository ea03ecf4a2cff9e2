"""A paired test that groups of like pictures do not mislead. Pure numpy.

If two systems are equally good, swapping their answers on a whole group changes nothing in law: the sum of
differences is compared with its values under all swaps of whole groups. Frames of one sequence are swapped
together, so they need not be independent; groups must be. Knows differences and groups; does not know what was
measured.
Source: the sign-flip (randomisation) test of Fisher 1935, on cluster sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import DataError

F64 = NDArray[np.float64]

MAX_ENUMERATED = 16
"""Groups of fractional differences whose 2^groups swaps are all tried."""
_MAX_EXACT_STEPS = 50_000_000
"""Groups × range of the sum, up to which whole differences are convolved."""
_ROUNDING = 1e-12
_BATCH = 1024


@dataclass(frozen=True, slots=True)
class SignFlip:
    """A two-sided test of "the differences are symmetric around 0"."""

    total: float
    """Sum of the differences."""
    p_value: float
    """1 where no group differs."""
    n_groups: int
    """All groups."""
    n_groups_differing: int
    """Groups whose differences do not cancel: all that the test sees."""
    n_permutations: int | None
    """Random swaps; None where all were counted."""

    @property
    def exact(self) -> bool:
        """Whether all swaps were counted."""
        return self.n_permutations is None


def sign_flip_test(
    differences: ArrayLike, groups: ArrayLike, n_permutations: int = 10_000, seed: int = 0
) -> SignFlip:
    """Test whether B - A is 0, swapping the two on whole groups.

    All swaps are counted where that can be done: for whole differences (such as right or wrong) by convolution,
    for fractions with up to 16 groups that differ. Elsewhere random swaps are drawn, and the observed one is
    counted among them, which keeps the test valid.

    Args:
        differences: [N], B minus A on each picture, finite.
        groups: [N], which group each picture belongs to.
        n_permutations: Random swaps, at least 1.
        seed: Of the random swaps.

    Raises:
        DataError: There are no pictures, lengths differ, a difference is not finite, or `n_permutations` is
            below 1.
    """
    d = np.asarray(differences, dtype=np.float64)
    names = np.asarray(groups)
    if d.ndim != 1 or d.size == 0 or names.shape != d.shape or not np.isfinite(d).all():
        raise DataError(
            f"Differences have shape {list(d.shape)} and groups {list(names.shape)}; expected one finite "
            "difference and one group for each of at least one picture."
        )
    if n_permutations < 1:
        raise DataError(f"{n_permutations} random swaps; expected at least 1.")
    sums = np.bincount(np.unique(names, return_inverse=True)[1], weights=d)
    scale = float(np.abs(d).sum())
    sizes = np.abs(sums)[np.abs(sums) > _ROUNDING * scale]
    total, drawn = float(sums.sum()), None
    least = abs(total) - _ROUNDING * scale  # rounding must not hide a swap that gives the observed sum
    if len(sizes) == 0:
        p_value = 1.0
    elif _whole(d) and len(sizes) * sizes.sum() <= _MAX_EXACT_STEPS:
        p_value = _convolved(sizes.astype(np.intp), least)
    elif len(sizes) <= MAX_ENUMERATED:
        p_value = _enumerated(sizes, least)
    else:
        p_value, drawn = _sampled(sizes, least, n_permutations, seed), n_permutations
    return SignFlip(total, min(1.0, p_value), len(sums), len(sizes), drawn)


def _whole(values: F64) -> bool:
    return bool((values == np.round(values)).all())


def _convolved(sizes: NDArray[np.intp], least: float) -> float:
    """The law of Σ ± size over whole numbers: one group after another is added and subtracted."""
    reach = int(sizes.sum())
    law = np.zeros(2 * reach + 1)  # of the sum + reach
    law[reach] = 1.0
    for size in sizes:
        half = law / 2
        law = np.zeros_like(law)
        law[size:] += half[:-size]
        law[:-size] += half[size:]
    return float(law[np.abs(np.arange(-reach, reach + 1)) >= least].sum())


def _enumerated(sizes: F64, least: float) -> float:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return float(np.mean(np.abs(sums) >= least))


def _sampled(sizes: F64, least: float, n_permutations: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    reached = 0
    for start in range(0, n_permutations, _BATCH):
        rows = min(_BATCH, n_permutations - start)
        signs = 2.0 * rng.integers(2, size=(rows, len(sizes))) - 1.0
        reached += int((np.abs(signs @ sizes) >= least).sum())
    return (1 + reached) / (1 + n_permutations)
