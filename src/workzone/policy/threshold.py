"""The policy of two thresholds on the raw logit: road work above, none below, deferred between.

Thresholds live on logits, not probabilities: a refitted calibrator must not move them. How they are found is
`workzone.calibration.threshold`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import BundleError, InferenceError, nearest
from workzone.core.types import Verdict
from workzone.policy.certificate import Certificate, certificate_from_json, certificate_to_json
from workzone.policy.strict_json import STRICT, read_record
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
    beta: float
    """Share of the negatives of `select` that t_hi lets through at most, in [0, 1)."""
    certificate: Certificate | None
    refusal: str | None
    """Why there is no certificate, and what it would take."""

    def __post_init__(self) -> None:
        _check(math.isfinite(self.t_hi), "t_hi", f"{self.t_hi} is not a finite logit")
        _check(self.t_lo <= self.t_hi, "t_lo", f"{self.t_lo} is not at most t_hi = {self.t_hi}")
        _check(0.0 <= self.beta < 1.0, "beta", f"{self.beta} is not in [0, 1)")
        if self.certificate is None:
            _check(bool(self.refusal), "refusal", "without a certificate it must say why")
            return
        _check(self.refusal is None, "refusal", "it stands beside a certificate")
        sequence, index = self.certificate.sequence, self.certificate.certified_index
        _check(0 <= index < len(sequence), "certificate.certified_index", f"{index} is not in its sequence")
        _check(self.t_lo == sequence[index], "t_lo", f"{self.t_lo} is not the certified {sequence[index]}")
        _check(max(sequence) <= self.t_hi, "certificate.sequence", f"it goes beyond t_hi = {self.t_hi}")

    @property
    def certified(self) -> bool:
        """Whether the policy carries a certificate."""
        return self.certificate is not None

    def decide(self, logits: ArrayLike) -> NDArray[np.int8]:
        """Return the verdicts of logits of any shape as codes: 1 road work, 0 none, -1 deferred.

        Raises:
            InferenceError: A logit is not finite. That is a broken model, not a doubtful picture.
        """
        values = np.asarray(logits, dtype=np.float64)
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise InferenceError(
                f"{bad} of {values.size} logits are not finite: the model or its input is broken. "
                "Nothing was decided."
            )
        codes = np.full(values.shape, CODES[Verdict.DEFER], dtype=np.int8)
        codes[values < self.t_lo] = CODES[Verdict.NONE]
        codes[values >= self.t_hi] = CODES[Verdict.ROADWORK]
        return codes

    def verdicts(self, logits: ArrayLike) -> list[Verdict]:
        """Return the verdicts of logits [N]; raises as `decide`."""
        return to_verdicts(self.decide(logits))


POLICIES: Mapping[str, type[ThresholdPolicy]] = MappingProxyType({ThresholdPolicy.kind: ThresholdPolicy})
"""Kind in a bundle → record."""


@dataclass(frozen=True, slots=True)
class _ThresholdJson:
    """The keys of the JSON form; the certificate is read by its own package."""

    kind: Literal["threshold"]
    t_lo: float | None
    t_hi: float
    beta: float
    certificate: dict[str, Any] | None
    refusal: str | None

    __pydantic_config__ = STRICT


def policy_to_json(policy: ThresholdPolicy) -> dict[str, Any]:
    """Return the JSON form; a `t_lo` of -inf is null."""
    certificate = policy.certificate
    return {
        "kind": policy.kind,
        "t_lo": None if policy.t_lo == -math.inf else policy.t_lo,
        "t_hi": policy.t_hi,
        "beta": policy.beta,
        "certificate": None if certificate is None else certificate_to_json(certificate),
        "refusal": policy.refusal,
    }


def policy_from_json(value: Any) -> ThresholdPolicy:
    """Read the JSON form, and derive its certificate again from its counts.

    Raises:
        BundleError: It is no policy (names the key), or its certificate does not hold.
    """
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in POLICIES:
        hint = nearest(str(kind), POLICIES)
        raise BundleError(f"The policy's 'kind' is {kind!r}, which is not known here.{hint}")
    read = read_record(_ThresholdJson, value, "policy")
    return ThresholdPolicy(
        t_lo=-math.inf if read.t_lo is None else read.t_lo,
        t_hi=read.t_hi,
        beta=read.beta,
        certificate=None if read.certificate is None else certificate_from_json(read.certificate),
        refusal=read.refusal,
    )


def _check(holds: bool, key: str, found: str) -> None:
    if not holds:
        raise BundleError(f"A threshold policy is not valid at '{key}': {found}.")
