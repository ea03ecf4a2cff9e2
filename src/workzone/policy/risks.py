"""The error rates that a policy may promise to keep low, each with its own denominator.

Three of them are called "miss rate" in the wild and must not be mixed up: the share of misses among the road
work that is *answered* (selective FNR), among *all* road work (committed miss rate), and the share of road
work among the answers "none" (false-omission rate). Knows labels and verdict codes; does not know how a
risk is bounded (`workzone.calibration`).

Every risk here is a ratio of two shares of one population: of the pictures that count, those that are events.
The population depends on labels alone, so it is the same for every policy; what counts may depend on the
verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.types import Label, Verdict
from workzone.policy.verdicts import CODES

_ROADWORK, _NONE, _DEFER = CODES[Verdict.ROADWORK], CODES[Verdict.NONE], CODES[Verdict.DEFER]
_ANSWERED = frozenset({_ROADWORK, _NONE})
_EVERYTHING = frozenset({_ROADWORK, _NONE, _DEFER})


class Population(StrEnum):
    """From which pictures of a group one is drawn."""

    POSITIVES = "positives"
    NEGATIVES = "negatives"
    ALL = "all"

    def members(self, labels: ArrayLike) -> NDArray[np.bool_]:
        """Return which of the decided labels [N] belong to it."""
        known = np.asarray(labels)
        if self is Population.ALL:
            return np.ones(known.shape, dtype=np.bool_)
        mask: NDArray[np.bool_] = known == (Label.ROADWORK if self is Population.POSITIVES else Label.NONE)
        return mask


class Risk(StrEnum):
    """A named error rate of a policy that may defer."""

    SELECTIVE_FNR = "selective_fnr"
    COMMITTED_MISS_RATE = "committed_miss_rate"
    FALSE_OMISSION_RATE = "false_omission_rate"
    FALSE_ALARM_RATE = "false_alarm_rate"
    FALSE_DISCOVERY_RATE = "false_discovery_rate"


@dataclass(frozen=True, slots=True)
class RiskDefinition:
    """Which pictures a risk is about, which of them count, and which of those are events."""

    population: Population
    counted: frozenset[int]
    """Verdict codes that put a picture of the population into the denominator."""
    event_label: Label
    event_code: int
    promise: str
    """The statement, with a place for the rate."""
    population_words: str
    counted_words: str
    """Which of the drawn pictures count."""
    event_words: str

    @property
    def fixed_denominator(self) -> bool:
        """Whether every picture of the population counts, whatever the policy says of it."""
        return self.counted == _EVERYTHING

    @property
    def depends_on_prevalence(self) -> bool:
        """Whether the rate moves with the share of road work among the pictures."""
        return self.population is Population.ALL

    @property
    def estimand(self) -> str:
        """What exactly is estimated, in words."""
        tail = "; at the share of road work of the calibration groups" if self.depends_on_prevalence else ""
        return (
            f"draw a group that has a {self.population_words}, then one of these pictures uniformly; "
            f"{self.counted_words}, the share {self.event_words}{tail}"
        )

    def counts(self, codes: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Return which verdict codes of the population's pictures put them into the denominator."""
        mask = np.zeros(codes.shape, dtype=np.bool_)
        for code in self.counted:
            mask |= codes == code
        return mask

    def events(self, labels: NDArray[np.int8], codes: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Return which pictures are events; events always count."""
        mask: NDArray[np.bool_] = (labels == self.event_label) & (codes == self.event_code)
        return mask


RISKS: Mapping[Risk, RiskDefinition] = MappingProxyType(
    {
        Risk.SELECTIVE_FNR: RiskDefinition(
            Population.POSITIVES, _ANSWERED, Label.ROADWORK, _NONE,
            "of the road-work pictures that the policy answers at most {rate} are answered 'none'",
            "positive picture", "of those that the policy answers", "answered 'none'"),
        Risk.COMMITTED_MISS_RATE: RiskDefinition(
            Population.POSITIVES, _EVERYTHING, Label.ROADWORK, _NONE,
            "of all road-work pictures, deferred ones included, at most {rate} are answered 'none'",
            "positive picture", "of all of them, deferred ones included", "answered 'none'"),
        Risk.FALSE_OMISSION_RATE: RiskDefinition(
            Population.ALL, frozenset({_NONE}), Label.ROADWORK, _NONE,
            "of the pictures that the policy answers 'none' at most {rate} show road work",
            "decided picture", "of those that the policy answers 'none'", "that shows road work"),
        Risk.FALSE_ALARM_RATE: RiskDefinition(
            Population.NEGATIVES, _EVERYTHING, Label.NONE, _ROADWORK,
            "of all pictures without road work at most {rate} are answered 'road work'",
            "negative picture", "of all of them, deferred ones included", "answered 'road work'"),
        Risk.FALSE_DISCOVERY_RATE: RiskDefinition(
            Population.ALL, frozenset({_ROADWORK}), Label.NONE, _ROADWORK,
            "of the pictures that the policy answers 'road work' at most {rate} show none (the precision of "
            "'road work' is at least one minus that)",
            "decided picture", "of those that the policy answers 'road work'", "that shows none"),
    }
)  # fmt: skip
"""Every risk that can be reported and certified."""


def risk_title(risk: Risk) -> str:
    """Return a risk's name as it is read: "selective FNR"."""
    return str(risk).replace("_", " ").replace("fnr", "FNR")


def empirical_risk(risk: Risk, labels: ArrayLike, codes: ArrayLike) -> tuple[int, int]:
    """Return (events, counted) of decided labels [N] and verdict codes [N], every picture for itself."""
    definition = RISKS[risk]
    known = np.asarray(labels, dtype=np.int8)
    said = np.asarray(codes, dtype=np.int8)
    inside = definition.population.members(known)
    counted = inside & definition.counts(said)
    return int((counted & definition.events(known, said)).sum()), int(counted.sum())
