"""The exact binomial functions against SciPy, published values and their own duality."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workzone.core.errors import ConfigError
from workzone.policy.binomial import binomial_cdf, clopper_pearson_upper


@pytest.mark.parametrize(
    ("k", "n", "delta", "bound"),
    [
        (0, 149, 0.05, 0.019905),
        (0, 114, 0.10, 0.019995),
        (0, 100, 0.05, 0.029513),
        (2, 300, 0.05, 0.020836),
        (1, 200, 0.05, 0.023498),
    ],
)
def test_clopper_pearson_gives_the_published_values(k, n, delta, bound):
    assert clopper_pearson_upper(k, n, delta) == pytest.approx(bound, abs=1e-6)


@given(n=st.integers(1, 20_000), share=st.floats(0, 1), p=st.floats(1e-6, 1 - 1e-6))
def test_cdf_agrees_with_scipy(n, share, p):
    k = round(share * n)
    assert binomial_cdf(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-7, abs=1e-250)


@given(n=st.integers(1, 5_000), share=st.floats(0, 1), delta=st.floats(1e-4, 0.5))
def test_bound_agrees_with_scipy_beta(n, share, delta):
    k = round(share * n)
    expected = 1.0 if k == n else stats.beta.ppf(1 - delta, k + 1, n - k)
    assert clopper_pearson_upper(k, n, delta) == pytest.approx(expected, rel=1e-7)


@given(
    n=st.integers(1, 2_000), k=st.integers(0, 60), delta=st.floats(0.001, 0.3), alpha=st.floats(0.001, 0.5)
)
def test_bound_and_test_say_the_same(n, k, delta, alpha):
    k = min(k, n)
    bound = clopper_pearson_upper(k, n, delta)
    if abs(bound - alpha) > 1e-9:
        assert (bound <= alpha) == (binomial_cdf(k, n, alpha) <= delta)


def test_cdf_at_the_edges():
    assert binomial_cdf(-1, 10, 0.3) == 0.0
    assert binomial_cdf(10, 10, 0.3) == 1.0
    assert binomial_cdf(0, 0, 0.02) == 1.0
    assert binomial_cdf(3, 10, 0.0) == 1.0
    assert binomial_cdf(3, 10, 1.0) == 0.0
    assert binomial_cdf(0, 149, 0.02) == pytest.approx(0.98**149, rel=1e-12)


def test_bound_at_the_edges():
    assert clopper_pearson_upper(0, 0, 0.05) == 1.0
    assert clopper_pearson_upper(7, 7, 0.05) == 1.0
    assert clopper_pearson_upper(0, 20, 0.05) == pytest.approx(1 - 0.05 ** (1 / 20), rel=1e-12)


@pytest.mark.parametrize(("k", "n", "p"), [(0, -1, 0.5), (0, 5, -0.1), (0, 5, 1.1), (0, 5, math.nan)])
def test_cdf_refuses_what_is_no_binomial_law(k, n, p):
    with pytest.raises(ConfigError, match="binomial law"):
        binomial_cdf(k, n, p)


@pytest.mark.parametrize(("k", "n", "delta"), [(-1, 5, 0.05), (6, 5, 0.05), (1, 5, 0.0), (1, 5, 1.0)])
def test_bound_refuses_impossible_counts(k, n, delta):
    with pytest.raises(ConfigError, match="Clopper"):
        clopper_pearson_upper(k, n, delta)
