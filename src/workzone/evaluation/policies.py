"""Policies beside one another on `test`: what each promises, and what it then did.

Every policy here was chosen and certified before `test` was opened; `test` only measures. A reader may ask why
no winner is named: whoever picks one by its test results has chosen on `test`, and no promise survives that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.scores import Scores
from workzone.core.types import Label, Verdict
from workzone.evaluation.costs import cost_measure, prices_in_words
from workzone.evaluation.grouped import GroupedMeasures, Sampling
from workzone.evaluation.measures import PolicyAnswers, add_policy
from workzone.evaluation.records import Measure, find_measure
from workzone.policy.policies import AnyPolicy
from workzone.policy.risks import Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    Counting,
    GateSettings,
    PolicySettings,
    Prices,
)

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "coverage": "Answered",
        "selective_fnr": "Missed, of answered road work",
        "committed_miss_rate": "Missed, of all road work",
        "false_omission_rate": "Road work among “none”",
        "false_alarm_rate": "False alarms",
        "answered_precision": "Precision of “road work”",
        "expected_cost": "Cost of a picture",
    }
)
"""Measure → head of its column; the cost only where prices are given."""

STATEMENT = (
    "None of them saw test when it was chosen and certified; test chose nothing and only measures. Each promise "
    "holds for itself, with its own confidence. Whoever takes the policy that looks best in this table has "
    "chosen it on test, and that voids its promise: choose by what is promised, in the recipe, or certify the "
    "choice on new pictures."
)

_CONFORMAL: Mapping[ConformalMethod, str] = MappingProxyType(
    {
        ConformalMethod.SETS: "Conformal sets, one level a class",
        ConformalMethod.CRC: "Conformal risk control",
        ConformalMethod.SCRC: "Selective risk control, selection frozen",
    }
)


@dataclass(frozen=True, slots=True)
class PolicyCandidate:
    """A policy to be compared, or why there is none."""

    title: str
    """As `policy_title` says it."""
    policy: AnyPolicy | None
    reason: str | None
    """Why it could not be fitted."""

    def __post_init__(self) -> None:
        if (self.policy is None) == (self.reason is None):
            raise DataError("A candidate is either a policy or the reason why there is none.")


@dataclass(frozen=True, slots=True)
class PromisedRisk:
    """One claim of a certificate, as the table shows it."""

    risk: Risk
    alpha: float
    bound: float
    exceedance: float | None
    """Of an average: the chance that a draw like this one is above alpha."""


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One policy of the table."""

    title: str
    chosen: bool
    """Whether it is the recipe's, which the bundle carries."""
    promise: str | None
    """`pac` or `average`; None without a certificate."""
    claims: tuple[PromisedRisk, ...]
    rule: str | None
    reason: str | None
    """Why it has no certificate, or could not be fitted."""
    measures: tuple[Measure, ...]
    """Of `COLUMNS`; empty where it could not be fitted."""

    def measure(self, name: str) -> Measure | None:
        """Return the measure of that name; None where the policy could not be fitted."""
        return find_measure(self.measures, name) if self.measures else None


@dataclass(frozen=True, slots=True)
class PolicyComparison:
    """The table, and how it is to be read."""

    statement: str
    fnr_limit: float | None
    """The alpha that the recipe's policy sets to the selective FNR; None where it limits other risks."""
    costs: str | None
    """The prices in words."""
    rows: tuple[PolicyRow, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The measures that the rows have."""
        return tuple(name for name in COLUMNS if name != "expected_cost" or self.costs)


def policy_title(settings: PolicySettings) -> str:
    """Return what the report calls a policy with these settings."""
    frames = ", all frames counted" if settings.counting is Counting.ALL_FRAMES else ", one picture a group"
    if isinstance(settings, GateSettings):
        return f"Gate{frames}"
    if isinstance(settings, ConformalSettings):
        return _CONFORMAL[settings.method]
    return f"Two thresholds{frames}"


def compare_policies(
    scores: Scores,
    policy: AnyPolicy,
    candidates: Sequence[PolicyCandidate],
    prices: Prices | None,
    sampling: Sampling,
) -> PolicyComparison:
    """Measure the recipe's policy and its alternatives on the decided pictures of `scores`.

    Args:
        scores: Of the test pictures.
        policy: The recipe's; first in the table.
        candidates: The others.
        prices: For the expected cost; None leaves it out.
        sampling: Of the intervals; all policies share the resamples.

    Raises:
        DataError: No picture is decided.
    """
    decided = scores.decided()
    if not len(decided.ids):
        raise DataError("No test picture has a known, unambiguous label: policies cannot be compared.")
    own = PolicyCandidate(policy_title(policy.settings), policy, None)
    limits = {limit.risk: limit.alpha for limit in policy.settings.limits}
    return PolicyComparison(
        statement=STATEMENT,
        fnr_limit=limits.get(Risk.SELECTIVE_FNR),
        costs=None if prices is None else prices_in_words(prices),
        rows=tuple(
            _row(candidate, decided, prices, sampling, chosen=candidate is own)
            for candidate in (own, *candidates)
        ),
    )


def policy_measures(
    decided: Scores, codes: NDArray[np.int8], prices: Prices | None, sampling: Sampling
) -> tuple[Measure, ...]:
    """Return the measures of `COLUMNS` of verdict codes [N] on decided pictures."""
    answers = PolicyAnswers(decided.labels == Label.ROADWORK, codes)
    table = GroupedMeasures(decided.groups)
    add_policy(table, answers)
    table.rate("answered_precision", answers.positive, answers.verdict(Verdict.ROADWORK))
    found = {measure.name: measure for measure in table.solve(sampling)}
    if prices is not None:
        cost = cost_measure(decided.groups, answers.positive, codes, prices, sampling)
        found[cost.name] = cost
    return tuple(found[name] for name in COLUMNS if name in found)


def _row(
    candidate: PolicyCandidate, decided: Scores, prices: Prices | None, sampling: Sampling, *, chosen: bool
) -> PolicyRow:
    policy, title = candidate.policy, candidate.title
    if policy is None:
        return PolicyRow(title, chosen, None, (), None, candidate.reason, ())
    certificate = policy.certificate
    claims = () if certificate is None else certificate.claims
    return PolicyRow(
        title=title,
        chosen=chosen,
        promise=None if certificate is None else certificate.kind,
        claims=tuple(PromisedRisk(c.risk, c.alpha, c.bound, c.exceedance) for c in claims),
        rule=policy.rule,
        reason=policy.refusal,
        measures=policy_measures(decided, policy.decide(decided.logits, decided.features), prices, sampling),
    )
