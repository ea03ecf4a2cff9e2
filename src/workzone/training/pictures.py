"""The labelled pictures that training reads; here unknown and ambiguous labels are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.observer import Observer
from workzone.core.types import Label
from workzone.storage.hashing import sha256_json


class LabelledSamples(Protocol):
    """What training needs to know of the samples of one role; `workzone.data.grants.Samples` is one."""

    @property
    def ids(self) -> NDArray[np.str_]:
        """Sample ids, str [N]."""

    @property
    def labels(self) -> NDArray[np.int8]:
        """1 road work, 0 none, -1 unknown; int8 [N]."""

    @property
    def ambiguous(self) -> NDArray[np.bool_]:
        """Whether the label is in doubt; bool [N]."""

    @property
    def paths(self) -> Sequence[Path]:
        """Where the pictures are, N of them."""

    @property
    def sources(self) -> NDArray[np.str_]:
        """Where they come from, str [N]; "" where it is not stated."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Pictures with a certain label.

    Attributes:
        ids: N ids, each once.
        paths: N files.
        labels: int8 [N], 0 or 1.
        sources: N names, "" where a picture states none; or nothing where they play no part.
    """

    ids: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: NDArray[np.int8]
    sources: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def sha256(self) -> str:
        """Return a hash of ids and labels, in their order."""
        return sha256_json([list(self.ids), self.labels.tolist()])


def decided(samples: LabelledSamples, name: str, observer: Observer) -> Pictures:
    """Return the pictures whose label is known and not ambiguous.

    Args:
        samples: Of one role.
        name: What to call them in a message.
        observer: Told how many are left out.

    Raises:
        DataError: One of the classes has no picture, or an id occurs twice.
    """
    labels = np.asarray(samples.labels)
    kept = np.flatnonzero((labels != Label.UNKNOWN) & ~np.asarray(samples.ambiguous))
    for label in (Label.NONE, Label.ROADWORK):
        if not (labels[kept] == label).any():
            raise DataError(
                f"Part '{name}' has {len(kept)} pictures with a certain label, none of them "
                f"'{label.name.lower()}'; training needs both classes in train and in select. Add "
                "pictures or change the split."
            )
    ids = tuple(str(samples.ids[i]) for i in kept)
    if len(set(ids)) != len(ids):
        raise DataError(f"Part '{name}' holds a picture twice; make the data set anew with `data import`.")
    if len(kept) < len(labels):
        observer.note(f"{name}: {len(labels) - len(kept)} unknown or ambiguous pictures are left out.")
    return Pictures(
        ids,
        tuple(samples.paths[int(i)] for i in kept),
        labels[kept].astype(np.int8),
        tuple(str(source) for source in np.asarray(samples.sources)[kept]),
    )
