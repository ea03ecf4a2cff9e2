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
from itertools import pairwise

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


@dataclass(frozen=True, slots=True)
class Reach:
    """How many of the pictures that a cascade was certified on each stage is asked, while all stages answer.

    By what is known of them, because calibration data hold far more road work than a street does.

    Raises:
        BundleError: A later stage is asked more than an earlier, or the counts are of different stages.
    """

    roadwork: tuple[int, ...]
    none: tuple[int, ...]
    undecided: tuple[int, ...]
    """Pictures of unknown label, and ambiguous ones."""

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        every = (self.roadwork, self.none, self.undecided)
        check_rule(
            "cascade", len({len(counts) for counts in every}) == 1, "reach", "it is of different stages"
        )
        for counts in every:
            falling = all(a >= b for a, b in pairwise((*counts, 0)))
            check_rule("cascade", falling, "reach", f"{list(counts)} pictures do not reach stage after stage")

    @property
    def asked(self) -> tuple[int, ...]:
        """How many pictures of all kinds each stage is asked."""
        return tuple(map(sum, zip(self.roadwork, self.none, self.undecided, strict=True)))


def check_reach(reach: Reach, paths: Sequence[CascadePath], n_pictures: int) -> None:
    """Check that the counts are of these paths and pictures, as far as the certificates' own counts tell.

    Raises:
        BundleError: They are not.
    """
    fits = len(reach.asked) == len(paths) and reach.asked[:1] == (n_pictures,)
    check_rule("cascade", fits, "reach", f"it is not of {len(paths)} stages and {n_pictures} pictures")
    for path in paths:
        if path.certificate is None:
            continue
        said = path.certificate.coverage
        left = (reach.roadwork, reach.none) if path.n_stages < len(paths) else None
        fits = (said.positives, said.negatives) == (reach.roadwork[0], reach.none[0]) and (
            left is None
            or (said.positives - said.positives_answered, said.negatives - said.negatives_answered)
            == (left[0][path.n_stages], left[1][path.n_stages])
        )
        check_rule("cascade", fits, "reach", f"it does not follow from what path {path.n_stages} answers")


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


def count_reach(stage_codes: Sequence[ArrayLike], labels: ArrayLike, ambiguous: ArrayLike) -> Reach:
    """Count which pictures reach each stage while all stages answer.

    Args:
        stage_codes: As for `compose_codes`.
        labels: int8 [N], 1 road work, 0 none, -1 unknown.
        ambiguous: bool [N].

    Raises:
        DataError: As `compose_codes`; or there is no picture, or there are labels of other pictures.
    """
    stacked = _checked(stage_codes)
    known, unclear = np.asarray(labels), np.asarray(ambiguous, dtype=np.bool_)
    n = stacked.shape[1]
    if not n or known.shape != (n,) or unclear.shape != (n,):
        raise DataError(
            f"Which pictures reach a stage takes pictures, each with its label; got {n} with {known.size} labels."
        )
    deferred = np.cumprod(stacked == CODES[Verdict.DEFER], axis=0, dtype=np.int8).astype(np.bool_)
    asked = np.concatenate([np.ones((1, n), dtype=np.bool_), deferred[:-1]])
    kinds = ((known == 1) & ~unclear, (known == 0) & ~unclear, (known < 0) | unclear)
    roadwork, none, undecided = (tuple(int(c) for c in (asked & kind).sum(axis=1)) for kind in kinds)
    return Reach(roadwork=roadwork, none=none, undecided=undecided)


def expected_price(asked: Sequence[int], prices: Sequence[float]) -> float:
    """Return what a picture costs on average: each stage's price times the share of pictures that reach it.

    Args:
        asked: How many pictures reach each stage; the first is all of them, at least 1.
        prices: Of asking each stage about one picture, in one unit.

    Raises:
        DataError: There is no picture.
        ConfigError: A price is missing, negative or not finite.
    """
    if not asked or asked[0] < 1:
        raise DataError("What a picture costs on average needs pictures, got none.")
    if len(prices) != len(asked) or not all(np.isfinite(price) and price >= 0 for price in prices):
        raise ConfigError(
            f"{len(asked)} stages need as many finite prices of at least 0, got {list(prices)}."
        )
    return sum(count * price for count, price in zip(asked, prices, strict=True)) / asked[0]


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
