"""Checks that every policy makes of itself and of what it is asked. Knows no particular policy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import BundleError, InferenceError
from workzone.policy.certificate import Certificate
from workzone.policy.settings import PolicySettings


def check_promise(
    kind: str, settings: PolicySettings, certificate: Certificate | None, refusal: str | None
) -> None:
    """Check that a policy has either a certificate, of what its settings ask for, or a refusal.

    Raises:
        BundleError: It does not.
    """
    if certificate is None:
        check_rule(kind, bool(refusal), "refusal", "without a certificate it must say why")
        return
    check_rule(kind, refusal is None, "refusal", "it stands beside a certificate")
    asked = [(limit.risk, limit.alpha) for limit in settings.limits]
    claimed = [(claim.risk, claim.alpha) for claim in certificate.claims]
    check_rule(kind, asked == claimed, "certificate.claims", f"it claims {claimed}, the settings ask {asked}")
    same = certificate.delta == settings.delta and certificate.counting == settings.counting
    check_rule(kind, same, "certificate", "its delta or way of counting is not that of the settings")


def check_rule(kind: str, holds: bool, key: str, found: str) -> None:
    """Refuse a policy.

    Raises:
        BundleError: `holds` is false; names the key.
    """
    if not holds:
        raise BundleError(f"A policy of kind '{kind}' is not valid at '{key}': {found}.")


def finite_logits(logits: ArrayLike) -> NDArray[np.float64]:
    """Return logits of any shape as float64.

    Raises:
        InferenceError: One is not finite. That is a broken model, not a doubtful picture.
    """
    values = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise InferenceError(
            f"{bad} of {values.size} logits are not finite: the model or its input is broken. "
            "Nothing was decided."
        )
    return values
