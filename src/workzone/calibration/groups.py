"""One picture per group, for counts that must be independent.

Frames of one sequence are near copies: counted one by one they would promise more than was seen. The picture
is chosen by a hash of split, group and sample, so neither a seed nor a score can be tried until the result
pleases; over the hash each picture of a group is as likely as another, which is the estimand: draw a group,
then one of its pictures of the class.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, DataError
from workzone.core.scores import Scores
from workzone.core.types import Label

COUNT_UNIT = (
    "one positive picture per group, chosen by sha256(split | group | sample id), never by score or seed"
)


def one_positive_per_group(scores: Scores, split_sha256: str) -> NDArray[np.intp]:
    """Return one row of `scores` per group with a decided positive picture, ordered by group."""
    return _one_per_group(scores, Label.ROADWORK, split_sha256)


def one_negative_per_group(scores: Scores, split_sha256: str) -> NDArray[np.intp]:
    """Return one row of `scores` per group with a decided negative picture, ordered by group."""
    return _one_per_group(scores, Label.NONE, split_sha256)


def _one_per_group(scores: Scores, label: Label, split_sha256: str) -> NDArray[np.intp]:
    """Choose the row of least hash among the group's unambiguous pictures with `label`.

    Raises:
        ConfigError: `split_sha256` is empty.
        DataError: A sample occurs twice.
    """
    if not split_sha256:
        raise ConfigError("Choosing one picture per group needs the hash of the split, got an empty one.")
    chosen: dict[str, tuple[bytes, int]] = {}
    seen: set[str] = set()
    for row in np.flatnonzero((scores.labels == label) & ~scores.ambiguous):
        group, sample = str(scores.groups[row]), str(scores.ids[row])
        if sample in seen:
            raise DataError(f"Sample '{sample}' occurs twice in the scores; each picture is one row.")
        seen.add(sample)
        digest = hashlib.sha256(f"{split_sha256}|{group}|{sample}".encode()).digest()
        if group not in chosen or digest < chosen[group][0]:
            chosen[group] = (digest, int(row))
    return np.array([chosen[group][1] for group in sorted(chosen)], dtype=np.intp)
