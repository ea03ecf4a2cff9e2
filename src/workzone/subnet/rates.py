"""How often road work is called on either label, under a profile's shares of sources and levels.

Knows answers as counts by label, source and level; does not know rewards. The counts are columns whose totals over any
rows give the rates, so that a bootstrap needs only totals. What a reader would question: where a label has no answer of
some source or level (in the data, or in a resample of them), its share goes to the label's other sources and levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from workzone.subnet.answers import Answers
from workzone.subnet.profiles import Profile, Source
from workzone.subnet.protocol import NO_ANSWER
from workzone.subnet.replay import LABELS

F64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

Cell = tuple[int, Source, int]
"""A label, a source and a level."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Of R sets of rows; nan where a label has no challenges."""

    recall: F64
    """[R], share of the answered road work that is called so; nan where nothing of it is answered, too."""
    false_alarm_rate: F64
    """[R], share of the answered none that is called road work; likewise."""
    answered: F64
    """[R, 2], share of none and of road work that is answered."""


@dataclass(frozen=True, slots=True)
class RateTable:
    """Answers as columns of counts."""

    cells: tuple[Cell, ...]
    shares: F64
    """[K], how often each cell is drawn given its label, if all are there."""
    columns: F64
    """[N, 3 K]: rows of each cell; answered ones; ones called road work."""

    @classmethod
    def of(cls, answers: Answers, profile: Profile, abstain_below: float = 0.0) -> RateTable:
        """Count answers; one whose confidence max(p, 1 - p) is below `abstain_below` counts as none."""
        answered = answers.probs != NO_ANSWER
        answered &= np.maximum(answers.probs, 1 - answers.probs) >= abstain_below
        called = answered & (np.round(answers.probs) == 1)
        cells = tuple(product(LABELS, profile.sources, (level.number for level in profile.levels)))
        chances = {level.number: level.probability for level in profile.levels}
        members = np.stack(
            [
                (answers.labels == label) & (answers.sources == source.value) & (answers.levels == level)
                for label, source, level in cells
            ],
            axis=1,
        )
        counted = [members, members & answered[:, None], members & called[:, None]]
        shares = [profile.sources[source] * chances[level] for _, source, level in cells]
        return cls(cells, np.array(shares), np.hstack(counted).astype(np.float64))

    @property
    def totals(self) -> F64:
        """[1, 3 K], of all rows."""
        return np.asarray(self.columns.sum(axis=0, keepdims=True))

    @property
    def complete(self) -> bool:
        """Whether everything is answered."""
        n, answered, _ = np.split(self.totals, 3, axis=1)
        return bool((n == answered).all())

    @property
    def missing(self) -> tuple[tuple[int, Source], ...]:
        """Labels and sources of the profile that nothing was asked of."""
        asked = np.split(self.totals, 3, axis=1)[0][0] > 0
        there = {cell[:2] for cell, is_there in zip(self.cells, asked, strict=True) if is_there}
        return tuple(dict.fromkeys(cell[:2] for cell in self.cells if cell[:2] not in there))

    def where(self, source: Source | None = None, level: int | None = None) -> Flags:
        """Return which cells are of a source, a level, or anything: bool [K]."""
        return np.array(
            [source in (None, cell[1]) and level in (None, cell[2]) for cell in self.cells],
            dtype=np.bool_,
        )

    def rows(self, chosen: Flags) -> Flags:
        """Return which rows are of the chosen cells: bool [N]."""
        return np.asarray(self.columns[:, : len(self.cells)][:, chosen].any(axis=1))

    def rates(self, chosen: Flags, totals: F64) -> Rates:
        """Return the rates of the chosen cells.

        Args:
            chosen: bool [K].
            totals: [R, 3 K], column totals over any rows.
        """
        answered, called = zip(*(self._of_label(label, chosen, totals) for label in LABELS), strict=True)
        false_alarm_rate, recall = (
            np.divide(part, of, out=np.full_like(part, np.nan), where=of > 0)
            for part, of in zip(called, answered, strict=True)
        )
        # Shares add up to 1 only within rounding, and a rate may not pass 1.
        return Rates(
            recall=np.minimum(recall, 1.0),
            false_alarm_rate=np.minimum(false_alarm_rate, 1.0),
            answered=np.minimum(np.stack(answered, axis=1), 1.0),
        )

    def _of_label(self, label: int, chosen: Flags, totals: F64) -> tuple[F64, F64]:
        """Shares [R] of a label's challenges that are answered, and called road work; nan without any."""
        of_label = chosen & np.array([cell[0] == label for cell in self.cells])
        n, answered, called = (part[:, of_label] for part in np.split(totals, 3, axis=1))
        weights = np.where(n > 0, self.shares[of_label], 0.0)
        whole = weights.sum(axis=1, keepdims=True)
        weights = np.divide(weights, whole, out=np.full_like(weights, np.nan), where=whole > 0)
        each = weights / np.maximum(n, 1)
        return (each * answered).sum(axis=1), (each * called).sum(axis=1)
