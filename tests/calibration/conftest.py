"""Builds the scores that the tests calibrate on; makes `benchmarks`, whose populations they use, importable."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from workzone.core.scores import Scores

sys.path.insert(0, str(Path(__file__).parents[2]))


def build_scores(logits, labels, groups=None, ambiguous=None, ids=None) -> Scores:
    n = len(logits)
    return Scores(
        ids=np.array([f"{i:08x}" for i in range(n)] if ids is None else ids, dtype=np.str_),
        labels=np.broadcast_to(np.asarray(labels, dtype=np.int8), n).copy(),
        ambiguous=np.zeros(n, dtype=bool) if ambiguous is None else np.asarray(ambiguous, dtype=bool),
        groups=np.array([f"g{i}" for i in range(n)] if groups is None else groups, dtype=np.str_),
        logits=np.asarray(logits, dtype=np.float64),
        features=np.zeros((n, 0), dtype=np.float32),
    )


@pytest.fixture(scope="session")
def scores_of() -> Callable[..., Scores]:
    return build_scores
