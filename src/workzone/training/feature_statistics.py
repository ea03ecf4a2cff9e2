"""Per-class statistics of the final features on `train`, for whoever asks later how usual a picture is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.storage.atomic import write_npz

STATISTICS_NAME = "feature_stats.npz"


def write_feature_statistics(
    directory: Path, features: NDArray[np.float32], labels: NDArray[np.int8]
) -> None:
    """Write `feature_stats.npz`: mean and std, float32 [2, D], and count, int64 [2]; row 1 is road work.

    Args:
        directory: Where to.
        features: float32 [N, D], of pictures that are not augmented.
        labels: int8 [N], 0 or 1.
    """
    parts = [features[labels == value].astype(np.float64) for value in (0, 1)]
    arrays: dict[str, NDArray[Any]] = {
        "mean": np.stack([part.mean(axis=0) for part in parts]).astype(np.float32),
        "std": np.stack([part.std(axis=0) for part in parts]).astype(np.float32),
        "count": np.array([len(part) for part in parts], dtype=np.int64),
    }
    write_npz(directory / STATISTICS_NAME, arrays)
