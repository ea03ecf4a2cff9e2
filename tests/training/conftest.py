"""Tiny labelled pictures and the smallest settings that train."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from workzone.data.augment import NO_AUGMENTATION
from workzone.imaging.preprocessing import Preprocessing
from workzone.training.settings import TrainSettings

SIDE = 32


@dataclass
class TinySamples:
    """What `LabelledSamples` asks for."""

    ids: NDArray[np.str_]
    labels: NDArray[np.int8]
    ambiguous: NDArray[np.bool_]
    paths: list[Path]
    sources: NDArray[np.str_]


@dataclass
class Recorder:
    notes: list[str] = field(default_factory=list)
    steps: list[tuple[str, int, int | None]] = field(default_factory=list)

    def progress(self, task: str, done: int, total: int | None) -> None:
        self.steps.append((task, done, total))

    def note(self, message: str) -> None:
        self.notes.append(message)


def tiny_samples(directory: Path, n: int, seed: int) -> TinySamples:
    """Noise; road work has an orange square somewhere."""
    rng = np.random.default_rng(seed)
    directory.mkdir(parents=True, exist_ok=True)
    paths, labels = [], []
    for number in range(n):
        image = rng.integers(0, 160, (SIDE, SIDE, 3), dtype=np.uint8)
        labels.append(number % 2)
        if number % 2:
            top, left = rng.integers(2, SIDE - 10, size=2)
            image[top : top + 8, left : left + 8] = (255, 120, 0)
        path = directory / f"{seed}-{number}.png"
        Image.fromarray(image).save(path)
        paths.append(path)
    ids = np.array([path.stem for path in paths])
    sources = np.full(n, "noise")
    return TinySamples(ids, np.array(labels, np.int8), np.zeros(n, bool), paths, sources)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks this small gain nothing from a second thread, and on a busy machine lose much by it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def preprocessing() -> Preprocessing:
    return Preprocessing(size_px=SIDE, mean=(127.5,) * 3, scale=(1 / 64,) * 3)


@pytest.fixture
def parts(tmp_path: Path) -> tuple[TinySamples, TinySamples]:
    return tiny_samples(tmp_path / "pictures", 32, 1), tiny_samples(tmp_path / "pictures", 16, 2)


@pytest.fixture
def settings() -> TrainSettings:
    """Three short epochs, augmented, with dropout and an average: everything that a resume must restore."""
    return TrainSettings(epochs=3, batch_size=8, learning_rate=1e-3, ema_decay=0.9, patience=10)


@pytest.fixture
def memorising() -> TrainSettings:
    """Nothing that hinders learning by heart."""
    return TrainSettings(
        epochs=40, batch_size=16, learning_rate=2e-3, weight_decay=0, dropout=0, patience=1000, metric="nll",
        augment=NO_AUGMENTATION,
    )  # fmt: skip
