"""Look at every picture of a data set once: read it, decode it, measure it, a row of `PictureFacts` each.

One that cannot be decoded is a row that says why, not an error. Finished rows are kept in a cache by sample id,
so that a killed run goes on and a grown data set costs only what is new. Judges nothing: what is too dark or a
duplicate is decided by who reads the facts.

A cached row counts while its file has the size that was measured; a change that keeps the size is found by
`dataset.verify_pictures`, which reads every byte, or by looking without the cache (`bytes_changed`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.observer import NullObserver, Observer
from workzone.data.dataset import DataSet
from workzone.data.facts_cache import opened_cache
from workzone.data.measures import (
    HASH_SIDE_PX,
    N_DESCRIPTOR,
    N_HISTOGRAM,
    Measures,
    measure,
    perceptual_hashes,
)
from workzone.data.ordered import ordered_map
from workzone.data.picture_facts import PictureFacts, joined
from workzone.imaging.decode import DecodeLimits, decode_image
from workzone.imaging.file_facts import read_file_facts
from workzone.imaging.files import read_file
from workzone.imaging.header import sniff_format
from workzone.storage.hashing import sha256_bytes

__all__ = ["PictureFacts", "measure_dataset"]

CHUNK_ROWS = 256
"""Rows that are put together, and written to the cache, at once; a kill costs at most these."""
_MAX_PROBLEM = 300
_TASK = "measure pictures"


@dataclass(frozen=True, slots=True)
class _Row:
    """One picture; `measures` is None where it could not be decoded."""

    problem: str = ""
    bytes_changed: bool = True
    file_format: str = ""
    mode: str = ""
    width_px: int = 0
    height_px: int = 0
    n_bytes: int = 0
    has_exif: bool = False
    pixels_sha256: str = ""
    measures: Measures | None = None


def measure_dataset(
    dataset: DataSet,
    *,
    cache: Path | None = None,
    limits: DecodeLimits | None = None,
    workers: int = 2,
    observer: Observer | None = None,
) -> PictureFacts:
    """Look at every picture once; see `PictureFacts`.

    Args:
        dataset: N pictures.
        cache: Directory in which finished rows are kept; may be shared by data sets, one after another.
        limits: What a picture may cost; one that would cost more is a row with a problem.
        workers: Threads, at least 1.
        observer: Told of the progress in pictures.

    Raises:
        ArtifactError: Another process writes `cache`, or it cannot be written.
    """
    observer, limits = observer or NullObserver(), limits or DecodeLimits()
    ids: list[str] = dataset.samples["id"].to_pylist()
    paths = dataset.paths()
    with nullcontext() if cache is None else opened_cache(cache, limits, observer) as kept:
        parts: list[PictureFacts] = []
        at = np.full(len(ids), -1, dtype=np.intp)
        if kept is not None:
            parts, at = kept.look_up(ids, paths)
        missing = np.flatnonzero(at < 0)
        there = len(ids) - len(missing)
        at[missing] = there + np.arange(len(missing))
        observer.progress(_TASK, there, len(ids))
        look = partial(_look, limits=limits)
        for rows in _chunks(look, [(ids[i], paths[i]) for i in missing], workers):
            facts = _facts(rows)
            parts.append(facts)
            if kept is not None:
                kept.add([ids[i] for i in missing[: len(rows)]], facts)
            missing, there = missing[len(rows) :], there + len(rows)
            observer.progress(_TASK, there, len(ids))
    return joined(parts).take(at)


def _chunks(
    look: Callable[[tuple[str, Path]], _Row], pictures: Sequence[tuple[str, Path]], workers: int
) -> Iterator[list[_Row]]:
    """Yield the rows of `CHUNK_ROWS` pictures at a time, in their order."""
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="measure") as pool:
        rows = ordered_map(pool, look, pictures, in_flight=4 * max(1, workers))
        while chunk := list(islice(rows, CHUNK_ROWS)):
            yield chunk


def _look(picture: tuple[str, Path], limits: DecodeLimits) -> _Row:
    sample_id, path = picture
    try:
        data = read_file(path, limits.max_bytes)
    except DataError as error:
        return _Row(_shortened(error))
    changed, kind = sha256_bytes(data) != sample_id, sniff_format(data) or ""
    try:
        image = decode_image(data, limits)
        header = read_file_facts(data)
    except DataError as error:
        return _Row(_shortened(error), changed, kind, n_bytes=len(data))
    height, width = image.shape[:2]
    return _Row(
        problem="",
        bytes_changed=changed,
        file_format=kind,
        mode=header.mode,
        width_px=width,
        height_px=height,
        n_bytes=len(data),
        has_exif=header.has_exif,
        pixels_sha256=_pixels_sha256(image),
        measures=measure(image),
    )


def _pixels_sha256(image_rgb_u8: NDArray[np.uint8]) -> str:
    """Hash size and pixels: a picture of 2×3 and one of 3×2 may have the same bytes."""
    height, width = image_rgb_u8.shape[:2]
    digest = hashlib.sha256(b"%d %d " % (width, height))
    digest.update(np.ascontiguousarray(image_rgb_u8).data)
    return digest.hexdigest()


def _shortened(error: DataError) -> str:
    text = str(error)
    return text if len(text) <= _MAX_PROBLEM else f"{text[: _MAX_PROBLEM - 1]}…"


_NOTHING = Measures(
    brightness=0.0,
    contrast=0.0,
    sharpness=0.0,
    hash_luma=np.zeros((HASH_SIDE_PX, HASH_SIDE_PX), np.float32),
    descriptor=np.zeros(N_DESCRIPTOR, np.float32),
    colour_histogram=np.zeros(N_HISTOGRAM, np.float32),
)


def _facts(rows: Sequence[_Row]) -> PictureFacts:
    """Put rows, at least one, together."""
    measures = [row.measures or _NOTHING for row in rows]
    return PictureFacts(
        decoded=_column((row.measures is not None for row in rows), np.bool_),
        problem=_column((row.problem for row in rows), np.str_),
        bytes_changed=_column((row.bytes_changed for row in rows), np.bool_),
        file_format=_column((row.file_format for row in rows), np.str_),
        mode=_column((row.mode for row in rows), np.str_),
        width_px=_column((row.width_px for row in rows), np.int32),
        height_px=_column((row.height_px for row in rows), np.int32),
        n_bytes=_column((row.n_bytes for row in rows), np.int64),
        has_exif=_column((row.has_exif for row in rows), np.bool_),
        brightness=_column((m.brightness for m in measures), np.float32),
        contrast=_column((m.contrast for m in measures), np.float32),
        sharpness=_column((m.sharpness for m in measures), np.float32),
        pixels_sha256=_column((row.pixels_sha256 for row in rows), np.str_),
        perceptual_hash=perceptual_hashes(np.stack([m.hash_luma for m in measures])),
        descriptor=np.stack([m.descriptor for m in measures]),
        colour_histogram=np.stack([m.colour_histogram for m in measures]),
    )


def _column(values: Iterable[Any], dtype: type[np.generic]) -> NDArray[Any]:
    return np.array(list(values), dtype=dtype)
