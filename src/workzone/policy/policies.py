"""The policies by kind, and their JSON: what `policy.json` of a bundle holds.

Knows how a policy is written and read; a certificate is derived again from its counts whenever one is read.
Infinite thresholds ("never") are null in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import BundleError, ConfigError, DataError, nearest
from workzone.core.types import Verdict
from workzone.policy.certificate import Certificate
from workzone.policy.conformal import ConformalPolicy
from workzone.policy.gate import GatePolicy
from workzone.policy.gate_features import GATE_FEATURES, FeatureStatistics
from workzone.policy.settings import ConformalMethod, ConformalSettings, GateSettings, ThresholdSettings
from workzone.policy.strict_json import STRICT, read_record
from workzone.policy.threshold import ThresholdPolicy
from workzone.policy.verification import verify_certificate

AnyPolicy = ThresholdPolicy | ConformalPolicy | GatePolicy


class Policy(Protocol):
    """From logits and features to verdicts."""

    def decide(self, logits: ArrayLike, features: NDArray[np.float32] | None = None) -> NDArray[np.int8]:
        """Return verdict codes: 1 road work, 0 none, -1 deferred."""

    def verdicts(self, logits: ArrayLike, features: NDArray[np.float32] | None = None) -> list[Verdict]:
        """Return verdicts."""


POLICIES: Mapping[str, type[ThresholdPolicy] | type[ConformalPolicy] | type[GatePolicy]] = MappingProxyType(
    {policy.kind: policy for policy in (ThresholdPolicy, ConformalPolicy, GatePolicy)}
)
"""Kind in a bundle → record."""


@dataclass(frozen=True, slots=True)
class _ThresholdJson:
    kind: Literal["threshold"]
    t_lo: float | None
    t_hi: float
    settings: ThresholdSettings
    certificate: Certificate | None
    refusal: str | None

    __pydantic_config__ = STRICT

    def policy(self) -> ThresholdPolicy:
        t_lo = -math.inf if self.t_lo is None else self.t_lo
        return ThresholdPolicy(t_lo, self.t_hi, self.settings, self.certificate, self.refusal)


@dataclass(frozen=True, slots=True)
class _ConformalJson:
    kind: Literal["conformal"]
    none_below: float | None
    roadwork_from: float | None
    band: tuple[float, float] | None
    settings: ConformalSettings
    certificate: Certificate | None
    refusal: str | None

    __pydantic_config__ = STRICT

    def policy(self) -> ConformalPolicy:
        never = -math.inf if self.settings.method is ConformalMethod.SCRC else math.inf
        low, high = self.band or (math.inf, math.inf)
        return ConformalPolicy(
            -math.inf if self.none_below is None else self.none_below,
            never if self.roadwork_from is None else self.roadwork_from,
            low,
            high,
            self.settings,
            self.certificate,
            self.refusal,
        )


@dataclass(frozen=True, slots=True)
class _GateJson:
    kind: Literal["gate"]
    tau: float | None
    decision: float
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    feature_mean: tuple[tuple[float, ...], ...] | None
    feature_std: tuple[tuple[float, ...], ...] | None
    settings: GateSettings
    certificate: Certificate | None
    refusal: str | None

    __pydantic_config__ = STRICT

    def policy(self) -> GatePolicy:
        unknown = [name for name in self.settings.features if name not in GATE_FEATURES]
        if unknown:
            raise BundleError(f"There is no gate feature '{unknown[0]}'.{nearest(unknown[0], GATE_FEATURES)}")
        return GatePolicy(
            math.inf if self.tau is None else self.tau,
            self.decision,
            self.centre,
            self.scale,
            self.weights,
            self.intercept,
            self._statistics(),
            self.settings,
            self.certificate,
            self.refusal,
        )

    def _statistics(self) -> FeatureStatistics | None:
        if self.feature_mean is None or self.feature_std is None:
            return None
        if len({len(row) for row in (*self.feature_mean, *self.feature_std)}) != 1:
            raise BundleError("The gate's feature statistics have rows of different lengths.")
        return FeatureStatistics(np.array(self.feature_mean), np.array(self.feature_std))


_FORMS: Mapping[str, type[_ThresholdJson] | type[_ConformalJson] | type[_GateJson]] = MappingProxyType(
    {"threshold": _ThresholdJson, "conformal": _ConformalJson, "gate": _GateJson}
)


def policy_to_json(policy: AnyPolicy) -> dict[str, Any]:
    """Return the JSON form, all numbers exact."""
    common = {
        "kind": policy.kind,
        "settings": asdict(policy.settings),
        "certificate": None if policy.certificate is None else asdict(policy.certificate),
        "refusal": policy.refusal,
    }
    if isinstance(policy, ThresholdPolicy):
        return {**common, "t_lo": _finite(policy.t_lo), "t_hi": policy.t_hi}
    if isinstance(policy, ConformalPolicy):
        banded = policy.band_low < policy.band_high
        return {
            **common,
            "none_below": _finite(policy.none_below),
            "roadwork_from": _finite(policy.roadwork_from),
            "band": [policy.band_low, policy.band_high] if banded else None,
        }
    statistics = policy.statistics
    return {
        **common,
        "tau": _finite(policy.tau),
        "decision": policy.decision,
        "centre": policy.centre,
        "scale": policy.scale,
        "weights": policy.weights,
        "intercept": policy.intercept,
        "feature_mean": None if statistics is None else statistics.mean.tolist(),
        "feature_std": None if statistics is None else statistics.std.tolist(),
    }


def policy_from_json(value: Any) -> AnyPolicy:
    """Read the JSON form, and derive its certificate again from its counts.

    Raises:
        BundleError: It is no policy (names the key), or its certificate does not hold.
    """
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in _FORMS:
        hint = nearest(str(kind), _FORMS)
        raise BundleError(f"The policy's 'kind' is {kind!r}, which is not known here.{hint}")
    try:
        form = read_record(_FORMS[kind], value, "policy")
        if form.certificate is not None:
            verify_certificate(form.certificate)
        return form.policy()
    except (ConfigError, DataError) as error:
        raise BundleError(f"The policy is not valid: {error}") from error


def _finite(threshold: float) -> float | None:
    return threshold if math.isfinite(threshold) else None
