"""How the verdicts of stages make the verdict of a cascade, and what is promised of each path through it.

A path is the first few stages of a cascade: all of them when everything is up, fewer while a later one is out.
On a path each stage is asked only where the one before deferred, and where the last one defers, or the next
is out, the cascade defers. Knows verdict codes and certificates; does not run a stage or fit anything.

The decision a reader would question: the certificates of the stages are of no use here. A later stage was
certified on all pictures and is asked only the ones that were too hard for the earlier, where it may miss many
times as much. So each path has a certificate of its own, or may only defer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Verdict
from workzone.policy.certificate import Certificate
from workzone.policy.strict_json import STRICT
from workzone.policy.validity import check_rule
from workzone.policy.verdicts import CODES

Codes = NDArray[np.int8]

PATH_ASSUMPTION = (
    "whether a later stage answers in time does not depend on the picture: a stage that fails on some kinds of "
    "pictures only makes a path that was not certified"
)
"""Beside the certificate's own. A limit of a risk whose denominator is fixed does without it: there a deferral
can only take errors away."""


@dataclass(frozen=True, slots=True)
class CascadePath:
    """The first `n_stages` stages of a cascade, with the certificate of what they answer together.

    Raises:
        BundleError: It has both a certificate and a refusal, or neither; or is of no stages.
    """

    n_stages: int
    certificate: Certificate | None
    refusal: str | None
    """Why there is no certificate; such a path defers every picture."""

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        check_rule("cascade", self.n_stages >= 1, "n_stages", "a path has at least one stage")
        either = (self.certificate is None) == bool(self.refusal)
        check_rule("cascade", either, "refusal", "a path has either a certificate or a reason for none")
        kind = self.certificate.kind if self.certificate else "pac"
        check_rule("cascade", kind == "pac", "certificate.kind", f"'{kind}' is not certified for cascades")
        walked = self.certificate is not None and self.certificate.walk is not None
        check_rule("cascade", not walked, "certificate.walk", "a cascade has nothing to walk")

    @property
    def certified(self) -> bool:
        """Whether the path carries a certificate."""
        return self.certificate is not None


def check_paths(paths: Sequence[CascadePath]) -> None:
    """Check that there is one path for each number of stages, and that they were certified in their order.

    The order is from all stages to the first alone, each tested at the full delta, and nothing after the first
    that fails: so all certificates of a cascade hold at once with confidence 1 - delta.

    Raises:
        BundleError: They are not; names the key.
    """
    lengths = [path.n_stages for path in paths]
    check_rule("cascade", lengths == list(range(1, len(paths) + 1)), "paths", f"they have {lengths} stages")
    certified = [path.certified for path in paths]
    in_order = certified == sorted(certified)  # False before True: a longer path is certified first
    check_rule("cascade", in_order, "paths", "one is certified whose longer path is not")
    promises = [path.certificate for path in paths if path.certificate is not None]
    what = {
        (
            (c.split_sha256, c.dataset_sha256, c.calibration_sha256, c.delta, c.counting),
            tuple((claim.risk, claim.alpha) for claim in c.claims),
        )
        for c in promises
    }
    check_rule("cascade", len(what) <= 1, "paths", "their certificates promise different things")


def compose_codes(stage_codes: Sequence[ArrayLike]) -> Codes:
    """Return the verdict codes [N] of a path: of the first stage that did not defer; -1 where all did.

    Args:
        stage_codes: Of each stage of the path, the codes [N] that it gives to *all* pictures.

    Raises:
        DataError: There is no stage, the stages are of different numbers of pictures, or a code is none.
    """
    stacked = _checked(stage_codes)
    composed = np.full(stacked.shape[1], CODES[Verdict.DEFER], dtype=np.int8)
    for codes in stacked:
        composed = np.where(composed == CODES[Verdict.DEFER], codes, composed)
    return composed


def asked_shares(stage_codes: Sequence[ArrayLike]) -> tuple[float, ...]:
    """Return the share of pictures that each stage of the path is asked, the first always 1.

    Raises:
        DataError: As `compose_codes`; or there is no picture.
    """
    stacked = _checked(stage_codes)
    if not stacked.shape[1]:
        raise DataError("The share of pictures that a stage is asked needs pictures, got none.")
    deferred = np.cumprod(stacked == CODES[Verdict.DEFER], axis=0)
    return (1.0, *(float(share) for share in deferred[:-1].mean(axis=1)))


def expected_price(stage_codes: Sequence[ArrayLike], prices: Sequence[float]) -> float:
    """Return what a picture costs on average: each stage's price times the share that it is asked.

    Raises:
        DataError: As `asked_shares`.
        ConfigError: A price is missing, negative or not finite.
    """
    shares = asked_shares(stage_codes)
    if len(prices) != len(shares) or not all(np.isfinite(price) and price >= 0 for price in prices):
        raise ConfigError(
            f"{len(shares)} stages need as many finite prices of at least 0, got {list(prices)}."
        )
    return sum(share * price for share, price in zip(shares, prices, strict=True))


def _checked(stage_codes: Sequence[ArrayLike]) -> Codes:
    rows = [np.asarray(codes) for codes in stage_codes]
    if not rows or any(row.ndim != 1 or row.shape != rows[0].shape for row in rows):
        raise DataError(
            f"A path needs the codes [N] of each of its stages on the same pictures, got the shapes "
            f"{[row.shape for row in rows]}."
        )
    stacked = np.stack(rows)
    if not np.isin(stacked, list(CODES.values())).all():
        raise DataError("A verdict code is 1 road work, 0 none or -1 deferred; there are others.")
    return stacked.astype(np.int8)
