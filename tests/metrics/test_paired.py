"""The sign-flip test against enumeration, SciPy and McNemar, and its size on groups of like frames."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workzone.core.errors import DataError
from workzone.metrics.mcnemar import discordant_counts, mcnemar
from workzone.metrics.paired import MAX_ENUMERATED, sign_flip_test


def by_hand(sums: np.ndarray) -> float:
    signs = np.array(list(itertools.product([-1, 1], repeat=len(sums))))
    return float(np.mean(np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9), st.sampled_from([1.0, 0.37]))
def test_exact_p_equals_all_swaps(sums: list[int], unit: float) -> None:
    values = np.array(sums) * unit
    found = sign_flip_test(values, np.arange(len(values)))
    assert found.exact
    assert found.p_value == pytest.approx(by_hand(values))
    assert found.total == pytest.approx(values.sum())
    assert found.n_groups_differing == np.count_nonzero(values)


def test_equals_scipys_permutation_test_on_pairs() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=10), rng.normal(0.5, size=10)
    scipys = stats.permutation_test(
        (b, a), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_test(b - a, np.arange(10)).p_value == pytest.approx(scipys.pvalue)


def test_single_pictures_give_mcnemars_exact_test() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random(400) < 0.8, rng.random(400) < 0.85
    differences = b.astype(int) - a.astype(int)
    exact = mcnemar(*discordant_counts(a, b)).exact_p
    assert sign_flip_test(differences, np.arange(400)).p_value == pytest.approx(exact, rel=1e-9)


def test_frames_of_a_group_are_swapped_together() -> None:
    differences, groups = np.repeat([1, 1, 1, -1], 25), np.repeat(["a", "b", "c", "d"], 25)
    found = sign_flip_test(differences, groups)
    assert found.p_value == pytest.approx(10 / 16)
    assert mcnemar(25, 75).mid_p < 1e-5  # what frames counted as independent would claim
    assert (found.n_groups, found.total) == (4, 50)
    assert sign_flip_test([1, -1, 0], ["a", "a", "b"]).p_value == 1


def test_random_swaps_come_near_the_exact_p_and_follow_the_seed() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0.25, 1, 40)
    names = np.arange(40)
    first = sign_flip_test(values, names, 20_000, seed=1)
    assert not first.exact
    assert first.n_permutations == 20_000
    assert first == sign_flip_test(values, names, 20_000, seed=1)
    assert first.p_value != sign_flip_test(values, names, 20_000, seed=2).p_value
    few = values[:MAX_ENUMERATED]
    padded = np.concatenate([few, np.full(30, 1e-7)])  # too many to enumerate, and next to no change
    sampled = sign_flip_test(padded, np.arange(len(padded)), 20_000).p_value
    assert sampled == pytest.approx(by_hand(few), abs=0.02)
    assert sign_flip_test(np.ones(60) * 0.1, np.arange(60), 99).p_value >= 1 / 100


def test_its_size_holds_on_like_frames_where_mcnemars_does_not() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(30), 8)
    wrongly = np.zeros(2)
    for _ in range(400):
        a, b = ((rng.random(30) < 0.7)[groups] for _ in range(2))
        difference = b.astype(int) - a.astype(int)
        wrongly += [
            sign_flip_test(difference, groups).p_value <= 0.05,
            mcnemar(*discordant_counts(a, b)).mid_p <= 0.05,
        ]
    assert wrongly[0] / 400 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)
    assert wrongly[1] / 400 > 0.3


@pytest.mark.parametrize(
    ("differences", "groups", "permutations"),
    [([], [], 10), ([1.0], [], 10), ([np.nan], ["a"], 10), ([[1.0]], [["a"]], 10), ([1.0], ["a"], 0)],
)
def test_bad_arguments(differences, groups, permutations) -> None:
    with pytest.raises(DataError):
        sign_flip_test(differences, groups, permutations)
