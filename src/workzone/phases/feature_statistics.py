"""Reads what `train` said of its features, for a gate that measures distances from them.

Knows the file of `workzone.training.feature_statistics`; does not know what a gate does with it. Importing it
needs no torch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ArtifactError, DataError
from workzone.policy.gate_features import FeatureStatistics
from workzone.storage.arrays import read_npz
from workzone.training.feature_statistics import STATISTICS_NAME

MAX_BYTES = 4 << 20
"""Four rows of the most features that a gate takes, as float32, with room for the headers."""


def read_feature_statistics(directory: Path) -> FeatureStatistics:
    """Read `feature_stats.npz` of a checkpoint.

    Args:
        directory: The checkpoint.

    Raises:
        ArtifactError: The file is missing, too large or broken, or holds no such statistics.
    """
    path = directory / STATISTICS_NAME
    arrays = read_npz(path, MAX_BYTES)
    mean, std = arrays.get("mean"), arrays.get("std")
    if mean is None or std is None or not (_is_real(mean) and _is_real(std)):
        raise ArtifactError(
            f"'{path}' holds {', '.join(sorted(arrays)) or 'nothing'}; expected the numbers 'mean' and 'std', "
            "[2, features] each. Train again."
        )
    try:
        return FeatureStatistics(mean.astype(np.float64), std.astype(np.float64))
    except DataError as error:
        raise ArtifactError(f"'{path}': {error} Train again.") from error


def _is_real(array: NDArray[np.generic]) -> bool:
    return bool(np.issubdtype(array.dtype, np.floating))
