"""The answer in words says what the numbers say, and what they do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workzone.calibration.threshold import certify_lower_threshold
from workzone.evaluation.answer import answer, percent, percent_range
from workzone.policy.threshold import ThresholdPolicy


def certified(draw) -> ThresholdPolicy:
    policy = certify_lower_threshold(
        draw(n_groups=600, seed=9, separation=3.0), split_sha256="5" * 64, dataset_sha256="d" * 64,
        t_hi=0.8, grid=np.linspace(-3, 0.5, 20), alpha=0.05, delta=0.05, beta=0.05,
    )  # fmt: skip
    assert policy.certificate is not None
    return policy


def with_fnr(report, estimate: float, low: float, high: float):
    measures = tuple(
        replace(m, estimate=estimate, low=low, high=high) if m.name == "selective_fnr" else m
        for m in report.evaluation.measures
    )
    return replace(report, evaluation=replace(report.evaluation, measures=measures))


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (1, "100 %"), (0.05, "5 %"), (0.048, "4.8 %"), (0.00263, "0.26 %"), (0.9999, "> 99.9 %")],
)
def test_shares_are_written_as_they_are_read(share, said):
    assert percent(share) == said


def test_without_a_certificate_nothing_is_promised(report):
    found = answer(report)
    assert not found.certified
    assert found.headline == "Cannot certify: no miss rate is promised"
    assert report.policy.refusal in found.sentences[0]
    assert not any("onfidence" in sentence for sentence in found.sentences)


def test_a_certificate_is_stated_with_its_counts(report, draw):
    policy = certified(draw)
    found = answer(with_fnr(replace(report, policy=policy), 0.01, 0.0, 0.03))
    assert found.headline == "Certified: at most 5 % of the road work it answers is missed"
    assert f"{policy.certificate.n} calibration groups" in found.sentences[0]
    assert percent(policy.certificate.bound) in found.sentences[0]
    assert "void" in found.sentences[-1]
    assert found.warning is None


@pytest.mark.parametrize(("low", "said"), [(0.06, "do not rely"), (0.02, "too few to tell")])
def test_test_pictures_that_contradict_the_promise_are_not_hidden(report, draw, low, said):
    found = answer(with_fnr(replace(report, policy=certified(draw)), 0.08, low, 0.12))
    assert said in found.warning


def test_measured_numbers_stand_in_the_text(report):
    text = " ".join(answer(report).sentences)
    for name in ("coverage", "selective_fnr", "false_alarm_rate"):
        measure = report.evaluation.measure(name)
        assert f"{percent(measure.estimate)} ({percent_range(measure.low, measure.high)})" in text
    assert "a difference of" in text


def test_a_baseline_that_is_as_good_is_called_so(report):
    baseline = report.evaluation.baseline
    near = replace(
        baseline, mcc_difference=replace(baseline.mcc_difference, estimate=0.01, low=-0.05, high=0.07)
    )
    found = answer(replace(report, evaluation=replace(report.evaluation, baseline=near)))
    assert any("not clearly ahead of colour histograms" in sentence for sentence in found.sentences)
