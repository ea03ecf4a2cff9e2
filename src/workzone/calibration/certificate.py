"""Writes a certificate, or the reason why there is none, for any policy on the calibration pictures.

Knows what is counted and in which words; whether the rule may be promised was tested before
(`workzone.calibration.walk`, or by conformal order statistics), and the finished record is checked by its own
counts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import Field, replace
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.calibration.groups import Grouped, group_pictures
from workzone.calibration.path import group_counts
from workzone.calibration.plan import betting_groups_needed, groups_needed
from workzone.core.scores import Scores
from workzone.core.types import Label, Verdict
from workzone.policy.betting import outcomes_of
from workzone.policy.binomial import binomial_cdf, clopper_pearson_upper
from workzone.policy.certificate import (
    ASSUMPTION,
    COUNT_UNITS,
    EVERYTHING_DEFERRED,
    EVERYTHING_ROADWORK,
    Certificate,
    Claim,
    Coverage,
    FalseAlarms,
    NoiseRow,
    Restated,
    Walk,
)
from workzone.policy.risks import RISKS, Population, risk_title
from workzone.policy.settings import Counting, RiskLimit
from workzone.policy.verdicts import CODES
from workzone.policy.verification import (
    NOISE_ROWS,
    claim_bound,
    claim_p_value,
    claim_rate,
    noise_row,
    verify_certificate,
)

Codes = NDArray[np.int8]
Kind = Literal["pac", "average"]
Reaches = Callable[[Scores, int], bool]
"""(decided pictures, errors added at every rule) → whether the walk still reaches the rule that was chosen."""

NOT_YET = "It was not certified yet."


class Promised(Protocol):
    """What is to be promised."""

    @property
    def limits(self) -> tuple[RiskLimit, ...]:
        """One risk or two, each with its limit."""

    @property
    def delta(self) -> float:
        """Probability that the promise is wrong, in (0, 1)."""

    @property
    def counting(self) -> Counting:
        """What stands for a group."""


class Certifiable(Protocol):
    """A policy, or a path of several: a dataclass with the fields `certificate` and `refusal`."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def settings(self) -> Promised:
        """What it is to promise."""

    @property
    def certificate(self) -> Certificate | None:
        """What it promises."""

    def decide(self, logits: ArrayLike, features: NDArray[np.float32] | None = None) -> Codes:
        """Return the verdict codes [N]."""


P = TypeVar("P", bound=Certifiable)


def certify_policy(
    policy: P,
    calib: Scores,
    *,
    kind: Kind,
    split_sha256: str,
    dataset_sha256: str,
    walk: Walk | None,
    stakes: Sequence[float | None],
    exceedances: Sequence[float | None] | None = None,
    reaches: Reaches | None = None,
) -> P:
    """Return the policy with the certificate of its rule, and what it costs on `calib`.

    Args:
        policy: The rule that passed, not certified yet.
        calib: All calibration pictures, unknown and ambiguous ones among them.
        kind: Of the promise.
        split_sha256: Hash of the split; it chooses the picture that stands for its group.
        dataset_sha256: Hash of the data set, for the record.
        walk: What was tested before this rule.
        stakes: For each limit, of the betting test; None where one picture stands for a group.
        exceedances: For each limit of an `average`, where it does not follow from the counts.
        reaches: Whether the walk, made again, still reaches this rule; None where nothing was walked.

    Raises:
        BundleError: The rule does not hold the promise on `calib`: the caller did not test it.
    """
    decided = calib.decided()
    grouped = group_pictures(decided, split_sha256)
    codes = policy.decide(decided.logits, decided.features)
    delta, counting = policy.settings.delta, policy.settings.counting
    given = exceedances or [None] * len(policy.settings.limits)
    widened = _with_ambiguous(calib)
    claims = []
    for limit, stake, exceedance in zip(policy.settings.limits, stakes, given, strict=True):
        claim = _claim(limit, grouped, codes, kind, delta, counting, stake, exceedance)
        claim = replace(claim, label_noise=_noise(claim, kind, delta, decided, reaches))
        if widened is not None:
            said = policy.decide(widened.logits, widened.features)
            regrouped = group_pictures(widened, split_sha256)
            other = _claim(limit, regrouped, said, kind, delta, counting, stake, exceedance)
            stands = other.bound <= limit.alpha and (reaches is None or reaches(widened, 0))
            restated = Restated(other.n, other.events, other.bound, stands)
            claim = replace(claim, ambiguous_as_positives=restated)
        claims.append(claim)
    certificate = Certificate(
        kind=kind,
        delta=delta,
        counting=counting,
        count_unit=COUNT_UNITS[counting],
        claims=tuple(claims),
        walk=walk,
        n_unknown_left_out=int((calib.labels == Label.UNKNOWN).sum()),
        n_ambiguous_left_out=int(((calib.labels != Label.UNKNOWN) & calib.ambiguous).sum()),
        assumption=ASSUMPTION,
        split_sha256=split_sha256,
        dataset_sha256=dataset_sha256,
        calibration_sha256=hash_ids(calib.ids),
        false_alarms=_false_alarms(grouped, codes, delta),
        coverage=_coverage(decided, codes),
        everything_roadwork=EVERYTHING_ROADWORK,
        everything_deferred=EVERYTHING_DEFERRED,
    )
    verify_certificate(certificate)
    return replace(policy, certificate=certificate, refusal=None)


def hash_ids(ids: NDArray[np.str_]) -> str:
    """Return the SHA-256 over sorted sample ids, one a line."""
    return hashlib.sha256("\n".join(sorted(ids.tolist())).encode()).hexdigest()


def refuse_certificate(
    limit: RiskLimit,
    delta: float,
    *,
    counting: Counting,
    counted: int,
    events: int,
    groups: int,
    instead: str,
) -> str:
    """Return why nothing can be certified, and how many more groups it takes.

    Args:
        limit: The risk and its limit.
        delta: Probability that the promise is wrong, in (0, 1).
        counting: What stands for a group.
        counted: Groups that count at the rule where the walk began.
        events: Of those, with an event.
        groups: All groups of the risk's population.
        instead: What the policy does without a certificate.
    """
    if counting is Counting.ALL_FRAMES:
        needed = betting_groups_needed(events, limit.alpha, delta)
    else:
        needed = groups_needed(events, limit.alpha, delta)
    more = max(0, needed - counted)
    text = (
        f"Cannot certify a {risk_title(limit.risk)} of at most {limit.alpha:g} with confidence {1 - delta:g}: "
        f"{counted} of {groups} calibration groups count ({events} of them with an error) at the safest "
        f"rule; with {events} errors at least {needed} are needed: {more} more."
    )
    if 0 < counted < groups and more:
        text += f" At the present rate of answers that is about {math.ceil(more * groups / counted)} more to label."
    return f"{text} {instead}"


def _claim(
    limit: RiskLimit,
    grouped: Grouped,
    codes: Codes,
    kind: Kind,
    delta: float,
    counting: Counting,
    stake: float | None,
    exceedance: float | None,
) -> Claim:
    definition = RISKS[limit.risk]
    if counting is Counting.ALL_FRAMES:
        sizes, counts, hits = group_counts(codes, grouped, definition)
        outcomes = outcomes_of(sizes, counts, hits)
        n, events, n_groups = int((counts > 0).sum()), int((hits > 0).sum()), int((sizes > 0).sum())
    else:
        rows, outcomes = grouped.chosen[definition.population], ()
        n, n_groups = int(definition.counts(codes[rows]).sum()), len(rows)
        events = int(definition.events(grouped.labels[rows], codes[rows]).sum())
    if kind == "average" and exceedance is None:
        exceedance = binomial_cdf(events, n, limit.alpha)
    bare = Claim(
        risk=limit.risk,
        alpha=limit.alpha,
        n=n,
        events=events,
        rate=0.0,
        bound=1.0,
        p_value=None,
        exceedance=exceedance,
        stake=stake,
        outcomes=outcomes,
        n_groups=n_groups,
        estimand=definition.estimand,
        label_noise=(),
        ambiguous_as_positives=None,
    )
    return replace(
        bare,
        rate=claim_rate(bare),
        bound=claim_bound(bare, kind, delta),
        p_value=claim_p_value(bare, kind),
    )


def _noise(
    claim: Claim, kind: Kind, delta: float, decided: Scores, reaches: Reaches | None
) -> tuple[NoiseRow, ...]:
    """Return what wrong labels leave: the bound at this rule, and whether the walk would still reach it."""
    rows = (noise_row(claim, kind, delta, m) for m in NOISE_ROWS)
    return tuple(
        replace(row, holds=row.holds and (reaches is None or reaches(decided, row.wrong_labels)))
        for row in rows
    )


def _with_ambiguous(calib: Scores) -> Scores | None:
    """Return decided and ambiguous pictures, the latter as road work; None without an ambiguous one."""
    if not calib.ambiguous.any():
        return None
    kept = calib.take((calib.labels != Label.UNKNOWN) | calib.ambiguous)
    labels = np.where(kept.ambiguous, np.int8(Label.ROADWORK), kept.labels)
    return replace(kept, labels=labels, ambiguous=np.zeros(len(labels), dtype=np.bool_))


def _false_alarms(grouped: Grouped, codes: Codes, delta: float) -> FalseAlarms:
    said = codes[grouped.chosen[Population.NEGATIVES]]
    n, count = len(said), int((said == CODES[Verdict.ROADWORK]).sum())
    return FalseAlarms(count, n, count / n if n else None, clopper_pearson_upper(count, n, delta))


def _coverage(decided: Scores, codes: Codes) -> Coverage:
    answered = codes != CODES[Verdict.DEFER]
    positive = decided.labels == Label.ROADWORK
    return Coverage(
        positives=int(positive.sum()),
        positives_answered=int((positive & answered).sum()),
        negatives=int((~positive).sum()),
        negatives_answered=int((~positive & answered).sum()),
    )
