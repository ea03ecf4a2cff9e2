"""Fitted pictures, decoded once and kept as uint8 [N, N, 3], for as many epochs as there are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.observer import Observer
from workzone.imaging.preprocessing import Preprocessing
from workzone.storage.hashing import sha256_json
from workzone.training.pictures import Pictures
from workzone.training.row_cache import RowCache

BATCH = 64
"""Pictures decoded between two writes to disk."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedPictures:
    """Fitted pixels and labels of N pictures.

    Attributes:
        array: uint8 [M, S, S, 3] on disk, M >= N.
        positions: int [N], where each picture is in `array`.
        labels: int8 [N], 0 or 1.
    """

    array: NDArray[np.uint8]
    positions: NDArray[np.intp]
    labels: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.positions)

    def pixels(self, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return uint8 [len(rows), S, S, 3]."""
        return np.asarray(self.array[self.positions[rows]])


def fitted_pictures(
    pictures: Pictures, preprocessing: Preprocessing, cache: Path, observer: Observer, task: str
) -> FittedPictures:
    """Decode and fit what the cache lacks; resumes after a kill.

    The key holds size and geometry only: channel statistics are applied after the cache.

    Raises:
        DataError: A picture cannot be decoded.
    """
    n = preprocessing.size_px
    key = sha256_json({"size_px": n, "geometry": str(preprocessing.geometry)})
    rows = RowCache(cache / f"pixels-{key[:16]}", (n, n, 3), "uint8")

    def compute(positions: Any) -> NDArray[np.uint8]:
        return np.stack([preprocessing.load(pictures.paths[i]) for i in positions])

    rows.fill(pictures.ids, compute, BATCH, observer, task)
    array, positions = rows.rows(pictures.ids)
    return FittedPictures(array, positions, pictures.labels)
