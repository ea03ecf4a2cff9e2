"""Running the network before the first request, and measuring which batch pays.

On a small processor a batch often gains nothing: the network fills the cores with one picture, and whoever
comes first only waits for the others. So a larger batch is taken only where it was measured to be worth it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workzone.engine.backend import Backend
from workzone.engine.predictor import Clock
from workzone.engine.scorer import run_fitted
from workzone.imaging.preprocessing import Preprocessing

PAYS = 0.95
"""A larger batch is taken where a picture takes at most this share of the time that it takes in the smaller."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What was measured.

    Attributes:
        best_batch: The batch that pays, at least 1.
        seconds_per_batch: (batch size, seconds of the quickest run), by size.
    """

    best_batch: int
    seconds_per_batch: tuple[tuple[int, float], ...]


def warm_up(
    backend: Backend,
    preprocessing: Preprocessing,
    *,
    repeats: int = 3,
    budget_s: float = 2.0,
    clock: Clock = time.perf_counter,
) -> WarmUp:
    """Run batches of 1, 2, 4, … noise pictures, normalising included, and say which size pays.

    Args:
        backend: The network, reading one view.
        preprocessing: How pictures are fed to it, and the largest batch.
        repeats: Runs of each size that count, after one that does not; the quickest is taken, because what a
            busy machine adds says nothing of the network.
        budget_s: No larger size is begun when it is likely to end later than this after the start.
        clock: Of the measurement.

    Raises:
        InferenceError: The runtime failed.
    """
    start = clock()
    measured: list[tuple[int, float]] = []
    for size in _sizes(preprocessing.max_batch):
        if measured and clock() - start + (repeats + 1) * 2 * measured[-1][1] > budget_s:
            break
        measured.append((size, _quickest(backend, preprocessing, size, repeats, clock)))
    return WarmUp(_best(measured), tuple(measured))


def _sizes(largest: int) -> Iterator[int]:
    size = 1
    while size < largest:
        yield size
        size *= 2
    yield largest


def _quickest(backend: Backend, preprocessing: Preprocessing, size: int, repeats: int, clock: Clock) -> float:
    side = preprocessing.size_px
    fitted = list(np.random.default_rng(0).integers(0, 256, (size, side, side, 3), dtype=np.uint8))
    run_fitted(backend, preprocessing, fitted)  # the first run of a size allocates
    seconds = []
    for _ in range(repeats):
        begun = clock()
        run_fitted(backend, preprocessing, fitted)
        seconds.append(clock() - begun)
    return min(seconds)


def _best(measured: list[tuple[int, float]]) -> int:
    best, best_share_s = measured[0]
    for size, seconds in measured[1:]:
        if seconds / size <= PAYS * best_share_s:
            best, best_share_s = size, seconds / size
    return best
