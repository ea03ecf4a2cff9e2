"""What a policy costs a picture, in expectation, from the prices of errors and deferrals.

cost = P(y=1) · (miss · P(none | 1) + deferral · P(defer | 1)) + P(y=0) · (false alarm · P(road work | 0) +
deferral · P(defer | 0)), with P(y=1) as in the data or as the prices state it. Chow 1970; with a next stage,
Jitkrittum et al. 2023 (arXiv 2307.02764).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.calibration.path import Path
from workzone.core.types import Label, Verdict
from workzone.policy.settings import Prices
from workzone.policy.verdicts import CODES

F64 = NDArray[np.float64]
_WRONG = {Label.ROADWORK: CODES[Verdict.NONE], Label.NONE: CODES[Verdict.ROADWORK]}


def expected_cost(labels: ArrayLike, codes: ArrayLike, prices: Prices) -> float:
    """Return the expected cost of one picture.

    Args:
        labels: [N], 1 road work, 0 none.
        codes: [N], verdict codes.
        prices: Of errors and deferrals.
    """
    known, said = np.asarray(labels), np.asarray(codes)
    shares = _class_shares(known, prices)
    total = 0.0
    for label, price in ((Label.ROADWORK, prices.miss), (Label.NONE, prices.false_alarm)):
        of_class = said[known == label]
        if len(of_class):
            wrong, deferred = np.mean(of_class == _WRONG[label]), np.mean(of_class == CODES[Verdict.DEFER])
            total += shares[label] * (price * float(wrong) + prices.deferral * float(deferred))
    return total


def path_costs(path: Path, labels: NDArray[np.int8], prices: Prices) -> F64:
    """Return the expected cost of a picture under each rule of a path, float64 [J], in one pass."""
    shares = _class_shares(labels, prices)
    total = np.zeros(len(path))
    for label, price in ((Label.ROADWORK, prices.miss), (Label.NONE, prices.false_alarm)):
        rows = np.flatnonzero(labels == label)
        if not len(rows):
            continue
        before, after = (
            price * (codes[rows] == _WRONG[label]) + prices.deferral * (codes[rows] == CODES[Verdict.DEFER])
            for codes in (path.before, path.after)
        )
        moved = np.bincount(path.switch[rows], weights=after - before, minlength=len(path) + 1)[: len(path)]
        total += shares[label] / len(rows) * (before.sum() + np.cumsum(moved))
    return total


def _class_shares(labels: NDArray[np.int8], prices: Prices) -> dict[Label, float]:
    positive = float(np.mean(labels == Label.ROADWORK)) if len(labels) else 0.0
    if prices.prevalence is not None:
        positive = prices.prevalence
    return {Label.ROADWORK: positive, Label.NONE: 1.0 - positive}
