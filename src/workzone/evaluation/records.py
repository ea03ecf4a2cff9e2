"""What an evaluation found, as frozen records. Knows how they look as JSON, not how they are computed.

A number that cannot be given is None, with the reason beside it: never NaN, never a silent 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.metrics.classification import Confusion
from workzone.metrics.selective import SelectiveCounts


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure with its interval over resampled groups."""

    name: str
    estimate: float | None
    """None where it is undefined or rests on too few pictures; `reason` says which."""
    low: float | None
    """Of the interval, which always holds the estimate; None where there is none."""
    high: float | None
    n: int
    """Pictures in the denominator."""
    n_groups: int
    """Groups with such a picture."""
    interval: str | None = None
    """`bootstrap`, or `exact`: no picture (or every one) was an event, which resampling cannot see beyond, so
    it is the exact binomial bound that takes each group as one draw."""
    reason: str | None = None
    """Why the estimate or the interval is missing."""


@dataclass(frozen=True, slots=True)
class SliceColumn:
    """A property by which pictures are told apart: one value for each picture, or several.

    Attributes:
        name: Of the property.
        values: Its values, in the order of the report.
        members: bool [V, N]: whether picture n has value v; a picture may have none or several.
    """

    name: str
    values: tuple[str, ...]
    members: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.members.ndim != 2 or len(self.members) != len(self.values):
            raise DataError(
                f"Slices by '{self.name}': {len(self.values)} values with members of shape "
                f"{list(self.members.shape)}; expected [{len(self.values)}, pictures]."
            )

    @staticmethod
    def of(name: str, values: Sequence[str | None] | NDArray[np.str_]) -> SliceColumn:
        """Return the column with one value [N] for each picture; None and "" become "not stated"."""
        stated = np.array([str(value) if value else "not stated" for value in values], dtype=np.str_)
        known = tuple(str(value) for value in np.unique(stated))
        return SliceColumn(
            name, known, np.array([stated == value for value in known]).reshape(len(known), -1)
        )


@dataclass(frozen=True, slots=True)
class SliceResult:
    """The measures of the pictures with one value of a property."""

    value: str
    n: int
    n_groups: int
    n_positives: int
    measures: tuple[Measure, ...]
    """mcc, selective_fnr, false_alarm_rate, coverage."""


@dataclass(frozen=True, slots=True)
class SliceTable:
    """The slices by one property."""

    name: str
    slices: tuple[SliceResult, ...]


@dataclass(frozen=True, slots=True)
class TrivialResult:
    """What a policy that looks at nothing gives on the same pictures; exact, so without intervals."""

    name: str
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class BaselineComparison:
    """Another model on the same pictures, and how far this one is ahead of it."""

    name: str
    decision_threshold: float
    measures: tuple[Measure, ...]
    """mcc and auroc of the baseline."""
    mcc_difference: Measure
    """MCC of the model minus MCC of the baseline, over the same resamples of groups (paired)."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Points to draw; `x` rises or stays."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ReliabilityPoint:
    """The pictures whose probability lies in [low_prob, high_prob)."""

    low_prob: float
    high_prob: float
    mean_prob: float | None
    positive_rate: Measure


@dataclass(frozen=True, slots=True)
class Curves:
    """What the report draws."""

    roc: Curve
    """False-alarm rate → recall, over all thresholds."""
    precision_recall: Curve
    """Recall → precision."""
    risk_coverage: Curve
    """Coverage → share of errors, the least confident deferred first."""
    fnr_coverage: Curve
    """Coverage → selective FNR, as the policy answers more and more (`sweep`)."""
    for_coverage: Curve
    """Coverage → false-omission rate, likewise."""
    reliability: tuple[ReliabilityPoint, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured on the pictures of `test`. "Decided" pictures have a known, unambiguous label."""

    n: int
    """Decided pictures: all that is measured."""
    n_groups: int
    n_positives: int
    n_positive_groups: int
    n_negatives: int
    n_negative_groups: int
    n_unknown: int
    """Left out: their label is unknown."""
    n_ambiguous: int
    """Left out: their label is known, but ambiguous."""
    decision_threshold: float
    """The logit from which plain classification calls a picture road work; chosen on `select`."""
    n_resamples: int
    confidence: float
    seed: int
    measures: tuple[Measure, ...]
    measures_with_ambiguous: tuple[Measure, ...] | None
    """The same with ambiguous pictures counted as they are labelled; None without any."""
    confusion: Confusion
    """Plain classification at the decision threshold."""
    verdicts: SelectiveCounts
    """The policy's answers, by label."""
    trivial: tuple[TrivialResult, ...]
    baseline: BaselineComparison | None
    slices: tuple[SliceTable, ...]
    curves: Curves

    def measure(self, name: str) -> Measure:
        """Return the measure of that name.

        Raises:
            KeyError: There is none.
        """
        return find_measure(self.measures, name)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form: the fields by name."""
        value = to_json(self)
        assert isinstance(value, dict)
        return value


def find_measure(measures: Sequence[Measure], name: str) -> Measure:
    """Return the measure of that name; KeyError without one."""
    for measure in measures:
        if measure.name == name:
            return measure
    raise KeyError(name)


def to_json(value: Any) -> Any:
    """Return a record, and all in it, as JSON values.

    Raises:
        DataError: A number is not finite; it should have been None with a reason.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"A report holds the number {value}; an undefined number must be null with a reason.")
    return value
