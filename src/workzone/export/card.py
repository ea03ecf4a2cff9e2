"""The model card: what a reader must know before trusting a bundle, in one page of Markdown.

Knows how it reads; every fact is given to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workzone.bundle.model import ModelRecord
from workzone.policy.certificate import Certificate, Claim, TrivialPolicy
from workzone.policy.policies import AnyPolicy
from workzone.policy.risks import Risk, risk_title


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What the card says of the data."""

    name: str
    revision: str
    licence: str
    sha256: str
    n_pictures: int
    n_groups: int
    synthetic: bool
    """Whether the pictures are rendered, not photographed."""


@dataclass(frozen=True, slots=True)
class MeasureLine:
    """One measured number, with its interval where there is one."""

    name: str
    estimate: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    """Why there is no number, or what it was measured on."""


def render_card(
    name: str, model: ModelRecord, policy: AnyPolicy, data: DataFacts, measures: Sequence[MeasureLine]
) -> str:
    """Return CARD.md."""
    sections = [
        f"# {name}",
        "Says whether a street picture shows road work: `roadwork`, `none`, or `defer` where it cannot tell.",
        "## The promise",
        *_promise(policy),
        "## What it measured",
        _measures(measures),
        "## Data",
        _data(data),
        "## Model",
        _model(model),
        "## Limits",
        _limits(policy, data),
    ]
    return "\n\n".join(sections) + "\n"


def _promise(policy: AnyPolicy) -> list[str]:
    certificate = policy.certificate
    if certificate is None:
        return [f"**No certificate.** {policy.refusal}", policy.rule]
    return [
        f"**{certificate.statement}**",
        policy.rule,
        _beside(certificate),
        f"Counted: {certificate.count_unit}. "
        f"Estimand: {'. And: '.join(claim.estimand for claim in certificate.claims)}. "
        f"Left out: {certificate.n_unknown_left_out} pictures with unknown and "
        f"{certificate.n_ambiguous_left_out} with ambiguous labels. Assumption: {certificate.assumption}.",
        *(_label_noise(claim) for claim in certificate.claims),
    ]


def _beside(certificate: Certificate) -> str:
    """What the promise costs, beside what costs nothing to promise."""
    alarms, coverage = certificate.false_alarms, certificate.coverage
    miss = certificate.claim(Risk.SELECTIVE_FNR)
    missed = "not promised" if miss is None else f"{miss.rate:.4f} (evidence: upper bound {miss.bound:.4f})"
    return "\n".join(
        [
            "| policy | selective FNR | false-alarm rate | coverage |",
            "|---|---|---|---|",
            f"| this one (calibration) | {missed} "
            f"| {_number(alarms.rate)} (upper bound {alarms.bound:.4f}) | {_number(coverage.overall)} |",
            _trivial("everything road work", certificate.everything_roadwork),
            _trivial("everything deferred", certificate.everything_deferred),
        ]
    )


def _label_noise(claim: Claim) -> str:
    text = (
        f"If calibration labels are wrong, the bound of the {risk_title(claim.risk)} becomes "
        + ", ".join(
            f"{row.bound:.4f} with {row.wrong_labels}" for row in claim.label_noise if row.wrong_labels
        )
        + f"; with the walk made again, it stands up to {claim.tolerated_wrong_labels} wrong ones."
    )
    other = claim.ambiguous_as_positives
    if other is not None:
        stands = "the promise would stand" if other.holds else "the promise would not stand"
        text += (
            f" With ambiguous pictures counted as road work: {other.events} of {other.n}, bound "
            f"{other.bound:.4f}; {stands}."
        )
    return text


def _trivial(name: str, policy: TrivialPolicy) -> str:
    numbers = (policy.selective_fnr, policy.false_alarm_rate, policy.coverage)
    return f"| {name} | {' | '.join(_number(number) for number in numbers)} |"


def _measures(measures: Sequence[MeasureLine]) -> str:
    if not measures:
        return "Nothing was measured before it was packed; see the evaluation report of its run."
    lines = ["| measure | estimate | interval | |", "|---|---|---|---|"]
    for line in measures:
        interval = "–" if line.low is None else f"{_number(line.low)} to {_number(line.high)}"
        lines.append(f"| {line.name} | {_number(line.estimate)} | {interval} | {line.note} |")
    return "\n".join(lines)


def _data(data: DataFacts) -> str:
    kind = "Rendered pictures, not photographs" if data.synthetic else "Pictures as they were imported"
    return (
        f"{kind}: '{data.name}' (revision {data.revision or 'unknown'}), {data.n_pictures} pictures in "
        f"{data.n_groups} groups, SHA-256 {data.sha256[:16]}. Licence: {data.licence or 'not stated'}."
    )


def _model(model: ModelRecord) -> str:
    parity = model.parity
    preprocessing = model.preprocessing
    return (
        f"Backbone `{model.backbone.name}`, licence: {model.backbone.licence}. Input "
        f"{preprocessing.size_px} × {preprocessing.size_px} px ({preprocessing.geometry.value}), precision "
        f"{model.precision} (`{model.backend}`). The frozen model follows its ancestor within "
        f"{parity.max_abs_logit:.2g} in the logit on {parity.n_pictures} pictures (tolerance "
        f"{parity.tolerance:g}, spread of the logits {parity.logit_std:.2g})."
    )


def _limits(policy: AnyPolicy, data: DataFacts) -> str:
    limits = [
        "- It looks at one picture at a time and knows neither place nor map.",
        "- Hashes show that nothing of the bundle was changed, not who made it.",
    ]
    if policy.certified:
        limits.append(
            "- The promise holds for pictures like the calibration groups. In another city, season or camera "
            "it is void until `workzone bundle recertify` has made it anew."
        )
    if data.synthetic:
        limits.append("- It was trained on rendered pictures: nothing here says how it does on photographs.")
    return "\n".join(limits)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
