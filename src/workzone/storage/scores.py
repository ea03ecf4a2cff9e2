"""`Scores` on disk: one NPZ without objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workzone.core.errors import ArtifactError, DataError
from workzone.core.scores import Scores
from workzone.storage.arrays import read_npz
from workzone.storage.atomic import write_npz

FILE_NAME = "scores.npz"
MAX_BYTES = 4 << 30


def write_scores(directory: Path, scores: Scores) -> None:
    """Write `scores` into an artifact's directory."""
    write_npz(
        directory / FILE_NAME,
        {
            "ids": scores.ids.astype(np.str_),
            "labels": scores.labels,
            "ambiguous": scores.ambiguous,
            "groups": scores.groups.astype(np.str_),
            "logits": scores.logits,
            "features": scores.features,
        },
    )


def read_scores(directory: Path) -> Scores:
    """Read what `write_scores` wrote.

    Raises:
        ArtifactError: The file is missing or is no table of scores.
    """
    arrays = read_npz(directory / FILE_NAME, MAX_BYTES)
    try:
        return Scores(
            ids=arrays["ids"].astype(np.str_),
            labels=arrays["labels"].astype(np.int8),
            ambiguous=arrays["ambiguous"].astype(np.bool_),
            groups=arrays["groups"].astype(np.str_),
            logits=arrays["logits"].astype(np.float64),
            features=arrays["features"].astype(np.float32),
        )
    except (KeyError, ValueError, DataError) as error:
        raise ArtifactError(f"'{directory / FILE_NAME}' is no table of scores: {error}") from error
