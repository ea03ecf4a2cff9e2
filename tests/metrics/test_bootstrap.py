"""Group bootstrap against scipy, analytic standard errors, and a simulation of its coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from workzone.core.errors import DataError
from workzone.metrics.bootstrap import bootstrap_statistics, bootstrap_totals, group_bootstrap
from workzone.metrics.classification import auroc, confusion, mcc_from_counts


def clustered(n_groups: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Values whose groups have a mean of their own: correlation 0.5 inside a group; the true mean is 0."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(4, 12, n_groups)
    groups = np.repeat(np.arange(n_groups), sizes)
    return groups, rng.normal(size=n_groups)[groups] + rng.normal(size=len(groups))


def test_groups_of_one_equal_scipys_bootstrap_and_the_analytic_error() -> None:
    values = np.random.default_rng(0).exponential(size=400)
    ours = group_bootstrap(np.arange(400), lambda rows: float(values[rows].mean()), 4000, seed=1)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    error = values.std() / math.sqrt(400)
    assert ours.estimate == values.mean()
    assert ours.low == pytest.approx(theirs.low, abs=0.15 * error)
    assert ours.high == pytest.approx(theirs.high, abs=0.15 * error)
    assert ours.high - ours.low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_groups_of_equal_size_equal_scipy_on_group_means() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat([f"sequence {i}" for i in range(50)], 8)
    values = np.repeat(rng.normal(size=50), 8) + rng.normal(size=400)
    ours = group_bootstrap(groups, lambda rows: float(values[rows].mean()), 3000, confidence=0.9, seed=1)
    means = values.reshape(50, 8).mean(axis=1)
    theirs = stats.bootstrap(
        (means,),
        np.mean,
        n_resamples=3000,
        confidence_level=0.9,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    error = means.std() / math.sqrt(50)
    assert ours.low == pytest.approx(theirs.low, abs=0.15 * error)
    assert ours.high == pytest.approx(theirs.high, abs=0.15 * error)


def test_a_group_is_drawn_whole_and_rows_need_not_be_sorted() -> None:
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    seen: list[tuple[int, ...]] = []

    def look(rows: np.ndarray) -> np.ndarray:
        seen.append(tuple(np.bincount(rows, minlength=6)))
        return np.zeros(1)

    bootstrap_statistics(groups, look, 200, seed=0)
    assert seen[0] == (1,) * 6
    for counts in seen[1:]:
        b, a, b2, c, a2, b3 = counts
        assert a == a2
        assert b == b2 == b3
        assert a + b + c == 3
    assert len(set(seen)) == 10  # all ways of drawing 3 from 3


def test_totals_and_rows_give_the_same_intervals() -> None:
    groups, values = clustered(30, 5)
    labels, called = (values > 0).astype(int), (values + 0.7 * np.sin(np.arange(len(values))) > 0).astype(int)

    def by_rows(rows: np.ndarray) -> np.ndarray:
        table = confusion(labels[rows], called[rows])
        return np.array([table.mcc, table.recall])

    columns = np.stack(
        [labels * called, (1 - labels) * called, (1 - labels) * (1 - called), labels * (1 - called)], 1
    )

    def by_totals(totals: np.ndarray) -> np.ndarray:
        tp, fp, tn, fn = totals.T
        return np.stack([mcc_from_counts(tp, fp, tn, fn), tp / (tp + fn)], axis=1)

    slow = bootstrap_statistics(groups, by_rows, 300, seed=9)
    fast = bootstrap_totals(groups, columns, by_totals, 300, seed=9)
    for one, other in zip(slow, fast, strict=True):
        assert (one.estimate, one.low, one.high) == pytest.approx((other.estimate, other.low, other.high))
    assert slow != bootstrap_statistics(groups, by_rows, 300, seed=10)
    assert slow == bootstrap_statistics(groups, by_rows, 300, seed=9)


def test_undefined_resamples_are_left_out_and_counted() -> None:
    labels = np.array([1, 0, 0, 0, 0])
    scores = np.array([0.9, 0.1, 0.2, 0.3, 0.95])

    def both(rows: np.ndarray) -> np.ndarray:
        return np.array([auroc(labels[rows], scores[rows]), labels[rows].mean()])

    undefined, defined = bootstrap_statistics(np.arange(5), both, 2000, seed=0)
    # AUROC is undefined without the positive, (4/5)^5, or with nothing else, (1/5)^5.
    chance = 0.8**5 + 0.2**5
    assert undefined.n_degenerate / 2000 == pytest.approx(
        chance, abs=4 * math.sqrt(chance * (1 - chance) / 2000)
    )
    assert 0 <= undefined.low <= undefined.estimate <= undefined.high <= 1
    assert defined.n_degenerate == 0
    assert undefined.n_resamples == 2000
    (never,) = bootstrap_statistics(np.arange(5), lambda rows: np.array([np.nan]), 20)
    assert never.n_degenerate == 20
    assert math.isnan(never.low)
    assert math.isnan(never.high)


def test_one_group_has_no_interval() -> None:
    values = np.arange(6.0)
    alone = group_bootstrap(["same"] * 6, lambda rows: float(values[rows].mean()), 50)
    assert alone.estimate == 2.5
    assert math.isnan(alone.low)
    assert math.isnan(alone.high)
    assert alone.n_degenerate == 50
    (totals,) = bootstrap_totals(["same"] * 6, values[:, None], lambda t: t / 6, 50)
    assert (totals.estimate, math.isnan(totals.low)) == (2.5, True)


def test_paired_differences_use_the_same_rows() -> None:
    groups, values = clustered(40, 6)
    first, second = values, values + 0.1  # the difference does not vary at all
    interval = group_bootstrap(groups, lambda rows: float(second[rows].mean() - first[rows].mean()), 200)
    assert interval.low == pytest.approx(0.1)
    assert interval.high == pytest.approx(0.1)


def test_progress_is_told() -> None:
    told: list[tuple[int, int | None]] = []

    class Listener:
        def progress(self, task: str, done: int, total: int | None) -> None:
            told.append((done, total))

        def note(self, message: str) -> None:
            raise AssertionError(message)

    group_bootstrap([1, 2, 3], lambda rows: 0.0, 200, observer=Listener())
    assert told[0] == (0, 200)
    assert told[-1] == (200, 200)
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"groups": []}, "one name"), ({"n_resamples": 0}, "resamples"), ({"confidence": 1.0}, "confidence")],
)
def test_wrong_arguments_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        bootstrap_statistics(**{"groups": [1, 2], "statistic": lambda rows: np.zeros(1)} | changes)
    with pytest.raises(DataError, match="Columns"):
        bootstrap_totals([1, 2], [[1.0]], lambda t: t)


def test_drawing_groups_covers_where_drawing_frames_does_not() -> None:
    """200 data sets of 50 groups: 95 % intervals must cover the truth about 95 times in 100."""

    def mean(totals: np.ndarray) -> np.ndarray:
        return (totals[:, 0] / totals[:, 1])[:, None]

    covered = {"groups": 0, "frames": 0}
    for seed in range(200):
        groups, values = clustered(50, seed)
        columns = np.stack([values, np.ones(len(values))], axis=1)
        for name, unit in (("groups", groups), ("frames", np.arange(len(values)))):
            (interval,) = bootstrap_totals(unit, columns, mean, 300, seed=seed)
            covered[name] += interval.low <= 0 <= interval.high
    assert covered["groups"] >= 178  # P(fewer) is below 0.001 at a true 94 %
    assert covered["frames"] <= 160
