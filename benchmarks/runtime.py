"""The network alone: ONNX Runtime as the engine runs it against torch eager, from array to array.

Same weights, same inputs, same number of threads; outputs are compared before anything is timed. With several
threads torch's spin while they wait for each other and the engine's sleep, so that other load on the machine
hurts torch far more: what the runtimes themselves differ by, the ratio at one thread says.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import REPEATS, Result, compare
from benchmarks.subjects import frozen_model, preprocessing_for, street_jpegs
from workzone.engine.backend import BackendOutput
from workzone.engine.scorer import open_model
from workzone.engine.threads import usable_threads
from workzone.models.checkpoint import load_checkpoint
from workzone.models.classifier import RoadWorkClassifier

CALLS = {1: 24, 8: 6}
"""Batch size → calls that are timed as one, long enough for the clock and the scheduler."""
TOLERANCE = 1e-3
F32 = NDArray[np.float32]


def run(repeats: int = REPEATS) -> list[Result]:
    """Compare both embedded networks at batch 1 and 8."""
    results = []
    for backbone in ("embedded/convnext", "embedded/vit"):
        with tempfile.TemporaryDirectory() as folder:
            results += _compare_network(backbone, Path(folder), repeats)
    return results


def _compare_network(backbone: str, folder: Path, repeats: int) -> list[Result]:
    checkpoint, frozen = frozen_model(folder, backbone)
    classifier, _ = load_checkpoint(checkpoint)
    pixels = preprocessing_for(backbone).prepare(street_jpegs(max(CALLS)))
    results = []
    for threads in sorted({1, usable_threads()}):
        backend = open_model(frozen, threads=threads).backend
        with _torch_threads(threads):
            for batch, calls in CALLS.items():
                images = np.ascontiguousarray(pixels[:batch])
                eager, served = (
                    partial(torch_eager, classifier, images),
                    partial(backend.run, images[:, None]),
                )
                check_same(served(), eager())
                results += compare(
                    f"{backbone} at {images.shape[-1]} px, batch {batch}, threads {threads}",
                    ("torch eager", partial(_repeated, calls, eager)),
                    {"ONNX Runtime": partial(_repeated, calls, served)},
                    repeats=repeats,
                    items=batch * calls,
                    note=f"float32, {calls} calls a repeat, torch in inference_mode",
                )
    return results


def torch_eager(classifier: RoadWorkClassifier, images: F32) -> BackendOutput:
    """Run the classifier, float32 [B, 3, H, W], from numpy to numpy as the engine does."""
    with torch.inference_mode():
        logits, features = classifier(torch.from_numpy(images))
    return BackendOutput(logits.numpy(), features.numpy())


def check_same(found: BackendOutput, expected: BackendOutput) -> None:
    """Raise AssertionError unless both runtimes say the same."""
    np.testing.assert_allclose(found.logits, expected.logits, atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(found.features, expected.features, atol=TOLERANCE, rtol=0)


def _repeated(calls: int, call: Callable[[], object]) -> None:
    for _ in range(calls):
        call()


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
