"""Planning against the published table, SciPy, and a search over every n."""

import numpy as np
import pytest
from scipy import stats

from workzone.calibration.plan import certification_power, groups_needed, plan_certificate
from workzone.core.errors import ConfigError

PUBLISHED = {  # alpha 0.02: misses -> groups at delta 0.10, 0.05, 0.01
    0: (114, 149, 228),
    1: (194, 236, 330),
    2: (265, 313, 418),
    3: (333, 386, 499),
    5: (462, 523, 652),
    10: (768, 845, 1003),
    20: (1349, 1449, 1649),
}


@pytest.mark.parametrize(("misses", "groups"), PUBLISHED.items())
def test_published_numbers_of_groups(misses, groups):
    assert tuple(groups_needed(misses, 0.02, delta) for delta in (0.10, 0.05, 0.01)) == groups


def test_published_numbers_for_five_percent():
    assert [groups_needed(k, 0.05, 0.05) for k in range(3)] == [59, 93, 124]


@pytest.mark.parametrize(("alpha", "delta"), [(0.02, 0.05), (0.3, 0.01), (0.5, 0.45), (0.9, 0.1)])
def test_groups_needed_is_the_least_by_scipy(alpha, delta):
    for misses in (0, 1, 4, 17):
        n = groups_needed(misses, alpha, delta)
        assert stats.binom.cdf(misses, n, alpha) <= delta < stats.binom.cdf(misses, n - 1, alpha)


def test_plan_rows_and_their_power():
    plan = plan_certificate(0.02, 0.05, 0.005)
    assert [row.groups_needed for row in plan.rows if row.misses in PUBLISHED] == [
        groups[1] for groups in PUBLISHED.values()
    ]
    assert [row.misses for row in plan.rows] == list(range(21))
    for row in plan.rows:
        assert row.power == pytest.approx(stats.binom.cdf(row.misses, row.groups_needed, 0.005), rel=1e-8)


@pytest.mark.parametrize(
    ("alpha", "delta", "expected"), [(0.02, 0.05, 0.005), (0.05, 0.05, 0.0), (0.05, 0.1, 0.02)]
)
def test_groups_for_power_is_the_first_n_that_has_it(alpha, delta, expected):
    n = np.arange(1, 2500)
    tolerated = np.array([int((stats.binom.cdf(np.arange(0, 60), i, alpha) <= delta).sum()) - 1 for i in n])
    power = np.where(tolerated >= 0, stats.binom.cdf(tolerated, n, expected), 0.0)
    assert plan_certificate(alpha, delta, expected).groups_for_power == int(n[np.argmax(power >= 0.8)])


@pytest.mark.parametrize(
    ("n", "delta", "rate"),
    [
        (149, 0.10, 0.0015),
        (300, 0.10, 0.0051),
        (300, 0.05, 0.0027),
        (500, 0.10, 0.0078),
        (500, 0.05, 0.0062),
        (1000, 0.05, 0.0099),
        (2000, 0.05, 0.0127),
        (5000, 0.05, 0.0153),
    ],
)
def test_published_power(n, delta, rate):
    """To certify with 80 % chance the true rate must be at most this, to its last printed digit."""
    assert certification_power(n, 0.02, delta, rate - 0.00005) >= 0.8
    assert certification_power(n, 0.02, delta, rate + 0.0001) < 0.8


def test_too_few_have_no_power():
    assert certification_power(148, 0.02, 0.05, 0.0) == 0.0
    assert certification_power(149, 0.02, 0.05, 0.0) == 1.0


@pytest.mark.parametrize("expected", [0.02, 0.05])
def test_a_model_that_misses_alpha_cannot_be_planned_for(expected):
    with pytest.raises(ConfigError, match="must be below alpha"):
        plan_certificate(0.02, 0.05, expected)


def test_a_model_too_near_to_alpha_is_refused_in_finite_time():
    with pytest.raises(ConfigError, match="too near to alpha"):
        plan_certificate(0.02, 0.05, 0.01999)


@pytest.mark.parametrize(
    "arguments",
    [(0.0, 0.05, 0.0), (1.0, 0.05, 0.0), (0.02, 0.0, 0.0), (0.02, 1.0, 0.0), (0.02, 0.05, -0.1)],
)
def test_rates_out_of_range_are_refused(arguments):
    with pytest.raises(ConfigError):
        plan_certificate(*arguments)
    with pytest.raises(ConfigError, match="max_misses"):
        plan_certificate(0.02, 0.05, 0.01, max_misses=-1)
