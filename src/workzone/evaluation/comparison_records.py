"""What a comparison of two systems found, as frozen records, and the verdict in words.

Knows how they read, not how they are computed. "Better" takes both: more right answers, and road work not
missed more often. A difference that is not shown is never called "no difference": how large a one could have
been seen is always said beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workzone.evaluation.grouped import counted
from workzone.evaluation.records import Measure, to_json


class Finding(StrEnum):
    """Which system is better."""

    B_BETTER = "b_better"
    A_BETTER = "a_better"
    NOT_SHOWN = "not_shown"


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
    """mcc_at_half and accuracy_at_half."""
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


def find_better(mcc: ComparedMeasure, fnr: ComparedMeasure) -> Finding:
    """Return who is better: by the interval of the MCC difference, and for B by its misses too."""
    low, high = mcc.difference.low, mcc.difference.high
    if low is not None and low > 0 and not misses_more(fnr):
        return Finding.B_BETTER
    if high is not None and high < 0:
        return Finding.A_BETTER
    return Finding.NOT_SHOWN


def misses_more(fnr: ComparedMeasure) -> bool:
    """Whether B is shown to miss more of the road work that it answers."""
    return fnr.difference.low is not None and fnr.difference.low > 0


def verdict_in_words(
    finding: Finding,
    mcc: ComparedMeasure,
    fnr: ComparedMeasure,
    detectable: tuple[DetectableDifference, ...],
    confidence: float,
) -> str:
    """Return the verdict: what is shown, by which numbers, and what could have been seen."""
    head = {
        Finding.B_BETTER: "B is better.",
        Finding.A_BETTER: "A is better.",
        Finding.NOT_SHOWN: "It is not shown that B is better.",
    }[finding]
    sentences = [head, _mcc_words(mcc, confidence), _misses_words(fnr, confidence)]
    if finding is Finding.NOT_SHOWN and (mcc.difference.low or 0) > 0:
        sentences.append("More right answers do not make up for more missed road work.")
    return " ".join([*sentences, *(_detectable_words(d) for d in detectable)])


def _mcc_words(mcc: ComparedMeasure, confidence: float) -> str:
    d = mcc.difference
    if d.estimate is None:
        return f"Their MCC cannot be compared: {d.reason}."
    over = f"over {counted(d.n, 'picture')} from {counted(d.n_groups, 'group')}"
    if d.low is None or d.high is None:
        return f"MCC at probability 0.5 of B minus A is {d.estimate:+.3f} {over}; {d.reason}."
    return (
        f"MCC at probability 0.5 is {mcc.a.estimate:.3f} for A and {mcc.b.estimate:.3f} for B, a difference of "
        f"{d.estimate:+.3f} ({confidence:.0%} interval {d.low:+.3f} to {d.high:+.3f}) {over}."
    )


def _misses_words(fnr: ComparedMeasure, confidence: float) -> str:
    d = fnr.difference
    if d.estimate is None or d.low is None or d.high is None:
        return f"Whether B misses more of the road work it answers cannot be told: {d.reason}."
    shown = "B misses more" if d.low > 0 else "B misses less" if d.high < 0 else "B is not shown to miss more"
    return (
        f"{shown} of the road work it answers: selective FNR differs by {d.estimate:+.3f} "
        f"({confidence:.0%} interval {d.low:+.3f} to {d.high:+.3f})."
    )


def _detectable_words(detectable: DetectableDifference) -> str:
    what = {"mcc_at_half": "MCC", "accuracy_at_half": "accuracy"}[detectable.name]
    if detectable.difference is None:
        return f"How large a difference in {what} could have been seen cannot be said: {detectable.reason}."
    return (
        f"A true difference in {what} of {detectable.difference:.3f} would have been shown with "
        f"{detectable.power:.0%} chance."
    )
