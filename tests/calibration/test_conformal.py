"""Conformal policies against crepes-free first principles: ranks, Beta laws, SciPy and brute force."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workzone.calibration.conformal import (
    allowed_misses,
    conformal_lower,
    fit_conformal_policy,
    freeze_selection,
    risk_control_lower,
)
from workzone.core.errors import DataError
from workzone.policy.risks import Risk
from workzone.policy.settings import ConformalMethod, ConformalSettings, RiskLimit
from workzone.policy.verification import verify_certificate

HASHES = {"split_sha256": "5" * 64, "dataset_sha256": "d" * 64}
MISS, ALARM = RiskLimit(Risk.COMMITTED_MISS_RATE, 0.05), RiskLimit(Risk.FALSE_ALARM_RATE, 0.1)


def drawn(scores_of, name, n, seed, frames=1, shift=4.0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(rng.random(n) < 0.5, frames)
    m = n * frames
    return scores_of(
        rng.normal(shift * labels - 2, 1.0),
        labels,
        groups=np.repeat([f"{name}{i}" for i in range(n)], frames),
        ids=[f"{name}{i:08x}" for i in range(m)],
    )


@given(n=st.integers(0, 3000), alpha=st.floats(0.001, 0.9))
def test_allowed_misses_is_the_largest_number(n, alpha):
    k = allowed_misses(n, alpha)
    assert k == -1 or (k + 1) / (n + 1) <= alpha
    assert (k + 2) / (n + 1) > alpha


@pytest.mark.parametrize(("misses", "least"), [(0, 49), (1, 99), (2, 149), (5, 299), (9, 499)])
def test_published_numbers_of_conformal_risk_control(misses, least):
    """Methods §8.3: n >= (k + 1) / alpha - 1 at alpha 0.02."""
    assert allowed_misses(least, 0.02) == misses
    assert allowed_misses(least - 1, 0.02) == misses - 1


def test_the_threshold_is_the_conformal_quantile():
    logits = np.random.default_rng(0).normal(size=500)
    scores = np.sort(-logits)  # nonconformity of road work
    quantile = scores[math.ceil(501 * 0.9) - 1]
    assert conformal_lower(logits, 0.1) == -quantile
    assert conformal_lower(logits[:8], 0.1) == -math.inf


def test_the_coverage_of_a_draw_follows_its_beta_law():
    """Methods §8.2: n = 500, alpha = 0.1 gives Beta(451, 50), mean .9002, 5 % quantile .8773."""
    law = stats.beta(451, 50)
    assert law.mean() == pytest.approx(0.9002, abs=5e-5)
    assert law.ppf(0.05) == pytest.approx(0.8773, abs=5e-5)
    rng = np.random.default_rng(1)
    coverage = [1 - stats.norm.cdf(conformal_lower(rng.normal(size=500), 0.1)) for _ in range(2000)]
    assert stats.kstest(coverage, law.cdf).pvalue > 1e-3


@given(seed=st.integers(0, 10**6), alpha=st.floats(0.01, 0.6), n=st.integers(1, 40))
def test_risk_control_is_brute_force_over_all_thresholds(seed, alpha, n):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, n)
    groups = np.repeat(np.arange(n), sizes)
    logits = np.round(2 * rng.normal(size=len(groups))) / 2
    found = risk_control_lower(logits, 1.0 / sizes[groups], n, alpha)

    def loss(t):
        return sum(np.mean(logits[groups == g] < t) for g in range(n))

    for t in [*np.unique(logits), logits.max() + 1]:
        allowed = (loss(t) + 1) / (n + 1) <= alpha * (1 + 1e-12)
        assert allowed == (t <= found or (t > logits.max() and found > logits.max()))


def test_sets_promise_both_classes_and_defer_what_both_or_neither_claim(scores_of):
    settings = ConformalSettings(ConformalMethod.SETS, (MISS, ALARM))
    calib = drawn(scores_of, "c", 800, 3)
    policy = fit_conformal_policy(settings, drawn(scores_of, "s", 100, 4), calib, **HASHES)
    verify_certificate(policy.certificate)
    positives, negatives = (calib.logits[calib.labels == y] for y in (1, 0))
    lower, upper = conformal_lower(positives, 0.05), -conformal_lower(-negatives, 0.1)
    for logit in np.linspace(-6, 6, 400):
        inside = {y for y, holds in ((1, logit >= lower), (0, logit <= upper)) if holds}
        expected = {frozenset({1}): 1, frozenset({0}): 0}.get(frozenset(inside), -1)
        assert policy.decide([logit]).tolist() == [expected]
    miss, alarm = policy.certificate.claims
    assert miss.bound <= 0.05
    assert alarm.bound <= 0.1
    assert "chance of" in policy.certificate.statement


def test_published_exceedance_of_an_average():
    """Methods §8.3: n = 49: 37 % exceed 2 %; 499: 46 %; 4999: 49 %."""
    for n, exceeds in ((49, 0.37), (499, 0.46), (4999, 0.49)):
        k = allowed_misses(n, 0.02)
        assert stats.beta.sf(0.02, k + 1, n - k) == pytest.approx(exceeds, abs=0.006)
        assert stats.binom.cdf(k, n, 0.02) == pytest.approx(stats.beta.sf(0.02, k + 1, n - k))


def test_risk_control_counts_all_frames(scores_of):
    settings = ConformalSettings(ConformalMethod.CRC, (MISS,))
    calib = drawn(scores_of, "c", 400, 5, frames=4, shift=2.5)
    policy = fit_conformal_policy(settings, drawn(scores_of, "s", 100, 6, shift=2.5), calib, **HASHES)
    (claim,) = policy.certificate.claims
    missed = calib.logits[calib.labels == 1] < policy.none_below
    shares = missed.reshape(-1, 4).mean(axis=1)
    assert claim.bound == pytest.approx((shares.sum() + 1) / (len(shares) + 1))
    assert claim.bound <= 0.05
    assert policy.none_below < policy.roadwork_from  # nothing but alpha holds the threshold back,
    assert 0.2 < claim.exceedance < 0.6  # so a draw exceeds an average about every other time


def test_the_estimated_exceedance_is_near_the_true_one(scores_of):
    """With one frame a group it must be near the Beta law's."""
    rng = np.random.default_rng(7)
    from workzone.calibration.conformal import _Weighted

    chances = []
    for _ in range(20):
        logits = rng.normal(size=300)
        table = _Weighted(logits, np.ones(300), np.arange(300), 300)
        chances.append(table.exceedance(0.05, math.inf))
    exact = stats.binom.cdf(allowed_misses(300, 0.05), 300, 0.05)
    assert np.mean(chances) == pytest.approx(exact, abs=0.12)


def test_selective_risk_control_keeps_its_rate_of_deferrals(scores_of):
    settings = ConformalSettings(ConformalMethod.SCRC, (RiskLimit(Risk.SELECTIVE_FNR, 0.03),), coverage=0.9)
    select, calib = drawn(scores_of, "s", 600, 8, shift=5.0), drawn(scores_of, "c", 1200, 9, shift=5.0)
    policy = fit_conformal_policy(settings, select, calib, **HASHES)
    certificate = policy.certificate
    verify_certificate(certificate)
    assert certificate.kind == "pac"
    assert np.mean(policy.decide(select.logits) != -1) == pytest.approx(0.9, abs=0.01)
    accepted = (calib.labels == 1) & (policy.decide(calib.logits) != -1)
    assert certificate.claims[0].n == accepted.sum()  # whatever the threshold


def test_the_band_is_frozen_on_select(scores_of):
    select = drawn(scores_of, "s", 500, 10)
    low, high = freeze_selection(select, 0.7)
    outside = (select.logits < low) | (select.logits >= high)
    assert outside.mean() == pytest.approx(0.7, abs=0.01)
    with pytest.raises(DataError, match="both classes"):
        freeze_selection(scores_of([1.0, 2.0], 1), 0.7)


@pytest.mark.parametrize("method", ConformalMethod)
@pytest.mark.parametrize("n", [0, 1, 2, 15])
def test_too_few_groups_are_refused_with_the_number_it_takes(scores_of, method, n):
    limits = (MISS, ALARM) if method is ConformalMethod.SETS else (MISS,)
    if method is ConformalMethod.SCRC:
        limits = (RiskLimit(Risk.SELECTIVE_FNR, 0.05),)
    settings = ConformalSettings(method, limits)
    calib = drawn(scores_of, "c", n, 2)
    policy = fit_conformal_policy(settings, drawn(scores_of, "s", 100, 1), calib, **HASHES)
    assert policy.certificate is None
    assert "more" in policy.refusal
    assert 0 not in policy.decide(np.linspace(-50, 50, 101))


@pytest.mark.parametrize("method", ConformalMethod)
def test_ties_everywhere_promise_no_more_than_they_show(scores_of, method):
    limits = {
        ConformalMethod.SETS: (MISS, ALARM),
        ConformalMethod.CRC: (MISS, ALARM),
        ConformalMethod.SCRC: (RiskLimit(Risk.SELECTIVE_FNR, 0.05),),
    }[method]
    labels = [0, 1] * 300
    select, calib = (
        scores_of([1.0] * 600, labels, groups=[f"{name}{i}" for i in range(600)]) for name in "sc"
    )
    policy = fit_conformal_policy(ConformalSettings(method, limits), select, calib, **HASHES)
    if policy.certificate is not None:
        assert all(claim.bound <= claim.alpha for claim in policy.certificate.claims)
