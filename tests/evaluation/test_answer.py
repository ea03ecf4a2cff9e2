"""The answer in words says what the numbers say, and what they do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workzone.calibration.fit import fit_policy
from workzone.evaluation.answer import answer
from workzone.evaluation.claims import percent, percent_range, promise_sentences, walk_sentence
from workzone.policy.risks import Risk
from workzone.policy.settings import Objective, Prices

ALL_KINDS = ("threshold", "frames", "two", "precision", "gate", "sets", "crc", "scrc")


def with_rate(report, estimate: float, low: float, high: float, name: str = "selective_fnr"):
    measures = tuple(
        replace(m, estimate=estimate, low=low, high=high) if m.name == name else m
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


def test_a_certificate_is_stated_with_its_counts(report, kinds):
    policy = kinds["threshold"]
    (claim,) = policy.certificate.claims
    found = answer(with_rate(replace(report, policy=policy), 0.01, 0.0, 0.03))
    assert found.headline == "Certified: at most 5 % of the road work it answers is missed"
    assert "With 95 % confidence over the draw of the calibration groups, at most 5 %" in found.sentences[0]
    were = "not one was" if claim.events == 0 else "1 was" if claim.events == 1 else f"{claim.events} were"
    assert (
        f"Of {claim.n} calibration groups whose road work it answered (either way), {were} answered “none”, one "
        f"picture counted in each; evidence at this rule: upper bound {percent(claim.bound)}."
    ) in found.sentences[0]
    assert "Only “at most 5 %” is promised" in found.sentences[0]
    assert "cheapest" not in found.sentences[0]
    assert "void" in found.sentences[-1]
    assert found.warning is None


def test_groups_whose_frames_all_count_are_called_so(report, kinds):
    policy = kinds["frames"]
    (claim,) = policy.certificate.claims
    said = answer(replace(report, policy=policy)).sentences[0]
    assert f"(either way), {claim.events} held a miss, all pictures counted; evidence" in said


@pytest.mark.parametrize(
    ("risk", "events", "said"),
    [
        (
            Risk.SELECTIVE_FNR,
            6,
            "groups whose road work it answered (either way), 6 were answered “none”, one",
        ),
        (
            Risk.COMMITTED_MISS_RATE,
            1,
            "groups with road work (answered or deferred), 1 was answered “none”, one",
        ),
        (Risk.FALSE_OMISSION_RATE, 0, "groups that it answered “none”, not one showed road work, one"),
        (
            Risk.FALSE_ALARM_RATE,
            2,
            "groups without road work (answered or deferred), 2 were answered “road work”,",
        ),
        (
            Risk.FALSE_DISCOVERY_RATE,
            3,
            "groups that it answered “road work”, 3 showed no road work, one picture",
        ),
    ],
)
def test_the_counts_of_each_risk_name_the_answer_that_was_wrong(kinds, risk, events, said):
    certificate = kinds["threshold"].certificate
    claim = replace(certificate.claims[0], risk=risk, events=events, n=245)
    found = promise_sentences(replace(certificate, claims=(claim,)))
    assert f"Of 245 calibration {said}" in found


def test_the_cheapest_rule_promises_no_price(report, kinds):
    policy = kinds["threshold"]
    settings = replace(policy.settings, objective=Objective.COST, prices=Prices(100.0, 5.0, 1.0))
    said = answer(replace(report, policy=replace(policy, settings=settings))).sentences[0]
    assert "the cheapest, by the prices given, of those that passed; neither its cost" in said
    assert "Only “at most 5 %” is promised" in said


def test_two_risks_hold_at_once_and_each_has_its_counts(report, kinds):
    found = answer(replace(report, policy=kinds["two"]))
    assert found.headline == (
        "Certified: at most 5 % of the road work it answers is missed and at most 5 % of its answers “none” "
        "show road work"
    )
    assert "calibration groups, both at once, at most 5 %" in found.sentences[0]
    for claim in kinds["two"].certificate.claims:
        assert f"Of {claim.n} calibration groups" in found.sentences[0]
        assert percent(claim.bound) in found.sentences[0]


@pytest.mark.parametrize("kind", ["sets", "crc"])
def test_an_average_is_no_certificate_with_confidence(report, kinds, kind):
    policy = kinds[kind]
    found = answer(replace(report, policy=policy))
    assert found.headline.startswith("Promised on average: at most 5 % of all road work is missed")
    assert "onfidence" not in found.sentences[0]
    for claim in policy.certificate.claims:
        assert percent(claim.exceedance) in found.sentences[0]
    assert "An average is no bound" in found.sentences[0]


def test_the_precision_of_road_work_is_promised_in_its_own_words(report, kinds):
    found = answer(replace(report, policy=kinds["precision"]))
    assert found.headline == "Certified: at most 12 % of its answers “road work” show none"
    assert "showed no road work" in found.sentences[0]


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_kind_says_what_wrong_labels_would_do(report, kinds, kind):
    certificate = kinds[kind].certificate
    said = answer(replace(report, policy=kinds[kind])).sentences[0]
    tolerated = min(c.tolerated_wrong_labels for c in certificate.claims)
    assert (f"even if {tolerated} calibration label" in said) == (tolerated > 0)
    assert ("would already break the promise" in said) == (tolerated == 0)
    assert ("the walk over the rules were made again" in said) == (certificate.walk is not None)
    assert "ambiguous" not in said


def test_ambiguous_pictures_are_stated_both_ways(report, kinds, draw, role):
    select, calib = (role(n, draw(n_groups=g, seed=1, separation=2.0)) for n, g in (("s", 200), ("c", 900)))
    ambiguous = calib.ambiguous.copy()
    ambiguous[:40] = True
    policy = fit_policy(
        kinds["threshold"].settings,
        select,
        replace(calib, ambiguous=ambiguous),
        split_sha256="5" * 64,
        dataset_sha256="d" * 64,
    )
    (claim,) = policy.certificate.claims
    said = answer(replace(report, policy=policy)).sentences[0]
    restated = claim.ambiguous_as_positives
    verdict = "it still holds" if restated.holds else "it would not hold"
    assert f"With 40 ambiguous calibration pictures counted as road work {verdict}" in said
    assert f"(bound {percent(restated.bound)})" in said


@pytest.mark.parametrize(("low", "said"), [(0.06, "do not rely"), (0.02, "too few to tell")])
def test_test_pictures_that_contradict_the_promise_are_not_hidden(report, kinds, low, said):
    found = answer(with_rate(replace(report, policy=kinds["threshold"]), 0.08, low, 0.12))
    assert said in found.warning


def test_each_claim_is_held_against_test(report, kinds):
    both = with_rate(replace(report, policy=kinds["two"]), 0.08, 0.06, 0.12)
    both = with_rate(both, 0.2, 0.01, 0.3, "false_omission_rate")
    said = answer(both).warning
    assert "8 % of the answered road work is missed, above the 5 %" in said
    assert "20 % of the answers “none” show road work, above the 5 %" in said
    assert answer(with_rate(both, 0.01, 0.0, 0.02)).warning.count("On test") == 1
    average = with_rate(replace(report, policy=kinds["sets"]), 0.2, 0.1, 0.3, "false_alarm_rate")
    assert "above the 6 % that is promised on average" in answer(average).warning
    assert "above their average" in answer(average).warning


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_what_was_tried_is_told(kinds, kind):
    walk, said = kinds[kind].certificate.walk, walk_sentence(kinds[kind].certificate)
    if walk is None:
        assert "order statistic" in said
        return
    assert said.startswith(f"{len(walk.sequence)} rules were fixed")
    assert f"number {walk.start + 1} ({walk.parameter} = {walk.sequence[walk.start]:.4g})" in said
    assert f"All up to number {walk.passed + 1} " in said


def test_a_refused_gate_is_not_said_to_answer_road_work(report, kinds):
    gate = replace(kinds["gate"], tau=np.inf, certificate=None, refusal="Too few. It defers everything.")
    found = answer(replace(report, policy=gate))
    assert found.headline == "Cannot certify: no miss rate is promised"
    assert "never answers" not in found.sentences[0]


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
