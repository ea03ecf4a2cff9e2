"""Maps from logit to probability: the table of them, and their JSON. How they are fitted is
`workzone.calibration.calibrators`.

A record says by `strictly_increasing` whether it may be fitted on the pictures that certify. A map that may
tie logits is for display only, or is fitted on `select`; either way thresholds live on the logits, so no
calibrator moves a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import BundleError, nearest
from workzone.policy.pool import MemberCalibrator, PoolCalibrator, log_opinion_pool
from workzone.policy.scaling import (
    BetaCalibrator,
    PlattCalibrator,
    TemperatureCalibrator,
    log_sigmoid,
    sigmoid,
)
from workzone.policy.step_calibrators import MAX_KNOTS, IsotonicCalibrator, VennAbersCalibrator
from workzone.policy.strict_json import STRICT, read_record

__all__ = [
    "CALIBRATORS",
    "MAX_KNOTS",
    "AnyCalibrator",
    "BetaCalibrator",
    "Calibrator",
    "IsotonicCalibrator",
    "MemberCalibrator",
    "PlattCalibrator",
    "PoolCalibrator",
    "TemperatureCalibrator",
    "VennAbersCalibrator",
    "calibrator_from_json",
    "calibrator_kind",
    "calibrator_to_json",
    "log_opinion_pool",
    "log_sigmoid",
    "sigmoid",
]


class Calibrator(Protocol):
    """A fitted map from logits to probabilities of road work."""

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return the probabilities, in [0, 1], of logits of any shape."""


AnyCalibrator = MemberCalibrator | PoolCalibrator
"""A calibrator that a bundle may hold."""

CALIBRATORS: Mapping[str, type[AnyCalibrator]] = MappingProxyType(
    {
        "temperature": TemperatureCalibrator,
        "platt": PlattCalibrator,
        "beta": BetaCalibrator,
        "isotonic": IsotonicCalibrator,
        "venn_abers": VennAbersCalibrator,
        "pool": PoolCalibrator,
    }
)
"""Name in a bundle → record."""


@dataclass(frozen=True, slots=True)
class _PoolDocument:
    """A pool in JSON: its members are read one by one."""

    members: tuple[Any, ...]
    weights: tuple[float, ...]

    __pydantic_config__ = STRICT


def calibrator_kind(calibrator: AnyCalibrator) -> str:
    """Return the name of the calibrator's kind, by which the same kind can be fitted again."""
    return next(name for name, record in CALIBRATORS.items() if type(calibrator) is record)


def calibrator_to_json(calibrator: AnyCalibrator) -> dict[str, Any]:
    """Return the JSON form: the kind and the record's fields, all numbers exact."""
    kind = calibrator_kind(calibrator)
    if isinstance(calibrator, PoolCalibrator):
        members = [calibrator_to_json(member) for member in calibrator.members]
        return {"kind": kind, "members": members, "weights": list(calibrator.weights)}
    fields = asdict(calibrator)
    return {"kind": kind, **{k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}}


def calibrator_from_json(value: Any) -> AnyCalibrator:
    """Read the JSON form.

    Raises:
        BundleError: It is not one; names the key.
    """
    kind, fields = _kind_and_fields(value)
    if kind != "pool":
        return read_record(CALIBRATORS[kind], fields, f"calibrator ({kind})")
    document = read_record(_PoolDocument, fields, "calibrator (pool)")
    members = tuple(_member_from_json(member) for member in document.members)
    return PoolCalibrator(members, document.weights)


def _member_from_json(value: Any) -> MemberCalibrator:
    kind, _ = _kind_and_fields(value)
    if kind == "pool":
        raise BundleError("A pool's 'members' are no pools themselves.")
    member = calibrator_from_json(value)
    assert not isinstance(member, PoolCalibrator)
    return member


def _kind_and_fields(value: Any) -> tuple[str, dict[str, Any]]:
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in CALIBRATORS:
        hint = nearest(str(kind), CALIBRATORS)
        raise BundleError(f"The calibrator's 'kind' is {kind!r}, which is not known here.{hint}")
    return kind, {key: field for key, field in value.items() if key != "kind"}
