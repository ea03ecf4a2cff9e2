"""What a model said of labelled pictures: the table that calibration and evaluation work on."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.types import Label


@dataclass(frozen=True, slots=True)
class Scores:
    """Logits and features of N labelled pictures, in one order.

    Attributes:
        ids: str [N], sample ids.
        labels: int8 [N], 1 road work, 0 none, -1 unknown.
        ambiguous: bool [N].
        groups: str [N], the sequence or place each picture came from.
        logits: float64 [N], the model's raw output.
        features: float32 [N, D], the model's penultimate output.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int8]
    ambiguous: NDArray[np.bool_]
    groups: NDArray[np.str_]
    logits: NDArray[np.float64]
    features: NDArray[np.float32]

    def __post_init__(self) -> None:
        n = len(self.ids)
        for field in fields(self):
            if len(getattr(self, field.name)) != n:
                raise DataError(
                    f"Scores: '{field.name}' has {len(getattr(self, field.name))} rows, 'ids' has {n}."
                )
        if not np.isfinite(self.logits).all():
            bad = int((~np.isfinite(self.logits)).sum())
            raise DataError(f"Scores: {bad} of {n} logits are not finite; the model's output is broken.")

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Scores:
        """Return the given rows (a mask or indices)."""
        return Scores(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def decided(self) -> Scores:
        """Return the pictures whose label is known and not ambiguous: all that is certified or measured."""
        return self.take((self.labels != Label.UNKNOWN) & ~self.ambiguous)
