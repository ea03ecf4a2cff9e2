"""One vector a picture from any network: what an embedder is, and its application to a data set.

Knows neither networks nor bundles: `phases.embedder` finds those. What needs no network uses the descriptor of
`PictureFacts` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError, InferenceError
from workzone.core.observer import NullObserver, Observer
from workzone.data.dataset import DataSet
from workzone.data.ordered import ordered_map
from workzone.imaging.decode import DecodeLimits, decode_image
from workzone.imaging.geometry import U8


class Embedder(Protocol):
    """A function from pictures to vectors.

    Attributes:
        name: What reports call it.
    """

    @property
    def name(self) -> str:
        """What reports call it."""

    def __call__(self, images_rgb_u8: Sequence[U8]) -> NDArray[np.float32]:
        """Return float32 [n, D] of n pictures, uint8 [H, W, 3] each of its own size; every row of length 1."""


def normalised(features: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return features [n, D] as float32 at length 1; a row of zeros stays as it is.

    Raises:
        InferenceError: A feature is not finite.
    """
    exact = features.astype(np.float64)
    if not np.isfinite(exact).all():
        broken = int((~np.isfinite(exact)).any(axis=1).sum())
        raise InferenceError(
            f"{broken} of {len(exact)} embeddings are not finite: the network is broken, or is fed wrongly."
        )
    length = np.linalg.norm(exact, axis=1, keepdims=True)
    return (exact / np.where(length > 0, length, 1.0)).astype(np.float32)


def embed_dataset(
    dataset: DataSet,
    embedder: Embedder,
    *,
    batch: int = 32,
    workers: int = 2,
    limits: DecodeLimits | None = None,
    observer: Observer | None = None,
) -> NDArray[np.float32]:
    """Return one vector a picture: float32 [N, D], in the order of the samples.

    A picture that cannot be decoded has a row of zeros, which is like no other.

    Args:
        dataset: N pictures.
        embedder: What makes the vectors.
        batch: Pictures that it gets at once, at least 1; so many are held in memory, and a few more.
        workers: Threads that decode, at least 1.
        limits: What a picture may cost.
        observer: Told of the progress in pictures.

    Raises:
        DataError: No picture can be decoded.
        InferenceError: A vector is not finite.
    """
    observer, limits = observer or NullObserver(), limits or DecodeLimits()
    paths = dataset.paths()
    parts: list[tuple[list[int], NDArray[np.float32]]] = []
    task = f"embed pictures ({embedder.name})"
    observer.progress(task, 0, len(paths))
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="decode") as pool:
        decoded = ordered_map(pool, partial(_decoded, limits=limits), paths, in_flight=2 * max(1, workers))
        numbered = enumerate(decoded)
        while part := list(islice(numbered, max(1, batch))):
            readable = [(row, image) for row, image in part if image is not None]
            if readable:
                parts.append(([row for row, _ in readable], embedder([image for _, image in readable])))
            observer.progress(task, part[-1][0] + 1, len(paths))
    if not parts:
        raise DataError(f"None of the {len(paths)} pictures of '{dataset.root}' can be decoded.")
    embeddings = np.zeros((len(paths), parts[0][1].shape[1]), dtype=np.float32)
    for rows, vectors in parts:
        embeddings[rows] = vectors
    return embeddings


def _decoded(path: Path, limits: DecodeLimits) -> U8 | None:
    try:
        return decode_image(path, limits)
    except DataError:
        return None
