"""Batches as a pure function of (seed, epoch): the order of pictures and what augmentation does to each.

Nothing is carried from one epoch to the next, so an epoch that is begun again after a kill is the same one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from workzone.data.augment import AugmentSettings, augment
from workzone.imaging.preprocessing import Preprocessing
from workzone.training.pixels import FittedPictures
from workzone.training.sampling import Drawing
from workzone.training.settings import Imbalance, TrainSettings

_ORDER, _AUGMENT = 1, 2
"""Streams of randomness: the order of an epoch, and what is done to one picture in it."""


def epoch_order(labels: NDArray[np.int8], imbalance: Imbalance, seed: int, epoch: int) -> NDArray[np.intp]:
    """Return the rows of one epoch in their order.

    With `Imbalance.BALANCED` the rarer class is repeated, whole first and the remainder drawn anew each
    epoch, until both classes are as frequent; else every row comes once.
    """
    rng = np.random.default_rng([seed, _ORDER, epoch])
    rows = np.arange(len(labels), dtype=np.intp)
    if imbalance is Imbalance.BALANCED:
        classes = [np.flatnonzero(labels == value) for value in (0, 1)]
        target = max(len(members) for members in classes)
        parts = []
        for members in classes:
            times, rest = divmod(target, len(members))
            parts += [np.tile(members, times), rng.permutation(members)[:rest]]
        rows = np.concatenate(parts)
    return rng.permutation(rows)


def n_batches(labels: NDArray[np.int8], settings: TrainSettings) -> int:
    """Return the number of steps of an epoch."""
    rows = len(epoch_order(labels, settings.imbalance, settings.seed, 0))
    return -(-rows // settings.batch_size)


class EpochBatches(Dataset[tuple[Tensor, Tensor]]):
    """The batches of one training epoch, augmented; item k is batch k, all of nearly one size.

    With a drawing, how often a picture comes is its business; an epoch has as many pictures either way.
    """

    def __init__(
        self,
        pictures: FittedPictures,
        preprocessing: Preprocessing,
        settings: TrainSettings,
        epoch: int,
        drawing: Drawing | None = None,
    ) -> None:
        self._pictures = pictures
        self._preprocessing = preprocessing
        self._augment: AugmentSettings = settings.augment
        self._seed, self._epoch = settings.seed, epoch
        if drawing is None:
            order = epoch_order(pictures.labels, settings.imbalance, settings.seed, epoch)
        else:
            order = drawing.order(settings.seed, epoch)
        self._batches = np.array_split(order, n_batches(pictures.labels, settings))

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rows = self._batches[index]
        images = self._pictures.pixels(rows)
        for i in range(len(rows)):
            # The place within the epoch is part of the key: a repeated picture is changed differently.
            rng = np.random.default_rng([self._seed, _AUGMENT, self._epoch, index, i])
            images[i] = augment(images[i], self._augment, rng)
        pixels = torch.from_numpy(self._preprocessing.normalise(images))
        return pixels, torch.from_numpy(self._pictures.labels[rows].astype(np.float32))


class PlainBatches(Dataset[Tensor]):
    """All pictures in their order, not augmented; item k is batch k."""

    def __init__(self, pictures: FittedPictures, preprocessing: Preprocessing, batch_size: int) -> None:
        self._pictures = pictures
        self._preprocessing = preprocessing
        self._starts = range(0, len(pictures), batch_size)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Tensor:
        start = self._starts[index]
        rows = np.arange(start, min(start + self._starts.step, len(self._pictures)))
        return torch.from_numpy(self._preprocessing.normalise(self._pictures.pixels(rows)))


def loader(batches: Dataset[Any], workers: int) -> DataLoader[Any]:
    """Return a loader of whole batches in their order."""
    # A generator of its own: a loader without one draws a seed from the global one, epoch by epoch.
    return DataLoader(
        batches,
        batch_size=None,
        shuffle=False,
        num_workers=workers,
        generator=torch.Generator().manual_seed(0),
    )
