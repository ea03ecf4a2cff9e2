"""How a policy is to be fitted: what a recipe asks for, and what a policy remembers to be fitted again.

Plain records without defaults that a reader would have to look up elsewhere: the numbers of the promise
(`alpha` 0.02, `delta` 0.05, `beta` 0.05) are DESIGN's. Knows ranges; fits nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from workzone.core.errors import ConfigError
from workzone.policy.risks import Risk
from workzone.policy.strict_json import STRICT


def _require_limits(limits: tuple[RiskLimit, ...]) -> None:
    if not 1 <= len(limits) <= 2 or len({limit.risk for limit in limits}) != len(limits):
        raise ConfigError("A policy is certified for one risk or two different ones.")


def _require_rate(name: str, rate: float) -> None:
    if not 0.0 < rate < 1.0:
        raise ConfigError(f"'{name}' is strictly between 0 and 1, got {rate}.")


def _require_beta(beta: float) -> None:
    if not 0.0 <= beta < 1.0:
        raise ConfigError(
            f"'beta' is the share of negatives that may be called road work, in [0, 1), got {beta}."
        )


def _require_grid(size: int) -> None:
    if not 10 <= size <= 10_000:
        raise ConfigError(f"A grid has between 10 and 10,000 points, got {size}.")


class Counting(StrEnum):
    """What stands for a group in a certificate."""

    ONE_PER_GROUP = "one_per_group"
    """One picture, chosen by a hash; exact binomial test."""
    ALL_FRAMES = "all_frames"
    """All its pictures, as bounded means; betting test (`policy.betting`)."""


class Objective(StrEnum):
    """Which of the certified rules is taken."""

    COVERAGE = "coverage"
    """The one that answers most."""
    COST = "cost"
    """The one of least expected cost."""


class ConformalMethod(StrEnum):
    """Which conformal procedure."""

    SETS = "sets"
    """Class-conditional split conformal sets; `average`."""
    CRC = "crc"
    """Conformal risk control on all frames of a group; `average`."""
    SCRC = "scrc"
    """Selective risk control with a selection rule frozen on `select`; `pac`."""


@dataclass(frozen=True, slots=True)
class RiskLimit:
    """A risk and the most that it may be."""

    risk: Risk
    alpha: float
    """In (0, 1)."""

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_rate(f"alpha of {self.risk}", self.alpha)


@dataclass(frozen=True, slots=True)
class Prices:
    """What errors and deferrals cost, in one currency of your own."""

    miss: float
    """Of a road-work picture answered "none"."""
    false_alarm: float
    """Of a picture without road work answered "road work"."""
    next_stage: float
    """Of a deferred picture: what the stronger model costs."""
    person: float = 0.0
    """Of a deferred picture that a person must look at."""
    person_share: float = 1.0
    """Share of deferred pictures that end with a person, in [0, 1]."""
    prevalence: float | None = None
    """Share of road work where the policy will serve, in (0, 1); None: as in the data."""

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        for name in ("miss", "false_alarm", "next_stage", "person"):
            price = getattr(self, name)
            if not (math.isfinite(price) and price >= 0):
                raise ConfigError(f"The price '{name}' is finite and at least 0, got {price}.")
        if not 0.0 <= self.person_share <= 1.0:
            raise ConfigError(f"'person_share' is a share in [0, 1], got {self.person_share}.")
        if self.prevalence is not None:
            _require_rate("prevalence", self.prevalence)

    @property
    def deferral(self) -> float:
        """Expected price of one deferred picture."""
        return self.next_stage + self.person_share * self.person


@dataclass(frozen=True, slots=True)
class ThresholdSettings:
    """Two thresholds on the logit, the lower one certified."""

    limits: tuple[RiskLimit, ...] = (RiskLimit(Risk.SELECTIVE_FNR, 0.02),)
    delta: float = 0.05
    beta: float = 0.05
    counting: Counting = Counting.ONE_PER_GROUP
    objective: Objective = Objective.COVERAGE
    prices: Prices | None = None
    grid_size: int = 200

    kind: ClassVar[str] = "threshold"
    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_limits(self.limits)
        _require_rate("delta", self.delta)
        _require_beta(self.beta)
        _require_grid(self.grid_size)
        if (self.objective is Objective.COST) != (self.prices is not None):
            raise ConfigError(
                "The objective 'cost' needs prices, and prices need the objective 'cost'; one of them is missing."
            )


@dataclass(frozen=True, slots=True)
class ConformalSettings:
    """Conformal prediction and conformal risk control."""

    method: ConformalMethod
    limits: tuple[RiskLimit, ...]
    delta: float = 0.05
    """Of `scrc`; the other methods promise averages."""
    beta: float = 0.05
    """Sets the upper threshold of `crc` where no limit of the false-alarm rate does."""
    coverage: float = 0.8
    """Of `scrc`: the share of `select` that is answered, in (0, 1)."""
    grid_size: int = 200

    kind: ClassVar[str] = "conformal"
    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_limits(self.limits)
        _require_rate("delta", self.delta)
        _require_rate("coverage", self.coverage)
        _require_beta(self.beta)
        _require_grid(self.grid_size)
        risks = {limit.risk for limit in self.limits}
        errors = {Risk.COMMITTED_MISS_RATE, Risk.FALSE_ALARM_RATE}
        if self.method is ConformalMethod.SETS and risks != errors:
            raise ConfigError(
                "Class-conditional sets have one level for each class: give limits of committed_miss_rate "
                f"and false_alarm_rate, got {', '.join(sorted(risks))}."
            )
        if self.method is ConformalMethod.CRC and (
            not risks <= errors or Risk.COMMITTED_MISS_RATE not in risks
        ):
            raise ConfigError(
                "Conformal risk control needs a loss that falls as the threshold moves: a limit of "
                f"committed_miss_rate and perhaps of false_alarm_rate, got {', '.join(sorted(risks))}. "
                "For a ratio such as selective_fnr use 'scrc' or the threshold policy."
            )

    @property
    def counting(self) -> Counting:
        """What stands for a group."""
        return Counting.ALL_FRAMES if self.method is ConformalMethod.CRC else Counting.ONE_PER_GROUP


@dataclass(frozen=True, slots=True)
class GateSettings:
    """A linear model that predicts whether the first answer is right."""

    limits: tuple[RiskLimit, ...] = (RiskLimit(Risk.SELECTIVE_FNR, 0.02),)
    delta: float = 0.05
    counting: Counting = Counting.ONE_PER_GROUP
    features: tuple[str, ...] = (
        "max_prob",
        "margin",
        "entropy",
        "logit_norm",
        "feature_distance",
        "roadwork",
    )
    l2: float = 1.0
    """Strength of the penalty on the squared weights of the standardised features."""
    grid_size: int = 200

    kind: ClassVar[str] = "gate"
    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        _require_limits(self.limits)
        _require_rate("delta", self.delta)
        _require_grid(self.grid_size)
        if not self.features or len(set(self.features)) != len(self.features):
            raise ConfigError("A gate needs at least one feature, and none twice.")
        if not (math.isfinite(self.l2) and self.l2 > 0):
            raise ConfigError(f"The gate's 'l2' is finite and greater than 0, got {self.l2}.")


PolicySettings = ThresholdSettings | ConformalSettings | GateSettings
