"""Pictures whose label can be read off them, and a model that reads it."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from workzone.subnet.profiles import Source
from workzone.subnet.replay import LabelledPicture


def _file_of(label: int, side: int = 40) -> bytes:
    """A PNG: light for road work, dark for none."""
    written = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 200 if label else 60, dtype=np.uint8)).save(written, "PNG")
    return written.getvalue()


def _pictures(
    n: int = 20, sources: tuple[Source, ...] = (Source.REAL,), caption: str | None = None
) -> list[LabelledPicture]:
    """`n` pictures of each label and source, two in a group."""
    files = [_file_of(0), _file_of(1)]
    return [
        LabelledPicture(
            name=f"{source.value}-{label}-{index}",
            load=lambda label=label: files[label],  # type: ignore[misc]
            label=label,
            group=f"{source.value}-{label}-{index // 2}",
            source=source,
            caption=caption,
        )
        for source in sources
        for label in (0, 1)
        for index in range(n)
    ]


def _brightness(jpeg: bytes) -> float:
    """A perfect model: the probability of road work is how light the middle is."""
    middle = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"), dtype=np.float64)
    height, width = middle.shape
    return float(middle[height // 3 : -height // 3, width // 3 : -width // 3].mean() > 95)


@pytest.fixture
def file_of() -> Callable[..., bytes]:
    return _file_of


@pytest.fixture
def pictures() -> Callable[..., list[LabelledPicture]]:
    return _pictures


@pytest.fixture
def brightness() -> Callable[[bytes], float]:
    return _brightness
