"""Tiny pictures and data sets, made of noise."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workzone.core.types import Label
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.schema import NewBox, NewSample


class RecordingObserver:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[tuple[str, int, int | None]] = []

    def progress(self, task: str, done: int, total: int | None) -> None:
        self.steps.append((task, done, total))

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


def _picture(number: int, kind: str = "JPEG", width: int = 12, height: int = 8) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind)
    return buffer.getvalue()


def _sample(number: int, label: int = 0, group: str | None = None, **columns: object) -> NewSample:
    return NewSample(_picture(number), Label(label), 12, 8, group=group, origin=f"p{number}", **columns)  # type: ignore[arg-type]


def _groups(count: int, seed: int = 0, frames: Sequence[int] = (1, 2, 3)) -> list[NewSample]:
    """`count` groups with labels and conditions drawn at random, a few frames each."""
    rng = np.random.default_rng(seed)
    samples = []
    for group in range(count):
        label = int(rng.choice([0, 1, -1], p=[0.5, 0.45, 0.05]))
        daytime = str(rng.choice(["day", "dusk", "night"], p=[0.6, 0.1, 0.3]))
        weather = str(rng.choice(["clear", "rain", "fog"], p=[0.7, 0.2, 0.1]))
        boxes = (NewBox("cone", "roadwork", 1.0, 2.0, 3.0, 4.0, 0.5),) * max(label, 0)
        columns = {"daytime": daytime, "weather": weather, "ambiguous": group % 17 == 0, "boxes": boxes}
        samples += [
            _sample(1000 * seed + 10 * group + frame, label, f"g{group:03d}", **columns)
            for frame in range(frames[group % len(frames)])
        ]
    return samples


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    return _picture


@pytest.fixture(scope="session")
def sample() -> Callable[..., NewSample]:
    return _sample


@pytest.fixture(scope="session")
def group_samples() -> Callable[..., list[NewSample]]:
    return _groups


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """120 groups; not to be written to."""
    return write_dataset(tmp_path_factory.mktemp("data") / "set", _groups(120), name="noise")


@pytest.fixture
def own_dataset(tmp_path: Path) -> DataSet:
    """24 groups in a directory of the test's own."""
    return write_dataset(tmp_path / "own", _groups(24, seed=3), name="own")
