"""Arrays of one shape by id, computed once: fitted pixels, frozen features.

Append-only: rows go to `rows.bin`, then their ids to `ids.txt`, so a kill at any point costs at most the
rows of one batch. What the rows were computed from is the caller's to put into the directory's name.
One writer at a time (the run holds its lock).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.observer import Observer

ROWS_NAME = "rows.bin"
IDS_NAME = "ids.txt"


class RowCache:
    """Rows of one shape and type, by id.

    Attributes:
        directory: Where it lives.
    """

    def __init__(self, directory: Path, row_shape: tuple[int, ...], dtype: str) -> None:
        self.directory = directory
        self._row_shape = row_shape
        self._dtype = np.dtype(dtype)
        self._row_bytes = int(np.prod(row_shape)) * self._dtype.itemsize
        directory.mkdir(parents=True, exist_ok=True)
        self._positions = self._recover()

    def __contains__(self, sample_id: str) -> bool:
        return sample_id in self._positions

    def rows(self, ids: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Return the array of all rows, read from disk as it is used, and where the rows of `ids` are."""
        shape = (len(self._positions), *self._row_shape)
        array = np.memmap(self.directory / ROWS_NAME, dtype=self._dtype, mode="r", shape=shape)
        return array, np.array([self._positions[i] for i in ids], dtype=np.intp)

    def fill(
        self,
        ids: Sequence[str],
        compute: Callable[[Sequence[int]], NDArray[Any]],
        batch: int,
        observer: Observer,
        task: str,
    ) -> int:
        """Compute the rows that are missing and return how many they were.

        Args:
            ids: What should be there afterwards.
            compute: From positions in `ids` to their rows, [len(positions), *row_shape].
            batch: Rows computed and written at once.
            observer: Told how many of `ids` are there.
            task: What to call this to the observer.
        """
        missing = [i for i, sample_id in enumerate(ids) if sample_id not in self._positions]
        there = len(ids) - len(missing)
        if not missing:
            return 0
        observer.progress(task, there, len(ids))
        for at in range(0, len(missing), batch):
            chosen = missing[at : at + batch]
            self._append([ids[i] for i in chosen], compute(chosen))
            observer.progress(task, there + at + len(chosen), len(ids))
        return len(missing)

    def _append(self, ids: Sequence[str], rows: NDArray[Any]) -> None:
        rows = np.ascontiguousarray(rows, dtype=self._dtype)
        if rows.shape != (len(ids), *self._row_shape):
            raise ValueError(f"rows of shape {rows.shape} for {len(ids)} ids of {self._row_shape}")
        for name, data in ((ROWS_NAME, rows.tobytes()), (IDS_NAME, "".join(f"{i}\n" for i in ids).encode())):
            with (self.directory / name).open("ab") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
        for sample_id in ids:
            self._positions[sample_id] = len(self._positions)

    def _recover(self) -> dict[str, int]:
        """Cut off what a kill left half-written, and return where each id's row is."""
        rows, names = self.directory / ROWS_NAME, self.directory / IDS_NAME
        rows.touch()
        names.touch()
        whole = names.read_bytes().decode().split("\n")[:-1]
        n = min(len(whole), rows.stat().st_size // self._row_bytes)
        os.truncate(rows, n * self._row_bytes)
        os.truncate(names, sum(len(i.encode()) + 1 for i in whole[:n]))
        return {sample_id: row for row, sample_id in enumerate(whole[:n])}
