"""The only way to samples: a grant opens the roles it was made for, and writes down what it opened.

The ledger is a file of JSON lines that outlives runs, so that a report can say how often its test part was
looked at. Its line is on disk before the samples are handed out: a look that crashes still counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.types import Opening, Role
from workzone.data.dataset import DataSet
from workzone.data.split import Split, check_split
from workzone.data.tables import equal_to, is_in, strings
from workzone.storage.hashing import canonical_json

if TYPE_CHECKING:
    import pyarrow as pa


def utc_now() -> datetime:
    """Return the time of the system's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The N samples of one role, sorted by id.

    Attributes:
        role: Which part of the split this is.
        split_sha256: Of which split.
        ids: str [N].
        labels: int8 [N], 1 road work, 0 none, -1 unknown.
        ambiguous: bool [N].
        groups: str [N].
        paths: Where the pictures are, N of them.
        table: All columns of `schema.SAMPLE_COLUMNS`, N rows.
        boxes: `schema.BOX_COLUMNS` of these samples, or None where objects are not known.
    """

    role: Role
    split_sha256: str
    ids: NDArray[np.str_]
    labels: NDArray[np.int8]
    ambiguous: NDArray[np.bool_]
    groups: NDArray[np.str_]
    paths: list[Path]
    table: pa.Table
    boxes: pa.Table | None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def sources(self) -> NDArray[np.str_]:
        """Where they come from, str [N]; "" where it is not stated."""
        return strings(self.table, "source")


class Grant:
    """The right of one phase to open certain roles of splits of one data set."""

    __slots__ = ("_clock", "_dataset", "_ledger", "_opened", "phase", "roles", "run")

    def __init__(
        self,
        phase: str,
        roles: frozenset[Role],
        dataset: DataSet,
        ledger: Path,
        run: str = "",
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Make a grant.

        Args:
            phase: Who may open.
            roles: What it may open.
            dataset: Whose samples.
            ledger: The file of JSON lines to append to; made with its directory when absent.
            run: Which run the phase belongs to, for the ledger.
            clock: Tells the time, with its zone.
        """
        self.phase = phase
        self.roles = frozenset(roles)
        self.run = run
        self._dataset = dataset
        self._ledger = ledger
        self._clock = clock
        self._opened: list[Opening] = []

    @property
    def opened(self) -> tuple[Opening, ...]:
        """What was opened so far, in order, each once."""
        return tuple(dict.fromkeys(self._opened))

    @property
    def dataset_sha256(self) -> str:
        """The hash of the data set whose samples this opens."""
        return self._dataset.sha256

    def open(self, split: Split, role: Role) -> Samples:
        """Write down that `role` is opened, then hand out its samples.

        Raises:
            DataError: The role was not granted, or the split is of another data set.
            OSError: The ledger cannot be written; then nothing is handed out.
        """
        role = Role(role)
        if role not in self.roles:
            raise DataError(
                f"The phase '{self.phase}' asked for the samples of '{role}', which it was not granted; it "
                f"may open: {', '.join(sorted(self.roles)) or 'nothing'}. A phase opens what it declares."
            )
        check_split(split, self._dataset)
        entry = {
            "phase": self.phase,
            "run": self.run,
            "role": str(role),
            "split_sha256": split.sha256,
            "at": self._clock().astimezone(UTC).isoformat(timespec="seconds"),
        }
        _append(self._ledger, canonical_json(entry))
        self._opened.append(Opening(split.sha256, role))
        return _samples(self._dataset, split, role)


def count_runs(ledger: Path, split_sha256: str | None, role: Role) -> int:
    """Return how many runs have opened a role of a split (None: of any split); 0 where there is no ledger.

    A run that was killed and went on, or whose phases opened the role in turn, has looked once.

    A line that a kill cut short is passed over: its samples were never handed out.

    Raises:
        DataError: A whole line is not an entry: the ledger was edited.
    """
    entries = _entries(ledger)
    return len({run for run, split, opened in entries if opened == role and split_sha256 in (None, split)})


def last_run(ledger: Path, split_sha256: str, prefix: str) -> str | None:
    """Return the run that opened a split last, of those whose name begins with `prefix`; None without one.

    Raises:
        DataError: As `count_runs`.
    """
    names = [run for run, split, _ in _entries(ledger) if split == split_sha256 and run.startswith(prefix)]
    return names[-1] if names else None


def _entries(ledger: Path) -> list[tuple[str, str, str]]:
    """Return run, split and role of each whole line."""
    if not ledger.exists():
        return []
    entries = []
    for number, line in enumerate(ledger.read_bytes().splitlines(), 1):
        if not line.endswith(b"}"):
            continue
        try:
            entry = json.loads(line)
            entries.append((str(entry["run"]), str(entry["split_sha256"]), str(entry["role"])))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"Line {number} of the ledger '{ledger}' is no entry ({error!r}). It was edited: how often a "
                "split was opened can no longer be told. Restore it."
            ) from error
    return entries


def _append(ledger: Path, entry: bytes) -> None:
    """Append one line in a single write, on disk when this returns; other processes may append meanwhile."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(ledger, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"  # a kill cut the last line short
        line = (b"\n" if torn else b"") + entry + b"\n"
        if os.write(handle, line) != len(line):
            raise OSError(f"the ledger '{ledger}' could not be written whole; the disk may be full")
        os.fsync(handle)
    finally:
        os.close(handle)


def _samples(dataset: DataSet, split: Split, role: Role) -> Samples:
    table: Any = dataset.samples.filter(equal_to(split.table["role"], str(role)))  # both are sorted by id
    boxes = dataset.boxes
    return Samples(
        role=role,
        split_sha256=split.sha256,
        ids=strings(table, "id"),
        labels=table["label"].to_numpy().astype(np.int8),
        ambiguous=table["ambiguous"].to_numpy().astype(np.bool_),
        groups=strings(table, "group"),
        paths=[dataset.root / path for path in table["path"].to_pylist()],
        table=table,
        boxes=None if boxes is None else boxes.filter(is_in(boxes["sample_id"], table["id"])),
    )
