"""The cascade's certificate against SciPy, and by simulation with known truth: it holds, composing doesn't."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from workzone.calibration.cascade import CascadeSettings, certify_cascade
from workzone.core.errors import ConfigError, DataError
from workzone.policy.risks import Risk
from workzone.policy.settings import RiskLimit
from workzone.policy.verification import verify_certificate

ROADWORK, NONE, DEFER = 1, 0, -1
HASHES = {"split_sha256": "a" * 64, "dataset_sha256": "b" * 64}
FNR = Risk.SELECTIVE_FNR
ALPHA, DELTA = 0.05, 0.1
LOOSE = CascadeSettings((RiskLimit(FNR, ALPHA),), DELTA)


def certify(scores, stages, settings=CascadeSettings()):
    return certify_cascade(settings, scores, stages, **HASHES)


def counts_of(path):
    claim = path.certificate.claims[0]
    return claim.events, claim.n, claim.n_groups


# --- what is counted


def test_the_counts_are_those_of_what_the_path_answers(scores_of):
    """400 positives: A answers 300 (1 missed), B 80 of the rest (1 missed), 20 are deferred by both."""
    first = np.repeat([ROADWORK, NONE, DEFER], [299, 1, 100]).astype(np.int8)
    second = np.full(400, NONE, dtype=np.int8)  # where A answers, B is never asked: its misses there are none
    second[300:379], second[380:] = ROADWORK, DEFER
    alone, both = certify(scores_of(np.zeros(400), 1), [first, second])
    assert counts_of(both) == (2, 380, 400)
    assert counts_of(alone) == (1, 300, 400)
    claim = both.certificate.claims[0]
    assert claim.bound == pytest.approx(stats.beta.ppf(0.95, 3, 378))
    assert claim.p_value == pytest.approx(stats.binom.cdf(2, 380, 0.02))
    assert both.certificate.coverage.positives_answered == 380
    verify_certificate(both.certificate)


@pytest.mark.parametrize(("misses", "answered"), [(0, 149), (1, 236), (2, 313)])
def test_the_least_numbers_of_answered_groups(scores_of, misses, answered):
    """DESIGN §4, now of a composite: half of them by each stage, the misses by the second."""

    def last_path(n):
        first = np.where(np.arange(n) % 2 == 0, ROADWORK, DEFER)
        second = np.full(n, ROADWORK)
        second[1 : 2 * misses : 2] = NONE
        return certify(scores_of(np.zeros(n), 1), [first, second])[-1]

    assert counts_of(last_path(answered)) == (misses, answered, answered)
    refused = last_path(answered - 1)
    assert not refused.certified
    assert f"at least {answered} are needed: 1 more" in refused.refusal
    assert "defers every picture" in refused.refusal


def test_frames_of_one_sequence_are_one_group(scores_of):
    groups = np.repeat([f"g{i}" for i in range(200)], 3)
    codes = np.full(600, ROADWORK)
    path = certify(scores_of(np.zeros(600), 1, groups), [np.full(600, DEFER), codes])[-1]
    assert counts_of(path) == (0, 200, 200)
    few = np.repeat([f"g{i}" for i in range(100)], 6)
    assert not certify(scores_of(np.zeros(600), 1, few), [np.full(600, DEFER), codes])[-1].certified


def test_unknown_and_ambiguous_pictures_are_left_out_and_said_to_be(scores_of):
    labels = np.repeat([1, -1, 1], [200, 30, 5])
    ambiguous = np.repeat([False, True], [230, 5])
    codes = np.repeat([ROADWORK, NONE], [200, 35])
    path = certify(scores_of(np.zeros(235), labels, ambiguous=ambiguous), [np.full(235, DEFER), codes])[-1]
    assert counts_of(path) == (0, 200, 200)
    promise = path.certificate
    assert (promise.n_unknown_left_out, promise.n_ambiguous_left_out) == (30, 5)
    restated = promise.claims[0].ambiguous_as_positives
    assert (restated.events, restated.n, restated.holds) == (5, 205, False)


def test_false_alarms_of_the_path_stand_beside_it(scores_of):
    labels = np.repeat([1, 0], [200, 100])
    second = np.repeat([ROADWORK, ROADWORK, NONE], [200, 10, 90])
    path = certify(scores_of(np.zeros(300), labels), [np.full(300, DEFER), second])[-1]
    alarms = path.certificate.false_alarms
    assert (alarms.count, alarms.n) == (10, 100)
    assert alarms.bound == pytest.approx(stats.beta.ppf(0.95, 11, 90))


# --- which paths


def test_paths_are_tested_from_all_stages_down_and_none_after_the_first_that_fails(scores_of):
    n = 400
    good, deferring = np.full(n, ROADWORK), np.full(n, DEFER)
    bad = np.where(np.arange(n) % 5 == 0, NONE, ROADWORK)
    every = scores_of(np.zeros(n), 1)
    assert [p.certified for p in certify(every, [good, bad, bad])] == [True] * 3
    assert [p.certified for p in certify(every, [deferring, good, bad])] == [False, True, True]
    alone, two, three = certify(every, [np.where(np.arange(n) < 300, ROADWORK, DEFER), deferring, bad])
    assert not three.certified
    assert "5" in three.refusal or "needed" in three.refusal
    assert (two.certified, alone.certified) == (False, False)  # they would pass, taken by themselves
    assert "Not tested: the path of 3 stages failed" in two.refusal
    assert "Not tested" in alone.refusal


def test_two_limits_must_both_hold(scores_of):
    labels = np.repeat([1, 0], [300, 300])
    stage = np.repeat([ROADWORK, NONE, ROADWORK], [300, 260, 40])
    limits = (RiskLimit(FNR, 0.02), RiskLimit(Risk.FALSE_ALARM_RATE, 0.05))
    scores = scores_of(np.zeros(600), labels)
    path = certify(scores, [np.full(600, DEFER), stage], CascadeSettings(limits))[-1]
    assert "false alarm rate" in path.refusal
    wide = (limits[0], RiskLimit(Risk.FALSE_ALARM_RATE, 0.2))
    path = certify(scores, [np.full(600, DEFER), stage], CascadeSettings(wide))[-1]
    assert [(c.events, c.n) for c in path.certificate.claims] == [(0, 300), (40, 300)]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_next_to_nothing_certifies_nothing(scores_of, n):
    paths = certify(scores_of(np.zeros(n), 1), [np.full(n, ROADWORK)] * 2)
    assert [path.certified for path in paths] == [False, False]
    assert "149" in paths[-1].refusal


def test_who_answers_no_positive_certifies_nothing(scores_of):
    for labels, code in ((1, DEFER), (0, NONE)):
        paths = certify(scores_of(np.zeros(500), labels), [np.full(500, code)] * 2)
        assert not paths[-1].certified


def test_what_makes_no_cascade_is_refused(scores_of):
    scores = scores_of(np.zeros(5), 1)
    with pytest.raises(ConfigError, match="two stages"):
        certify(scores, [np.ones(5)])
    with pytest.raises(DataError, match="4 pictures"):
        certify(scores, [np.ones(4), np.ones(4)])
    with pytest.raises(ConfigError, match="split"):
        certify_cascade(LOOSE, scores, [np.ones(5)] * 2, split_sha256="", dataset_sha256="b")
    for wrong in ({"delta": 0.0}, {"limits": ()}, {"limits": (RiskLimit(FNR, 0.1),) * 2}):
        with pytest.raises(ConfigError):
            CascadeSettings(**wrong)


# --- the promise, by simulation


def draw(generator, n, *, easy, first_misses, second_misses):
    """Positives of two kinds: the easy ones stage A answers, the hard ones it defers; B misses hard ones only.

    The true selective FNR of both together is easy · first_misses + (1 - easy) · second_misses.
    """
    is_easy = generator.random(n) < easy
    missed = generator.random((2, n))
    first = np.where(is_easy, np.where(missed[0] < first_misses, NONE, ROADWORK), DEFER)
    second = np.where(~is_easy & (missed[1] < second_misses), NONE, ROADWORK)
    return first, second


def passes(codes):
    """The exact test of a stage taken by itself, with its thresholds fixed before."""
    events, n = int((codes == NONE).sum()), int((codes != DEFER).sum())
    return stats.binom.cdf(events, n, ALPHA) <= DELTA


def test_the_promise_holds_end_to_end_where_composing_the_stages_own_would_not(scores_of):
    """A misses 3.5 % of the easy ones, B 24 % of the hard ones, 3.6 % of all: each keeps the limit of 5 %.

    Together they miss 6.6 % of all that they answer, because B is asked nothing but hard ones.
    """
    generator, redraws, n = np.random.default_rng(11), 200, 1000
    true = 0.85 * 0.035 + 0.15 * 0.24
    assert true > 1.3 * ALPHA
    scores, composed, certified = scores_of(np.zeros(n), 1), 0, 0
    for _ in range(redraws):
        first, second = draw(generator, n, easy=0.85, first_misses=0.035, second_misses=0.24)
        composed += passes(first) and passes(second)
        certified += certify(scores, [first, second], LOOSE)[-1].certified
    assert composed / redraws > 0.4  # and every one of these promises is wrong
    assert certified / redraws <= DELTA
    assert certified <= 2  # P(Bin(1000, 0.0658) <= 40) is 0.0004


def test_at_the_limit_the_certificate_is_wrong_in_at_most_delta_of_the_draws(scores_of):
    generator, redraws, n = np.random.default_rng(12), 400, 400
    scores, wrong = scores_of(np.zeros(n), 1), 0
    for _ in range(redraws):  # true FNR 0.0505: every certificate is wrong
        first, second = draw(generator, n, easy=0.5, first_misses=0.02, second_misses=0.081)
        wrong += certify(scores, [first, second], LOOSE)[-1].certified
    assert wrong / redraws <= DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / redraws)
    assert wrong / redraws > 0.03  # nor is it giving away what could be promised


def test_a_good_cascade_is_certified_on_every_path(scores_of):
    generator, redraws, n = np.random.default_rng(13), 60, 600
    scores, paths = scores_of(np.zeros(n), 1), np.zeros(2)
    for _ in range(redraws):
        first, second = draw(generator, n, easy=0.7, first_misses=0.015, second_misses=0.05)
        paths += [path.certified for path in certify(scores, [first, second], LOOSE)]
    assert (paths / redraws > 0.9).all()


def test_all_certificates_of_a_cascade_hold_at_once_and_tested_apart_they_would_not(scores_of):
    """Both paths are just above the limit, and A answers few of the pictures: two nearly separate chances."""
    generator, redraws, n = np.random.default_rng(14), 1500, 628
    scores, any_wrong, any_apart = scores_of(np.zeros(n), 1), 0, 0
    for _ in range(redraws):
        first, second = draw(generator, n, easy=0.25, first_misses=0.0501, second_misses=0.0501)
        any_wrong += any(path.certified for path in certify(scores, [first, second], LOOSE))
        together = np.where(first == DEFER, second, first)
        any_apart += passes(first) or passes(together)
    allowed = DELTA + 2 * np.sqrt(DELTA * (1 - DELTA) / redraws)
    assert any_wrong / redraws <= allowed < any_apart / redraws
