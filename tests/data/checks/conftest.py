"""A small clean data set to plant faults in: 48 textured pictures of 24 places, a third of them at night."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from workzone.core.types import Label
from workzone.data.checks.check import look_at
from workzone.data.checks.subject import Subject
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.schema import SPLIT_COLUMNS, NewBox, NewSample
from workzone.data.split import Split, SplitRecipe
from workzone.data.tables import build_table

WIDTH, HEIGHT, PLACES, FRAMES = 128, 96, 24, 2
DARKER = {"day": 1.0, "night": 0.3}


@cache
def texture(number: int) -> np.ndarray:
    """Blobs of colour with fine grain, unlike those of any other number: uint8 [H, W, 3]."""
    rng = np.random.default_rng(number)
    coarse = rng.uniform(20, 235, (7, 9, 3)).astype(np.float32)
    blobs = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    grain = rng.normal(0, 12, (HEIGHT, WIDTH, 1))
    return (blobs + grain).clip(0, 255).astype(np.uint8)


def encode(pixels: np.ndarray, kind: str = "JPEG", mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, format=kind, **options)
    return buffer.getvalue()


@cache
def clean(number: int) -> NewSample:
    """Picture `number` of the clean set: place number // 2, labels in turn, captions by the rule."""
    place = number // FRAMES
    daytime = "night" if place % 3 == 2 else "day"
    pixels = (texture(number) * DARKER[daytime]).astype(np.uint8)
    label = Label(place % 2)
    return NewSample(
        encode(pixels, quality=92),
        label,
        WIDTH,
        HEIGHT,
        group=f"place{place:02d}",
        source="cam",
        camera="left",
        daytime=daytime,
        weather="clear",
        environment="urban",
        lat=50 + 0.1 * place,
        lon=8.0,
        captured_at=datetime(2025, 5, 1 + place, tzinfo=UTC),
        caption="Cones at the kerb." if label == Label.ROADWORK else None,
        boxes=(NewBox("cone", "roadwork", 5.0, 6.0, 20.0, 30.0, 1.0),) if label == Label.ROADWORK else (),
        origin=f"p{number}",
    )


@dataclass
class Bench:
    """Makes data sets of the clean samples, and looks at them."""

    root: Path
    made: int = 0

    def samples(self, changes: Mapping[int, Mapping[str, Any]] | None = None) -> list[NewSample]:
        """Return the clean samples, with some columns of some of them changed."""
        return [
            replace(clean(number), **(changes or {}).get(number, {})) for number in range(PLACES * FRAMES)
        ]

    def write(self, samples: Sequence[NewSample], **options: Any) -> DataSet:
        self.made += 1
        return write_dataset(self.root / f"set{self.made}", samples, name="bench", **options)

    def look(self, samples: Sequence[NewSample] | DataSet, **options: Any) -> Subject:
        dataset = samples if isinstance(samples, DataSet) else self.write(samples)
        return look_at(dataset, **options)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def clean_subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """The clean set with its split; not to be written to."""
    bench = Bench(tmp_path_factory.mktemp("clean"))
    dataset = bench.write(bench.samples())
    return look_at(dataset, split=split_by(dataset, role_of_place))


def role_of_place(group: str) -> str:
    """Half train, a quarter each calib and test, both labels in each."""
    return ("train", "train", "calib", "test")[int(group[-2:]) // 2 % 4]


def split_by(dataset: DataSet, role_of: Callable[[str], str]) -> Split:
    """Return a split that gives each group a role, as `read_split` would."""
    groups = dataset.samples["group"].to_pylist()
    columns = {
        "id": dataset.samples["id"].to_pylist(),
        "group": groups,
        "role": [role_of(group) for group in groups],
    }
    recipe = SplitRecipe(
        method="fractions", seed=0, train=0.5, select=0.0, calib=0.25, test=0.25, stratify=[]
    )
    return Split(build_table(SPLIT_COLUMNS, columns), recipe, dataset.sha256, "0" * 64)


@pytest.fixture(scope="session")
def split_for() -> Callable[..., Split]:
    return lambda dataset, role_of=role_of_place: split_by(dataset, role_of)


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    return encode


@pytest.fixture(scope="session")
def pixels() -> Callable[[int], np.ndarray]:
    """The pixels of a clean picture by day, before JPEG."""
    return texture


@pytest.fixture(scope="session")
def ids_of() -> Callable[..., set[str]]:
    """The ids of pictures as they were given."""
    import hashlib

    return lambda *images: {hashlib.sha256(image).hexdigest() for image in images}
