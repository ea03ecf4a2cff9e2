"""What an unseen share of groups could change, against trying all changes and against scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import matthews_corrcoef

from workzone.evaluation.records import Measure
from workzone.evaluation.unseen_differences import (
    mcc_reach,
    unseen_share,
    widened_mcc,
    widened_rate,
    without_width,
)

COUNT = st.integers(0, 6)


def mcc_of(tp: int, fp: int, tn: int, fn: int) -> float:
    truth = np.repeat([1, 0, 0, 1], [tp, fp, tn, fn])
    called = np.repeat([1, 1, 0, 0], [tp, fp, tn, fn])
    return float(matthews_corrcoef(truth, called))


@given(COUNT, COUNT, COUNT, COUNT, st.integers(0, 5))
def test_the_reach_of_mcc_holds_every_change_and_no_more_than_it_must(
    tp: int, fp: int, tn: int, fn: int, changed: int
) -> None:
    n = tp + fp + tn + fn
    if tp + fn == 0 or fp + tn == 0:
        return
    reached = [
        mcc_of(tp - a + b, fp - c + d, tn + c - d, fn + a - b)
        for a, b, c, d in itertools.product(range(changed + 1), repeat=4)
        if a + b + c + d <= changed and a <= tp and b <= fn and c <= fp and d <= tn
    ]
    low, high = mcc_reach([count / n for count in (tp, fp, tn, fn)], min(1.0, changed / n))
    assert low <= min(reached) + 1e-9
    assert high >= max(reached) - 1e-9
    assert -1 - 1e-9 <= low <= high <= 1 + 1e-9


def test_the_reach_is_tight_where_classes_are_balanced() -> None:
    """MCC of 50 of each class, 5 wrong on each side, of which one picture more or less is right."""
    low, high = mcc_reach([0.45, 0.05, 0.45, 0.05], 0.01)
    assert low == pytest.approx(min(mcc_of(44, 5, 45, 6), mcc_of(45, 6, 44, 5)), abs=2e-4)
    assert high == pytest.approx(max(mcc_of(46, 5, 45, 4), mcc_of(45, 4, 46, 5)), abs=2e-4)
    assert mcc_reach([0.45, 0.05, 0.45, 0.05], 0.0) == pytest.approx((0.8, 0.8))


@pytest.mark.parametrize("n_groups", [1, 2, 60, 5000])
def test_the_unseen_share_is_clopper_pearson_with_nothing_seen(n_groups: int) -> None:
    assert unseen_share(n_groups, 0.95) == pytest.approx(stats.beta.ppf(0.975, 1, n_groups))


def test_points_are_widened_and_intervals_are_left() -> None:
    point = Measure("mcc_at_half", 0.0, 0.0, 0.0, 100, 100, "bootstrap")
    wide = Measure("mcc_at_half", 0.01, -0.1, 0.1, 100, 100, "bootstrap")
    none = Measure("mcc_at_half", None, None, None, 0, 0, reason="no picture")
    counts = [0.45, 0.05, 0.45, 0.05]
    for other in (wide, none):
        assert without_width(other) is widened_rate(other, 0.95) is widened_mcc(other, 0.95, counts) is other
    assert without_width(point).reason == "no interval: the same in every resample"
    rate, mcc = widened_rate(point, 0.95), widened_mcc(point, 0.95, counts)
    width = 1 - 0.025 ** (1 / 100)
    assert (rate.low, rate.high, rate.interval) == (-width, width, "exact")
    # The MCC of balanced classes is 1 - 2 · error rate: twice as far, a little more if errors are dealt unevenly.
    assert -mcc.low == pytest.approx(2 * width, rel=0.1)
    assert mcc.high == pytest.approx(2 * width, rel=0.1)
    perfect = widened_mcc(point, 0.95, [0.5, 0.0, 0.5, 0.0])
    assert (perfect.high, perfect.interval) == (0, "exact")
    assert perfect.low < 0
