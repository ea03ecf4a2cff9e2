"""How often each picture is drawn: balanced by label, or by label and source, and by weights of sources.

Knows labels and names of sources; does not know pictures. Pictures of one label and source are a cell, and every
picture of a cell is drawn equally often. An epoch has as many draws as there are pictures, so that a setting changes
what is seen and not how long training takes; a cell that is worth more draws than it has pictures is repeated.

The decision a reader would question: a cell is dealt like a deck of cards that is shuffled anew when it is used up,
rather than drawn from with replacement. After any number of epochs each of its pictures came equally often, to within
one; and which cards epoch e deals follows from (seed, e) alone, so a training that was killed goes on exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, nearest
from workzone.training.settings import Imbalance, Sampling, TrainSettings

NOT_STATED = "not stated"
"""The source of pictures that state none, as the report calls it."""
_MIX, _DECK = 3, 4
"""Streams of randomness: the order of an epoch, and the shuffles of a cell."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """How often pictures are drawn.

    Attributes:
        cells: intp [N], each picture's cell.
        shares: float64 [C], the share of draws that each cell gets: above 0, sum 1.
        positive: bool [C], whether the cell's label is road work.
    """

    cells: NDArray[np.intp]
    shares: NDArray[np.float64]
    positive: NDArray[np.bool_]

    @property
    def positive_share(self) -> float:
        """The share of draws that are road work."""
        return float(self.shares[self.positive].sum())

    def counts(self) -> NDArray[np.intp]:
        """Return how many draws of an epoch each cell gets, intp [C]: at least one each, together N."""
        due = self.shares * len(self.cells)
        counts = np.floor(due).astype(np.intp)
        counts[np.argsort(counts - due, kind="stable")[: len(self.cells) - int(counts.sum())]] += 1
        for empty in np.flatnonzero(counts == 0):
            counts[counts.argmax()] -= 1
            counts[empty] = 1
        return counts

    def order(self, seed: int, epoch: int) -> NDArray[np.intp]:
        """Return the rows of one epoch in their order, intp [N]."""
        drawn = [
            _deal(np.flatnonzero(self.cells == cell), int(count), seed, epoch, cell)
            for cell, count in enumerate(self.counts())
        ]
        return np.random.default_rng([seed, _MIX, epoch]).permutation(np.concatenate(drawn))

    def picture_weights(self) -> NDArray[np.float64]:
        """Return what each picture counts for where all are used at once, float64 [N], mean 1."""
        sizes = np.bincount(self.cells, minlength=len(self.shares))
        weights: NDArray[np.float64] = (self.shares / sizes)[self.cells] * len(self.cells)
        return weights


def drawing_of(labels: NDArray[np.int8], sources: tuple[str, ...], settings: TrainSettings) -> Drawing | None:
    """Return how often pictures are drawn, or None where each is drawn once, as they come.

    `natural` keeps the pictures' own shares, times the weight of their source. `label` gives both labels half of the
    draws, `label_source` too, and within a label the same to every source that has it, times its weight.

    Args:
        labels: int8 [N], 0 or 1; both occur.
        sources: N names; "" where a picture states none.
        settings: `sampling` and `source_weights`.

    Raises:
        ConfigError: A weight is of a source that no picture has; names the nearest.
    """
    if settings.sampling is Sampling.NATURAL and not settings.source_weights:
        return None
    named = np.array([source or NOT_STATED for source in sources], dtype=np.str_)
    _check_sources(settings.source_weights, set(named.tolist()))
    known, which = np.unique(named, return_inverse=True)
    cell_keys, cells = np.unique(which.astype(np.int64) * 2 + labels, return_inverse=True)
    positive = cell_keys % 2 == 1
    weights = np.array([settings.source_weights.get(str(source), 1.0) for source in known])[cell_keys // 2]
    if settings.sampling is not Sampling.LABEL_SOURCE:
        weights = weights * np.bincount(cells)
    if settings.sampling is not Sampling.NATURAL:
        for label in (False, True):
            weights[positive == label] /= 2 * weights[positive == label].sum()
    return Drawing(cells.astype(np.intp), weights / weights.sum(), positive)


def label_weights(drawing: Drawing, imbalance: Imbalance) -> NDArray[np.float64]:
    """Return what each picture counts for in a loss over all pictures, float64 [N], mean 1.

    Unless `imbalance` is none, both labels count the same, as `pos_weight` does for batches.
    """
    weights = drawing.picture_weights()
    if imbalance is not Imbalance.NONE:
        share = drawing.positive_share
        weights = weights * np.where(drawing.positive[drawing.cells], 0.5 / share, 0.5 / (1.0 - share))
    return weights


def _check_sources(weights: Mapping[str, float], known: set[str]) -> None:
    for source in weights:
        if source not in known:
            raise ConfigError(
                f"train.source_weights weighs the source '{source}', which no picture of train has."
                f"{nearest(source, known)}"
            )


def _deal(members: NDArray[np.intp], count: int, seed: int, epoch: int, cell: int) -> NDArray[np.intp]:
    """Deal the cards `epoch * count` … of a deck that is shuffled whenever it is used up."""
    size = len(members)
    start = epoch * count
    first, last = start // size, (start + count - 1) // size
    decks = [
        np.random.default_rng([seed, _DECK, cell, deck]).permutation(members)
        for deck in range(first, last + 1)
    ]
    return np.concatenate(decks)[start - first * size : start - first * size + count]
