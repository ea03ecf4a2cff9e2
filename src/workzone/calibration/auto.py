"""Chooses a calibrator by cross-validated log loss over groups, and says by how much and how surely.

Knows the fitters by name only. A reader may ask why the least loss is taken and not the simplest calibrator
within one standard error: all of them are safe for the displayed probability, and the sentence says which
are not told apart, so whoever wants the simpler one can name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.calibration.calibrators import FITTERS, decided_pairs, fit_calibrator, fit_platt
from workzone.calibration.folds import group_folds, held_out_probs
from workzone.calibration.logistic import F64
from workzone.core.errors import ConfigError, DataError, nearest
from workzone.core.scores import Scores
from workzone.policy.calibrators import AnyCalibrator

SURE = 2.0
"""Standard errors beyond which a difference is called one."""
_LEAST = 2.0**-53
"""Half the step of float64 below 1: what a probability that was rounded to 0 or 1 may have missed by."""


@dataclass(frozen=True, slots=True)
class CandidateLoss:
    """How one calibrator did on pictures of groups that it had not seen."""

    name: str
    log_loss: float | None
    """Mean, nats a picture; None if it could not be fitted."""
    worse_by: float | None
    """Its log loss less that of the chosen one, nats a picture; None if it could not be fitted."""
    standard_error: float | None
    """Of `worse_by`, over groups, paired."""
    left_out: str | None
    """Why it could not be fitted."""

    @property
    def told_apart(self) -> bool:
        """Whether it is worse than the chosen one by more than `SURE` standard errors."""
        if self.worse_by is None or self.standard_error is None:
            return False
        return self.worse_by > SURE * self.standard_error


@dataclass(frozen=True, slots=True)
class CalibratorComparison:
    """Which calibrator was chosen, and what the others were worth."""

    chosen: str
    n_pictures: int
    n_groups: int
    n_folds: int
    candidates: tuple[CandidateLoss, ...]
    """In the order in which they were named, the chosen one among them."""

    @property
    def sentence(self) -> str:
        """The comparison in words; ± is one standard error over groups."""
        others = [c for c in self.candidates if c.name != self.chosen]
        better = [
            f"{c.worse_by:.4f} ± {c.standard_error:.4f} nats a picture better than {c.name}"
            for c in others
            if c.told_apart
        ]
        alike = [c.name for c in others if c.left_out is None and not c.told_apart]
        out = [c.name for c in others if c.left_out is not None]
        parts = [", ".join([self.chosen, *better])]
        if alike:
            parts.append(f"not distinguishable from {', '.join(alike)}")
        if out:
            parts.append(f"{', '.join(out)} could not be fitted")
        return "; ".join(parts) + f" ({self.n_folds} folds of {self.n_groups} groups)."


@dataclass(frozen=True, slots=True)
class AutoCalibration:
    """The calibrator of least cross-validated log loss, fitted on all pictures, and the comparison."""

    calibrator: AnyCalibrator
    comparison: CalibratorComparison


def fit_auto(scores: Scores, names: Sequence[str] = tuple(FITTERS)) -> AutoCalibration:
    """Fit the calibrator of least cross-validated log loss over groups on the decided pictures.

    Five folds of whole groups, dealt by a hash. The log loss is a mean over pictures; the standard error of a
    difference is that of a ratio of sums over groups, so frames of one sequence do not count as independent.
    The chosen one's own loss is a little too good, as the least of several; the differences say how little.

    Args:
        scores: Logits and labels; the decided pictures are used.
        names: Of `calibrators.FITTERS`, simplest first: on equal losses the first is chosen.

    Raises:
        DataError: As `fit_platt`; fewer than two groups of either class; or none can be fitted.
        ConfigError: A name is unknown or occurs twice, or there is none.
        MissingExtraError: A calibrator needs a package that is not installed.
    """
    _check_names(names)
    fit_platt(scores)  # refuses what no rising map can fit
    decided = scores.decided()
    folds = group_folds(decided)
    labels = decided_pairs(decided)[1]
    fitted: dict[str, AnyCalibrator] = {}
    losses: dict[str, F64] = {}
    refusals: dict[str, str] = {}
    for name in names:
        try:
            calibrator = fit_calibrator(name, decided)
            losses[name] = log_losses(held_out_probs(name, decided, folds), labels)
            fitted[name] = calibrator
        except DataError as error:
            refusals[name] = str(error)
    if not losses:
        raise DataError(f"None of the calibrators can be fitted. {refusals[names[0]]}")
    chosen = min(losses, key=lambda name: float(losses[name].mean()))
    groups = np.unique(decided.groups, return_inverse=True)[1]
    comparison = CalibratorComparison(
        chosen=chosen,
        n_pictures=len(labels),
        n_groups=int(groups.max()) + 1,
        n_folds=int(folds.max()) + 1,
        candidates=tuple(
            _compared(name, losses[name], losses[chosen], groups)
            if name in losses
            else CandidateLoss(name, None, None, None, refusals[name])
            for name in names
        ),
    )
    return AutoCalibration(fitted[chosen], comparison)


def comparison_to_json(comparison: CalibratorComparison) -> dict[str, Any]:
    """Return the JSON form, with the sentence."""
    rows = [asdict(candidate) for candidate in comparison.candidates]
    return {**asdict(comparison), "candidates": rows, "sentence": comparison.sentence}


def log_losses(probs: F64, labels: F64) -> F64:
    """Return −ln of what each label was given, in nats, [N].

    A probability that was rounded to 0 or 1 counts as half a float64 step away from it (36.7 nats), not as
    infinite: the map itself never says either.
    """
    of_the_truth = np.where(labels > 0, probs, 1.0 - probs)
    losses: F64 = -np.log(np.maximum(of_the_truth, _LEAST))
    return losses


def _compared(name: str, losses: F64, chosen: F64, groups: NDArray[np.intp]) -> CandidateLoss:
    difference = losses - chosen
    mean = float(difference.mean())
    residuals = np.bincount(groups, weights=difference - mean)  # one sum a group
    n_groups = len(residuals)
    variance = float(residuals @ residuals) * n_groups / (n_groups - 1) / len(difference) ** 2
    return CandidateLoss(name, float(losses.mean()), mean, float(np.sqrt(variance)), None)


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if name not in FITTERS:
            raise ConfigError(f"There is no calibrator '{name}'.{nearest(name, FITTERS)}")
    if not names or len(set(names)) != len(names):
        raise ConfigError("A comparison needs at least one calibrator, and each of them once.")
