"""The policy of two thresholds on the raw logit: road work above, none below, deferred between.

Thresholds live on logits, not probabilities: a refitted calibrator must not move them. How they are found is
`workzone.calibration.threshold`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.types import Verdict
from workzone.policy.certificate import Certificate
from workzone.policy.settings import ThresholdSettings
from workzone.policy.validity import check_promise, check_rule, finite_logits
from workzone.policy.verdicts import CODES, to_verdicts


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """Road work where logit >= t_hi, none where logit < t_lo, else deferred.

    Carries either a certificate or the reason why it has none, never both.
    """

    kind: ClassVar[str] = "threshold"

    t_lo: float
    """A logit, at most t_hi; -inf never answers "none"."""
    t_hi: float
    """A finite logit."""
    settings: ThresholdSettings
    certificate: Certificate | None
    refusal: str | None
    """Why there is no certificate, and what it would take."""

    def __post_init__(self) -> None:
        check_rule(self.kind, math.isfinite(self.t_hi), "t_hi", f"{self.t_hi} is not a finite logit")
        ordered = self.t_lo <= self.t_hi
        check_rule(self.kind, ordered, "t_lo", f"{self.t_lo} is not at most t_hi = {self.t_hi}")
        check_promise(self.kind, self.settings, self.certificate, self.refusal)
        walk = self.certificate.walk if self.certificate else None
        if self.certificate is None:
            return
        walked = walk is not None and walk.parameter == "t_lo" and walk.sequence[walk.chosen] == self.t_lo
        check_rule(self.kind, walked, "t_lo", f"{self.t_lo} is not the certified threshold")
        within = walk is not None and max(walk.sequence) <= self.t_hi
        check_rule(self.kind, within, "certificate.walk.sequence", f"it goes beyond t_hi = {self.t_hi}")

    @property
    def certified(self) -> bool:
        """Whether the policy carries a certificate."""
        return self.certificate is not None

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The finite logits at which a verdict may change."""
        return tuple(t for t in (self.t_lo, self.t_hi) if math.isfinite(t))

    @property
    def rule(self) -> str:
        """What it does, in words."""
        if self.t_lo == -math.inf:
            return (
                f"Road work from logit {self.t_hi:.4g} on, everything else deferred: it never answers 'none'."
            )
        return f"Road work from logit {self.t_hi:.4g} on, none below {self.t_lo:.4g}, deferred between."

    def decide(self, logits: ArrayLike, features: NDArray[np.float32] | None = None) -> NDArray[np.int8]:
        """Return the verdicts of logits of any shape as codes: 1 road work, 0 none, -1 deferred.

        Args:
            logits: The model's raw output.
            features: Not used by this policy.

        Raises:
            InferenceError: A logit is not finite. That is a broken model, not a doubtful picture.
        """
        values = finite_logits(logits)
        codes = np.full(values.shape, CODES[Verdict.DEFER], dtype=np.int8)
        codes[values < self.t_lo] = CODES[Verdict.NONE]
        codes[values >= self.t_hi] = CODES[Verdict.ROADWORK]
        return codes

    def verdicts(self, logits: ArrayLike, features: NDArray[np.float32] | None = None) -> list[Verdict]:
        """Return the verdicts of logits [N]; raises as `decide`."""
        return to_verdicts(self.decide(logits, features))
