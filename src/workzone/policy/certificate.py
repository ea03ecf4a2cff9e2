"""What a policy promises, and the counts from which anyone can derive the promise again.

Knows how to check a certificate, not how to earn one (`workzone.calibration`). A reader may ask why bound and
p-value are stored when they are re-derived: so that a changed count is noticed, not just believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from workzone.policy.betting import Outcome
from workzone.policy.risks import RISKS, Risk, risk_title
from workzone.policy.settings import Counting
from workzone.policy.strict_json import STRICT

ASSUMPTION = (
    "calibration groups are drawn independently of one another, and new groups in the same way from the same "
    "places, cameras and conditions; elsewhere the promise is void until certified there"
)
COUNT_UNITS: Mapping[Counting, str] = MappingProxyType(
    {
        Counting.ONE_PER_GROUP: (
            "one picture of the population per group, chosen by sha256(split | group | sample id), never by "
            "score or seed"
        ),
        Counting.ALL_FRAMES: "groups, each with the shares of its pictures that count and that are events",
    }
)
"""The words that a certificate must have: changed ones are refused like changed counts."""


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Negatives that are called road work: one negative picture per calibration group, chosen by hash."""

    count: int
    """Calls of road work."""
    n: int
    """Groups with a negative picture."""
    rate: float | None
    """count / n; None without any negative."""
    bound: float
    """Upper Clopper–Pearson bound at confidence 1 - delta, on its own; 1 without any negative."""

    __pydantic_config__ = STRICT


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of the decided calibration pictures (not groups) are answered, by class."""

    positives: int
    positives_answered: int
    negatives: int
    negatives_answered: int

    __pydantic_config__ = STRICT

    @property
    def overall(self) -> float | None:
        """Answered share of all pictures; None without any."""
        return share(self.positives_answered + self.negatives_answered, self.positives + self.negatives)

    @property
    def positive(self) -> float | None:
        """Answered share of the pictures with road work; None without any."""
        return share(self.positives_answered, self.positives)

    @property
    def negative(self) -> float | None:
        """Answered share of the pictures without road work; None without any."""
        return share(self.negatives_answered, self.negatives)


@dataclass(frozen=True, slots=True)
class TrivialPolicy:
    """What a policy that looks at nothing gives, to be read beside the certificate."""

    selective_fnr: float | None
    """None: it answers no positive."""
    false_alarm_rate: float
    coverage: float

    __pydantic_config__ = STRICT


EVERYTHING_ROADWORK = TrivialPolicy(selective_fnr=0.0, false_alarm_rate=1.0, coverage=1.0)
EVERYTHING_DEFERRED = TrivialPolicy(selective_fnr=None, false_alarm_rate=0.0, coverage=0.0)


@dataclass(frozen=True, slots=True)
class Walk:
    """The rules that could be tested, in their order, fixed before `calib` was seen, and how far they held."""

    parameter: str
    """What the values are, such as "t_lo"."""
    sequence: tuple[float, ...]
    start: int
    """Where the tests began: chosen on `select`, because a rule that answers nothing passes no test."""
    passed: int
    """The last that passed; all from `start` to it did."""
    chosen: int
    """The one that the policy uses, among those that passed."""

    __pydantic_config__ = STRICT


@dataclass(frozen=True, slots=True)
class NoiseRow:
    """What is left if so many calibration labels were wrong, each hiding an error at every rule."""

    wrong_labels: int
    bound: float
    """At the rule that is used."""
    holds: bool
    """Whether the bound is still at most alpha, and the walk would still have reached this rule."""

    __pydantic_config__ = STRICT


@dataclass(frozen=True, slots=True)
class Restated:
    """A claim's counts where ambiguous pictures count as road work."""

    n: int
    events: int
    bound: float
    holds: bool

    __pydantic_config__ = STRICT


@dataclass(frozen=True, slots=True)
class Claim:
    """One risk that is promised, with its counts."""

    risk: Risk
    alpha: float
    """Largest risk, in (0, 1)."""
    n: int
    """Groups that count: their picture (or, where all frames count, at least one of them) is in the
    denominator."""
    events: int
    """One picture a group: groups whose picture is an event. All frames: groups with an event in them."""
    rate: float
    """The estimate: events / n, or the ratio of the mean shares."""
    bound: float
    """`pac`: upper bound at confidence 1 - delta. `average`: the mean risk that is promised."""
    p_value: float | None
    """`pac`: of "the risk is above alpha", at most delta."""
    exceedance: float | None
    """`average`: the chance that a calibration draw like this one gives a rule whose true risk is above
    alpha. Exact for one picture a group; where all frames count, by resampling groups."""
    stake: float | None
    """`pac` on all frames: of the betting test, fixed on `select`."""
    outcomes: tuple[Outcome, ...]
    """All frames: (pictures, counted, events, groups). Empty for one picture a group."""
    n_groups: int
    """Groups with a picture of the population, whether it counts or not."""
    estimand: str
    label_noise: tuple[NoiseRow, ...]
    ambiguous_as_positives: Restated | None
    """None without an ambiguous picture."""

    __pydantic_config__ = STRICT

    @property
    def promise(self) -> str:
        """The statement without its confidence."""
        return RISKS[self.risk].promise.format(rate=f"{self.alpha:g}")

    @property
    def tolerated_wrong_labels(self) -> int:
        """How many wrong calibration labels, each in the worst way, leave the promise standing."""
        return max((row.wrong_labels for row in self.label_noise if row.holds), default=0)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A promise of one risk or two, from the calibration groups.

    `pac`: with confidence 1 - delta over the draw of the calibration groups every claim holds, all at once.
    `average`: the mean risk over that draw and the next picture is at most alpha.
    """

    kind: Literal["pac", "average"]
    delta: float
    """Probability that the statement is wrong, in (0, 1); for `average` of the false-alarm bound only."""
    counting: Counting
    count_unit: str
    claims: tuple[Claim, ...]
    walk: Walk | None
    """None where the rule is an order statistic and nothing was walked."""
    n_unknown_left_out: int
    """Calibration pictures left out because their label is unknown."""
    n_ambiguous_left_out: int
    """Calibration pictures left out because their known label is ambiguous."""
    assumption: str
    split_sha256: str
    dataset_sha256: str
    calibration_sha256: str
    """Over the sorted ids of all calibration pictures."""
    false_alarms: FalseAlarms
    coverage: Coverage
    everything_roadwork: TrivialPolicy
    everything_deferred: TrivialPolicy

    __pydantic_config__ = STRICT

    @property
    def statement(self) -> str:
        """The promise in one sentence."""
        together = " and ".join(claim.promise for claim in self.claims)
        counts = "; ".join(_counts(claim) for claim in self.claims)
        if self.kind == "average":
            chance = " and ".join(f"{claim.exceedance or 0.0:.0%}" for claim in self.claims)
            return (
                f"On average over the draw of the calibration groups, {together} ({counts}). An average, not a "
                f"bound: a draw like this one gives a rule above it with a chance of {chance}."
            )
        both = ", both at once" if len(self.claims) > 1 else ""
        return (
            f"With confidence {1 - self.delta:g} over the draw of the calibration groups{both}, {together} "
            f"({counts})."
        )

    def claim(self, risk: Risk) -> Claim | None:
        """Return what is claimed of a risk; None if nothing is."""
        return next((claim for claim in self.claims if claim.risk is risk), None)


def _counts(claim: Claim) -> str:
    unit = "groups counted" if not claim.outcomes else "groups counted, all their frames"
    return f"{risk_title(claim.risk)}: {claim.events} of {claim.n} {unit}, evidence: bound {claim.bound:.4f}"


def share(part: float, whole: float) -> float | None:
    """Return part / whole; None where there is no whole."""
    return part / whole if whole else None
