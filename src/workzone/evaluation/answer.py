"""The report's first paragraph: what a road operator may rely on, in words.

Knows the measured numbers and the certificate; it adds no number of its own. Where nothing can be promised it
says so first.
"""

from __future__ import annotations

from dataclasses import dataclass

from workzone.evaluation.grouped import counted
from workzone.evaluation.records import Evaluation, Measure
from workzone.evaluation.report import Report
from workzone.policy.certificate import Certificate
from workzone.policy.threshold import ThresholdPolicy

NOT_KNOWN = "not known"


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
    sentences = [_promise(certificate) if certificate else _refusal(policy), _measured(evaluation)]
    sentences.append(_trivial(evaluation))
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
        headline=(
            f"Certified: at most {percent(certificate.alpha)} of the road work it answers is missed"
            if certificate
            else "Cannot certify: no miss rate is promised"
        ),
        sentences=tuple(sentences),
        warning=None if certificate is None else _contradiction(evaluation, certificate),
    )


def percent(value: float | None) -> str:
    """Return a share as percent with as many digits as are read.

    >>> percent(0.05), percent(0.048), percent(0.0026), percent(0.9999), percent(None)
    ('5 %', '4.8 %', '0.26 %', '> 99.9 %', 'not known')
    """
    if value is None:
        return NOT_KNOWN
    shown = 100 * value
    if 0 < shown < 1:
        return f"{shown:.2g} %"
    if 99.9 < shown < 100:
        return "> 99.9 %"
    return f"{f'{shown:.1f}'.removesuffix('.0')} %"


def percent_range(low: float | None, high: float | None) -> str:
    """Return an interval as percent: "0.5 to 5.1 %"."""
    return f"{percent(low).removesuffix(' %')} to {percent(high)}"


def percent_measure(measure: Measure) -> str:
    """Return "2.3 % (0.5 to 5.1 %)", or why there is no number."""
    if measure.estimate is None:
        return f"{NOT_KNOWN} ({measure.reason})"
    if measure.low is None:
        return f"{percent(measure.estimate)} ({measure.reason})"
    return f"{percent(measure.estimate)} ({percent_range(measure.low, measure.high)})"


def _promise(certificate: Certificate) -> str:
    missed = "none" if certificate.misses == 0 else f"{certificate.misses:,}"
    return (
        f"With {percent(1 - certificate.delta)} confidence over the draw of the calibration groups, at most "
        f"{percent(certificate.alpha)} of the road-work pictures that the policy answers are answered “none”. Of "
        f"{counted(certificate.n, 'calibration group')} in which it answered road work (one picture counted "
        f"in each), it missed {missed}; the exact upper bound is {percent(certificate.bound)}."
    )


def _refusal(policy: ThresholdPolicy) -> str:
    if policy.t_lo == float("-inf"):
        does = "It misses nothing because it never answers “none”: what is not surely road work is deferred."
    else:
        does = "Its answers are measured below, but nothing is promised about them."
    return f"{(policy.refusal or '').strip()} {does}".strip()


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
    fnr = evaluation.measure("selective_fnr")
    if fnr.estimate is None or fnr.estimate <= certificate.alpha:
        return None
    above = f"On test {percent(fnr.estimate)} of the answered road work is missed, above the promised "
    above += f"{percent(certificate.alpha)}."
    if fnr.low is not None and fnr.low > certificate.alpha:
        return (
            f"{above} The whole interval is above it: do not rely on the promise. The test pictures differ "
            "from the calibration pictures, or the certificate is one of the few that fail."
        )
    return f"{above} The interval still holds the promised rate: the test pictures are too few to tell."
