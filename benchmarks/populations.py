"""Populations of which everything is known: pictures in groups, their scores, and the true risk of any rule.

A group is road work with probability π; its frames have the label in common and latents that are correlated
(Gaussian copula: a part ρ of the variance belongs to the group). A score is a rising function of the latent,
one for each class, so its law is known in closed form and the risk of a rule that looks at the score is exact,
not estimated. One picture drawn from one group follows that marginal law whatever ρ is; that is the estimand.

Knows no policy. The gate looks at more than the score; its population is `TwoFeatures`, whose risks the caller
takes from a large sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from workzone.calibration.groups import Grouped
from workzone.policy.risks import Population, Risk

F64 = NDArray[np.float64]

_STEP = 0.25
"""Of the rounded scores."""
_SKEW = 0.6
_REGIONS = (-1.0, 1.0)
_MASSES = ((0.70, 0.25, 0.05), (0.041, 0.219, 0.74))
"""Of `three_steps`: shares of a class below, between and above the regions' edges; row 1 is road work."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a class's scores are distributed.

    Attributes:
        scores: (latent [N] of law N(0, 1), class 0 or 1) → scores [N], rising in the latent.
        below: (thresholds [J], class) → P(score < threshold), [J].
    """

    scores: Callable[[F64, int], F64]
    below: Callable[[F64, int], F64]


def _mean(label: int) -> float:
    return 2.2 if label else -1.2


def _normal(latent: F64, label: int) -> F64:
    return _mean(label) + 1.3 * latent


def _normal_below(t: F64, label: int) -> F64:
    return np.asarray(ndtr((t - _mean(label)) / 1.3), dtype=np.float64)


def _heavy(latent: F64, label: int) -> F64:
    """Student's t of two degrees of freedom: infinite variance, and a quantile function in closed form."""
    low, high = ndtr(latent), ndtr(-latent)
    t: F64 = _mean(label) + 0.6 * (low - high) / np.sqrt(2.0 * low * high)
    return t


def _heavy_below(t: F64, label: int) -> F64:
    x = np.clip((t - _mean(label)) / 0.6, -1e100, 1e100)  # its square stays finite where t is not
    below: F64 = 0.5 + 0.5 * x / np.sqrt(2.0 + x**2)
    return below


def _skewed(latent: F64, label: int) -> F64:
    """Log-normal, turned round: the long tail lies on the low side, where the misses are."""
    return _mean(label) - 1.1 * np.expm1(-_SKEW * latent) / _SKEW


def _skewed_below(t: F64, label: int) -> F64:
    inside = 1.0 - _SKEW * (t - _mean(label)) / 1.1
    with np.errstate(divide="ignore"):
        return np.asarray(ndtr(-np.log(np.maximum(inside, 0.0)) / _SKEW), dtype=np.float64)


def _rounded(latent: F64, label: int) -> F64:
    return _STEP * np.round(_normal(latent, label) / _STEP)


def _rounded_below(t: F64, label: int) -> F64:
    return _normal_below(_STEP * (np.ceil(t / _STEP) - 0.5), label)


def _three_steps(latent: F64, label: int) -> F64:
    """Three regions, within each of which both classes look alike: all that a score tells is the region."""
    low, middle, high = _MASSES[label]
    below, above = ndtr(latent), ndtr(-latent)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = _REGIONS[0] + np.log(below / low)
        right = _REGIONS[1] - np.log(above / high)
    between = _REGIONS[0] + (_REGIONS[1] - _REGIONS[0]) * (below - low) / middle
    score: F64 = np.where(below < low, left, np.where(above <= high, right, between))
    return score


def _three_steps_below(t: F64, label: int) -> F64:
    low, middle, high = _MASSES[label]
    left = low * np.exp(np.minimum(t - _REGIONS[0], 0.0))
    between = middle * np.clip((t - _REGIONS[0]) / (_REGIONS[1] - _REGIONS[0]), 0.0, 1.0)
    right = -high * np.expm1(-np.maximum(t - _REGIONS[1], 0.0))
    total: F64 = left + between + right
    return total


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "normal": Shape(_normal, _normal_below),
        "heavy": Shape(_heavy, _heavy_below),
        "skewed": Shape(_skewed, _skewed_below),
        "ties": Shape(_rounded, _rounded_below),
        "three_steps": Shape(_three_steps, _three_steps_below),
    }
)


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

    def draw(self, generator: np.random.Generator, n_groups: int) -> Sample:
        """Return the pictures of so many groups."""
        of_group = (generator.random(n_groups) < self.prevalence).astype(np.int8)
        labels = np.repeat(of_group, self.frames)
        latent = _latents(generator, n_groups, self.frames, self.correlation)
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

    def draw(self, generator: np.random.Generator, n_groups: int) -> Sample:
        """Return the pictures of so many groups."""
        of_group = (generator.random(n_groups) < self.prevalence).astype(np.int8)
        labels = np.repeat(of_group, self.frames)
        score, difficulty = (_latents(generator, n_groups, self.frames, self.correlation) for _ in range(2))
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
    first = np.arange(n_groups, dtype=np.intp) * frames
    chosen = {population: first[population.members(labels[first])] for population in Population}
    groups = np.repeat(np.arange(n_groups, dtype=np.intp), frames)
    return Grouped(labels, groups, n_groups, MappingProxyType(chosen))


def ungrouped(grouped: Grouped) -> Grouped:
    """Return the same pictures with every one its own group: what the naive count takes them for."""
    return in_groups(grouped.labels, 1)


def _latents(generator: np.random.Generator, n_groups: int, frames: int, correlation: float) -> F64:
    own = generator.normal(size=(n_groups, frames))
    if frames == 1 or correlation == 0.0:
        return own.ravel()
    shared = generator.normal(size=(n_groups, 1))
    mixed: F64 = np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * own
    return mixed.ravel()


def words(population: Scored | TwoFeatures) -> str:
    """Return a population in words."""
    shape = "two features" if isinstance(population, TwoFeatures) else population.shape.replace("_", " ")
    if population.frames == 1:
        return f"{shape}, single pictures"
    return f"{shape}, {population.frames} frames, ρ = {population.correlation:g}"
