"""Costs of counts are those of `calibration.cost`, and of the formula by hand."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.evaluation.costs import cost_measure, prices_in_words
from workzone.evaluation.grouped import Sampling
from workzone.policy.costs import Counts, expected_cost, expected_costs
from workzone.policy.settings import Prices

PRICES = [
    Prices(100.0, 5.0, 1.0),
    Prices(40.0, 2.0, 0.5, person=3.0, person_share=0.25),
    Prices(100.0, 5.0, 1.0, prevalence=0.03),
]
SAMPLING = Sampling(100, 0.95, 0)


@pytest.mark.parametrize("prices", PRICES)
def test_the_measure_is_the_cost_that_the_policy_was_fitted_by(prices):
    rng = np.random.default_rng(0)
    labels, codes = rng.integers(0, 2, 200), rng.integers(-1, 2, 200).astype(np.int8)
    groups = np.array([f"g{i // 2}" for i in range(200)])
    found = cost_measure(groups, labels == 1, codes, prices, SAMPLING)
    assert found.estimate == pytest.approx(expected_cost(labels, codes, prices))
    assert found.low < found.estimate < found.high


def test_the_formula_by_hand():
    counts = Counts(*(np.array([float(x)]) for x in (2, 3, 10, 4, 5, 30)))
    assert expected_costs(counts, PRICES[0]) == pytest.approx([(200 + 3 + 20 + 5) / 40])
    weighted = 0.03 * (200 + 3) / 10 + 0.97 * (20 + 5) / 30
    assert expected_costs(counts, PRICES[2]) == pytest.approx([weighted])


def test_a_stated_share_of_a_class_that_is_missing_has_no_cost():
    positive = np.zeros(6, dtype=bool)
    codes, groups = np.zeros(6, dtype=np.int8), np.array(list("abcdef"))
    assert cost_measure(groups, positive, codes, PRICES[0], SAMPLING).estimate == 0.0
    missing = cost_measure(groups, positive, codes, PRICES[2], SAMPLING)
    assert missing.estimate is None
    assert "both classes" in missing.reason


def test_prices_are_told_in_full():
    assert prices_in_words(PRICES[0]) == (
        "a miss costs 100, a false alarm 5, a deferred picture 1; road work as common as in these pictures"
    )
    said = prices_in_words(PRICES[1])
    assert "a deferred picture 1.25 (the next stage 0.5, and a person 3 for 25 % of them)" in said
    assert prices_in_words(PRICES[2]).endswith("3 % of the pictures show road work")
