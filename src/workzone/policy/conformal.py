"""Policies from conformal prediction: sets of labels that are answers where they hold exactly one.

`sets`: a label is in the set unless its class's calibration pictures make it too unusual (class-conditional
split conformal; Vovk 2012). One label is an answer; both, or none, is a deferral.
`crc`: the lower threshold from conformal risk control (Angelopoulos et al. 2024, arXiv 2208.02814).
`scrc`: pictures near the decision are deferred by a rule that was frozen on `select`; all others are answered,
"none" below a threshold that was certified on the accepted calibration pictures (the split variant of Xu, Guo
& Wei, arXiv 2512.12844). It keeps its rate of deferrals and pays for the promise with false alarms.

All of it is thresholds on the logit; how they are found is `workzone.calibration.conformal`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.types import Verdict
from workzone.policy.certificate import Certificate
from workzone.policy.settings import ConformalMethod, ConformalSettings
from workzone.policy.validity import check_promise, check_rule, finite_logits
from workzone.policy.verdicts import CODES, to_verdicts


@dataclass(frozen=True, slots=True)
class ConformalPolicy:
    """None below `none_below`, road work from `roadwork_from` on; deferred between, and inside the band.

    For `sets` and `crc` the band is empty. For `scrc` the two thresholds are one, and the band
    [band_low, band_high) is what is deferred.
    """

    kind: ClassVar[str] = "conformal"

    none_below: float
    """A logit, at most `roadwork_from`; -inf never answers "none"."""
    roadwork_from: float
    """A logit; inf never answers "road work"; -inf (of `scrc`) answers it to all that are accepted."""
    band_low: float
    """Of `scrc`: pictures from here on, up to `band_high`, are deferred."""
    band_high: float
    settings: ConformalSettings
    certificate: Certificate | None
    refusal: str | None
    """Why there is no certificate, and what it would take."""

    def __post_init__(self) -> None:
        ordered = self.none_below <= self.roadwork_from
        check_rule(self.kind, ordered, "none_below", f"it is above roadwork_from = {self.roadwork_from}")
        banded = self.band_low <= self.band_high and not math.isnan(self.band_low + self.band_high)
        check_rule(self.kind, banded, "band_low", "the deferred band is not an interval")
        check_promise(self.kind, self.settings, self.certificate, self.refusal)
        if self.certificate is None:
            return
        average = self.settings.method is not ConformalMethod.SCRC
        right = self.certificate.kind == ("average" if average else "pac")
        check_rule(self.kind, right, "certificate.kind", f"'{self.certificate.kind}' is not what it promises")
        walk = self.certificate.walk
        check_rule(self.kind, average == (walk is None), "certificate.walk", "misplaced")
        if walk is not None:
            same = (
                walk.parameter == "t" and walk.sequence[walk.chosen] == self.none_below == self.roadwork_from
            )
            check_rule(self.kind, same, "none_below", "it is not the certified threshold")

    @property
    def certified(self) -> bool:
        """Whether the policy carries a certificate."""
        return self.certificate is not None

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The finite logits at which a verdict may change."""
        every = {self.none_below, self.roadwork_from}
        if self.band_low < self.band_high:
            every |= {self.band_low, self.band_high}
        return tuple(sorted(t for t in every if math.isfinite(t)))

    @property
    def rule(self) -> str:
        """What it does, in words."""
        if self.settings.method is ConformalMethod.SCRC:
            band = f"Deferred from logit {self.band_low:.4g} to {self.band_high:.4g}; "
            if self.roadwork_from == -math.inf:
                return f"{band}everything else is road work: it never answers 'none'."
            return f"{band}else none below {self.none_below:.4g} and road work from there on."
        return (
            f"Road work from logit {self.roadwork_from:.4g} on, none below {self.none_below:.4g}, "
            "deferred between."
        )

    def decide(self, logits: ArrayLike, features: NDArray[np.float32] | None = None) -> NDArray[np.int8]:
        """Return the verdicts of logits of any shape as codes: 1 road work, 0 none, -1 deferred.

        Args:
            logits: The model's raw output.
            features: Not used by this policy.

        Raises:
            InferenceError: A logit is not finite.
        """
        values = finite_logits(logits)
        codes = np.full(values.shape, CODES[Verdict.DEFER], dtype=np.int8)
        codes[values < self.none_below] = CODES[Verdict.NONE]
        codes[values >= self.roadwork_from] = CODES[Verdict.ROADWORK]
        codes[(values >= self.band_low) & (values < self.band_high)] = CODES[Verdict.DEFER]
        return codes

    def verdicts(self, logits: ArrayLike, features: NDArray[np.float32] | None = None) -> list[Verdict]:
        """Return the verdicts of logits [N]; raises as `decide`."""
        return to_verdicts(self.decide(logits, features))
