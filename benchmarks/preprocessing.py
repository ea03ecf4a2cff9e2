"""From JPEG bytes to a network's input: `Preprocessing.prepare` against Pillow and numpy done plainly.

One thread each; the engine decodes the pictures of a batch in several. `Image.draft` is beside them because
it is what decodes a large JPEG at a fraction of its size: what is gained beyond it is ours.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness import REPEATS, Result, compare
from benchmarks.subjects import preprocessing_for, street_jpegs
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.backbone_table import IMAGENET_MEAN, IMAGENET_STD

PICTURES = {(256, 192): 32, (1280, 720): 8}
SIZES_PX = (128, 224)
LARGEST_MEAN_DIFFERENCE = 0.15
"""Of two inputs of the same picture, in standard deviations: resizing filters differ, pictures do not."""


def plainly(sources: list[bytes], size_px: int, *, draft: bool) -> NDArray[np.float32]:
    """Return float32 [B, 3, N, N] as one writes it with Pillow and numpy."""
    mean, std = np.array(IMAGENET_MEAN, np.float32), np.array(IMAGENET_STD, np.float32)
    arrays = []
    for source in sources:
        image: Image.Image = Image.open(io.BytesIO(source))
        if draft:
            image.draft("RGB", (2 * size_px, 2 * size_px))  # never below twice the target, as ours
        resized = image.convert("RGB").resize((size_px, size_px), Image.Resampling.BILINEAR)
        arrays.append(((np.asarray(resized, np.float32) / 255 - mean) / std).transpose(2, 0, 1))
    return np.stack(arrays)


def run(repeats: int = REPEATS) -> list[Result]:
    """Compare at two sizes of pictures and two of inputs."""
    results = []
    with _one_thread():
        for (width, height), n in PICTURES.items():
            jpegs = street_jpegs(n, width, height)
            for size_px in SIZES_PX:
                ours = preprocessing_for("embedded/convnext", size_px)
                check_same(ours, jpegs)
                results += compare(
                    f"decode + preprocess, {width}x{height} JPEG to {size_px} px",
                    ("Pillow and numpy plainly", partial(plainly, jpegs, size_px, draft=False)),
                    {
                        "Preprocessing.prepare": partial(ours.prepare, jpegs),
                        "Pillow and numpy with Image.draft": partial(plainly, jpegs, size_px, draft=True),
                    },
                    repeats=repeats,
                    items=n,
                    note=f"{n} pictures a call, one thread",
                )
    return results


def check_same(ours: Preprocessing, jpegs: list[bytes]) -> None:
    """Raise AssertionError unless both ways give arrays of one kind that show the same pictures."""
    prepared = ours.prepare(jpegs)
    for draft in (False, True):
        plain = plainly(jpegs, ours.size_px, draft=draft)
        assert prepared.shape == plain.shape == (len(jpegs), 3, ours.size_px, ours.size_px)
        assert prepared.dtype == plain.dtype == np.float32
        difference = float(np.abs(prepared - plain).mean())
        assert difference < LARGEST_MEAN_DIFFERENCE, f"mean difference {difference:.3f}"


@contextmanager
def _one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
