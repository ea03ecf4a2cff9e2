"""The policy that asks whether the first answer is right: a small linear model on what can be seen of it.

Where the gate's score reaches `tau` the first answer stands (road work from the decision threshold on, none
below); elsewhere it is deferred. Unlike two thresholds it can defer a picture whose logit is sure but whose
features are unlike anything in training. Fitted in `workzone.calibration.gate`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.types import Verdict
from workzone.policy.certificate import Certificate
from workzone.policy.gate_features import FeatureStatistics, FirstAnswers, gate_matrix
from workzone.policy.settings import GateSettings
from workzone.policy.validity import check_promise, check_rule, finite_logits
from workzone.policy.verdicts import CODES, to_verdicts

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GatePolicy:
    """The first answer where the gate's score is at least `tau`, else deferred."""

    kind: ClassVar[str] = "gate"

    tau: float
    """A score; inf defers everything."""
    decision: float
    """The finite logit from which the first answer is road work."""
    centre: tuple[float, ...]
    """Of the gate's features on `select`."""
    scale: tuple[float, ...]
    """Greater than 0."""
    weights: tuple[float, ...]
    """Of the standardised features."""
    intercept: float
    statistics: FeatureStatistics | None
    """Where a feature is a distance from the training features."""
    settings: GateSettings
    certificate: Certificate | None
    refusal: str | None
    """Why there is no certificate, and what it would take."""

    def __post_init__(self) -> None:
        n = len(self.settings.features)
        lengths = {len(self.centre), len(self.scale), len(self.weights)}
        check_rule(self.kind, lengths == {n}, "weights", f"expected {n} numbers of each kind, got {lengths}")
        numbers = (*self.centre, *self.scale, *self.weights, self.intercept, self.decision)
        check_rule(self.kind, all(map(math.isfinite, numbers)), "weights", "a number is not finite")
        check_rule(self.kind, min(self.scale) > 0, "scale", "a scale is not greater than 0")
        check_rule(self.kind, not math.isnan(self.tau), "tau", "it is not a number")
        check_promise(self.kind, self.settings, self.certificate, self.refusal)
        if self.certificate is None:
            return
        walk = self.certificate.walk
        walked = walk is not None and walk.parameter == "tau" and walk.sequence[walk.chosen] == self.tau
        check_rule(self.kind, walked, "tau", f"{self.tau} is not the certified score")

    @property
    def certified(self) -> bool:
        """Whether the policy carries a certificate."""
        return self.certificate is not None

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The finite logits at which a verdict may change, were the features as they are."""
        return (self.decision,)

    @property
    def rule(self) -> str:
        """What it does, in words."""
        if self.tau == math.inf:
            return "Everything is deferred."
        return (
            f"Road work from logit {self.decision:.4g} on, none below, where the gate's score is at least "
            f"{self.tau:.4g}; else deferred."
        )

    def score(self, logits: ArrayLike, features: NDArray[np.float32] | None) -> F64:
        """Return how sure the gate is that the first answers are right: a log-odds for each of N pictures.

        Raises:
            InferenceError: A logit is not finite, or the features are missing or of another model.
        """
        z = finite_logits(logits) - self.decision
        matrix = gate_matrix(self.settings.features, FirstAnswers(z, features, self.statistics))
        scaled = (matrix - np.array(self.centre)) / np.array(self.scale)
        score: F64 = scaled @ np.array(self.weights) + self.intercept
        return score

    def decide(self, logits: ArrayLike, features: NDArray[np.float32] | None = None) -> NDArray[np.int8]:
        """Return the verdicts of logits [N] as codes: 1 road work, 0 none, -1 deferred.

        Args:
            logits: float [N], the model's raw output.
            features: float32 [N, D], the model's penultimate output, where a gate feature needs it.

        Raises:
            InferenceError: As `score`.
        """
        values = finite_logits(logits)
        codes = np.full(values.shape, CODES[Verdict.DEFER], dtype=np.int8)
        passes = self.score(values, features) >= self.tau
        codes[passes & (values >= self.decision)] = CODES[Verdict.ROADWORK]
        codes[passes & (values < self.decision)] = CODES[Verdict.NONE]
        return codes

    def verdicts(self, logits: ArrayLike, features: NDArray[np.float32] | None = None) -> list[Verdict]:
        """Return the verdicts of logits [N]; raises as `decide`."""
        return to_verdicts(self.decide(logits, features))
