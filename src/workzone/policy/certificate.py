"""What a policy promises, and the counts from which anyone can derive the promise again.

Knows how to check a certificate, not how to earn one (`workzone.calibration.threshold`). A reader may ask why
bound and p-value are stored when they are re-derived: so that a changed count is noticed, not just believed.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

from workzone.core.errors import BundleError
from workzone.policy.binomial import binomial_cdf, clopper_pearson_upper
from workzone.policy.strict_json import STRICT, read_record

_TOLERANCE = 1e-6
"""Relative; other machines' logarithms differ by 1e-10 at most."""


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """Negatives that are called road work: one negative picture per calibration group, chosen by hash."""

    count: int
    """Calls of road work."""
    n: int
    """Groups with a negative picture."""
    rate: float | None
    """count / n; None without any negative."""
    bound: float
    """Upper Clopper–Pearson bound at confidence 1 - delta, on its own; 1 without any negative."""

    __pydantic_config__ = STRICT


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of the decided calibration pictures (not groups) are answered, by class."""

    positives: int
    positives_answered: int
    negatives: int
    negatives_answered: int

    __pydantic_config__ = STRICT

    @property
    def overall(self) -> float | None:
        """Answered share of all pictures; None without any."""
        return _share(self.positives_answered + self.negatives_answered, self.positives + self.negatives)

    @property
    def positive(self) -> float | None:
        """Answered share of the pictures with road work; None without any."""
        return _share(self.positives_answered, self.positives)

    @property
    def negative(self) -> float | None:
        """Answered share of the pictures without road work; None without any."""
        return _share(self.negatives_answered, self.negatives)


@dataclass(frozen=True, slots=True)
class TrivialPolicy:
    """What a policy that looks at nothing gives, to be read beside the certificate."""

    selective_fnr: float | None
    """None: it answers no positive."""
    false_alarm_rate: float
    coverage: float

    __pydantic_config__ = STRICT


EVERYTHING_ROADWORK = TrivialPolicy(selective_fnr=0.0, false_alarm_rate=1.0, coverage=1.0)
EVERYTHING_DEFERRED = TrivialPolicy(selective_fnr=None, false_alarm_rate=0.0, coverage=0.0)


@dataclass(frozen=True, slots=True)
class Certificate:
    """With confidence 1 - delta over the draw of calibration groups, the risk is at most alpha.

    The risk is the selective false-negative rate: of the answered positives, the share answered "none".
    """

    kind: Literal["pac"]
    risk: Literal["selective_fnr"]
    alpha: float
    """Largest risk, in (0, 1)."""
    delta: float
    """Probability that the statement is wrong, in (0, 1)."""
    n: int
    """Answered positive groups."""
    misses: int
    """Of those, answered "none"."""
    bound: float
    """Upper Clopper–Pearson bound of the risk at confidence 1 - delta."""
    p_value: float
    """P(Bin(n, alpha) <= misses), at most delta."""
    n_positive_groups: int
    """Groups with a decided positive picture, answered or deferred."""
    n_unknown_left_out: int
    """Calibration pictures left out because their label is unknown."""
    n_ambiguous_left_out: int
    """Calibration pictures left out because their known label is ambiguous."""
    estimand: str
    count_unit: str
    assumption: str
    sequence: tuple[float, ...]
    """The lower thresholds that could be tested, from the safe end, fixed before `calib` was seen."""
    certified_index: int
    """Which of them is the last that passed."""
    split_sha256: str
    dataset_sha256: str
    false_alarms: FalseAlarms
    coverage: Coverage
    everything_roadwork: TrivialPolicy
    everything_deferred: TrivialPolicy

    __pydantic_config__ = STRICT

    @property
    def statement(self) -> str:
        """The promise in one sentence."""
        return (
            f"With confidence {1 - self.delta:g} over the draw of the calibration groups, of the road-work "
            f"pictures that the policy answers at most {self.alpha:g} are answered 'none' "
            f"({self.misses} of {self.n} answered positive groups were; upper bound {self.bound:.4f})."
        )


def certificate_to_json(certificate: Certificate) -> dict[str, Any]:
    """Return the JSON form, all numbers exact."""
    return {**asdict(certificate), "sequence": list(certificate.sequence)}


def certificate_from_json(value: Any) -> Certificate:
    """Read the JSON form and verify it.

    Raises:
        BundleError: It is no certificate (names the key), or does not follow from its counts.
    """
    certificate = read_record(Certificate, value, "certificate")
    verify_certificate(certificate)
    return certificate


def verify_certificate(certificate: Certificate) -> None:
    """Derive bound and p-value again from the counts.

    This shows that the promise follows from the counts in it, not that the counts are those of any data.

    Raises:
        BundleError: A count or rate is out of range, a number does not follow from the counts, or the bound
            is above alpha.
    """
    for key in ("alpha", "delta"):
        rate = getattr(certificate, key)
        _check(0.0 < rate < 1.0, key, f"{rate} is not in (0, 1)")
    _check_counts(certificate)
    _check_sequence(certificate)
    n, misses, delta = certificate.n, certificate.misses, certificate.delta
    _check_derived("bound", certificate.bound, clopper_pearson_upper(misses, n, delta))
    _check_derived("p_value", certificate.p_value, binomial_cdf(misses, n, certificate.alpha))
    alarms = certificate.false_alarms
    _check_derived("false_alarms.rate", alarms.rate, _share(alarms.count, alarms.n))
    _check_derived("false_alarms.bound", alarms.bound, clopper_pearson_upper(alarms.count, alarms.n, delta))
    above = certificate.bound > certificate.alpha * (1 + _TOLERANCE)
    _check(not above, "bound", f"{certificate.bound} is above alpha = {certificate.alpha}")
    _check(
        certificate.everything_roadwork == EVERYTHING_ROADWORK,
        "everything_roadwork",
        "it is not that policy's",
    )
    _check(
        certificate.everything_deferred == EVERYTHING_DEFERRED,
        "everything_deferred",
        "it is not that policy's",
    )


def _check_counts(certificate: Certificate) -> None:
    alarms, coverage = certificate.false_alarms, certificate.coverage
    for key, part, whole in (
        ("misses", certificate.misses, certificate.n),
        ("n", certificate.n, certificate.n_positive_groups),
        ("n_positive_groups", certificate.n_positive_groups, coverage.positives),
        ("false_alarms.count", alarms.count, alarms.n),
        ("false_alarms.n", alarms.n, coverage.negatives),
        ("coverage.positives_answered", coverage.positives_answered, coverage.positives),
        ("coverage.negatives_answered", coverage.negatives_answered, coverage.negatives),
        ("n_unknown_left_out", 0, certificate.n_unknown_left_out),
        ("n_ambiguous_left_out", 0, certificate.n_ambiguous_left_out),
    ):
        _check(0 <= part <= whole, key, f"{part} is not in 0..{whole}")
    _check(certificate.n >= 1, "n", "no positive group is answered")


def _check_sequence(certificate: Certificate) -> None:
    sequence, index = certificate.sequence, certificate.certified_index
    rising = all(math.isfinite(t) for t in sequence) and all(a < b for a, b in pairwise(sequence))
    _check(rising, "sequence", "its thresholds do not rise from the safe end")
    _check(0 <= index < len(sequence), "certified_index", f"{index} is not in 0..{len(sequence) - 1}")


def _check_derived(key: str, stated: float | None, derived: float | None) -> None:
    if stated is None or derived is None:
        same = stated is derived
    else:
        same = math.isclose(stated, derived, rel_tol=_TOLERANCE, abs_tol=1e-300)
    _check(same, key, f"it says {stated}, its counts give {derived}")


def _check(holds: bool, key: str, found: str) -> None:
    if not holds:
        raise BundleError(
            f"The certificate does not hold at '{key}': {found}. It was changed after it was made; "
            "certify again."
        )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
