"""Populations of which everything is known: pictures in groups, their scores, and the true risk of any rule.

A group is road work with probability π; its frames have the label in common and latents that are correlated
(Gaussian copula: a part ρ of the variance belongs to the group). A score is a rising function of the latent,
one for each class, so its law is known in closed form and the risk of a rule that looks at the score is exact,
not estimated. One picture drawn from one group follows that marginal law whatever ρ is; that is the estimand.

Knows no policy. The gate looks at more than the score; its population is `TwoFeatures`, whose risks the caller
takes from a large sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from benchmarks.shapes import SHAPES
from workzone.calibration.groups import Grouped
from workzone.policy.risks import Population, Risk

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Pictures of one draw: logits float64 [N], features float32 [N, D], and who belongs to which group."""

    logits: F64
    features: NDArray[np.float32]
    grouped: Grouped


@dataclass(frozen=True, slots=True)
class Scored:
    """A population of one score.

    Attributes:
        shape: One of `SHAPES`.
        frames: Pictures in a group, at least 1.
        correlation: ρ of two latents of a group, in [0, 1].
        prevalence: π, the share of groups with road work.
    """

    shape: str = "normal"
    frames: int = 1
    correlation: float = 0.0
    prevalence: float = 0.5

    @property
    def words(self) -> str:
        """The population in words."""
        return _in_words(self.shape, self.frames, self.correlation)

    @property
    def group_shares(self) -> dict[Population, float]:
        """Share of groups that have a picture of each population."""
        return _one_class_shares(self.prevalence)

    def draw(self, generator: np.random.Generator, n_groups: int) -> Sample:
        """Return the pictures of so many groups."""
        of_group = (generator.random(n_groups) < self.prevalence).astype(np.int8)
        labels = np.repeat(of_group, self.frames)
        latent = latents(generator, n_groups, self.frames, self.correlation)
        scores = SHAPES[self.shape].scores
        logits = np.where(labels == 1, scores(latent, 1), scores(latent, 0))
        return Sample(logits, np.zeros((len(labels), 0), np.float32), in_groups(labels, self.frames))

    def risk(self, risk: Risk, t_lo: F64, t_hi: F64, band: tuple[float, float] | None = None) -> F64:
        """Return the exact risk of "none below t_lo, road work from t_hi on, deferred between", [J].

        Args:
            risk: Which.
            t_lo: [J].
            t_hi: [J], at least t_lo.
            band: Logits in [low, high) are deferred whatever the thresholds say.
        """
        none = [self._share(label, np.full_like(t_lo, -np.inf), t_lo, band) for label in (0, 1)]
        roadwork = [self._share(label, t_hi, np.full_like(t_hi, np.inf), band) for label in (0, 1)]
        return exact_risk(risk, self.prevalence, none, roadwork)

    def coverage(self, t_lo: F64, t_hi: F64) -> F64:
        """Return the share of pictures that "none below t_lo, road work from t_hi on" answers, [J]."""
        below = SHAPES[self.shape].below
        answered = [1.0 - below(t_hi, label) + below(t_lo, label) for label in (0, 1)]
        share: F64 = (1.0 - self.prevalence) * answered[0] + self.prevalence * answered[1]
        return share

    def _share(self, label: int, low: F64, high: F64, band: tuple[float, float] | None) -> F64:
        """Return P(low <= score < high, outside the band | label)."""
        below = SHAPES[self.shape].below

        def between(a: F64, b: F64) -> F64:
            return np.maximum(0.0, below(b, label) - below(a, label))

        if band is None:
            return between(low, high)
        return between(low, np.minimum(high, band[0])) + between(np.maximum(low, band[1]), high)


@dataclass(frozen=True, slots=True)
class TwoFeatures:
    """A population for the gate: a score, and two features that say how difficult the picture is.

    Half of the spread of the score comes from a difficulty that the features show (with noise); so a gate that
    sees them can defer the difficult ones.
    """

    frames: int = 1
    correlation: float = 0.0
    prevalence: float = 0.5

    @property
    def words(self) -> str:
        """The population in words."""
        return _in_words("two features", self.frames, self.correlation)

    @property
    def group_shares(self) -> dict[Population, float]:
        """Share of groups that have a picture of each population."""
        return _one_class_shares(self.prevalence)

    def draw(self, generator: np.random.Generator, n_groups: int) -> Sample:
        """Return the pictures of so many groups."""
        of_group = (generator.random(n_groups) < self.prevalence).astype(np.int8)
        labels = np.repeat(of_group, self.frames)
        score, difficulty = (latents(generator, n_groups, self.frames, self.correlation) for _ in range(2))
        logits = np.where(labels == 1, 2.2, -1.2) + np.exp(0.5 * difficulty) * score
        noise = generator.normal(size=(len(labels), 2)) * (1.0, 0.3)
        features = noise + np.column_stack([2.0 * labels - 1.0, difficulty])
        return Sample(logits, features.astype(np.float32), in_groups(labels, self.frames))


def exact_risk(risk: Risk, prevalence: float, none: list[F64], roadwork: list[F64]) -> F64:
    """Return a risk from the probabilities of the answers "none" and "road work", given class 0 and 1; 0 for 0/0."""
    if risk is Risk.COMMITTED_MISS_RATE:
        return none[1]
    if risk is Risk.FALSE_ALARM_RATE:
        return roadwork[0]
    events, others = {
        Risk.SELECTIVE_FNR: (none[1], roadwork[1]),
        Risk.FALSE_OMISSION_RATE: (prevalence * none[1], (1.0 - prevalence) * none[0]),
        Risk.FALSE_DISCOVERY_RATE: ((1.0 - prevalence) * roadwork[0], prevalence * roadwork[1]),
    }[risk]
    total = events + others
    result: F64 = np.divide(events, total, out=np.zeros_like(total), where=total != 0)
    return result


def in_groups(labels: NDArray[np.int8], frames: int) -> Grouped:
    """Return pictures whose groups lie one after another, `frames` each, of one label.

    Frames of a group are exchangeable, so its first is as good a choice as that of a hash.
    """
    n_groups = len(labels) // frames
    return of_groups(labels, np.repeat(np.arange(n_groups, dtype=np.intp), frames), n_groups)


def of_groups(labels: NDArray[np.int8], groups: NDArray[np.intp], n_groups: int) -> Grouped:
    """Return pictures [N] whose group numbers rise; the first of a population stands for its group."""
    chosen = {}
    for population in Population:
        rows = np.flatnonzero(population.members(labels))
        chosen[population] = rows[np.flatnonzero(np.diff(groups[rows], prepend=-1))]
    return Grouped(labels, groups, n_groups, MappingProxyType(chosen))


def ungrouped(grouped: Grouped) -> Grouped:
    """Return the same pictures with every one its own group: what the naive count takes them for."""
    return in_groups(grouped.labels, 1)


def latents(generator: np.random.Generator, n_groups: int, frames: int, correlation: float) -> F64:
    """Return N(0, 1) latents [n_groups * frames], group after group, correlated within a group."""
    own = generator.normal(size=(n_groups, frames))
    if frames == 1 or correlation == 0.0:
        return own.ravel()
    shared = generator.normal(size=(n_groups, 1))
    mixed: F64 = np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * own
    return mixed.ravel()


def _in_words(shape: str, frames: int, correlation: float) -> str:
    what = shape.replace("_", " ")
    return f"{what}, single pictures" if frames == 1 else f"{what}, {frames} frames, ρ = {correlation:g}"


def _one_class_shares(prevalence: float) -> dict[Population, float]:
    return {Population.POSITIVES: prevalence, Population.NEGATIVES: 1.0 - prevalence, Population.ALL: 1.0}
