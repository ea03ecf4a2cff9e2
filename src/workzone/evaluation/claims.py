"""A certificate in words: what is promised, from how many groups, and what it would survive.

Knows the five risks and both kinds of promise; adds no number of its own. Percentages are written here too,
because every sentence of the report needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from workzone.evaluation.grouped import counted
from workzone.policy.certificate import Certificate, Claim
from workzone.policy.risks import Risk

NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True)
class ClaimWords:
    """How a risk is spoken of; `{}` stands for a percentage or a number."""

    short: str
    promise: str
    measured: str
    """Of `test`."""
    groups: str
    """Which calibration groups count."""
    seen: str
    """How many of those were an event, one picture counted in each: `{seen}` stands for "6", `{were}` for "6 were"."""
    held: str
    """An event in a group."""


CLAIMS: Mapping[Risk, ClaimWords] = MappingProxyType(
    {
        Risk.SELECTIVE_FNR: ClaimWords(
            "at most {} of the road work it answers is missed",
            "at most {} of the road-work pictures that the policy answers are answered “none”",
            "{} of the answered road work is missed",
            "whose road work it answered (either way)", "{were} answered “none”", "a miss"),
        Risk.COMMITTED_MISS_RATE: ClaimWords(
            "at most {} of all road work is missed",
            "at most {} of all road-work pictures, deferred ones included, are answered “none”",
            "{} of all road work is missed",
            "with road work (answered or deferred)", "{were} answered “none”", "a miss"),
        Risk.FALSE_OMISSION_RATE: ClaimWords(
            "at most {} of its answers “none” show road work",
            "at most {} of the pictures that the policy answers “none” show road work",
            "{} of the answers “none” show road work",
            "that it answered “none”", "{seen} showed road work", "road work that was answered “none”"),
        Risk.FALSE_ALARM_RATE: ClaimWords(
            "at most {} of the pictures without road work raise a false alarm",
            "at most {} of all pictures without road work, deferred ones included, are answered “road work”",
            "{} of the pictures without road work raise a false alarm",
            "without road work (answered or deferred)", "{were} answered “road work”", "a false alarm"),
        Risk.FALSE_DISCOVERY_RATE: ClaimWords(
            "at most {} of its answers “road work” show none",
            "at most {} of the pictures that the policy answers “road work” show none",
            "{} of the answers “road work” show none",
            "that it answered “road work”", "{seen} showed no road work", "a false alarm"),
    }
)  # fmt: skip
"""Risk → its words."""


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


def headline(certificate: Certificate) -> str:
    """Return the promise in one line."""
    together = " and ".join(CLAIMS[c.risk].short.format(percent(c.alpha)) for c in certificate.claims)
    return f"{'Certified' if certificate.kind == 'pac' else 'Promised on average'}: {together}"


def promise_sentences(certificate: Certificate) -> str:
    """Return what is promised, the counts it rests on, and for an average the chance that it is exceeded."""
    together = " and ".join(CLAIMS[c.risk].promise.format(percent(c.alpha)) for c in certificate.claims)
    counts = " ".join(_counts(certificate, claim) for claim in certificate.claims)
    if certificate.kind == "pac":
        limits = " and ".join(dict.fromkeys(percent(claim.alpha) for claim in certificate.claims))
        both = "" if len(certificate.claims) == 1 else ", both at once"
        return (
            f"With {percent(1 - certificate.delta)} confidence over the draw of the calibration groups{both}, "
            f"{together}. {counts} Only “at most {limits}” is promised: a bound is what the calibration groups "
            "say of the rule that was chosen, not a promise of its own."
        )
    chances = " and ".join(percent(claim.exceedance) for claim in certificate.claims)
    return (
        f"On average over the draw of the calibration groups, {together}. {counts} An average is no bound: a "
        f"draw like this one gives a policy that is above it with a chance of {chances}."
    )


def robustness_sentences(certificate: Certificate) -> str:
    """Return what wrong and ambiguous calibration labels would do to the promise."""
    tolerated = min(claim.tolerated_wrong_labels for claim in certificate.claims)
    walked = certificate.walk is not None
    if tolerated:
        again = " and the walk over the rules were made again" if walked else ""
        labels = counted(tolerated, "calibration label")
        text = f"The promise stands even if {labels} were wrong in the worst way{again}."
    else:
        again = " if the walk over the rules were made again" if walked else ""
        text = f"One wrong calibration label, in the worst way, would already break the promise{again}."
    restated = [c.ambiguous_as_positives for c in certificate.claims if c.ambiguous_as_positives]
    if not restated:
        return text
    pictures = counted(certificate.n_ambiguous_left_out, "ambiguous calibration picture")
    verdict = "it still holds" if all(r.holds for r in restated) else "it would not hold"
    bounds = " and ".join(percent(r.bound) for r in restated)
    return f"{text} With {pictures} counted as road work {verdict} (bound {bounds}); they are left out above."


def walk_sentence(certificate: Certificate) -> str:
    """Return what was tested, in which order, and how far it held."""
    walk = certificate.walk
    if walk is None:
        return "Nothing was tried out: the rule is an order statistic of the calibration scores."
    start, passed, chosen = (
        f"number {place + 1:,} ({walk.parameter} = {walk.sequence[place]:.4g})"
        for place in (walk.start, walk.passed, walk.chosen)
    )
    used = "the last of them" if walk.chosen == walk.passed else chosen
    return (
        f"{counted(len(walk.sequence), 'rule')} were fixed before the calibration scores were seen and tested in "
        f"order from {start}, a start chosen on the selection pictures. All up to {passed} passed, which holds "
        f"of all of them at once; {used} is used."
    )


def _counts(certificate: Certificate, claim: Claim) -> str:
    words, groups = CLAIMS[claim.risk], counted(claim.n, "calibration group")
    seen = f"{claim.events:,}" if claim.events else "not one"
    if claim.outcomes:
        events = f"{seen} held {words.held}, all pictures counted"
    else:
        were = f"{seen} {'were' if claim.events > 1 else 'was'}"
        events = f"{words.seen.format(seen=seen, were=were)}, one picture counted in each"
    if certificate.kind == "average":
        evidence = f"the mean that is promised is {percent(claim.bound)}"
    else:
        evidence = f"evidence at this rule: upper bound {percent(claim.bound)}"
    return f"Of {groups} {words.groups}, {events}; {evidence}."
