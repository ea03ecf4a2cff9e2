"""Writes a certificate, or the reason why there is none, from the calibration pictures and two thresholds.

Knows what is counted and in which words; whether the thresholds may be promised was tested before
(`workzone.calibration.threshold`), and the finished record is checked by its own counts.
"""

from __future__ import annotations

import math

from workzone.calibration.groups import COUNT_UNIT, one_negative_per_group, one_positive_per_group
from workzone.calibration.plan import groups_needed
from workzone.core.scores import Scores
from workzone.core.types import Label
from workzone.policy.binomial import binomial_cdf, clopper_pearson_upper
from workzone.policy.certificate import (
    EVERYTHING_DEFERRED,
    EVERYTHING_ROADWORK,
    Certificate,
    Coverage,
    FalseAlarms,
    verify_certificate,
)

ESTIMAND = (
    "selective false-negative rate: draw a group that has a positive picture, then one of its positive "
    "pictures uniformly; of those that the policy answers, the share answered 'none'"
)
ASSUMPTION = (
    "new groups are exchangeable with the calibration groups: drawn in the same way from the same places, "
    "cameras and conditions; elsewhere the promise is void until certified there"
)


def build_certificate(
    calib: Scores,
    *,
    split_sha256: str,
    dataset_sha256: str,
    t_lo: float,
    t_hi: float,
    alpha: float,
    delta: float,
    sequence: tuple[float, ...],
    certified_index: int,
) -> Certificate:
    """Return the certificate of thresholds that passed, with what they cost on `calib`.

    Raises:
        BundleError: The thresholds do not hold the promise on `calib`: the caller did not test them.
    """
    logits = calib.logits[one_positive_per_group(calib, split_sha256)]
    misses = int((logits < t_lo).sum())
    n = int((logits >= t_hi).sum()) + misses
    certificate = Certificate(
        kind="pac",
        risk="selective_fnr",
        alpha=alpha,
        delta=delta,
        n=n,
        misses=misses,
        bound=clopper_pearson_upper(misses, n, delta),
        p_value=binomial_cdf(misses, n, alpha),
        n_positive_groups=len(logits),
        n_unknown_left_out=int((calib.labels == Label.UNKNOWN).sum()),
        n_ambiguous_left_out=int(((calib.labels != Label.UNKNOWN) & calib.ambiguous).sum()),
        estimand=ESTIMAND,
        count_unit=COUNT_UNIT,
        assumption=ASSUMPTION,
        sequence=sequence,
        certified_index=certified_index,
        split_sha256=split_sha256,
        dataset_sha256=dataset_sha256,
        false_alarms=_false_alarms(calib, split_sha256, t_hi, delta),
        coverage=_coverage(calib, t_lo, t_hi),
        everything_roadwork=EVERYTHING_ROADWORK,
        everything_deferred=EVERYTHING_DEFERRED,
    )
    verify_certificate(certificate)
    return certificate


def refuse_certificate(called: int, misses: int, positives: int, alpha: float, delta: float) -> str:
    """Return why nothing can be certified, and how many more answered positive groups it takes.

    Args:
        called: Positive groups that are answered road work.
        misses: Positive groups that even the safest lower threshold of the grid misses.
        positives: All positive groups.
        alpha: Largest risk, in (0, 1).
        delta: Probability that the promise is wrong, in (0, 1).
    """
    answered = called + misses
    needed = groups_needed(misses, alpha, delta)
    more = needed - answered
    text = (
        f"Cannot certify a selective false-negative rate of at most {alpha:g} with confidence "
        f"{1 - delta:g}: {answered} of {positives} positive calibration groups are answered ({misses} of "
        "them missed) at the safest threshold; "
        f"with {misses} missed at least {needed} are needed: {more} more."
    )
    if 0 < answered < positives:
        to_label = math.ceil(more * positives / answered)
        text += f" At the present rate of answers that is about {to_label} more to label."
    return f"{text} Until then the policy never answers 'none'."


def _false_alarms(calib: Scores, split_sha256: str, t_hi: float, delta: float) -> FalseAlarms:
    logits = calib.logits[one_negative_per_group(calib, split_sha256)]
    n, count = len(logits), int((logits >= t_hi).sum())
    return FalseAlarms(count, n, count / n if n else None, clopper_pearson_upper(count, n, delta))


def _coverage(calib: Scores, t_lo: float, t_hi: float) -> Coverage:
    decided = calib.decided()
    answered = (decided.logits >= t_hi) | (decided.logits < t_lo)
    positive = decided.labels == Label.ROADWORK
    return Coverage(
        positives=int(positive.sum()),
        positives_answered=int((positive & answered).sum()),
        negatives=int((~positive).sum()),
        negatives_answered=int((~positive & answered).sum()),
    )
