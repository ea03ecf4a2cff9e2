"""Expected cost: by hand, along a path, and at the policies that look at nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.calibration.cost import path_costs
from workzone.calibration.threshold import threshold_path
from workzone.core.errors import ConfigError
from workzone.policy.costs import expected_cost
from workzone.policy.settings import Objective, Prices, ThresholdSettings

PRICES = Prices(miss=100.0, false_alarm=5.0, next_stage=1.0, person=8.0, person_share=0.25)


def test_by_hand():
    labels, codes = [1, 1, 1, 1, 0, 0], [0, 1, -1, -1, 1, -1]
    # one miss, one false alarm, three deferrals at 1 + 0.25 * 8
    assert expected_cost(labels, codes, PRICES) == pytest.approx((100 + 5 + 3 * 3.0) / 6)


def test_policies_that_look_at_nothing():
    """Methods §10: all deferred costs the next stage; all road work the false alarms of the negatives."""
    labels = np.array([1] * 3 + [0] * 7)
    assert expected_cost(labels, np.full(10, -1), PRICES) == pytest.approx(3.0)
    assert expected_cost(labels, np.full(10, 1), PRICES) == pytest.approx(0.7 * 5)
    assert expected_cost(labels, np.full(10, 0), PRICES) == pytest.approx(0.3 * 100)


def test_another_prevalence_weighs_the_classes():
    rare = Prices(miss=100.0, false_alarm=5.0, next_stage=1.0, prevalence=0.01)
    labels = np.array([1] * 5 + [0] * 5)
    assert expected_cost(labels, np.full(10, 0), rare) == pytest.approx(1.0)
    assert expected_cost(labels, np.full(10, 1), rare) == pytest.approx(0.99 * 5)


@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), prevalence=st.sampled_from([None, 0.02]))
def test_along_a_path_it_is_that_of_each_rule(seed, n, prevalence):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n).astype(np.int8)
    logits = np.round(2 * rng.normal(size=n)) / 2
    prices = Prices(40.0, 3.0, 1.0, 2.0, 0.5, prevalence)
    path = threshold_path(logits, np.linspace(-2, 1, 9), 1.0)
    naive = [expected_cost(labels, path.codes(j), prices) for j in range(9)]
    assert path_costs(path, labels, prices) == pytest.approx(naive, nan_ok=True)


@pytest.mark.parametrize(
    "bad", [{"miss": -1.0}, {"false_alarm": float("nan")}, {"person_share": 1.5}, {"prevalence": 1.0}]
)
def test_impossible_prices_are_refused(bad):
    with pytest.raises(ConfigError):
        Prices(**{"miss": 1.0, "false_alarm": 1.0, "next_stage": 1.0, **bad})


def test_prices_and_objective_belong_together():
    with pytest.raises(ConfigError, match="prices"):
        ThresholdSettings(objective=Objective.COST)
    with pytest.raises(ConfigError, match="prices"):
        ThresholdSettings(prices=PRICES)
