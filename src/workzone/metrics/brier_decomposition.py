"""What a Brier score is made of. Pure numpy.

Murphy 1973: Brier = reliability - resolution + uncertainty, if all probabilities of a bin are equal. Where they
differ within bins two terms more make the identity exact (Stephenson, Coelho & Jolliffe 2008); they are stated
rather than hidden in one of the others. Knows bins; does not know intervals or groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from workzone.core.errors import DataError
from workzone.metrics.calibration_error import Binning, bin_index
from workzone.metrics.classification import binary


@dataclass(frozen=True, slots=True)
class BrierDecomposition:
    """Brier = reliability - resolution + uncertainty + within_bin_variance - within_bin_covariance."""

    reliability: float
    """Mean over pictures of (mean probability of the bin - its share of road work)^2; 0 is best."""
    resolution: float
    """Mean over pictures of (share of the bin - share of all)^2; the more the better, at most `uncertainty`."""
    uncertainty: float
    """share (1 - share) of road work: the Brier score of always saying the share. Nothing the model did."""
    within_bin_variance: float
    """Mean of (probability - mean probability of its bin)^2."""
    within_bin_covariance: float
    """Twice the mean of (label - share of the bin)(probability - mean probability of the bin): what the model
    tells apart inside bins."""

    @property
    def remainder(self) -> float:
        """What binning hides: within-bin variance less within-bin covariance."""
        return self.within_bin_variance - self.within_bin_covariance

    @property
    def brier(self) -> float:
        """The sum, which is the Brier score to rounding."""
        return self.reliability - self.resolution + self.uncertainty + self.remainder


def brier_decomposition(
    labels: ArrayLike, probs: ArrayLike, n_bins: int = 15, binning: Binning = Binning.WIDTH
) -> BrierDecomposition:
    """Take a Brier score apart over bins.

    Args:
        labels: [N] of 0 and 1.
        probs: [N] in [0, 1].
        n_bins: At least 1; one bin leaves no resolution.
        binning: As `calibration_error.reliability_bins`.

    Raises:
        DataError: Lengths differ, a label is not 0 or 1, a probability is outside [0, 1], or `n_bins` is
            below 1.
    """
    y = binary(labels, "labels").astype(np.float64)
    p = np.asarray(probs, dtype=np.float64)
    if p.shape != y.shape:
        raise DataError(f"There are {len(y)} labels for probabilities of shape {list(p.shape)}.")
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError("A probability is outside [0, 1]; are these logits?")
    index = bin_index(p, n_bins, binning)
    counts = np.maximum(np.bincount(index), 1)
    mean_prob = (np.bincount(index, weights=p) / counts)[index]
    share = (np.bincount(index, weights=y) / counts)[index]
    overall = float(y.mean())
    return BrierDecomposition(
        reliability=float(np.mean((mean_prob - share) ** 2)),
        resolution=float(np.mean((share - overall) ** 2)),
        uncertainty=overall * (1 - overall),
        within_bin_variance=float(np.mean((p - mean_prob) ** 2)),
        within_bin_covariance=float(2 * np.mean((y - share) * (p - mean_prob))),
    )
