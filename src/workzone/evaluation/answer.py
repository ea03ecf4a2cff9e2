"""The report's first paragraph: what a road operator may rely on, in words.

Knows the measured numbers and the certificate; it adds no number of its own. Where nothing can be promised it
says so first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from workzone.evaluation.claims import (
    CLAIMS,
    NOT_KNOWN,
    headline,
    percent,
    percent_range,
    promise_sentences,
    robustness_sentences,
)
from workzone.evaluation.grouped import counted
from workzone.evaluation.records import Evaluation, Measure
from workzone.evaluation.report import Report
from workzone.policy.certificate import Certificate, Claim
from workzone.policy.policies import AnyPolicy
from workzone.policy.risks import Risk
from workzone.policy.settings import Objective, ThresholdSettings
from workzone.policy.threshold import ThresholdPolicy


@dataclass(frozen=True, slots=True)
class Answer:
    """What the numbers mean."""

    certified: bool
    headline: str
    sentences: tuple[str, ...]
    warning: str | None
    """Where `test` speaks against the promise."""


def answer(report: Report) -> Answer:
    """Return the answer in words."""
    evaluation, policy = report.evaluation, report.policy
    certificate = policy.certificate
    if certificate is None:
        sentences = [_refusal(policy)]
    else:
        parts = (promise_sentences(certificate), _cheapest(policy), robustness_sentences(certificate))
        sentences = [" ".join(part for part in parts if part)]
    sentences += [_measured(evaluation), _trivial(evaluation)]
    if evaluation.baseline is not None:
        sentences.append(_baseline(evaluation))
    if certificate is not None:
        sentences.append(
            "The promise assumes new pictures like the calibration pictures. In another city, or with "
            "another camera, it is void until the bundle is certified again there (workzone bundle "
            "recertify)."
        )
    return Answer(
        certified=certificate is not None,
        headline=headline(certificate) if certificate else _no_promise(policy),
        sentences=tuple(sentences),
        warning=None if certificate is None else _contradiction(evaluation, certificate),
    )


def percent_measure(measure: Measure) -> str:
    """Return "2.3 % (0.5 to 5.1 %)", or why there is no number."""
    if measure.estimate is None:
        return f"{NOT_KNOWN} ({measure.reason})"
    if measure.low is None:
        return f"{percent(measure.estimate)} ({measure.reason})"
    return f"{percent(measure.estimate)} ({percent_range(measure.low, measure.high)})"


def _no_promise(policy: AnyPolicy) -> str:
    misses = {Risk.SELECTIVE_FNR, Risk.COMMITTED_MISS_RATE, Risk.FALSE_OMISSION_RATE}
    asked = {limit.risk for limit in policy.settings.limits}
    return f"Cannot certify: no {'miss' if asked <= misses else 'error'} rate is promised"


def _refusal(policy: AnyPolicy) -> str:
    if isinstance(policy, ThresholdPolicy) and policy.t_lo == -math.inf:
        does = "It misses nothing because it never answers “none”: what is not surely road work is deferred."
    else:
        does = "What it does answer is measured below, but nothing is promised about it."
    return f"{(policy.refusal or '').strip()} {does}".strip()


def _cheapest(policy: AnyPolicy) -> str:
    settings = policy.settings
    if not isinstance(settings, ThresholdSettings) or settings.objective is not Objective.COST:
        return ""
    return (
        "The rule is the cheapest, by the prices given, of those that passed; neither its cost nor its coverage is "
        "promised."
    )


def _measured(evaluation: Evaluation) -> str:
    coverage, fnr, alarms = (
        percent_measure(evaluation.measure(name))
        for name in ("coverage", "selective_fnr", "false_alarm_rate")
    )
    return (
        f"Measured on {counted(evaluation.n, 'test picture')} from {counted(evaluation.n_groups, 'group')}, "
        f"on which nothing was chosen: it answered {coverage} and left the rest to a person or a stronger "
        f"model. Of the road work it answered it missed {fnr}; of the pictures without road work {alarms} "
        f"became false alarms. In brackets: {percent(evaluation.confidence)} intervals over groups."
    )


def _trivial(evaluation: Evaluation) -> str:
    share = percent(evaluation.n_negatives / evaluation.n)
    return (
        "What needs no model: calling everything road work misses nothing and raises a false alarm on every "
        f"picture without ({share} of these); deferring everything misses nothing and answers nothing."
    )


def _baseline(evaluation: Evaluation) -> str:
    baseline = evaluation.baseline
    assert baseline is not None
    ahead, mcc = baseline.mcc_difference, evaluation.measure("mcc")
    if ahead.estimate is None or mcc.estimate is None:
        return f"It could not be compared with {baseline.name}: {ahead.reason or mcc.reason}."
    interval = "" if ahead.low is None else f" ({ahead.low:.2f} to {ahead.high:.2f})"
    clear = ahead.low is not None and ahead.low > 0
    verdict = "" if clear else f" It is not clearly ahead of {baseline.name}."
    other = baseline.measures[0].estimate
    return (
        f"Told to answer every picture, its MCC is {mcc.estimate:.2f}; the baseline ({baseline.name}) "
        f"reaches {NOT_KNOWN if other is None else f'{other:.2f}'} on the same pictures, a difference of "
        f"{ahead.estimate:.2f}{interval}.{verdict}"
    )


def _contradiction(evaluation: Evaluation, certificate: Certificate) -> str | None:
    """Return where a promised risk was measured above its limit, for each that was."""
    found = [_above(evaluation, certificate, claim) for claim in certificate.claims]
    return " ".join(sentence for sentence in found if sentence) or None


def _above(evaluation: Evaluation, certificate: Certificate, claim: Claim) -> str | None:
    rate = evaluation.measure(claim.risk.value)
    if rate.estimate is None or rate.estimate <= claim.alpha:
        return None
    average = certificate.kind == "average"
    above = (
        f"On test {CLAIMS[claim.risk].measured.format(percent(rate.estimate))}, above the "
        f"{percent(claim.alpha)} that {'is promised on average' if average else 'is promised'}."
    )
    if rate.low is None or rate.low <= claim.alpha:
        return f"{above} The interval still holds the promised rate: the test pictures are too few to tell."
    one_of_few = "the policy is one of those above their average" if average else (
        "the certificate is one of the few that fail"
    )  # fmt: skip
    return (
        f"{above} The whole interval is above it: do not rely on the promise. The test pictures differ "
        f"from the calibration pictures, or {one_of_few}."
    )
