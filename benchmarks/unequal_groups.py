"""A population of unlike groups: 1, 2 or 16 frames, both classes inside a group, the small ones harder.

In groups of one class and one size it does not matter whether groups or pictures weigh the same, nor what a
group's share is divided by; here it does. Long groups are easy, and positives are harder where they are rare,
so whoever lets every picture weigh the same sees a lower risk than the promise is about: draw a group that has
a picture of the population, then one of these pictures uniformly.

Given its group's kind, a frame's label and latent are independent, and a score's law depends on kind and label
alone. So the true risk is a mean over the kinds, each weighted by how likely a drawn group *that has a picture
of the population* is of that kind: exact, not estimated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.populations import Sample, latents, of_groups
from benchmarks.shapes import SHAPES
from workzone.policy.risks import RISKS, Population, Risk

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of group.

    Attributes:
        probability: Of a group to be of this kind.
        frames: Pictures in it.
        share: Probability that a picture of it shows road work, in (0, 1).
        shifts: What is added to the scores of class 0 and class 1.
    """

    probability: float
    frames: int
    share: float
    shifts: tuple[float, float]


KINDS = tuple(
    Kind(0.5 * probability, frames, share, (negative, positive + rarer))
    for probability, frames, negative, positive in (
        (0.4, 1, 0.2, -0.6),
        (0.3, 2, 0.0, -0.2),
        (0.3, 16, -0.2, 0.8),
    )
    for share, rarer in ((0.2, -0.5), (0.8, 0.2))
)


@dataclass(frozen=True, slots=True)
class UnequalGroups:
    """The population; `correlation` is that of two latents of a group, in [0, 1]."""

    correlation: float = 0.5

    @property
    def words(self) -> str:
        """The population in words."""
        return f"unequal mixed groups, ρ = {self.correlation:g}"

    @property
    def group_shares(self) -> dict[Population, float]:
        """Share of groups that have a picture of each population."""
        return {population: float(_weights(population).sum()) for population in Population}

    def draw(self, generator: np.random.Generator, n_groups: int) -> Sample:
        """Return the pictures of so many groups, one group after another."""
        kinds = generator.choice(len(KINDS), size=n_groups, p=[kind.probability for kind in KINDS])
        frames = np.array([kind.frames for kind in KINDS])[kinds]
        most = int(frames.max())
        kept = (np.arange(most) < frames[:, None]).ravel()  # drawn for the largest, cut to size
        latent = latents(generator, n_groups, most, self.correlation)[kept]
        groups = np.repeat(np.arange(n_groups, dtype=np.intp), frames)
        kind_of = kinds[groups]
        share = np.array([kind.share for kind in KINDS])[kind_of]
        labels = (generator.random(len(groups)) < share).astype(np.int8)
        shift = np.array([kind.shifts for kind in KINDS])[kind_of, labels]
        scores = SHAPES["normal"].scores
        logits = np.where(labels == 1, scores(latent, 1), scores(latent, 0)) + shift
        return Sample(logits, np.zeros((len(labels), 0), np.float32), of_groups(labels, groups, n_groups))

    def risk(self, risk: Risk, t_lo: F64, t_hi: F64) -> F64:
        """Return the exact risk of "none below t_lo, road work from t_hi on, else deferred", [J]; 0 for 0/0."""
        population = RISKS[risk].population
        misses, called_right, alarms, right_none = (
            _mean_over_kinds(population, label, t_lo, t_hi, none=none)
            for label, none in ((1, True), (1, False), (0, False), (0, True))
        )
        events, counted = {
            Risk.SELECTIVE_FNR: (misses, misses + called_right),
            Risk.COMMITTED_MISS_RATE: (misses, np.ones_like(misses)),
            Risk.FALSE_OMISSION_RATE: (misses, misses + right_none),
            Risk.FALSE_ALARM_RATE: (alarms, np.ones_like(alarms)),
            Risk.FALSE_DISCOVERY_RATE: (alarms, alarms + called_right),
        }[risk]
        result: F64 = np.divide(events, counted, out=np.zeros_like(counted), where=counted != 0)
        return result

    def coverage(self, t_lo: F64, t_hi: F64) -> F64:
        """Return the probability that the picture of a drawn group is answered, [J]."""
        parts = [
            _mean_over_kinds(Population.ALL, label, t_lo, t_hi, none=none)
            for label in (0, 1)
            for none in (True, False)
        ]
        total: F64 = np.sum(parts, axis=0)
        return total


def _weights(population: Population) -> F64:
    """Return P(a group is of this kind and has a picture of the population), [kinds]."""
    table: F64 = np.array([(kind.probability, kind.frames, kind.share) for kind in KINDS]).T
    probability, frames, share = table
    if population is Population.ALL:
        return np.asarray(probability, dtype=np.float64)
    absent = (1.0 - share if population is Population.POSITIVES else share) ** frames
    weights: F64 = probability * (1.0 - absent)
    return weights


def _mean_over_kinds(population: Population, label: int, t_lo: F64, t_hi: F64, *, none: bool) -> F64:
    """Return P(the drawn picture has this label and is answered "none", or "road work"), [J]."""
    below = SHAPES["normal"].below
    weights = _weights(population)
    total = np.zeros_like(t_lo)
    for kind, weight in zip(KINDS, weights / weights.sum(), strict=True):
        of_label = {
            Population.POSITIVES: float(label == 1),
            Population.NEGATIVES: float(label == 0),
            Population.ALL: kind.share if label == 1 else 1.0 - kind.share,
        }[population]
        shift = kind.shifts[label]
        answered = below(t_lo - shift, label) if none else 1.0 - below(t_hi - shift, label)
        total += weight * of_label * answered
    return total
