"""Thresholds and certificates against brute force by SciPy, and what is refused."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from workzone.calibration.threshold import (
    certify_threshold,
    fit_threshold_policy,
    freeze_upper_threshold,
    threshold_grid,
)
from workzone.calibration.walk import WalkPlan
from workzone.core.errors import ConfigError, DataError
from workzone.policy.risks import Risk
from workzone.policy.settings import Counting, Objective, Prices, RiskLimit, ThresholdSettings
from workzone.policy.verification import verify_certificate

HASHES = {"split_sha256": "5" * 64, "dataset_sha256": "d" * 64}


def certify(calib, t_hi=2.0, grid=(-10.0, -1.0, 0.0, 1.0, 2.0), alpha=0.05, delta=0.05, beta=0.05, **more):
    settings = ThresholdSettings((RiskLimit(Risk.SELECTIVE_FNR, alpha),), delta, beta)
    plan = WalkPlan(0, np.zeros((1, np.size(grid))))
    arrays = {"t_hi": t_hi, "grid": np.asarray(grid, dtype=float), "plan": plan}
    return certify_threshold(settings, calib, **{**HASHES, **arrays, **more})


# --- the upper threshold and the grid, from `select`


@given(
    logits=st.lists(st.integers(-6, 6), min_size=1, max_size=60), beta=st.sampled_from([0.0, 0.05, 0.29, 0.5])
)
def test_t_hi_is_the_smallest_logit_that_lets_beta_through(scores_of, logits, beta):
    select = scores_of([*logits, 100.0], [0] * len(logits) + [1])
    t_hi = freeze_upper_threshold(select, beta)
    negatives = np.array(logits, dtype=float)
    assert np.mean(negatives >= t_hi) <= beta
    assert np.mean(negatives >= np.nextafter(t_hi, -np.inf)) > beta


def test_t_hi_counts_exactly_beta(scores_of):
    select = scores_of(np.arange(100.0), 0)
    for percent in range(100):
        assert (select.logits >= freeze_upper_threshold(select, percent / 100)).sum() == percent


def test_t_hi_leaves_out_what_is_undecided_and_needs_negatives(scores_of):
    select = scores_of([0.0, 5.0, 6.0, 7.0], [0, 0, -1, 1], ambiguous=[0, 1, 0, 0])
    assert freeze_upper_threshold(select, 0.0) == np.nextafter(0.0, 1)
    with pytest.raises(DataError, match="no decided picture without road work among its 2"):
        freeze_upper_threshold(scores_of([1.0, 2.0], [1, -1]), 0.05)
    for beta in (-0.1, 1.0, math.nan):
        with pytest.raises(ConfigError, match="beta"):
            freeze_upper_threshold(select, beta)


@given(
    logits=st.lists(st.floats(-30, 30), min_size=1, max_size=300),
    t_hi=st.floats(-40, 40),
    size=st.integers(10, 250),
)
def test_the_grid_rises_from_below_select_to_t_hi(scores_of, logits, t_hi, size):
    grid = threshold_grid(scores_of(logits, 0), t_hi, size)
    assert len(grid) <= size
    assert (np.diff(grid) > 0).all()
    assert grid[-1] == t_hi
    assert grid[0] < min([*logits, t_hi])


def test_the_grid_is_quantiles_of_select_and_ignores_labels(scores_of):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=5000)
    grid = threshold_grid(scores_of(logits, 0), 0.5)
    assert len(grid) == 200
    assert np.array_equal(grid, threshold_grid(scores_of(logits, rng.integers(-1, 2, 5000)), 0.5))
    inside = grid[(grid >= logits.min()) & (grid < 0.5)]
    share = np.searchsorted(np.sort(logits[logits < 0.5]), inside) / (logits < 0.5).sum()
    assert np.abs(np.diff(share) - 1 / len(inside)).max() < 0.002
    with pytest.raises(ConfigError, match="at least 10"):
        threshold_grid(scores_of(logits, 0), 0.5, 9)


# --- the lower threshold, on `calib`


@pytest.mark.parametrize(("alpha", "least"), [(0.02, 149), (0.05, 59)])
def test_one_group_fewer_than_needed_is_refused_with_the_numbers(scores_of, alpha, least):
    enough = certify(scores_of([3.0] * least, 1), alpha=alpha)
    claim = enough.certificate.claims[0]
    assert (claim.n, claim.events, enough.t_lo) == (least, 0, 2.0)
    short = certify(scores_of([3.0] * (least - 1) + [0.0] * 10, 1), alpha=alpha, grid=[-9.0, 0.0])
    assert short.certificate is None
    assert short.t_lo == -math.inf
    for part in (
        f"{least - 1} of {least + 9} calibration groups",
        f"at least {least} are needed",
        ": 1 more",
    ):
        assert part in short.refusal
    assert 0 not in short.decide(np.linspace(-1e9, 1e9, 101))


@pytest.mark.parametrize("calib_labels", [0, -1])
def test_without_positives_nothing_is_certified(scores_of, calib_labels):
    policy = certify(scores_of([0.0] * 20, calib_labels))
    assert "0 of 0 calibration groups" in policy.refusal
    assert "59 more" in policy.refusal
    empty = certify(scores_of([], []))
    assert empty.certificate is None


def test_misses_below_the_safest_threshold_ask_for_more(scores_of):
    policy = certify(scores_of([3.0] * 70 + [-99.0] * 2, 1))
    assert "72 of 72" in policy.refusal
    assert "with 2 errors at least 124 are needed: 52 more" in policy.refusal


def test_alpha_so_small_that_nobody_could_label_enough_is_refused_not_an_error(scores_of):
    assert "more" in certify(scores_of([3.0] * 70, 1), alpha=1e-7).refusal


def brute_force(calib, t_hi, grid, alpha, delta):
    """The same procedure, written down naively."""
    chosen = {}
    for i in range(len(calib.ids)):
        if calib.labels[i] == 1 and not calib.ambiguous[i]:
            key = f"{HASHES['split_sha256']}|{calib.groups[i]}|{calib.ids[i]}"
            digest = hashlib.sha256(key.encode()).hexdigest()
            chosen[calib.groups[i]] = min(chosen.get(calib.groups[i], ("~", 0)), (digest, i))
    z = calib.logits[[i for _, i in chosen.values()]] if chosen else np.empty(0)
    best = -math.inf
    for t in grid:
        answered = int(((z >= t_hi) | (z < t)).sum())
        if stats.binom.cdf(int((z < t).sum()), answered, alpha) > delta:
            break
        best = t
    return best


@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 400), alpha=st.floats(0.01, 0.3), delta=st.floats(0.01, 0.3)
)
def test_certified_threshold_is_that_of_the_naive_procedure(scores_of, seed, n, alpha, delta):
    rng = np.random.default_rng(seed)
    calib = scores_of(
        np.round(4 * rng.normal(2, 1.5, n)) / 4,  # many lie on thresholds
        rng.integers(-1, 2, n),
        groups=rng.integers(0, n, n).astype(str),
        ambiguous=rng.random(n) < 0.1,
    )
    grid = np.unique(np.round(4 * rng.normal(0, 2, 30)).clip(max=4.0)) / 4
    policy = certify(calib, t_hi=1.0, grid=grid, alpha=alpha, delta=delta)
    assert policy.t_lo == brute_force(calib, 1.0, grid, alpha, delta)
    again = certify(calib.take(rng.permutation(n)), t_hi=1.0, grid=grid, alpha=alpha, delta=delta)
    assert again == policy


@given(seed=st.integers(0, 10**6), alphas=st.tuples(st.floats(0.01, 0.4), st.floats(0.01, 0.4)))
def test_t_lo_rises_with_alpha(scores_of, seed, alphas):
    calib = scores_of(np.random.default_rng(seed).normal(3, 1.5, 300), 1)
    grid = np.linspace(-5, 2, 60)
    low, high = (certify(calib, grid=grid, alpha=alpha).t_lo for alpha in sorted(alphas))
    assert low <= high


@given(seed=st.integers(0, 10**6))
def test_a_strictly_increasing_map_of_all_logits_changes_no_verdict(scores_of, seed):
    rng = np.random.default_rng(seed)
    n = 250
    eighths = rng.integers(-40, 60, n) / 8
    labels, groups = rng.random(n) < 0.8, rng.integers(0, 200, n).astype(str)
    grid, t_hi = np.arange(-48, 9) / 8, 1.0

    def rise(x):
        return np.asarray(x) ** 3 + 2 * np.asarray(x) - 7

    before = certify(scores_of(eighths, labels, groups), t_hi, grid)
    after = certify(scores_of(rise(eighths), labels, groups), float(rise(t_hi)), rise(grid))
    assert before.decide(eighths).tolist() == after.decide(rise(eighths)).tolist()
    if before.certificate is not None:
        assert before.certificate.walk.passed == after.certificate.walk.passed
        assert before.certificate.claims == after.certificate.claims


def test_what_the_certificate_counts(scores_of):
    """Two frames a group; mixed groups, unknown and ambiguous pictures; counts done by hand."""
    positives = np.repeat([3.0] * 100 + [0.5] * 20, 2)
    negatives = np.repeat([-5.0] * 30 + [0.5] * 6 + [4.0] * 4, 2)
    rest = [9.0, 9.0, -9.0, -9.0, -9.0]
    groups = [
        *np.repeat([f"p{i}" for i in range(120)], 2),
        *np.repeat([f"p{i}" for i in range(30)] + [f"n{i}" for i in range(10)], 2),  # 30 groups have both
        *(f"r{i}" for i in range(5)),
    ]
    calib = scores_of(
        np.concatenate([positives, negatives, rest]),
        [1] * 240 + [0] * 80 + [-1, -1, 1, 1, 0],
        groups=groups,
        ambiguous=[False] * 320 + [True, False, True, True, True],
    )
    policy = certify(calib, grid=[-10.0, 0.0, 1.0])
    cert = policy.certificate
    verify_certificate(cert)
    assert (policy.t_lo, policy.t_hi, policy.settings.beta) == (0.0, 2.0, 0.05)
    (claim,) = cert.claims
    assert (claim.n, claim.events, claim.n_groups) == (100, 0, 120)
    assert (cert.n_unknown_left_out, cert.n_ambiguous_left_out) == (2, 3)
    assert (cert.false_alarms.count, cert.false_alarms.n, cert.false_alarms.rate) == (4, 40, 0.1)
    assert cert.false_alarms.bound == pytest.approx(stats.beta.ppf(0.95, 5, 36))
    assert (cert.coverage.positives, cert.coverage.positives_answered) == (240, 200)
    assert (cert.coverage.negatives, cert.coverage.negatives_answered) == (80, 68)
    assert claim.bound == pytest.approx(stats.beta.ppf(0.95, 1, 100))
    assert (cert.split_sha256, cert.dataset_sha256) == (HASHES["split_sha256"], HASHES["dataset_sha256"])
    assert cert.walk.sequence == (-10.0, 0.0, 1.0)
    # ambiguous pictures: one known as road work is missed, and so is one that is labelled none
    assert claim.ambiguous_as_positives.n == 104
    assert claim.ambiguous_as_positives.events == 3


def test_without_negatives_the_false_alarms_are_unknown(scores_of):
    alarms = certify(scores_of([3.0] * 100, 1)).certificate.false_alarms
    assert (alarms.n, alarms.rate, alarms.bound) == (0, None, 1.0)


@pytest.mark.parametrize(
    "bad",
    [
        {"grid": []},
        {"grid": [0.0, 0.0]},
        {"grid": [1.0, 0.0]},
        {"grid": [0.0, math.nan]},
        {"grid": [-math.inf, 0.0]},
        {"grid": [[0.0]]},
        {"grid": [0.0, 2.1]},
        {"t_hi": math.nan},
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"delta": 0.0},
        {"delta": math.nan},
        {"beta": 1.0},
        {"split_sha256": ""},
    ],
)
def test_arguments_out_of_range_are_refused(scores_of, bad):
    with pytest.raises(ConfigError):
        certify(scores_of([3.0] * 100, 1), **bad)


# --- both


def drawn(scores_of, name, n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.5
    return scores_of(rng.normal(4.0 * labels - 2, 1.0), labels, groups=[f"{name}{i}" for i in range(n)])


def test_fit_takes_t_hi_and_grid_from_select_alone(scores_of):
    select, calib = drawn(scores_of, "s", 500, 1), drawn(scores_of, "c", 1200, 2)
    policy = fit_threshold_policy(ThresholdSettings(), select, calib, **HASHES)
    assert policy.t_hi == freeze_upper_threshold(select, 0.05)
    assert policy.certificate.walk.sequence == tuple(threshold_grid(select, policy.t_hi))
    assert policy.certificate.claims[0].alpha == 0.02
    assert policy.certificate.coverage.overall > 0.9


def test_all_frames_certify_further_where_errors_are_scattered(scores_of):
    """16 frames with independent errors: the share of misses of a group is nearly the risk itself."""
    rng = np.random.default_rng(8)

    def pictures(name, n_groups):
        labels = np.repeat(rng.random(n_groups) < 0.5, 16)
        groups = np.repeat([f"{name}{i}" for i in range(n_groups)], 16)
        ids = [f"{name}{i}" for i in range(16 * n_groups)]
        return scores_of(rng.normal(np.where(labels, 2.0, -2.0), 1.2), labels, groups=groups, ids=ids)

    select, calib = pictures("s", 200), pictures("c", 600)
    settings = ThresholdSettings((RiskLimit(Risk.SELECTIVE_FNR, 0.02),), beta=0.02)
    one = fit_threshold_policy(settings, select, calib, **HASHES)
    every = fit_threshold_policy(
        ThresholdSettings(settings.limits, beta=0.02, counting=Counting.ALL_FRAMES), select, calib, **HASHES
    )
    assert one.certified
    assert every.t_lo > one.t_lo
    verify_certificate(every.certificate)
    assert sum(groups for *_, groups in every.certificate.claims[0].outcomes) == len(
        set(calib.groups[calib.labels == 1])
    )


def test_the_cheapest_certified_threshold_is_taken(scores_of):
    select, calib = drawn(scores_of, "s", 500, 1), drawn(scores_of, "c", 1200, 2)
    dear = ThresholdSettings(objective=Objective.COST, prices=Prices(miss=500, false_alarm=5, next_stage=1))
    cheap = ThresholdSettings(objective=Objective.COST, prices=Prices(miss=2, false_alarm=5, next_stage=1))
    careful, bold = (fit_threshold_policy(s, select, calib, **HASHES) for s in (dear, cheap))
    assert careful.t_lo < bold.t_lo
    for policy in (careful, bold):
        walk = policy.certificate.walk
        assert walk.start <= walk.chosen <= walk.passed
        assert (select.logits[select.labels == 0] >= policy.t_hi).mean() <= 0.05


@pytest.mark.parametrize("scores", [[1.0] * 400, [1.0, 1.0 + 1e-12] * 200])
def test_constant_or_tied_scores_certify_nothing_they_cannot_tell_apart(scores_of, scores):
    n = len(scores)
    select = scores_of(scores, [0, 1] * (n // 2), groups=[f"s{i}" for i in range(n)])
    calib = scores_of(scores, [1, 0] * (n // 2), groups=[f"c{i}" for i in range(n)])
    policy = fit_threshold_policy(ThresholdSettings(), select, calib, **HASHES)
    assert policy.certificate is None or policy.certificate.claims[0].bound <= 0.02
    assert set(policy.decide(np.array(scores)[:1]).tolist()) <= {-1, 1}


def test_the_refusal_of_all_frames_asks_for_what_its_test_takes(scores_of):
    """With one wholly missed group the betting test takes 113 groups at alpha 0.05, the binomial one 93."""
    from workzone.calibration.plan import betting_groups_needed

    select = drawn(scores_of, "s", 200, 1)
    logits = [9.0] * 99 + [-90.0]
    calib = scores_of(logits, 1, groups=[f"c{i}" for i in range(100)], ids=[f"c{i}" for i in range(100)])
    limits = (RiskLimit(Risk.SELECTIVE_FNR, 0.05),)
    policy = fit_threshold_policy(
        ThresholdSettings(limits, counting=Counting.ALL_FRAMES), select, calib, **HASHES
    )
    needed = betting_groups_needed(1, 0.05, 0.05)
    assert needed == 113
    assert f"at least {needed} are needed: {needed - 100} more" in policy.refusal


@pytest.mark.parametrize("n", [0, 1, 2])
def test_hardly_any_calibration_pictures_are_refused_with_the_number_it_takes(scores_of, n):
    select = drawn(scores_of, "s", 100, 1)
    calib = scores_of([9.0] * n, 1, groups=[f"c{i}" for i in range(n)])
    policy = fit_threshold_policy(ThresholdSettings(), select, calib, **HASHES)
    assert f"{149 - n} more" in policy.refusal


def test_without_negatives_in_select_there_is_nothing_to_freeze(scores_of):
    with pytest.raises(DataError, match="no decided picture without road work"):
        fit_threshold_policy(ThresholdSettings(), scores_of([1.0], 1), scores_of([1.0], 1), **HASHES)
