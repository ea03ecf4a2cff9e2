"""Certifies a cascade end to end: of what its stages answer together, on every path that it may take.

The rule of a path has no free parameter here, because every stage's thresholds were fixed before, so each
path takes one exact test. Paths are tested from all stages down to the first alone, each at the full delta,
and none after the first that fails: with a sequence fixed beforehand the chance that *any* certificate is
wrong stays delta (fixed-sequence testing: Maurer, Hothorn & Lehmacher 1995).

The decision a reader would question: the pictures must be new to every stage's *policy* as well, not only to
its model. Thresholds that were walked on these pictures are chosen to look good on them, and what is chosen by
the data has no exact test on it. Whoever writes the cascade to disk checks that (`bundle.cascade`); here only
verdicts are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.calibration.certificate import NOT_YET, certify_policy, refuse_certificate
from workzone.calibration.groups import group_pictures
from workzone.core.errors import ConfigError, DataError
from workzone.core.scores import Scores
from workzone.policy.binomial import binomial_cdf
from workzone.policy.cascade import CascadePath, check_paths, compose_codes
from workzone.policy.certificate import Certificate
from workzone.policy.risks import RISKS, Risk
from workzone.policy.settings import Counting, RiskLimit

Codes = NDArray[np.int8]

_INSTEAD = "On this path the cascade defers every picture."


@dataclass(frozen=True, slots=True)
class CascadeSettings:
    """What a cascade is to promise.

    Raises:
        ConfigError: A rate is not in (0, 1), or there are not one risk or two different ones.
    """

    limits: tuple[RiskLimit, ...] = (RiskLimit(Risk.SELECTIVE_FNR, 0.02),)
    delta: float = 0.05
    """Probability that one of the certificates of the cascade is wrong."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.limits) <= 2 or len({limit.risk for limit in self.limits}) != len(self.limits):
            raise ConfigError("A cascade is certified for one risk or two different ones.")
        if not 0.0 < self.delta < 1.0:
            raise ConfigError(f"'delta' is strictly between 0 and 1, got {self.delta}.")

    @property
    def counting(self) -> Counting:
        """One picture stands for its group."""
        return Counting.ONE_PER_GROUP


def certify_cascade(
    settings: CascadeSettings,
    calib: Scores,
    stage_codes: Sequence[ArrayLike],
    *,
    split_sha256: str,
    dataset_sha256: str,
) -> tuple[CascadePath, ...]:
    """Return the path of each number of stages, 1 to K, each with its certificate or the reason for none.

    Args:
        settings: What is to be promised.
        calib: N pictures that no stage's model or policy has learned from, unknown and ambiguous ones among
            them. Its logits and features are not looked at.
        stage_codes: For each of K >= 2 stages the verdict codes [N] that it alone gives to *all* of them: also
            where an earlier stage answers, because a path is fixed before it is known which pictures reach it.
        split_sha256: Hash of the split; it chooses the picture that stands for its group.
        dataset_sha256: Hash of the data set, for the record.

    Raises:
        ConfigError: There are fewer than two stages, or a hash is empty.
        DataError: A stage has codes of other pictures, or a sample occurs twice.
    """
    if len(stage_codes) < 2:
        raise ConfigError(f"A cascade has at least two stages, got {len(stage_codes)}.")
    paths: list[CascadePath] = []
    refused: int | None = None
    for n_stages in range(len(stage_codes), 0, -1):
        composed = compose_codes(stage_codes[:n_stages])
        if len(composed) != len(calib.ids):
            raise DataError(
                f"The stages answered {len(composed)} pictures; there are {len(calib.ids)} to certify on."
            )
        if refused is not None:
            refusal: str | None = (
                f"Not tested: the path of {refused} stages failed before it, and testing on would need a "
                f"smaller delta for all. {_INSTEAD}"
            )
        else:
            refusal = _refusal(settings, calib, composed, split_sha256)
        if refusal is not None:
            refused = refused or n_stages
            paths.append(CascadePath(n_stages, None, refusal))
            continue
        promise = _certificate(settings, calib, composed, split_sha256, dataset_sha256)
        paths.append(CascadePath(n_stages, promise, None))
    rising = tuple(reversed(paths))
    check_paths(rising)
    return rising


@dataclass(frozen=True, slots=True)
class _Composite:
    """A policy whose "logit" is the verdict code that the path gave."""

    settings: CascadeSettings
    certificate: Certificate | None = None
    refusal: str | None = NOT_YET

    def decide(self, logits: ArrayLike, features: NDArray[np.float32] | None = None) -> Codes:
        """Return the codes that the logits are."""
        return np.asarray(logits).astype(np.int8)


def _certificate(
    settings: CascadeSettings, calib: Scores, composed: Codes, split_sha256: str, dataset_sha256: str
) -> Certificate:
    said = replace(calib, logits=composed.astype(np.float64))
    certified = certify_policy(
        _Composite(settings),
        said,
        kind="pac",
        split_sha256=split_sha256,
        dataset_sha256=dataset_sha256,
        walk=None,
        stakes=[None] * len(settings.limits),
    )
    assert certified.certificate is not None
    return certified.certificate


def _refusal(settings: CascadeSettings, calib: Scores, composed: Codes, split_sha256: str) -> str | None:
    """Return why a path cannot be certified; None: every limit passes its exact binomial test."""
    decided = np.flatnonzero((calib.labels >= 0) & ~calib.ambiguous)
    grouped = group_pictures(calib.take(decided), split_sha256)
    codes = composed[decided]
    for limit in settings.limits:
        definition = RISKS[limit.risk]
        rows = grouped.chosen[definition.population]
        n = int(definition.counts(codes[rows]).sum())
        events = int(definition.events(grouped.labels[rows], codes[rows]).sum())
        if n and binomial_cdf(events, n, limit.alpha) <= settings.delta:
            continue
        return refuse_certificate(
            limit,
            settings.delta,
            counting=settings.counting,
            counted=n,
            events=events,
            groups=len(rows),
            instead=_INSTEAD,
        )
    return None
