"""The table of policies holds what each gives when it is asked alone, and hides none that failed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workzone.core.errors import DataError
from workzone.evaluation.frontier import MAX_ROWS, policy_frontier
from workzone.evaluation.grouped import Sampling
from workzone.evaluation.policies import PolicyCandidate, compare_policies, policy_title
from workzone.evaluation.records import find_measure, to_json
from workzone.policy.costs import expected_cost
from workzone.policy.risks import Risk, empirical_risk
from workzone.policy.settings import Prices

PRICES = Prices(100.0, 5.0, 1.0)
FEW = Sampling(100, 0.95, 0)
MEASURED = {
    "selective_fnr": Risk.SELECTIVE_FNR,
    "committed_miss_rate": Risk.COMMITTED_MISS_RATE,
    "false_omission_rate": Risk.FALSE_OMISSION_RATE,
    "false_alarm_rate": Risk.FALSE_ALARM_RATE,
}


@pytest.fixture(scope="module")
def scores(draw, role):
    return role("test", draw(n_groups=120, seed=6, separation=1.6))


def candidates(kinds) -> list[PolicyCandidate]:
    return [PolicyCandidate(policy_title(p.settings), p, None) for p in kinds.values()]


def test_every_row_is_the_policy_asked_alone(scores, kinds):
    found = compare_policies(scores, kinds["threshold"], candidates(kinds), PRICES, FEW)
    own, *rest = found.rows
    assert own.chosen
    assert not any(row.chosen for row in rest)
    assert own == replace(rest[0], chosen=True)
    assert found.columns == tuple(m.name for m in own.measures)
    for row, policy in zip(rest, kinds.values(), strict=True):
        codes = policy.decide(scores.logits, scores.features)
        for name, risk in MEASURED.items():
            events, counted = empirical_risk(risk, scores.labels, codes)
            assert row.measure(name).estimate == pytest.approx(events / counted)
            assert row.measure(name).low <= events / counted <= row.measure(name).high
        wrong, called = empirical_risk(Risk.FALSE_DISCOVERY_RATE, scores.labels, codes)
        assert row.measure("answered_precision").estimate == pytest.approx(1 - wrong / called)
        assert row.measure("coverage").estimate == pytest.approx(np.mean(codes != -1))
        cost = expected_cost(scores.labels, codes, PRICES)
        assert row.measure("expected_cost").estimate == pytest.approx(cost)
        assert row.promise == policy.certificate.kind
        assert [(c.risk, c.alpha, c.bound) for c in row.claims] == [
            (c.risk, c.alpha, c.bound) for c in policy.certificate.claims
        ]


def test_the_limit_and_the_costs_are_those_of_the_recipes_policy(scores, kinds):
    found = compare_policies(scores, kinds["threshold"], (), None, FEW)
    assert (found.fnr_limit, found.costs) == (0.05, None)
    assert "expected_cost" not in found.columns
    assert compare_policies(scores, kinds["sets"], (), PRICES, FEW).fnr_limit is None


def test_titles_tell_the_kinds_apart(kinds):
    titles = {name: policy_title(policy.settings) for name, policy in kinds.items()}
    assert len(set(titles.values())) == len(titles) - 2  # "two" and "precision" are thresholds of other risks
    assert titles["frames"] == "Two thresholds, all frames counted"


def test_a_policy_without_a_certificate_or_without_a_fit_is_a_row_with_its_reason(scores, kinds):
    refused = replace(kinds["gate"], tau=np.inf, certificate=None, refusal="12 more groups are needed.")
    others = [
        PolicyCandidate("gate", refused, None),
        PolicyCandidate("sets", None, "There are no negatives."),
    ]
    _, gate, sets = compare_policies(scores, kinds["threshold"], others, PRICES, FEW).rows
    assert (gate.promise, gate.claims, gate.reason) == (None, (), "12 more groups are needed.")
    assert gate.measure("coverage").estimate == 0.0
    assert gate.measure("selective_fnr").estimate is None
    assert (sets.measures, sets.reason) == ((), "There are no negatives.")
    assert sets.measure("coverage") is None


def test_it_says_that_test_chose_nothing(scores, kinds):
    said = compare_policies(scores, kinds["threshold"], (), None, FEW).statement
    assert "test chose nothing" in said
    assert "voids its promise" in said


def test_a_candidate_is_a_policy_or_a_reason(kinds):
    for policy, reason in ((kinds["gate"], "why"), (None, None)):
        with pytest.raises(DataError, match="either a policy or the reason"):
            PolicyCandidate("gate", policy, reason)


def test_nothing_decided_is_refused(scores, kinds):
    nothing = replace(scores, ambiguous=np.ones(len(scores.ids), dtype=np.bool_))
    with pytest.raises(DataError, match="cannot be compared"):
        compare_policies(nothing, kinds["threshold"], (), None, FEW)
    with pytest.raises(DataError, match="no frontier"):
        policy_frontier(nothing, kinds["threshold"], None, FEW)


def test_the_frontier_is_short_holds_the_policy_and_is_honest_about_it(scores, kinds):
    policy = kinds["threshold"]
    found = policy_frontier(scores, policy, None, FEW)
    assert found.example_prices
    assert not policy_frontier(scores, policy, PRICES, FEW).example_prices
    assert len(found.rows) <= MAX_ROWS
    (own,) = [row for row in found.rows if row.chosen]
    assert (own.none_below, own.roadwork_from) == (policy.t_lo, policy.t_hi)
    codes = policy.decide(scores.logits)
    assert found.policy.cost == pytest.approx(expected_cost(scores.labels, codes, PRICES))
    assert find_measure(own.measures, "expected_cost").estimate == pytest.approx(found.policy.cost)
    mark = (found.policy.cost, -found.policy.coverage, found.policy.selective_fnr)
    points = [(p.cost, -p.coverage, p.selective_fnr) for p in found.points]
    beaten = any(all(x <= y for x, y in zip(p, mark, strict=True)) and p != mark for p in points)
    assert found.policy_beaten == beaten
    assert found.policy_beaten or mark in points
    coverages = [find_measure(row.measures, "coverage").estimate for row in found.rows]
    assert coverages == sorted(coverages)
    assert "no certificate" in found.statement


def test_a_refused_policy_is_marked_too_and_json_holds_no_infinity(scores, kinds):
    refused = replace(kinds["threshold"], t_lo=-np.inf, certificate=None, refusal="too few")
    found = policy_frontier(scores, refused, None, FEW)
    (own,) = [row for row in found.rows if row.chosen]
    assert own.none_below is None
    to_json(found)


def test_the_order_of_the_pictures_changes_nothing(scores, kinds):
    shuffled = scores.take(np.random.default_rng(0).permutation(len(scores.ids)))
    arguments = (kinds["threshold"], candidates(kinds), PRICES, FEW)
    assert compare_policies(scores, *arguments) == compare_policies(shuffled, *arguments)
    one, other = (policy_frontier(s, kinds["threshold"], PRICES, FEW) for s in (scores, shuffled))
    assert to_json(one) == to_json(other)
