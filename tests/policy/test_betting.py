"""The betting test: its wealth is fair at the edge, its bound inverts it, its validity is simulated."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import ConfigError
from workzone.policy.betting import (
    LARGEST_STAKE,
    betting_p_value,
    betting_upper,
    boundary_stake,
    log_wealth,
    outcomes_of,
)


def test_wealth_is_the_product_over_groups():
    outcomes = ((4, 4, 0, 3), (4, 2, 1, 2), (1, 0, 0, 9))
    alpha, stake = 0.1, 0.6
    factors = [1 + stake / 0.9 * (0.1 * a - m) for a, m in [(1, 0)] * 3 + [(0.5, 0.25)] * 2 + [(0, 0)] * 9]
    assert log_wealth(outcomes, alpha, stake) == pytest.approx(math.log(math.prod(factors)))
    assert betting_p_value(outcomes, alpha, stake) == pytest.approx(min(1.0, 1 / math.prod(factors)))


def test_a_deferred_group_leaves_the_wealth_as_it_is():
    assert log_wealth(((7, 0, 0, 1000),), 0.02, 0.9) == 0.0
    assert log_wealth((), 0.02, 0.9) == 0.0


def test_without_an_event_nearly_the_binomial_number_of_groups_certifies():
    """All staked, n right groups grow the wealth by (1 - alpha)^-n: 149 for the defaults."""
    assert betting_p_value(((1, 1, 0, 149),), 0.02, LARGEST_STAKE) <= 0.05 * 1.002
    assert betting_p_value(((1, 1, 0, 148),), 0.02, LARGEST_STAKE) > 0.05


@pytest.mark.parametrize("groups", [200, 400, 1000, 5000])
def test_the_stake_is_the_best_at_the_edge_of_what_groups_can_certify(groups):
    """By a search over stakes: the event rate that is just certified is highest there."""
    alpha, delta = 0.02, 0.05

    def certified_rate(stake):
        # n (1-q) log(1 + stake alpha/(1-alpha)) + n q log(1 - stake) = log(1/delta), solved for q
        right, wrong = math.log1p(stake * alpha / (1 - alpha)), math.log1p(-stake)
        return (right - math.log(1 / delta) / groups) / (right - wrong)

    stake = boundary_stake(groups, alpha, delta)
    best = max(certified_rate(s) for s in np.linspace(0.01, 0.998, 500))
    assert certified_rate(stake) == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("groups", [0.0, 1.0, 100.0])
def test_too_few_groups_stake_everything_that_is_safe(groups):
    assert boundary_stake(groups, 0.02, 0.05) == LARGEST_STAKE


OUTCOMES = st.lists(
    st.tuples(st.integers(1, 16), st.integers(0, 16), st.integers(0, 16), st.integers(1, 80)).map(
        lambda o: (o[0], min(o[0], o[1]), min(o[0], o[1], o[2]), o[3])
    ),
    min_size=1,
    max_size=6,
)


@given(outcomes=OUTCOMES, stake=st.floats(0.05, 0.99), delta=st.sampled_from([0.01, 0.05, 0.2]))
def test_the_bound_inverts_the_test(outcomes, stake, delta):
    bound = betting_upper(outcomes, delta, stake)
    if bound < 0.99:
        assert betting_p_value(outcomes, min(bound * 1.001, 0.9999), stake) <= delta * (1 + 1e-9)
    if bound > 1e-6:
        assert betting_p_value(outcomes, min(bound, 1.0) * 0.99, stake) > delta


@given(
    outcomes=OUTCOMES,
    alphas=st.tuples(st.floats(0.01, 0.9), st.floats(0.01, 0.9)),
    stake=st.floats(0.05, 0.99),
)
def test_wealth_rises_with_alpha(outcomes, alphas, stake):
    low, high = sorted(alphas)
    assert log_wealth(outcomes, low, stake) <= log_wealth(outcomes, high, stake) + 1e-9


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0])
def test_a_risk_at_alpha_is_rejected_in_at_most_delta_of_the_draws(spread):
    """Groups of 8 frames whose shares are all-or-nothing, mixed, or independent; the mean is alpha."""
    rng = np.random.default_rng(5)
    alpha, delta, n, draws = 0.1, 0.1, 120, 2000
    stake = boundary_stake(n, alpha, delta)
    rejected = 0
    for _ in range(draws):
        own = np.where(rng.random(n) < spread, 1, 0).astype(bool)
        whole = (rng.random(n) < alpha) * 8
        events = np.where(own, rng.binomial(8, alpha, n), whole)
        outcomes = outcomes_of(np.full(n, 8), np.full(n, 8), events)
        rejected += betting_p_value(outcomes, alpha, stake) <= delta
    assert rejected / draws <= delta + 2 * math.sqrt(delta * (1 - delta) / draws)
    assert rejected > 0 or spread == 1.0


def test_outcomes_are_counted_and_empty_groups_left_out():
    pictures, counted, events = np.array([[2, 2, 0, 2, 3], [2, 1, 0, 2, 0], [0, 1, 0, 0, 0]])
    assert outcomes_of(pictures, counted, events) == ((2, 1, 1, 1), (2, 2, 0, 2), (3, 0, 0, 1))


@pytest.mark.parametrize(
    "bad", [((1, 2, 0, 1),), ((1, 1, 2, 1),), ((0, 0, 0, 1),), ((1, 1, -1, 1),), ((1, 1, 0, 0),)]
)
def test_impossible_outcomes_are_refused(bad):
    with pytest.raises(ConfigError, match="outcome"):
        log_wealth(bad, 0.1, 0.5)


@pytest.mark.parametrize(("alpha", "stake"), [(0.0, 0.5), (1.0, 0.5), (0.1, 0.0), (0.1, 1.0)])
def test_numbers_out_of_range_are_refused(alpha, stake):
    with pytest.raises(ConfigError, match="betting test"):
        log_wealth(((1, 1, 0, 1),), alpha, stake)
