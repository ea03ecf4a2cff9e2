"""What a comparison of two systems found, as frozen records.

Knows what they hold, not how they are computed or judged (`comparison`, `comparison_verdict`). A difference that
is not shown is never called "no difference": how large a one could have been seen is kept beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workzone.evaluation.records import Measure, to_json


class Finding(StrEnum):
    """Which system is better."""

    B_BETTER = "b_better"
    A_BETTER = "a_better"
    TRADE = "trade"
    """Both answer every picture alike, and B's policy is better in one measure and worse in another."""
    NOT_SHOWN = "not_shown"


class Shown(StrEnum):
    """What the interval of a difference shows of B's policy."""

    BETTER = "better"
    WORSE = "worse"
    NOT_DISTINGUISHABLE = "not_distinguishable"
    """The interval holds 0."""
    NOT_COMPARABLE = "not_comparable"
    """There is no interval."""


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """What is shown of B's policy in one measure."""

    name: str
    """selective_fnr, false_alarm_rate or coverage."""
    shown: Shown


@dataclass(frozen=True, slots=True)
class ComparedMeasure:
    """One measure of both systems on the same pictures, over the same resamples of groups."""

    name: str
    title: str
    a: Measure
    b: Measure
    difference: Measure
    """B - A."""


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Are both right equally often, answering every picture at probability 0.5?"""

    pictures: str
    """`all` or `positives` (road work alone, where it compares the miss rate)."""
    sampling: str
    """`every picture`, or `one per group`, chosen by sha256(group | sample id)."""
    n: int
    only_a_right: int
    only_b_right: int
    exact_p: float | None
    mid_p: float | None
    note: str
    """What the p values take for granted, or why there are none."""


@dataclass(frozen=True, slots=True)
class GroupTest:
    """The same question by swapping A and B on whole groups; valid where groups hold several pictures."""

    pictures: str
    n_groups: int
    n_groups_differing: int
    p: float | None
    exact: bool
    """All swaps were counted."""
    reason: str | None
    """Why there is no p."""


@dataclass(frozen=True, slots=True)
class DetectableDifference:
    """The smallest true difference that a comparison such as this one shows with the chance `power`."""

    name: str
    difference: float | None
    power: float
    method: str
    reason: str | None
    """Why it cannot be given."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """B against A on the same decided pictures."""

    name_a: str
    name_b: str
    n: int
    n_groups: int
    n_positives: int
    n_positive_groups: int
    largest_group: int
    """Pictures in the largest group."""
    n_resamples: int
    confidence: float
    seed: int
    measures: tuple[ComparedMeasure, ...]
    mcnemar: tuple[PairedTest, ...]
    group_tests: tuple[GroupTest, ...]
    """Empty where every picture is its own group: McNemar's test is valid then."""
    detectable: tuple[DetectableDifference, ...]
    """mcc_at_half, accuracy_at_half, and the measures of `policies`."""
    same_answers: bool
    """Whether both answer every picture alike at probability 0.5, as bundles of one model do, so that only their
    policies can differ; False too where there is no MCC."""
    policies: tuple[PolicyFinding, ...]
    finding: Finding
    statement: str
    """The verdict in words."""

    def measure(self, name: str) -> ComparedMeasure:
        """Return the measure of that name.

        Raises:
            KeyError: There is none.
        """
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form: the fields by name."""
        value = to_json(self)
        assert isinstance(value, dict)
        return value
