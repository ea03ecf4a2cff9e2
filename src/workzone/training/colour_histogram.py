"""The baseline to beat: logistic regression on colour histograms.

A classifier that orange alone could replace has learned nothing of road work. The baseline gets a fair
chance: a joint histogram in HSV, square roots of its bins (Hellinger kernel), the penalty chosen on `select`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from workzone.core.observer import Observer, track
from workzone.imaging.decode import ImageInput, decode_image
from workzone.imaging.geometry import Geometry, resize_to
from workzone.metrics.classification import auroc, best_mcc_threshold
from workzone.storage.arrays import read_npz
from workzone.storage.atomic import write_npz

BINS = (16, 5, 5)
"""Hue, saturation, value."""
SIZE_PX = 128
"""Pictures are squashed to this side first: a histogram needs no more, and large ones would cost time."""
PENALTIES = (0.1, 1.0, 10.0, 100.0)
"""Candidates of scikit-learn's inverse penalty C."""
FILE_NAME = "colour_histogram.npz"
MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ColourHistogramModel:
    """A linear model on square-rooted HSV histograms.

    Attributes:
        weights: float64 [D].
        bias: Added to the product.
        threshold: The logit from which it calls road work: the best MCC on `select`.
    """

    weights: NDArray[np.float64]
    bias: float
    threshold: float

    def logits(self, histograms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logits [N] of histograms [N, D]."""
        return histograms @ self.weights + self.bias


def colour_histogram(image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the square-rooted HSV histogram [D] of a picture; its squares sum to 1."""
    hsv = cv2.cvtColor(image_rgb_u8, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, list(BINS), [0, 180, 0, 256, 0, 256]).ravel()
    shares: NDArray[np.float64] = counts.astype(np.float64) / counts.sum()
    return np.sqrt(shares)


def colour_histograms(sources: Sequence[ImageInput], observer: Observer, task: str) -> NDArray[np.float64]:
    """Return the histograms [N, D] of pictures.

    Raises:
        DataError: A picture cannot be decoded.
    """
    rows = [
        colour_histogram(resize_to(decode_image(source), SIZE_PX, Geometry.SQUASH))
        for source in track(sources, observer, task)
    ]
    return np.stack(rows) if rows else np.zeros((0, int(np.prod(BINS))))


def fit_colour_histogram(
    train: NDArray[np.float64],
    train_labels: NDArray[np.int8],
    select: NDArray[np.float64],
    select_labels: NDArray[np.int8],
) -> ColourHistogramModel:
    """Fit on `train`, choosing the penalty by AUROC on `select` (scikit-learn's LogisticRegression)."""
    from sklearn.linear_model import LogisticRegression

    best: tuple[float, ColourHistogramModel] | None = None
    for penalty in PENALTIES:
        fitted = LogisticRegression(C=penalty, max_iter=2000, class_weight="balanced").fit(
            train, train_labels
        )
        weights, bias = fitted.coef_[0].astype(np.float64), float(fitted.intercept_[0])
        logits = select @ weights + bias
        score = float(auroc(select_labels, logits))
        threshold, _ = best_mcc_threshold(select_labels, logits)
        model = ColourHistogramModel(weights, bias, float(threshold))
        if best is None or score > best[0]:
            best = (score, model)
    assert best is not None
    return best[1]


def write_colour_histogram(directory: Path, model: ColourHistogramModel) -> None:
    """Write the model into an artifact's directory."""
    write_npz(
        directory / FILE_NAME,
        {"weights": model.weights, "bias_and_threshold": np.array([model.bias, model.threshold])},
    )


def read_colour_histogram(directory: Path) -> ColourHistogramModel:
    """Read what `write_colour_histogram` wrote.

    Raises:
        ArtifactError: The file is missing or broken.
    """
    arrays = read_npz(directory / FILE_NAME, MAX_FILE_BYTES)
    bias, threshold = arrays["bias_and_threshold"].tolist()
    return ColourHistogramModel(arrays["weights"], bias, threshold)
