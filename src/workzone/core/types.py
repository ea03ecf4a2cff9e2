"""The vocabulary in code: labels, roles of a split, verdicts, and the answer for one picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Label(IntEnum):
    """What is known of a picture."""

    UNKNOWN = -1
    NONE = 0
    ROADWORK = 1


class Role(StrEnum):
    """What a part of a split may be used for."""

    TRAIN = "train"
    """Fit the model."""
    SELECT = "select"
    """Choose models and everything that is not certified."""
    CALIB = "calib"
    """Certify, nothing else."""
    TEST = "test"
    """Report, nothing else."""


class Verdict(StrEnum):
    """The answer to "is there road work here?"."""

    ROADWORK = "roadwork"
    NONE = "none"
    DEFER = "defer"


@dataclass(frozen=True, slots=True, order=True)
class Opening:
    """That part `role` of the split with this hash was opened."""

    split_sha256: str
    role: Role


Lineage = frozenset[Opening]
"""Every (split, role) that something derives from."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one picture."""

    image: str
    """Path or caller's name of the picture."""
    probability: float
    """Calibrated probability of road work, in [0, 1]."""
    verdict: Verdict
    logit: float
    """The model's raw output, on which the policy's thresholds live."""
    latency_ms: float
    """Time from bytes to verdict; for a picture answered in a batch, its share of the batch."""
    certified: bool
    """Whether the policy that gave the verdict carries a certificate."""
    stage: str = "model"
    """Which stage of the cascade answered."""


class Status(StrEnum):
    """The outcome of a check, or the worst of several: in this order."""

    PASS = "PASS"  # noqa: S105 - not a password
    WARN = "WARN"
    FAIL = "FAIL"
