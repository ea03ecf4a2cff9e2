"""Measuring the runtimes that could serve a frozen network: how fast each is here, and what it changes.

Knows arrays and clocks; does not decide which serves. A reader may ask why the candidates take turns picture by
picture: a machine that others use, or that gets hot, then slows all alike, and only ratios are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.manifest import ModelSpec
from workzone.core.errors import BundleError, ConfigError, InferenceError, MissingExtraError
from workzone.core.observer import NullObserver, Observer
from workzone.engine.backend import BACKENDS, PRECISIONS, Backend, open_backend
from workzone.imaging.preprocessing import Preprocessing

BATCH = 8
"""Pictures of the second timing, unless the network takes fewer."""
PAYS = 0.9
"""A runtime replaces the one that serves where a picture takes at most this share of its time."""

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A runtime as it was measured, or why it could not be.

    Attributes:
        name: A key of `BACKENDS`.
        precision: What it computes in.
        alone_ms: Median time of the network for one picture; None: it does not run here.
        batched_ms: Median time for a picture in a batch.
        batch: Size of that batch.
        max_abs_logit: Largest difference of a logit from the reference's.
        mean_abs_logit: Mean difference.
        unavailable: Why it does not run here.
    """

    name: str
    precision: str
    alone_ms: float | None = None
    batched_ms: float | None = None
    batch: int = 1
    max_abs_logit: float | None = None
    mean_abs_logit: float | None = None
    unavailable: str | None = None


def measure_candidates(
    model: Path,
    spec: ModelSpec,
    preprocessing: Preprocessing,
    pixels: F32,
    *,
    reference: str,
    names: Iterable[str] = BACKENDS,
    rounds: int = 3,
    threads: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
    observer: Observer | None = None,
) -> tuple[Candidate, ...]:
    """Time every runtime that works here on the same pictures, in turns.

    Args:
        model: The ONNX file.
        spec: What it reads and gives.
        preprocessing: Has the largest batch.
        pixels: Real pictures, prepared: float32 [B, 3, H, W], B at least 1.
        reference: The runtime whose logits the others' are compared with; it must work here.
        names: The candidates.
        rounds: How often each sees every picture; the first round does not count where there are more.
        threads: Of each runtime; None: as many as the process may use.
        clock: Of the measurement, in seconds.
        observer: Told of the rounds done.

    Returns:
        One of each name, in their order.

    Raises:
        ConfigError, BundleError, MissingExtraError: The reference does not work here.
    """
    observer = observer or NullObserver()
    wanted = list(dict.fromkeys([reference, *names]))
    loaded: dict[str, Backend] = {}
    missing: dict[str, str] = {}
    for name in wanted:
        try:
            loaded[name] = open_backend(name, model, spec, max_batch=preprocessing.max_batch, threads=threads)
            loaded[name].run(pixels[:1, None])
        except (ConfigError, BundleError, MissingExtraError, InferenceError) as error:
            if name == reference:
                raise
            missing[name] = str(error)
            loaded.pop(name, None)
    batch = min(BATCH, preprocessing.max_batch, len(pixels))
    singles = [pixels[row : row + 1, None] for row in range(len(pixels))]
    batches = [pixels[row : row + batch, None] for row in range(0, len(pixels) - batch + 1, batch)]
    alone: dict[str, list[float]] = {name: [] for name in loaded}
    batched: dict[str, list[float]] = {name: [] for name in loaded}
    logits: dict[str, F32] = {}
    for done in range(rounds):
        observer.progress("measure runtimes", done, rounds)
        for name, said in _timed(loaded, singles, alone, clock):
            logits.setdefault(name, said)
        for _ in _timed(loaded, batches, batched, clock):
            pass
    observer.progress("measure runtimes", rounds, rounds)

    def of(name: str) -> Candidate:
        if name in missing:
            return Candidate(name, PRECISIONS[name], unavailable=missing[name])
        off = np.abs(logits[name].astype(np.float64) - logits[reference])
        skip = rounds > 1
        return Candidate(
            name,
            PRECISIONS[name],
            alone_ms=_median_ms(alone[name], len(singles) * skip),
            batched_ms=_median_ms(batched[name], len(batches) * skip) / batch,
            batch=batch,
            max_abs_logit=float(off.max()),
            mean_abs_logit=float(off.mean()),
        )

    return tuple(of(name) for name in wanted)


def fastest(candidates: Sequence[Candidate], serving: str) -> Candidate:
    """Return the candidate of the same precision that answers one picture fastest.

    What serves stays unless another is clearly faster (`PAYS`): a difference of some per cent is none between
    machines of one kind.
    """
    by_name = {candidate.name: candidate for candidate in candidates}
    kept = by_name[serving]
    if kept.alone_ms is None:
        return kept
    limit = PAYS * kept.alone_ms
    quicker = [
        (candidate.alone_ms, candidate)
        for candidate in candidates
        if candidate.precision == kept.precision
        and candidate.alone_ms is not None
        and candidate.alone_ms <= limit
    ]
    return min(quicker, key=lambda pair: pair[0])[1] if quicker else kept


def _timed(
    loaded: dict[str, Backend],
    inputs: Sequence[F32],
    seconds: dict[str, list[float]],
    clock: Callable[[], float],
) -> list[tuple[str, F32]]:
    """Run every input through every runtime in turn; return each one's logits."""
    said: dict[str, list[F32]] = {name: [] for name in loaded}
    for images in inputs:
        for name, backend in loaded.items():
            begun = clock()
            output = backend.run(images)
            seconds[name].append(clock() - begun)
            said[name].append(output.logits)
    return [(name, np.concatenate(parts)) for name, parts in said.items()]


def _median_ms(seconds: list[float], skip: int) -> float:
    return 1000 * median(seconds[skip:])
