"""Order and augmentation of an epoch are functions of (seed, epoch)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workzone.imaging.preprocessing import Preprocessing
from workzone.training.batches import EpochBatches, epoch_order, n_batches
from workzone.training.pictures import decided
from workzone.training.pixels import FittedPictures, fitted_pictures
from workzone.training.settings import Imbalance, TrainSettings


@pytest.fixture
def fitted(parts: Any, preprocessing: Preprocessing, tmp_path: Path, recorder: Any) -> FittedPictures:
    return fitted_pictures(decided(parts[0], "train", recorder), preprocessing, tmp_path / "c", recorder, "d")


@pytest.mark.parametrize("imbalance", [Imbalance.POS_WEIGHT, Imbalance.NONE])
def test_every_picture_comes_once(imbalance: Imbalance) -> None:
    labels = np.array([0] * 30 + [1] * 7, np.int8)
    order = epoch_order(labels, imbalance, 0, 0)
    assert sorted(order) == list(range(37))
    assert list(order) != sorted(order)
    assert list(order) != list(epoch_order(labels, imbalance, 0, 1))
    assert list(order) == list(epoch_order(labels, imbalance, 0, 0))


def test_balanced_epochs_hold_as_many_of_both_and_leave_nothing_out() -> None:
    labels = np.array([0] * 30 + [1] * 7, np.int8)
    counts = Counter(epoch_order(labels, Imbalance.BALANCED, 0, 3).tolist())
    assert set(counts) == set(range(37))
    assert sum(counts[i] for i in range(30)) == sum(counts[i] for i in range(30, 37)) == 30
    assert {counts[i] for i in range(30, 37)} == {4, 5}


def test_batches_are_nearly_equal_and_as_many_as_said(
    fitted: FittedPictures, preprocessing: Preprocessing
) -> None:
    settings = TrainSettings(batch_size=10)
    batches = EpochBatches(fitted, preprocessing, settings, 0)
    sizes = [len(batches[k][1]) for k in range(len(batches))]
    assert sizes == [8, 8, 8, 8]
    assert n_batches(fitted.labels, settings) == 4


def test_an_epoch_can_be_had_again_and_the_next_is_another(
    fitted: FittedPictures, preprocessing: Preprocessing
) -> None:
    def batch(epoch: int, seed: int = 0) -> torch.Tensor:
        return EpochBatches(fitted, preprocessing, TrainSettings(seed=seed), epoch)[0][0]

    assert torch.equal(batch(4), batch(4))
    assert not torch.equal(batch(4), batch(5))
    assert not torch.equal(batch(4), batch(4, seed=1))


def test_augmenting_leaves_the_cache_as_it_was(fitted: FittedPictures, preprocessing: Preprocessing) -> None:
    before = np.array(fitted.array)
    batches = EpochBatches(fitted, preprocessing, TrainSettings(), 0)
    for k in range(len(batches)):
        pixels, targets = batches[k]
        assert pixels.dtype == torch.float32
        assert set(targets.tolist()) <= {0.0, 1.0}
    np.testing.assert_array_equal(before, fitted.array)
