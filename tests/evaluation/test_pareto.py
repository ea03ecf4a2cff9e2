"""No point of a frontier beats another, every other point is beaten by one of them: by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workzone.core.errors import ConfigError, DataError
from workzone.evaluation.pareto import non_dominated, pareto_frontier
from workzone.metrics.selective import selective_counts
from workzone.policy.costs import expected_cost
from workzone.policy.settings import Prices

PRICES = Prices(100.0, 5.0, 1.0)


def beats(a, b) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=0, max_size=40))
def test_the_frontier_by_brute_force(points):
    table = np.array(points, dtype=np.float64).reshape(-1, 3)
    kept = non_dominated(table).tolist()
    assert kept == sorted(set(kept))
    best = {p for p in points if not any(beats(q, p) for q in points)}
    assert {points[k] for k in kept} == best
    assert len(kept) == len(best)  # one of equal ones, the first
    assert all(points.index(points[k]) == k for k in kept)
    for place, point in enumerate(points):
        if place not in kept and point not in best:
            assert any(beats(points[k], point) for k in kept)


def test_many_points_are_handled_in_blocks():
    table = np.random.default_rng(0).integers(0, 60, (3000, 3)).astype(np.float64)
    kept = non_dominated(table)
    front = table[kept]
    assert 0 < len(kept) < 500
    for row in front:
        assert not ((front <= row).all(axis=1) & (front < row).any(axis=1)).any()
    others = np.setdiff1d(np.arange(3000), kept)
    at_most = (front[:, None] <= table[None, others]).all(axis=2)
    assert at_most.any(axis=0).all()


def test_points_that_all_trade_are_all_kept():
    x = np.linspace(0, 1, 1500)
    assert len(non_dominated(np.stack([x, 1 - x, np.zeros(1500)], axis=1))) == 1500


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    return labels, np.round(np.where(labels == 1, 1.0, -1.0) + rng.normal(size=n), 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(0, 1000))
def test_pairs_of_thresholds_by_brute_force(n, seed):
    labels, logits = drawn(n, seed)
    grid = np.unique(logits)[::2]
    t_lo, t_hi = np.append(grid, -np.inf), np.append(grid, np.inf)
    found = pareto_frontier(labels, logits, PRICES, t_lo, t_hi)
    every = []
    for low in np.unique(t_lo):
        for high in np.unique(t_hi):
            if low > high:
                continue
            codes = np.where(logits >= high, 1, np.where(logits < low, 0, -1))
            counts = selective_counts(labels, codes)
            risk = 0.0 if np.isnan(counts.selective_fnr) else counts.selective_fnr
            every.append((expected_cost(labels, codes, PRICES), -counts.coverage, risk))
    rounded = [tuple(np.round(p, 12)) for p in every]
    best = {p for p in rounded if not any(beats(q, p) for q in rounded)}
    ours = np.stack([found.cost, -found.coverage, found.risk], axis=1)
    assert {tuple(np.round(p, 12)) for p in ours} == best
    assert found.n_rules == len(every)
    assert (np.diff(found.coverage) >= 0).all()


def test_a_perfect_model_has_one_unbeaten_pair():
    found = pareto_frontier([0, 0, 1, 1], [-2.0, -1.0, 1.0, 2.0], PRICES, [-np.inf, 0.0], [0.0, np.inf])
    assert (found.t_lo.tolist(), found.t_hi.tolist()) == ([0.0], [0.0])
    assert (found.cost[0], found.coverage[0], found.risk[0]) == (0.0, 1.0, 0.0)


def test_constant_scores_and_one_class_leave_the_trivial_rules():
    found = pareto_frontier([0, 1, 1], [0.0, 0.0, 0.0], PRICES, [-np.inf, 0.0], [0.0, np.inf])
    assert found.n_rules == 4
    assert set(zip(found.coverage, found.risk, strict=True)) == {(0.0, 0.0), (1.0, 0.0)}
    alone = pareto_frontier([0], [-1.0], PRICES, [-np.inf, 0.0], [0.0, np.inf])
    assert (alone.cost.tolist(), alone.coverage.tolist()) == ([0.0], [1.0])


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (([], [], PRICES, [0.0], [0.0]), DataError, "one finite logit"),
        (([1], [0.0, 1.0], PRICES, [0.0], [0.0]), DataError, "one finite logit"),
        (([1], [np.nan], PRICES, [0.0], [0.0]), DataError, "one finite logit"),
        (([1], [0.0], PRICES, [1.0], [0.0]), ConfigError, "no pair"),
        (([1], [0.0], Prices(1.0, 1.0, 1.0, prevalence=0.1), [0.0], [0.0]), ConfigError, "lack a class"),
    ],
)
def test_what_has_no_frontier_is_refused(arguments, error, said):
    with pytest.raises(error, match=said):
        pareto_frontier(*arguments)
    with pytest.raises(DataError, match="finite numbers"):
        non_dominated([[np.nan]])
