"""Scoring many pictures with a frozen model: logits and features, no verdicts.

What the `predict` phase runs, so that what is calibrated and certified is what is served: decoding,
preprocessing and network are those of the predictor. Every picture must be readable here; a data set was
checked when it was imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.model import open_model as open_frozen
from workzone.core.errors import DataError, InferenceError
from workzone.core.observer import NullObserver, Observer
from workzone.engine.backend import Backend, BackendOutput, open_backend
from workzone.engine.threads import usable_threads
from workzone.imaging.decode import ImageInput
from workzone.imaging.preprocessing import Preprocessing

DEFAULT_BACKEND = "onnxruntime"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A frozen model, ready to score."""

    backend: Backend
    preprocessing: Preprocessing


def open_model(directory: Path, *, backend: str | None = None, threads: int | None = None) -> LoadedModel:
    """Load the frozen model that `freeze` wrote to `directory`.

    Args:
        directory: Of the model.
        backend: A key of `engine.backend.BACKENDS`; None: the one it was frozen for.
        threads: Of the runtime; None: as many as the process may use.

    Raises:
        ArtifactError: It is none.
        ConfigError: There is no such runtime, or it cannot work on this machine.
        MissingExtraError: Its package is not installed.
        BundleError: Its ONNX file cannot be loaded or is not as its record says.
    """
    model = open_frozen(directory)
    preprocessing = model.record.preprocessing
    loaded = open_backend(
        backend or model.record.backend,
        model.model_path,
        model.record.spec,
        max_batch=preprocessing.max_batch,
        threads=threads,
    )
    return LoadedModel(loaded, preprocessing)


def run_fitted(
    backend: Backend, preprocessing: Preprocessing, fitted: Sequence[NDArray[np.uint8]]
) -> BackendOutput:
    """Normalise fitted pictures, uint8 [N, N, 3] each, and run the network on them as one batch.

    Raises:
        InferenceError: The runtime failed.
    """
    images = preprocessing.normalise(np.stack(fitted))
    return backend.run(images[:, None])  # one view


def score_sources(
    backend: Backend,
    preprocessing: Preprocessing,
    sources: Sequence[ImageInput],
    batch: int | None = None,
    observer: Observer | None = None,
    task: str = "score",
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the model's output for every picture.

    Args:
        backend: The network, reading one view.
        preprocessing: How pictures are fed to it.
        sources: N pictures: paths, bytes or arrays, all readable.
        batch: Pictures at once; None: the largest batch of the preprocessing record.
        observer: Told of the progress in pictures.
        task: What the progress is called.

    Returns:
        logits float64 [N] and features float32 [N, D].

    Raises:
        DataError: There are no pictures, or one cannot be decoded.
        InferenceError: The runtime failed, or a logit or feature is not finite.
    """
    if not sources:
        raise DataError("There are no pictures to score.")
    observer = observer or NullObserver()
    size = min(batch or preprocessing.max_batch, preprocessing.max_batch)
    outputs: list[BackendOutput] = []
    observer.progress(task, 0, len(sources))
    with ThreadPoolExecutor(usable_threads(), thread_name_prefix="decode") as pool:
        for start in range(0, len(sources), size):
            part = sources[start : start + size]
            output = run_fitted(backend, preprocessing, list(pool.map(preprocessing.load, part)))
            _check_finite(output, part)
            outputs.append(output)
            observer.progress(task, start + len(part), len(sources))
    logits = np.concatenate([o.logits for o in outputs]).astype(np.float64)
    return logits, np.concatenate([o.features for o in outputs])


def _check_finite(output: BackendOutput, sources: Sequence[ImageInput]) -> None:
    sound = np.isfinite(output.logits) & np.isfinite(output.features).all(axis=1)
    if not sound.all():
        first = name_of(sources[int(np.argmin(sound))])
        raise InferenceError(
            f"The model's output for {first} is not finite ({int((~sound).sum())} of {len(sound)} in its "
            "batch): the model is broken. Train and freeze it again."
        )


def name_of(source: ImageInput) -> str:
    """Return what a picture is called: its path, or what it was given as."""
    if isinstance(source, bytes):
        return "<bytes>"
    if isinstance(source, np.ndarray):
        return "<array>"
    return str(source)
