"""Which pictures a person should look at: the worst mistakes and the deferred ones.

Of a group only its worst picture is named, so that one sequence does not fill the page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.core.scores import Scores
from workzone.core.types import Label, Verdict
from workzone.policy.calibrators import Calibrator
from workzone.policy.policies import AnyPolicy
from workzone.policy.verdicts import CODES


@dataclass(frozen=True, slots=True)
class NotablePicture:
    """One picture and what was said of it."""

    sample_id: str
    group: str
    roadwork: bool
    """Its label."""
    probability: float
    logit: float
    verdict: Verdict

    @property
    def caption(self) -> str:
        """What stands below its thumbnail."""
        label = "road work" if self.roadwork else "none"
        return f"Labelled {label}; probability {self.probability:.3f}; group {self.group}"


@dataclass(frozen=True, slots=True)
class NotablePictures:
    """The worst first."""

    missed: tuple[NotablePicture, ...]
    """Road work that was answered "none", the surest first."""
    false_alarms: tuple[NotablePicture, ...]
    """Pictures without that were answered "road work", the surest first."""
    deferred: tuple[NotablePicture, ...]
    """Neither; those with road work first, then by falling logit."""


def notable_pictures(
    scores: Scores, calibrator: Calibrator, policy: AnyPolicy, limit: int = 12
) -> NotablePictures:
    """Return at most `limit` pictures of each kind among the decided ones, one a group."""
    decided = scores.decided()
    codes = policy.decide(decided.logits, decided.features)
    probs = calibrator.apply(decided.logits)
    positive = decided.labels == Label.ROADWORK

    def pick(
        mask: NDArray[np.bool_], rank: NDArray[np.float64], verdict: Verdict
    ) -> tuple[NotablePicture, ...]:
        rows = np.flatnonzero(mask)
        rows = rows[np.lexsort((decided.ids[rows], rank[rows]))]
        _, first = np.unique(decided.groups[rows], return_index=True)
        return tuple(
            NotablePicture(
                sample_id=str(decided.ids[row]),
                group=str(decided.groups[row]),
                roadwork=bool(positive[row]),
                probability=float(probs[row]),
                logit=float(decided.logits[row]),
                verdict=verdict,
            )
            for row in rows[np.sort(first)][:limit]
        )

    none, roadwork, defer = (codes == CODES[v] for v in (Verdict.NONE, Verdict.ROADWORK, Verdict.DEFER))
    span = float(np.ptp(decided.logits)) + 1 if len(codes) else 1.0
    return NotablePictures(
        missed=pick(none & positive, decided.logits, Verdict.NONE),
        false_alarms=pick(roadwork & ~positive, -decided.logits, Verdict.ROADWORK),
        deferred=pick(defer, -decided.logits - np.where(positive, span, 0.0), Verdict.DEFER),
    )
