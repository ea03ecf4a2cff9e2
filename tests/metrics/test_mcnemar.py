"""McNemar's test against published values, SciPy, and a simulation of its power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workzone.core.errors import DataError
from workzone.metrics.classification import Confusion
from workzone.metrics.mcnemar import (
    conditional_power,
    discordant_counts,
    mcnemar,
    mcnemar_power,
    smallest_difference,
)


def test_published_values() -> None:
    found = mcnemar(10, 25)
    assert found.exact_p == pytest.approx(0.0166738, abs=5e-8)
    assert found.mid_p == pytest.approx(0.0113310, abs=5e-8)
    assert found.chi2_p == pytest.approx(0.0112299, abs=5e-8)
    assert found.chi2_corrected_p == pytest.approx(0.0179605, abs=5e-8)
    assert found.n_discordant == 35
    assert Confusion(tp=90, fp=10, tn=95, fn=5).mcc == pytest.approx(0.851064, abs=5e-7)


@given(st.integers(0, 300), st.integers(0, 300))
def test_equals_scipy_and_does_not_care_for_the_order(b: int, c: int) -> None:
    found, turned = mcnemar(b, c), mcnemar(c, b)
    assert (found.exact_p, found.mid_p, found.chi2_p) == (turned.exact_p, turned.mid_p, turned.chi2_p)
    n = b + c
    if n == 0:
        assert (found.exact_p, found.mid_p, found.chi2_p, found.chi2_corrected_p) == (1, 1, 1, 1)
        return
    assert found.exact_p == pytest.approx(stats.binomtest(b, n, 0.5).pvalue, rel=1e-8)
    same = stats.binom.pmf(b, n, 0.5) * (1 if b == c else 2)
    assert found.mid_p == pytest.approx(stats.binomtest(b, n, 0.5).pvalue - same / 2, rel=1e-8)
    assert found.chi2_p == pytest.approx(stats.chi2.sf((b - c) ** 2 / n, 1), rel=1e-9, abs=1e-300)
    assert found.chi2_corrected_p >= found.chi2_p
    assert found.mid_p <= found.exact_p <= 1


def test_many_pictures() -> None:
    found = mcnemar(50_300, 49_700)
    assert found.exact_p == pytest.approx(stats.binomtest(50_300, 100_000, 0.5).pvalue, rel=1e-6)
    assert mcnemar(900, 0).exact_p == pytest.approx(2.0**-899, rel=1e-9)


def test_discordant_counts() -> None:
    assert discordant_counts([1, 1, 0, 0, 1], [1, 0, 1, 0, 0]) == (2, 1)
    with pytest.raises(DataError, match="same ones"):
        discordant_counts([1, 0], [1])
    with pytest.raises(DataError, match="only 0 and 1"):
        discordant_counts([1, 2], [1, 0])
    with pytest.raises(DataError, match="0 or more"):
        mcnemar(-1, 3)


def test_power_equals_the_double_sum_over_tables() -> None:
    n, rate, difference = 40, 0.3, 0.2
    total = 0.0
    for d in range(n + 1):
        rejecting = [c for c in range(d + 1) if mcnemar(d - c, c).mid_p <= 0.05]
        share = (rate + difference) / (2 * rate)
        given_d = stats.binom.pmf(rejecting, d, share).sum() if rejecting else 0.0
        assert conditional_power(d, share) == pytest.approx(given_d, abs=1e-12)
        total += stats.binom.pmf(d, n, rate) * given_d
    assert mcnemar_power(n, rate, difference) == pytest.approx(total, abs=1e-12)


def test_power_equals_a_simulation_of_the_test() -> None:
    rng = np.random.default_rng(0)
    n, rate, difference = 300, 0.1, 0.05
    tables = rng.multinomial(n, [(rate - difference) / 2, (rate + difference) / 2, 1 - rate], 4000)
    known = {}
    for b, c, _ in tables.tolist():
        known.setdefault((b, c), mcnemar(b, c).mid_p <= 0.05)
    rejected = np.mean([known[b, c] for b, c, _ in tables.tolist()])
    assert rejected == pytest.approx(mcnemar_power(n, rate, difference), abs=4 * math.sqrt(0.25 / 4000))


def test_size_of_the_test_and_what_power_grows_with() -> None:
    assert mcnemar_power(500, 0.1, 0.0) <= 0.055
    assert mcnemar_power(500, 0.1, 0.05) == pytest.approx(mcnemar_power(500, 0.1, -0.05))
    powers = [mcnemar_power(n, 0.1, 0.04) for n in (100, 400, 1600)]
    assert powers == sorted(powers)
    assert mcnemar_power(50, 0.0, 0.0) == 0
    assert conditional_power(0, 0.5) == 0
    assert conditional_power(5, 1.0) == 1.0  # mid-p of 0 : 5 is 1/32, the exact p would be 1/16
    assert conditional_power(4, 1.0) == 0.0


@pytest.mark.parametrize(("n", "rate"), [(60, 0.4), (400, 0.1), (20_000, 0.2)])
def test_the_smallest_difference_has_the_power_and_a_smaller_one_has_not(n: int, rate: float) -> None:
    found = smallest_difference(n, rate)
    assert found is not None
    assert mcnemar_power(n, rate, found) >= 0.8
    assert mcnemar_power(n, rate, found - 2e-6) < 0.8
    normal = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * math.sqrt(rate / n)
    assert found == pytest.approx(normal, rel=0.15)


def test_too_few_pictures_show_nothing() -> None:
    assert smallest_difference(4, 1.0) is None
    assert smallest_difference(1, 1.0) is None
    assert smallest_difference(100, 0.0) is None
    assert smallest_difference(5, 1.0) is not None


@pytest.mark.parametrize(
    "call",
    [
        lambda: mcnemar_power(0, 0.1, 0.0),
        lambda: mcnemar_power(10, 1.5, 0.0),
        lambda: mcnemar_power(10, 0.1, 0.2),
        lambda: mcnemar_power(10, 0.1, math.nan),
        lambda: mcnemar_power(10, 0.1, 0.0, level=0.0),
        lambda: conditional_power(-1, 0.5),
        lambda: conditional_power(5, math.nan),
        lambda: smallest_difference(10, 0.1, power=2.0),
    ],
)
def test_bad_arguments(call) -> None:
    with pytest.raises(DataError):
        call()
