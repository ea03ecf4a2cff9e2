"""The network alone: ONNX Runtime as the engine runs it against torch eager, from array to array.

Same weights, same inputs, same number of threads; outputs are compared before anything is timed. The engine
forbids its threads to spin while they wait, which costs it a little here and saves others more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import REPEATS, Result, compare
from benchmarks.subjects import frozen_model, street_jpegs
from workzone.engine.backend import BackendOutput
from workzone.engine.scorer import open_model
from workzone.engine.threads import usable_threads
from workzone.models.checkpoint import load_checkpoint
from workzone.models.classifier import RoadWorkClassifier

CALLS = {1: 40, 8: 10}
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
    threads = usable_threads()
    model = open_model(frozen, threads=threads)
    classifier, _ = load_checkpoint(checkpoint)
    pixels = model.preprocessing.prepare(street_jpegs(max(CALLS)))
    results = []
    with _torch_threads(threads):
        for batch, calls in CALLS.items():
            images = np.ascontiguousarray(pixels[:batch])
            check_same(model.backend.run(images[:, None]), torch_eager(classifier, images))
            results += compare(
                f"{backbone} at {model.preprocessing.size_px} px, batch {batch}",
                ("torch eager", _times(calls, lambda x=images: torch_eager(classifier, x))),
                {"ONNX Runtime": _times(calls, lambda x=images: model.backend.run(x[:, None]))},
                repeats=repeats,
                items=batch * calls,
                note=f"float32, {threads} threads each, {calls} calls a repeat, torch in inference_mode",
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


def _times(calls: int, call: Callable[[], object]) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(calls):
            call()

    return repeated


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
