"""Picture facts kept from one look to the next, by sample id.

Rows lie in chunks, one NPZ each, written whole or not at all; a chunk that cannot be read costs a new look, not an
error. Only what was measured of the very bytes that the id names is kept: a picture that was changed, or could not
be read, is looked at again each time. `VERSION` is raised when a measure changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ArtifactError
from workzone.core.observer import Observer
from workzone.data.measures import N_DESCRIPTOR, N_HISTOGRAM
from workzone.data.picture_facts import PictureFacts
from workzone.imaging.decode import DecodeLimits
from workzone.storage.arrays import read_npz
from workzone.storage.atomic import remove_temporaries, write_npz
from workzone.storage.hashing import sha256_json
from workzone.storage.lock import writer_lock

VERSION = 1
"""Of what is measured and how."""
_MAX_CHUNK_BYTES = 64 * 2**20
_ID = "id"
_WIDTHS = {"descriptor": N_DESCRIPTOR, "colour_histogram": N_HISTOGRAM}
_TYPES = {
    "decoded": "bool",
    "bytes_changed": "bool",
    "has_exif": "bool",
    "width_px": "int32",
    "height_px": "int32",
    "n_bytes": "int64",
    "perceptual_hash": "uint64",
    "brightness": "float32",
    "contrast": "float32",
    "sharpness": "float32",
    "descriptor": "float32",
    "colour_histogram": "float32",
}
"""What is not text."""


class FactsCache:
    """Finished rows in one directory, held for writing; see `opened_cache`."""

    def __init__(self, directory: Path, observer: Observer) -> None:
        self._directory = directory
        self._observer = observer

    def look_up(
        self, ids: Sequence[str], paths: Sequence[Path]
    ) -> tuple[list[PictureFacts], NDArray[np.intp]]:
        """Return what is there of N pictures.

        Args:
            ids: Of the samples.
            paths: Where they are; a row counts only while its file has the size that was measured.

        Returns:
            Parts, and where in them, taken one after the other, each picture's row is: intp [N], -1 where it
            is not there.
        """
        position = {sample_id: i for i, sample_id in enumerate(ids)}
        at = np.full(len(ids), -1, dtype=np.intp)
        parts: list[PictureFacts] = []
        start = 0
        for file in sorted(self._directory.glob("*.npz")):
            chunk = self._read(file)
            if chunk is None:
                continue
            names, facts = chunk
            wanted = [
                (row, position[name])
                for row, name in enumerate(names)
                if name in position and _size(paths[position[name]]) == facts.n_bytes[row]
            ]
            if not wanted:
                continue
            rows, pictures = map(list, zip(*wanted, strict=True))
            parts.append(facts.take(rows))
            at[pictures] = start + np.arange(len(rows))
            start += len(rows)
        return parts, at

    def add(self, ids: Sequence[str], facts: PictureFacts) -> None:
        """Keep the rows of pictures whose bytes are those that their ids name."""
        rows = np.flatnonzero(~facts.bytes_changed)
        if not len(rows):
            return
        kept = [ids[row] for row in rows.tolist()]
        columns = {field.name: getattr(facts, field.name)[rows] for field in fields(facts)}
        write_npz(self._directory / f"{sha256_json(kept)[:32]}.npz", {_ID: np.array(kept), **columns})

    def _read(self, file: Path) -> tuple[list[str], PictureFacts] | None:
        try:
            arrays = read_npz(file, _MAX_CHUNK_BYTES)
        except ArtifactError as error:
            self._observer.note(f"{error} Its pictures are measured again.")
            return None
        if not _is_chunk(arrays):
            self._observer.note(f"'{file}' is no chunk of picture facts; its pictures are measured again.")
            return None
        ids: list[str] = arrays.pop(_ID).tolist()
        return ids, PictureFacts(**arrays)


@contextmanager
def opened_cache(cache: Path, limits: DecodeLimits, observer: Observer) -> Iterator[FactsCache]:
    """Hold the cache in the directory `cache`, made if absent; what depends on `limits` lies apart.

    Raises:
        ArtifactError: Another process holds it, or it cannot be written.
    """
    directory = cache / f"facts-{VERSION}-{sha256_json(asdict(limits))[:16]}"
    with writer_lock(directory):
        remove_temporaries(directory)
        yield FactsCache(directory, observer)


def _is_chunk(arrays: dict[str, NDArray[Any]]) -> bool:
    """Whether arrays are the columns of some rows, each of its type and width."""
    names = {field.name for field in fields(PictureFacts)}
    if arrays.keys() != names | {_ID} or arrays[_ID].ndim != 1:
        return False
    rows = len(arrays[_ID])
    for name, array in arrays.items():
        shape = (rows, _WIDTHS[name]) if name in _WIDTHS else (rows,)
        is_typed = array.dtype == _TYPES[name] if name in _TYPES else array.dtype.kind == "U"
        if array.shape != shape or not is_typed:
            return False
    return True


def _size(path: Path) -> int:
    """Bytes of a file, -1 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
