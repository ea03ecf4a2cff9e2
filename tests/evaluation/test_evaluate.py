"""Measures against scikit-learn, hand counts and exact laws."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from workzone.core.errors import ConfigError, DataError
from workzone.core.scores import Scores
from workzone.core.types import Label
from workzone.evaluation.biased_measures import UNRESAMPLED
from workzone.evaluation.evaluate import Baseline, evaluate
from workzone.evaluation.measures import TITLES
from workzone.evaluation.records import Evaluation, SliceColumn, find_measure
from workzone.metrics.calibration_error import Binning, debiased_calibration_error
from workzone.metrics.selective import risk_coverage
from workzone.policy.calibrators import PlattCalibrator, TemperatureCalibrator
from workzone.policy.settings import ThresholdSettings
from workzone.policy.threshold import ThresholdPolicy

CALIBRATOR = PlattCalibrator(1.3, 0.1)
POLICY = ThresholdPolicy(-1.0, 1.0, ThresholdSettings(), None, "too few")


def table(labels: list[int], logits: list[float], groups: list[str] | None = None) -> Scores:
    n = len(labels)
    return Scores(
        ids=np.array([f"{index:04d}" for index in range(n)]),
        labels=np.array(labels, dtype=np.int8),
        ambiguous=np.zeros(n, dtype=np.bool_),
        groups=np.array(groups or [f"g{index:04d}" for index in range(n)]),
        logits=np.array(logits, dtype=np.float64),
        features=np.zeros((n, 1), dtype=np.float32),
    )


def estimate(evaluation: Evaluation, name: str) -> float:
    value = evaluation.measure(name).estimate
    assert value is not None
    return value


def test_classification_ranking_and_probabilities_agree_with_scikit_learn(draw, measured):
    scores = draw()
    found = measured(scores)
    y, z, p = scores.labels, scores.logits, CALIBRATOR.apply(scores.logits)
    for suffix, called in (("", z >= 0.15), ("_at_half", p >= 0.5)):
        assert estimate(found, f"mcc{suffix}") == pytest.approx(sk.matthews_corrcoef(y, called))
        assert estimate(found, f"accuracy{suffix}") == pytest.approx(sk.accuracy_score(y, called))
        assert estimate(found, f"precision{suffix}") == pytest.approx(sk.precision_score(y, called))
        assert estimate(found, f"recall{suffix}") == pytest.approx(sk.recall_score(y, called))
        assert estimate(found, f"specificity{suffix}") == pytest.approx(sk.recall_score(1 - y, ~called))
    assert estimate(found, "auroc") == pytest.approx(sk.roc_auc_score(y, z))
    assert estimate(found, "auprc") == pytest.approx(sk.average_precision_score(y, z))
    assert estimate(found, "brier") == pytest.approx(sk.brier_score_loss(y, p))
    assert estimate(found, "nll") == pytest.approx(sk.log_loss(y, p))


def test_calibration_errors_follow_their_definitions(draw, measured):
    scores = draw()
    found = measured(scores)
    y, p = scores.labels, CALIBRATOR.apply(scores.logits)
    width = 0.0
    for low in np.arange(15) / 15:
        inside = (p >= low) & (p < low + 1 / 15)
        if inside.any():
            width += inside.mean() * abs(y[inside].mean() - p[inside].mean())
    assert estimate(found, "ece_equal_width") == pytest.approx(width)
    parts = np.array_split(np.argsort(p), 15)  # 120 pictures: 8 in each bin
    mass = np.mean([abs(y[part].mean() - p[part].mean()) for part in parts])
    assert estimate(found, "ece_equal_mass") == pytest.approx(mass)


def test_areas_and_debiased_errors_are_those_of_the_metrics(draw, measured):
    scores = draw()
    found = measured(scores)
    y, p = scores.labels, CALIBRATOR.apply(scores.logits)
    selective = risk_coverage((scores.logits >= 0.15) != y, np.abs(scores.logits - 0.15))
    assert estimate(found, "aurc") == pytest.approx(selective.aurc)
    assert estimate(found, "augrc") == pytest.approx(selective.augrc)
    for name, binning in (("width", Binning.WIDTH), ("mass", Binning.MASS)):
        debiased = debiased_calibration_error(y, p, 15, binning, scores.groups)
        assert estimate(found, f"ece_equal_{name}_debiased") == pytest.approx(debiased.ece)
        assert estimate(found, f"ece_equal_{name}_debiased") < estimate(found, f"ece_equal_{name}")


def test_the_parts_of_the_brier_score_add_up(draw, measured):
    found = measured(draw())
    parts = {name: estimate(found, f"brier_{name}") for name in ("reliability", "resolution", "uncertainty")}
    total = parts["reliability"] - parts["resolution"] + parts["uncertainty"]
    assert total + estimate(found, "brier_remainder") == pytest.approx(estimate(found, "brier"))
    assert parts["uncertainty"] == pytest.approx(0.25)


def test_biased_errors_come_without_an_interval_and_reflected_ones_hold_their_estimate(draw, measured):
    found = measured(draw())
    for name in UNRESAMPLED:
        measure = found.measure(name)
        assert measure.estimate is not None
        assert (measure.low, measure.high, measure.interval) == (None, None, None)
        assert measure.reason == "no interval: biased under resampling"
    for name in ("brier_resolution", "ece_equal_width_debiased", "ece_equal_mass_debiased"):
        measure = found.measure(name)
        assert measure.low <= measure.estimate <= measure.high
        assert measure.low < measure.high


def test_the_interval_of_a_debiased_error_is_the_reflected_one(draw):
    """Averaged over draws of nearly calibrated probabilities: resamples lie above, so the interval lies below."""
    drifts = []
    for seed in range(4):
        scores = draw(n_groups=200, seed=seed, separation=0.8)
        found = evaluate(
            scores, CALIBRATOR, POLICY, decision_threshold=0.0, n_resamples=100, confidence=0.98, seed=seed
        )
        measure = found.measure("ece_equal_width_debiased")
        drifts.append((measure.low + measure.high) / 2 - measure.estimate)
    assert np.mean(drifts) < 0


def test_the_oracle_is_a_ceiling_of_the_same_family(draw, measured, kinds, role):
    scores = role("test", draw(n_groups=200, seed=5, separation=2.0))
    for policy in kinds.values():
        found = measured(scores, policy=policy, n_resamples=50)
        within = all(estimate(found, limit.risk.value) <= limit.alpha for limit in policy.settings.limits)
        oracle = found.measure("oracle_coverage")
        assert oracle.low <= oracle.estimate <= oracle.high <= 1.0
        if within:
            assert oracle.estimate >= estimate(found, "coverage")


def test_the_policy_by_hand():
    #            defer  none  yes  yes  none  none  defer  yes
    scores = table([1, 1, 1, 1, 0, 0, 0, 0], [0.0, -2.0, 2.0, 3.0, -2.0, -3.0, 0.5, 2.5])
    policy = ThresholdPolicy(-1.0, 1.0, ThresholdSettings(), None, "too few")
    found = evaluate(scores, TemperatureCalibrator(1.0), policy, decision_threshold=0.2, n_resamples=50)
    assert estimate(found, "selective_fnr") == pytest.approx(1 / 3)
    assert estimate(found, "committed_miss_rate") == pytest.approx(1 / 4)
    assert estimate(found, "false_omission_rate") == pytest.approx(1 / 3)
    assert estimate(found, "false_alarm_rate") == pytest.approx(1 / 4)
    assert estimate(found, "false_discovery_rate") == pytest.approx(1 / 3)
    assert estimate(found, "coverage") == pytest.approx(6 / 8)
    assert estimate(found, "positive_coverage") == pytest.approx(3 / 4)
    assert estimate(found, "answered_accuracy") == pytest.approx(4 / 6)
    assert estimate(found, "answered_mcc") == pytest.approx(
        sk.matthews_corrcoef([1, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 1])
    )
    verdicts = found.verdicts
    assert (verdicts.tp, verdicts.fn, verdicts.deferred_positives) == (2, 1, 1)
    assert (verdicts.fp, verdicts.tn, verdicts.deferred_negatives) == (1, 2, 1)
    confusion = found.confusion
    assert (confusion.tp, confusion.fn, confusion.fp, confusion.tn) == (2, 2, 2, 2)
    assert found.measure("selective_fnr").n == 3


def test_the_order_of_the_pictures_changes_nothing(draw, measured):
    scores = draw()
    order = np.random.default_rng(1).permutation(len(scores.ids))
    weather = np.array(["clear", "rain"])[np.arange(len(order)) // 2 % 2]
    baseline = Baseline("other", draw(separation=0.2), 0.0)
    first = measured(scores, slices=[SliceColumn.of("weather", weather)], baseline=baseline)
    shuffled = [SliceColumn.of("weather", weather[order])]
    assert measured(scores.take(order), slices=shuffled, baseline=baseline) == first


def test_every_interval_contains_its_estimate_and_widens_with_the_confidence(draw, measured):
    wide, narrow = measured(draw(), confidence=0.99), measured(draw(), confidence=0.5)
    assert [m.name for m in wide.measures] == list(TITLES)
    for measure, inner in zip(wide.measures, narrow.measures, strict=True):
        if measure.name in UNRESAMPLED:
            continue
        assert measure.low <= inner.low <= inner.estimate == measure.estimate <= inner.high <= measure.high


def test_the_interval_of_independent_pictures_is_that_of_the_binomial_law(draw, measured):
    found = measured(draw(n_groups=800, per_group=1), n_resamples=2000).measure("accuracy")
    width = 2 * 1.96 * math.sqrt(found.estimate * (1 - found.estimate) / 800)
    assert found.high - found.low == pytest.approx(width, rel=0.08)


def test_frames_of_a_group_do_not_count_as_new_evidence(draw, measured):
    one = draw(n_groups=100, per_group=1)
    repeated = one.take(np.repeat(np.arange(100), 5))
    repeated = replace(repeated, ids=np.array([f"{index:04d}" for index in range(500)]))
    alone, often = measured(one).measure("mcc"), measured(repeated).measure("mcc")
    assert often.high - often.low == pytest.approx(alone.high - alone.low, rel=1e-9)
    as_if_independent = replace(repeated, groups=repeated.ids)
    naive = measured(as_if_independent).measure("mcc")
    assert naive.high - naive.low < 0.6 * (often.high - often.low)


def test_a_rate_without_events_gets_the_exact_bound_of_its_groups():
    n = 25
    scores = table([1] * n + [0] * n, [3.0] * n + [-3.0] * n)
    policy = ThresholdPolicy(-1.0, 1.0, ThresholdSettings(), None, "too few")
    found = evaluate(scores, TemperatureCalibrator(1.0), policy, decision_threshold=0.0, n_resamples=100)
    miss, recall = found.measure("selective_fnr"), found.measure("recall")
    exact = stats.binomtest(0, n).proportion_ci(0.95, "exact")
    assert (miss.estimate, miss.low, miss.interval) == (0.0, 0.0, "exact")
    assert miss.high == pytest.approx(exact.high)
    assert (recall.low, recall.high) == (pytest.approx(1 - exact.high), 1.0)


def test_unknown_and_ambiguous_pictures_are_counted_but_not_measured(draw, measured):
    scores = draw()
    labels, ambiguous = scores.labels.copy(), scores.ambiguous.copy()
    labels[:6] = Label.UNKNOWN
    ambiguous[4:15] = True
    marked = replace(scores, labels=labels, ambiguous=ambiguous)
    found = measured(marked)
    assert (found.n, found.n_unknown, found.n_ambiguous) == (105, 6, 9)
    assert found.measures == measured(scores.take(np.arange(15, 120))).measures
    assert found.measures_with_ambiguous == measured(scores.take(np.arange(6, 120))).measures
    assert measured(scores).measures_with_ambiguous is None


def test_trivial_policies_stand_beside_on_the_same_pictures(draw, measured):
    found = {result.name: result.measures for result in measured(draw(n_groups=61)).trivial}
    share = 30 / 61

    def of(name: str, measure: str) -> float | None:
        return find_measure(found[name], measure).estimate

    assert of("everything road work", "false_alarm_rate") == 1.0
    assert of("everything road work", "selective_fnr") == 0.0
    assert of("everything road work", "precision") == pytest.approx(share)
    assert of("everything none", "selective_fnr") == 1.0
    assert of("everything none", "accuracy") == pytest.approx(1 - share)
    assert of("everything none", "mcc") == 0.0
    assert of("everything deferred", "coverage") == 0.0
    assert of("everything deferred", "selective_fnr") is None
    assert all(m.low is None for measures in found.values() for m in measures)


def test_the_baseline_is_compared_on_the_same_resamples(draw, measured):
    scores, other = draw(), draw(separation=0.1, seed=5)
    shuffled = other.take(np.random.default_rng(0).permutation(120))
    found = measured(scores, baseline=Baseline("histograms", shuffled, 0.0)).baseline
    assert found is not None
    theirs = sk.matthews_corrcoef(other.labels, other.logits >= 0.0)
    ours = sk.matthews_corrcoef(scores.labels, scores.logits >= 0.15)
    assert found.measures[0].estimate == pytest.approx(theirs)
    assert found.measures[1].estimate == pytest.approx(sk.roc_auc_score(other.labels, other.logits))
    assert found.mcc_difference.estimate == pytest.approx(ours - theirs)
    assert found.mcc_difference.low > 0
    same = measured(scores, baseline=Baseline("itself", scores, 0.15)).baseline
    assert (same.mcc_difference.low, same.mcc_difference.high) == (0.0, 0.0)


def test_one_class_alone_leaves_reasons_not_numbers(draw, measured):
    scores = draw()
    found = measured(scores.take(scores.labels == 0))
    for name in ("auroc", "recall", "selective_fnr", "committed_miss_rate"):
        assert found.measure(name).estimate is None
        assert found.measure(name).reason
    assert found.measure("false_alarm_rate").estimate is not None
    assert found.measure("mcc").estimate == 0.0


def test_one_group_alone_has_no_interval(draw, measured):
    found = measured(draw(n_groups=1, per_group=20)).measure("specificity")
    assert found.estimate is not None
    assert (found.low, found.high) == (None, None)
    assert "one group" in found.reason


def test_what_cannot_be_measured_is_refused(draw, measured):
    scores = draw()
    with pytest.raises(DataError, match="nothing can be measured"):
        measured(replace(scores, labels=np.full(120, -1, dtype=np.int8)))
    with pytest.raises(DataError, match="more than once"):
        measured(scores.take(np.array([0, 1, 1])))
    with pytest.raises(DataError, match="Slices by 'weather'"):
        measured(scores, slices=[SliceColumn.of("weather", ["rain"] * 5)])
    with pytest.raises(DataError, match="no score for some"):
        measured(scores, baseline=Baseline("short", scores.take(np.arange(50)), 0.0))
    with pytest.raises(ConfigError, match="finite logit"):
        measured(scores, decision_threshold=math.nan)
