"""PASS, WARN or FAIL: by hand at the edges, and the risk's test against SciPy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from workzone.core.types import Status
from workzone.phases.check_findings import Finding, Reading, judge, judge_risk, worst
from workzone.phases.check_limits import AtLeast, AtMost

HIGH, LOW = AtLeast(warn=0.7, fail=0.5), AtMost(warn=100, fail=200)


@pytest.mark.parametrize(
    ("value", "status"),
    [(100.0, "PASS"), (100.1, "WARN"), (200.0, "WARN"), (200.1, "FAIL"), (0.0, "PASS"), (1e9, "FAIL")],
)
def test_a_time_is_taken_as_measured(value, status):
    found = judge(Reading("latency_p50_ms", 10, value), LOW)
    assert found.status == status
    assert (found.reason is None) == (status == "PASS")
    assert (found.warn, found.fail, found.value) == (100, 200, value)


@pytest.mark.parametrize(
    ("value", "low", "high", "status", "reason"),
    [
        (0.8, 0.6, 0.9, "PASS", None),
        (0.7, 0.5, 0.9, "PASS", None),
        (0.8, 0.49, 0.9, "WARN", "too few: the interval reaches below 0.5"),
        (0.69, 0.6, 0.9, "WARN", "below 0.7"),
        (0.4, 0.3, 0.5, "WARN", "below 0.5, but so few may be chance"),
        (0.4, 0.3, 0.49, "FAIL", "the whole interval is below 0.5"),
    ],
)
def test_an_interval_must_be_beyond_the_limit_as_a_whole_to_fail(value, low, high, status, reason):
    found = judge(Reading("mcc", 100, value, low, high), HIGH)
    assert (found.status, found.reason) == (status, reason)


def test_an_interval_of_what_should_be_low_is_the_mirror_image():
    assert judge(Reading("x", 9, 90, 80, 199), LOW).status is Status.PASS
    assert judge(Reading("x", 9, 90, 80, 201), LOW).status is Status.WARN
    assert judge(Reading("x", 9, 250, 199, 300), LOW).status is Status.WARN
    assert judge(Reading("x", 9, 250, 201, 300), LOW).status is Status.FAIL


@pytest.mark.parametrize("value", [None, 0.99, 0.01])
def test_too_little_is_never_pass_and_says_why(value):
    found = judge(Reading("mcc", 3, value, missing="too few: 3 groups"), HIGH)
    assert (found.status, found.reason) == (Status.WARN, "too few: 3 groups")


@given(st.integers(0, 400), st.data(), st.sampled_from([0.02, 0.05, 0.2]), st.sampled_from([0.01, 0.05, 0.1]))
def test_a_risk_fails_exactly_where_scipys_one_sided_test_rejects(n, data, alpha, delta):
    events = data.draw(st.integers(0, n))
    found = judge_risk("selective_fnr", events, n, alpha, delta, None)
    if n == 0:
        assert found.status is Status.WARN
        assert found.value is None
        return
    rejected = binomtest(events, n, alpha, alternative="greater").pvalue < delta
    assert (found.status is Status.FAIL) == rejected
    low = binomtest(events, n, alternative="greater").proportion_ci(1 - delta, "exact").low
    assert found.low == pytest.approx(low, abs=1e-9)
    if found.status is Status.PASS:
        assert events / n <= alpha
        assert (1 - alpha) ** n <= delta  # so many without an event would have shown it


@pytest.mark.parametrize(
    ("events", "n", "status", "why"),
    [
        (0, 59, "PASS", None),  # 59 is the least that certifies alpha = 0.05 (DESIGN)
        (0, 58, "WARN", "too few: 58 groups"),
        (0, 0, "WARN", "too few: 0 groups"),
        (5, 100, "PASS", None),
        (6, 100, "WARN", "above 0.05, but so few may be chance"),
        (11, 100, "FAIL", "above 0.05 with confidence 0.95"),
        (3, 3, "FAIL", "above 0.05"),
    ],
)
def test_a_risk_at_the_edges(events, n, status, why):
    found = judge_risk("selective_fnr", events, n, 0.05, 0.05, None)
    assert found.status == status
    assert found.reason is None if why is None else why in (found.reason or "")
    assert found.warn == found.fail == 0.05


def test_what_is_not_promised_does_not_pass_but_may_fail():
    kept = judge_risk("selective_fnr", 0, 500, 0.05, 0.05, "58 more groups are needed.")
    assert (kept.status, kept.reason) == (Status.WARN, "the bundle has no certificate: nothing is promised")
    assert judge_risk("selective_fnr", 100, 500, 0.05, 0.05, "58 more.").status is Status.FAIL


def test_the_worst_counts():
    def finding(status: Status) -> Finding:
        return Finding("x", status, 1.0, None, None, 1, 1.0, 1.0, None)

    assert worst([finding(s) for s in (Status.PASS, Status.FAIL, Status.WARN)]) is Status.FAIL
    assert worst([finding(s) for s in (Status.WARN, Status.PASS)]) is Status.WARN
    assert worst([finding(Status.PASS)]) is Status.PASS
    assert worst([]) is Status.PASS
