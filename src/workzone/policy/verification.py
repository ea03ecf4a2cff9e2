"""Derives a certificate again from its own counts. Needs no data and no SciPy.

This shows that the promise follows from the counts in it, not that the counts are those of any data; that is
`workzone bundle verify --certificate DATASET`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from workzone.core.errors import BundleError, ConfigError
from workzone.policy.betting import Outcome, betting_p_value, betting_upper
from workzone.policy.binomial import binomial_cdf, clopper_pearson_upper
from workzone.policy.certificate import (
    ASSUMPTION,
    COUNT_UNITS,
    EVERYTHING_DEFERRED,
    EVERYTHING_ROADWORK,
    Certificate,
    Claim,
    NoiseRow,
    share,
)
from workzone.policy.risks import RISKS
from workzone.policy.settings import Counting

NOISE_ROWS = (0, 1, 2, 3, 5, 10)
"""How many wrong labels a certificate speaks of."""
_TOLERANCE = 1e-6
"""Relative; other machines' logarithms differ by 1e-10 at most."""


def claim_bound(claim: Claim, kind: str, delta: float) -> float:
    """Return the bound that follows from a claim's counts."""
    if kind == "average":
        return (_mean_total(claim) + 1.0) / (claim.n_groups + 1.0)
    if claim.outcomes:
        return betting_upper(claim.outcomes, delta, claim.stake or 0.0)
    return clopper_pearson_upper(claim.events, claim.n, delta)


def claim_p_value(claim: Claim, kind: str) -> float | None:
    """Return the p-value of "the risk is above alpha" that follows from the counts; None for averages."""
    if kind == "average":
        return None
    if claim.outcomes:
        return betting_p_value(claim.outcomes, claim.alpha, claim.stake or 0.0)
    return binomial_cdf(claim.events, claim.n, claim.alpha)


def claim_rate(claim: Claim) -> float:
    """Return the estimated risk that follows from the counts."""
    if claim.outcomes:
        counted = sum(c / p * g for p, c, _, g in claim.outcomes)
        return _mean_total(claim) / counted if counted else 0.0
    return claim.events / claim.n if claim.n else 0.0


def noise_row(claim: Claim, kind: str, delta: float, wrong_labels: int) -> NoiseRow:
    """Return what is left of the claim if so many calibration labels were wrong, each in the worst way.

    The worst that a wrong label can hide is one event among the pictures that count (an overlooked miss): the
    bound is that of `events + wrong_labels` events in `n`. Where all frames count, a group that was wholly
    right becomes one that is wholly wrong.
    """
    if claim.outcomes:
        worse = replace(claim, outcomes=_worsened(claim.outcomes, wrong_labels))
    else:
        worse = replace(claim, events=min(claim.n, claim.events + wrong_labels))
    bound = min(1.0, claim_bound(worse, kind, delta))
    return NoiseRow(wrong_labels, bound, bound <= claim.alpha * (1 + _TOLERANCE))


def verify_certificate(certificate: Certificate) -> None:
    """Derive every number again from the counts.

    Raises:
        BundleError: A count or rate is out of range, a number does not follow from the counts, or a bound is
            above its limit.
    """
    _check(0.0 < certificate.delta < 1.0, "delta", f"{certificate.delta} is not in (0, 1)")
    risks = [claim.risk for claim in certificate.claims]
    _check(1 <= len(risks) <= 2 and len(set(risks)) == len(risks), "claims", "not one risk, or two different")
    _check(certificate.assumption == ASSUMPTION, "assumption", "it is not the assumption of any certificate")
    words = COUNT_UNITS[certificate.counting]
    _check(certificate.count_unit == words, "count_unit", f"it is not that of '{certificate.counting}'")
    _check_coverage(certificate)
    _check_walk(certificate)
    for number, claim in enumerate(certificate.claims):
        try:
            _check_claim(certificate, claim, f"claims.{number}")
        except ConfigError as error:
            raise _changed(f"claims.{number}", str(error)) from error
    alarms = certificate.false_alarms
    _check_derived("false_alarms.rate", alarms.rate, share(alarms.count, alarms.n))
    bound = clopper_pearson_upper(alarms.count, alarms.n, certificate.delta)
    _check_derived("false_alarms.bound", alarms.bound, bound)
    for key, trivial in (
        ("everything_roadwork", EVERYTHING_ROADWORK),
        ("everything_deferred", EVERYTHING_DEFERRED),
    ):
        _check(getattr(certificate, key) == trivial, key, "it is not that policy's")


def _check_claim(certificate: Certificate, claim: Claim, key: str) -> None:
    kind, delta = certificate.kind, certificate.delta
    _check(0.0 < claim.alpha < 1.0, f"{key}.alpha", f"{claim.alpha} is not in (0, 1)")
    _check(claim.n >= 1, f"{key}.n", "nothing counts")
    _check(
        0 <= claim.events <= claim.n <= claim.n_groups, f"{key}.n", "events, n and groups are not in order"
    )
    definition = RISKS[claim.risk]
    _check(claim.estimand == definition.estimand, f"{key}.estimand", "it is not that risk's")
    if definition.fixed_denominator:
        _check(claim.n == claim.n_groups, f"{key}.n", "a picture of the population does not count")
    if certificate.counting is Counting.ALL_FRAMES:
        _check_outcomes(claim, key)
    else:
        _check(not claim.outcomes, f"{key}.outcomes", "one picture a group has no outcomes of groups")
    _check((kind == "pac" and bool(claim.outcomes)) == (claim.stake is not None), f"{key}.stake", "misplaced")
    if claim.stake is not None:
        _check(0.0 < claim.stake < 1.0, f"{key}.stake", f"{claim.stake} is not in (0, 1)")
    _check_derived(f"{key}.rate", claim.rate, claim_rate(claim))
    _check_derived(f"{key}.bound", claim.bound, claim_bound(claim, kind, delta))
    _check_derived(f"{key}.p_value", claim.p_value, claim_p_value(claim, kind))
    _check_exceedance(claim, kind, key)
    _check_restated(claim, kind, delta, f"{key}.ambiguous_as_positives")
    above = claim.bound > claim.alpha * (1 + _TOLERANCE)
    _check(not above, f"{key}.bound", f"{claim.bound} is above alpha = {claim.alpha}")
    if claim.p_value is not None:
        _check(claim.p_value <= delta * (1 + _TOLERANCE), f"{key}.p_value", f"it is above delta = {delta}")
    rows = tuple(noise_row(claim, kind, delta, m) for m in NOISE_ROWS)
    _check(len(rows) == len(claim.label_noise), f"{key}.label_noise", "rows are missing")
    for row, stated in zip(rows, claim.label_noise, strict=True):
        # whether the walk would still reach the rule takes the data; that it holds takes at least the bound
        same = row.wrong_labels == stated.wrong_labels and (row.holds or not stated.holds)
        _check(same, f"{key}.label_noise", f"row {stated.wrong_labels} does not follow")
        _check_derived(f"{key}.label_noise", stated.bound, row.bound)


def _check_restated(claim: Claim, kind: str, delta: float, key: str) -> None:
    other = claim.ambiguous_as_positives
    if other is None:
        return
    _check(0 <= other.events <= other.n, key, f"{other.events} of {other.n} are no counts")
    _check(not other.holds or other.bound <= claim.alpha * (1 + _TOLERANCE), key, "its bound is above alpha")
    if kind == "pac" and not claim.outcomes:
        _check_derived(key, other.bound, clopper_pearson_upper(other.events, other.n, delta))


def _check_exceedance(claim: Claim, kind: str, key: str) -> None:
    _check((kind == "average") == (claim.exceedance is not None), f"{key}.exceedance", "misplaced")
    if claim.exceedance is None:
        return
    if claim.outcomes:
        _check(0.0 <= claim.exceedance <= 1.0, f"{key}.exceedance", "it is not a probability")
    else:
        derived = binomial_cdf(claim.events, claim.n, claim.alpha)
        _check_derived(f"{key}.exceedance", claim.exceedance, derived)


def _check_outcomes(claim: Claim, key: str) -> None:
    groups = sum(g for _, _, _, g in claim.outcomes)
    counted = sum(g for _, c, _, g in claim.outcomes if c)
    with_event = sum(g for _, _, e, g in claim.outcomes if e)
    _check(groups == claim.n_groups, f"{key}.outcomes", f"they are of {groups} groups, not {claim.n_groups}")
    _check((counted, with_event) == (claim.n, claim.events), f"{key}.outcomes", "they are not those counts'")


def _check_coverage(certificate: Certificate) -> None:
    alarms, coverage = certificate.false_alarms, certificate.coverage
    for key, part, whole in (
        ("false_alarms.count", alarms.count, alarms.n),
        ("false_alarms.n", alarms.n, coverage.negatives),
        ("coverage.positives_answered", coverage.positives_answered, coverage.positives),
        ("coverage.negatives_answered", coverage.negatives_answered, coverage.negatives),
        ("n_unknown_left_out", 0, certificate.n_unknown_left_out),
        ("n_ambiguous_left_out", 0, certificate.n_ambiguous_left_out),
    ):
        _check(0 <= part <= whole, key, f"{part} is not in 0..{whole}")


def _check_walk(certificate: Certificate) -> None:
    walk = certificate.walk
    if walk is None:
        return
    sequence = walk.sequence
    steps = {a < b for a, b in pairwise(sequence)}
    ordered = (
        all(math.isfinite(t) for t in sequence) and len(steps) <= 1 and len(set(sequence)) == len(sequence)
    )
    _check(ordered, "walk.sequence", "its values are not strictly in order")
    inside = 0 <= walk.start <= walk.chosen <= walk.passed < len(sequence)
    _check(inside, "walk", "start, chosen and passed are not in this order within the sequence")


def _mean_total(claim: Claim) -> float:
    """Return the sum over groups of their share of events."""
    if claim.outcomes:
        return sum(e / p * g for p, _, e, g in claim.outcomes)
    return float(claim.events)


def _worsened(outcomes: Sequence[Outcome], wrong: int) -> tuple[Outcome, ...]:
    """Turn the `wrong` groups of the least harm so far into groups that are wholly events."""
    left, changed = wrong, []
    for p, c, e, g in sorted(outcomes, key=lambda o: (o[2] / o[0], -o[1] / o[0])):
        taken = min(left, g)
        left -= taken
        if taken:
            changed.append((p, p, p, taken))
        if g > taken:
            changed.append((p, c, e, g - taken))
    return tuple(changed)


def _check_derived(key: str, stated: float | None, derived: float | None) -> None:
    if stated is None or derived is None:
        same = stated is derived
    else:
        same = math.isclose(stated, derived, rel_tol=_TOLERANCE, abs_tol=1e-300)
    _check(same, key, f"it says {stated}, its counts give {derived}")


def _check(holds: bool, key: str, found: str) -> None:
    if not holds:
        raise _changed(key, found)


def _changed(key: str, found: str) -> BundleError:
    return BundleError(
        f"The certificate does not hold at '{key}': {found}. It was changed after it was made; certify again."
    )
