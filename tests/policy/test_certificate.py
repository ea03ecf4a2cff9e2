"""A certificate is believed only as far as it follows from its counts: each way to break it is refused."""

import json
import math
from dataclasses import replace

import pytest

from workzone.core.errors import BundleError
from workzone.policy.certificate import (
    Coverage,
    FalseAlarms,
    certificate_from_json,
    certificate_to_json,
    verify_certificate,
)


def test_a_certificate_that_scipy_agrees_with_is_accepted(certificate):
    verify_certificate(certificate)
    assert certificate.bound <= certificate.alpha
    assert "2 of 313" in certificate.statement


def test_json_round_trip_is_exact(certificate):
    text = json.dumps(certificate_to_json(certificate), allow_nan=False)
    assert certificate_from_json(json.loads(text)) == certificate


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"misses": 1}, "bound"),
        ({"n": 330}, "bound"),
        ({"bound": 0.01}, "bound"),
        ({"p_value": 0.0001}, "p_value"),
        ({"delta": 0.04}, "bound"),
        ({"alpha": 0.019}, "p_value"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": 1.0}, "alpha"),
        ({"delta": 1.5}, "delta"),
        ({"misses": -1}, "misses"),
        ({"misses": 314}, "misses"),
        ({"n": 0, "misses": 0}, "n"),
        ({"n": 341}, "n"),
        ({"n_positive_groups": 701}, "n_positive_groups"),
        ({"n_unknown_left_out": -1}, "n_unknown_left_out"),
        ({"n_ambiguous_left_out": -1}, "n_ambiguous_left_out"),
        ({"sequence": (-9.0, -9.0, 1.0)}, "sequence"),
        ({"sequence": (-9.0, math.inf)}, "sequence"),
        ({"sequence": ()}, "certified_index"),
        ({"certified_index": 4}, "certified_index"),
        ({"certified_index": -1}, "certified_index"),
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
    from scipy import stats

    weak = replace(
        certificate,
        n=312,
        bound=float(stats.beta.ppf(0.95, 3, 310)),
        p_value=float(stats.binom.cdf(2, 312, 0.02)),
    )
    with pytest.raises(BundleError, match="above alpha"):
        verify_certificate(weak)


def test_the_trivial_policies_are_what_they_are(certificate):
    flattered = replace(certificate.everything_roadwork, false_alarm_rate=0.5)
    with pytest.raises(BundleError, match="everything_roadwork"):
        verify_certificate(replace(certificate, everything_roadwork=flattered))
    assert certificate.everything_roadwork.selective_fnr == 0.0
    assert certificate.everything_deferred.coverage == 0.0


def test_every_key_is_needed_and_no_other_is_taken(certificate):
    whole = certificate_to_json(certificate)
    for key in whole:
        with pytest.raises(BundleError, match=key):
            certificate_from_json({name: field for name, field in whole.items() if name != key})
    with pytest.raises(BundleError, match="surprise"):
        certificate_from_json({**whole, "surprise": 1})
    for key in ("false_alarms", "coverage", "everything_deferred"):
        with pytest.raises(BundleError, match=rf"{key}\.surprise"):
            certificate_from_json({**whole, key: {**whole[key], "surprise": 1}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("n", 313.0),
        ("n", True),
        ("n", "313"),
        ("misses", None),
        ("alpha", math.nan),
        ("bound", math.inf),
        ("kind", "average"),
        ("risk", "fnr"),
        ("split_sha256", 7),
        ("sequence", [0.0, "1"]),
        ("sequence", None),
        ("coverage", [1, 2, 3, 4]),
    ],
)
def test_wrong_types_are_refused_by_key(certificate, key, value):
    with pytest.raises(BundleError, match=key):
        certificate_from_json({**certificate_to_json(certificate), key: value})


@pytest.mark.parametrize("value", [None, [], 3, "certificate"])
def test_something_else_is_no_certificate(value):
    with pytest.raises(BundleError, match="certificate"):
        certificate_from_json(value)


def test_coverage_shares():
    coverage = Coverage(positives=4, positives_answered=3, negatives=6, negatives_answered=2)
    assert (coverage.positive, coverage.negative, coverage.overall) == (0.75, 2 / 6, 0.5)
    assert Coverage(0, 0, 0, 0).overall is None
