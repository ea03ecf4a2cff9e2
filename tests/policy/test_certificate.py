"""A certificate is believed only as far as it follows from its counts: each way to break it is refused."""

import json
import math
from dataclasses import asdict, replace

import pytest
from scipy import stats

from workzone.core.errors import BundleError
from workzone.policy.betting import betting_p_value, betting_upper, boundary_stake
from workzone.policy.binomial import binomial_cdf
from workzone.policy.certificate import (
    COUNT_UNITS,
    Certificate,
    Coverage,
    FalseAlarms,
    NoiseRow,
    Restated,
    Walk,
)
from workzone.policy.risks import RISKS, Risk
from workzone.policy.settings import Counting
from workzone.policy.strict_json import read_record
from workzone.policy.verification import NOISE_ROWS, noise_row, verify_certificate


def read(value):
    return read_record(Certificate, value, "certificate")


def changed_claim(certificate, **change):
    return replace(certificate, claims=(replace(certificate.claims[0], **change),))


def test_a_certificate_that_scipy_agrees_with_is_accepted(certificate):
    verify_certificate(certificate)
    assert certificate.claims[0].bound <= 0.02
    assert "2 of 400" in certificate.statement
    assert "confidence 0.95" in certificate.statement


def test_json_round_trip_is_exact(certificate):
    assert read(json.loads(json.dumps(asdict(certificate), allow_nan=False))) == certificate


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"events": 1}, "claims.0.rate"),
        ({"events": 1, "rate": 1 / 400}, "claims.0.bound"),
        ({"n": 430, "rate": 2 / 430}, "claims.0.bound"),
        ({"n": 441}, "claims.0.n"),
        ({"n": 0, "events": 0}, "claims.0.n"),
        ({"events": -1}, "claims.0.n"),
        ({"bound": 0.01}, "claims.0.bound"),
        ({"p_value": 0.0001}, "claims.0.p_value"),
        ({"p_value": None}, "claims.0.p_value"),
        ({"alpha": 0.019}, "claims.0.p_value"),
        ({"alpha": 0.0}, "claims.0.alpha"),
        ({"alpha": 1.0}, "claims.0.alpha"),
        ({"exceedance": 0.4}, "claims.0.exceedance"),
        ({"stake": 0.5}, "claims.0.stake"),
        ({"outcomes": ((1, 1, 0, 400),)}, "claims.0.outcomes"),
        ({"estimand": "the share of nice pictures"}, "claims.0.estimand"),
        ({"risk": Risk.COMMITTED_MISS_RATE}, "claims.0.estimand"),
        ({"label_noise": ()}, "claims.0.label_noise"),
        ({"ambiguous_as_positives": Restated(300, 0, 0.01, holds=True)}, "claims.0.ambiguous_as_positives"),
        ({"ambiguous_as_positives": Restated(3, 4, 1.0, holds=False)}, "claims.0.ambiguous_as_positives"),
    ],
)
def test_a_claim_that_does_not_follow_from_its_counts_is_refused(certificate, change, key):
    with pytest.raises(BundleError, match=f"'{key}'"):
        verify_certificate(changed_claim(certificate, **change))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"delta": 0.04}, "claims.0.bound"),
        ({"delta": 1.5}, "delta"),
        ({"claims": ()}, "claims"),
        ({"assumption": "none: it holds everywhere"}, "assumption"),
        ({"count_unit": "every frame of every video"}, "count_unit"),
        ({"n_unknown_left_out": -1}, "n_unknown_left_out"),
        ({"n_ambiguous_left_out": -1}, "n_ambiguous_left_out"),
        ({"walk": Walk("t_lo", (-9.0, -9.0, 1.0), 0, 0, 0)}, "walk.sequence"),
        ({"walk": Walk("t_lo", (-9.0, 2.0, 1.0), 0, 0, 0)}, "walk.sequence"),
        ({"walk": Walk("t_lo", (-9.0, math.inf), 0, 0, 0)}, "walk.sequence"),
        ({"walk": Walk("t_lo", (), 0, 0, 0)}, "walk"),
        ({"walk": Walk("t_lo", (-9.0, 0.0), 0, 2, 1)}, "walk"),
        ({"walk": Walk("t_lo", (-9.0, 0.0), 1, 1, 0)}, "walk"),
        ({"walk": Walk("t_lo", (-9.0, 0.0), -1, 1, 0)}, "walk"),
        ({"coverage": Coverage(700, 701, 420, 300)}, "coverage.positives_answered"),
        ({"coverage": Coverage(700, 650, 420, 421)}, "coverage.negatives_answered"),
        ({"false_alarms": FalseAlarms(7, 200, 0.03, 0.0650)}, "false_alarms.rate"),
        ({"false_alarms": FalseAlarms(7, 200, None, 0.0650)}, "false_alarms.rate"),
        ({"false_alarms": FalseAlarms(7, 200, 0.035, 0.035)}, "false_alarms.bound"),
        ({"false_alarms": FalseAlarms(201, 200, 1.005, 1.0)}, "false_alarms.count"),
    ],
)
def test_what_does_not_follow_from_the_counts_is_refused(certificate, change, key):
    with pytest.raises(BundleError, match=f"'{key}'"):
        verify_certificate(replace(certificate, **change))


def test_a_true_bound_above_alpha_is_refused(certificate):
    events, n = 2, 312
    bare = replace(
        certificate.claims[0],
        n=n,
        rate=events / n,
        bound=float(stats.beta.ppf(0.95, 3, 310)),
        p_value=float(stats.binom.cdf(2, 312, 0.02)),
    )
    noise = tuple(noise_row(bare, "pac", 0.05, m) for m in NOISE_ROWS)
    with pytest.raises(BundleError, match="above alpha"):
        verify_certificate(changed_claim(certificate, **{**_fields(bare), "label_noise": noise}))


def _fields(claim):
    return {key: getattr(claim, key) for key in ("n", "rate", "bound", "p_value")}


def test_wrong_labels_are_counted_as_hidden_events(claim):
    """Methods §8.8: m wrong labels, the bound of k + m events."""
    for row in claim.label_noise:
        assert row == noise_row(claim, "pac", 0.05, row.wrong_labels) or math.isclose(
            row.bound, stats.beta.ppf(0.95, 3 + row.wrong_labels, 398 - row.wrong_labels), rel_tol=1e-9
        )
    assert claim.tolerated_wrong_labels == 1
    assert stats.binom.cdf(3, 400, 0.02) <= 0.05 < stats.binom.cdf(4, 400, 0.02)


def test_a_noise_row_may_hold_less_than_its_bound_says_but_not_more(certificate):
    """Whether the walk still reaches the rule takes the data; the bound is needed in any case."""
    rows = certificate.claims[0].label_noise
    fewer = tuple(replace(row, holds=row.wrong_labels == 0) for row in rows)
    verify_certificate(changed_claim(certificate, label_noise=fewer))
    assert changed_claim(certificate, label_noise=fewer).claims[0].tolerated_wrong_labels == 0
    more = tuple(replace(row, holds=True) for row in rows)
    with pytest.raises(BundleError, match="label_noise"):
        verify_certificate(changed_claim(certificate, label_noise=more))


def average(certificate):
    """A promise of the mean: conformal risk control with 4 misses among 300 groups."""
    bare = replace(
        certificate.claims[0],
        risk=Risk.COMMITTED_MISS_RATE,
        estimand=RISKS[Risk.COMMITTED_MISS_RATE].estimand,
        n=300,
        n_groups=300,
        events=4,
        rate=4 / 300,
        bound=5 / 301,
        p_value=None,
        exceedance=binomial_cdf(4, 300, 0.02),
    )
    noise = tuple(noise_row(bare, "average", 0.05, m) for m in NOISE_ROWS)
    return replace(certificate, kind="average", walk=None, claims=(replace(bare, label_noise=noise),))


def test_an_average_states_the_chance_of_exceeding_it(certificate):
    one = average(certificate)
    verify_certificate(one)
    assert "On average" in one.statement
    assert f"{stats.binom.cdf(4, 300, 0.02):.0%}" in one.statement
    with pytest.raises(BundleError, match="exceedance"):
        verify_certificate(replace(one, claims=(replace(one.claims[0], exceedance=0.05),)))


def test_all_frames_are_derived_again_from_the_outcomes_of_groups(certificate):
    outcomes = ((2, 0, 0, 30), (2, 2, 0, 370), (4, 4, 1, 8))
    stake = boundary_stake(378, 0.02, 0.05)
    bare = replace(
        certificate.claims[0],
        n=378,
        n_groups=408,
        events=8,
        outcomes=outcomes,
        stake=stake,
        rate=(8 / 4) / 378,
        bound=betting_upper(outcomes, 0.05, stake),
        p_value=betting_p_value(outcomes, 0.02, stake),
        ambiguous_as_positives=None,
    )
    whole = replace(bare, label_noise=tuple(noise_row(bare, "pac", 0.05, m) for m in NOISE_ROWS))
    unit = COUNT_UNITS[Counting.ALL_FRAMES]
    one = replace(certificate, counting=Counting.ALL_FRAMES, count_unit=unit, claims=(whole,))
    verify_certificate(one)
    for change in (
        {"outcomes": ((2, 0, 0, 30), (2, 2, 0, 371), (4, 4, 1, 8))},
        {"outcomes": ((2, 0, 0, 30), (2, 2, 0, 370), (4, 4, 2, 8))},
        {"outcomes": ((2, 0, 0, 30), (2, 2, 3, 370), (4, 4, 1, 8))},
        {"stake": stake * 0.9},
        {"stake": None},
    ):
        with pytest.raises(BundleError, match="does not hold"):
            verify_certificate(replace(one, claims=(replace(whole, **change),)))


def test_the_trivial_policies_are_what_they_are(certificate):
    flattered = replace(certificate.everything_roadwork, false_alarm_rate=0.5)
    with pytest.raises(BundleError, match="everything_roadwork"):
        verify_certificate(replace(certificate, everything_roadwork=flattered))
    assert certificate.everything_roadwork.selective_fnr == 0.0
    assert certificate.everything_deferred.coverage == 0.0


def test_every_key_is_needed_and_no_other_is_taken(certificate):
    whole = json.loads(json.dumps(asdict(certificate)))
    for key in whole:
        with pytest.raises(BundleError, match=key):
            read({name: field for name, field in whole.items() if name != key})
    with pytest.raises(BundleError, match="surprise"):
        read({**whole, "surprise": 1})
    for key in ("false_alarms", "coverage", "everything_deferred", "walk"):
        with pytest.raises(BundleError, match=rf"{key}\.surprise"):
            read({**whole, key: {**whole[key], "surprise": 1}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "surely"),
        ("counting", "frames"),
        ("delta", math.nan),
        ("delta", True),
        ("split_sha256", 7),
        ("claims", None),
        ("claims", [1]),
        ("coverage", [1, 2, 3, 4]),
        ("n_unknown_left_out", 4.0),
    ],
)
def test_wrong_types_are_refused_by_key(certificate, key, value):
    with pytest.raises(BundleError, match=key):
        read({**json.loads(json.dumps(asdict(certificate))), key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("n", 400.0), ("n", True), ("n", "400"), ("events", None), ("risk", "fnr"), ("bound", math.inf)],
)
def test_wrong_types_in_a_claim_are_refused_by_key(certificate, key, value):
    whole = json.loads(json.dumps(asdict(certificate)))
    whole["claims"][0][key] = value
    with pytest.raises(BundleError, match=key):
        read(whole)


@pytest.mark.parametrize("value", [None, [], 3, "certificate"])
def test_something_else_is_no_certificate(value):
    with pytest.raises(BundleError, match="certificate"):
        read(value)


def test_coverage_shares():
    coverage = Coverage(positives=4, positives_answered=3, negatives=6, negatives_answered=2)
    assert (coverage.positive, coverage.negative, coverage.overall) == (0.75, 2 / 6, 0.5)
    assert Coverage(0, 0, 0, 0).overall is None


def test_two_claims_are_stated_together(certificate):
    other = replace(certificate.claims[0], risk=Risk.FALSE_ALARM_RATE)
    assert "both at once" in replace(certificate, claims=(certificate.claims[0], other)).statement
    assert NoiseRow(0, 0.01, True).holds
