"""Frozen features, computed once per picture, preprocessing and backbone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.core.observer import Observer
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.features import FeatureExtractor
from workzone.storage.hashing import sha256_json
from workzone.training.pictures import Pictures
from workzone.training.row_cache import RowCache


def feature_key(preprocessing: Preprocessing, backbone_sha256: str) -> str:
    """Return the part of the key that pictures share; the batch size is none of it."""
    record = preprocessing.model_dump(mode="json", exclude={"max_batch"})
    return sha256_json({"preprocessing": record, "backbone": backbone_sha256})


def cached_features(
    pictures: Pictures,
    preprocessing: Preprocessing,
    extractor: FeatureExtractor,
    backbone_sha256: str,
    cache: Path,
    observer: Observer,
    task: str = "features",
) -> NDArray[np.float32]:
    """Return features float32 [N, D], computing what the cache lacks; resumes after a kill.

    Args:
        pictures: N of them; their ids are hashes of their bytes.
        preprocessing: What the extractor reads.
        extractor: The frozen network.
        backbone_sha256: Hash of its weights and of how it is read.
        cache: Directory; may be shared by runs, one after another.
        observer: Told of progress.
        task: What to call it.

    Raises:
        DataError: A picture cannot be decoded.
    """
    key = feature_key(preprocessing, backbone_sha256)
    rows = RowCache(cache / f"features-{key[:16]}", (extractor.feature_dim,), "float32")

    def compute(positions: Sequence[int]) -> NDArray[np.float32]:
        return extractor.extract(preprocessing.prepare([pictures.paths[i] for i in positions]))

    rows.fill(pictures.ids, compute, preprocessing.max_batch, observer, task)
    array, at = rows.rows(pictures.ids)
    return np.asarray(array[at])
