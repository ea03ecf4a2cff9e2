"""The engine's runtimes on the processor: ONNX Runtime in float32 against OpenVINO in float32 and bfloat16.

The same frozen network, pictures and threads, from array to array, with the threads that the engine would take.
What bfloat16 changes of the logits stands in the note; whether that is little enough is a question for parity
and a certificate of its own, which the weights of these networks, being random, cannot answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import REPEATS, Result, compare
from benchmarks.subjects import frozen_model, preprocessing_for, street_jpegs
from workzone.engine.backend import Backend
from workzone.engine.scorer import open_model
from workzone.engine.threads import usable_threads

CALLS = {1: 24, 8: 6}
"""Batch size → calls that are timed as one, long enough for the clock and the scheduler."""
CONTENDERS = {"OpenVINO fp32": "openvino-fp32", "OpenVINO bf16": "openvino-bf16"}
FP32_TOLERANCE = 1e-3
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")
"""Of /proc/cpuinfo: the processor multiplies bfloat16 itself. Without, OpenVINO imitates it and gains nothing."""


def run(repeats: int = REPEATS) -> list[Result]:
    """Compare both embedded networks at batch 1 and 8."""
    flags = bfloat16_flags(Path("/proc/cpuinfo"))
    print(f"bfloat16 of this processor: {', '.join(flags) or 'none'}", flush=True)
    results = []
    for backbone in ("embedded/convnext", "embedded/vit"):
        with tempfile.TemporaryDirectory() as folder:
            results += _compare_network(backbone, Path(folder), repeats, flags)
    return results


def bfloat16_flags(cpuinfo: Path) -> tuple[str, ...]:
    """Return those of `BFLOAT16_FLAGS` that the processor has; none where the file is not there."""
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    words = {word for line in text.splitlines() if line.startswith("flags") for word in line.split()}
    return tuple(flag for flag in BFLOAT16_FLAGS if flag in words)


def _compare_network(backbone: str, folder: Path, repeats: int, flags: tuple[str, ...]) -> list[Result]:
    _, frozen = frozen_model(folder, backbone)
    pixels = preprocessing_for(backbone).prepare(street_jpegs(max(CALLS)))
    results = []
    for threads in sorted({1, usable_threads()}):
        baseline = open_model(frozen, threads=threads).backend
        contenders = {
            label: open_model(frozen, backend=name, threads=threads).backend
            for label, name in CONTENDERS.items()
        }
        off = _differences(baseline, contenders, pixels[:, None])
        for batch, calls in CALLS.items():
            images = np.ascontiguousarray(pixels[:batch, None])
            results += compare(
                f"{backbone} at {images.shape[-1]} px, batch {batch}, threads {threads}",
                ("ONNX Runtime fp32", partial(_repeated, calls, partial(baseline.run, images))),
                {
                    label: partial(_repeated, calls, partial(backend.run, images))
                    for label, backend in contenders.items()
                },
                repeats=repeats,
                items=batch * calls,
                note=f"OpenVINO {version('openvino')}, {calls} calls a repeat; {off}; "
                f"bfloat16 of this processor: {', '.join(flags) or 'none'}",
            )
    return results


def _differences(baseline: Backend, contenders: dict[str, Backend], images: NDArray[np.float32]) -> str:
    """Say how far the logits are from the baseline's; raise AssertionError where fp32 is off."""
    logits = baseline.run(images).logits
    off = {name: np.abs(backend.run(images).logits - logits).max() for name, backend in contenders.items()}
    assert off["OpenVINO fp32"] <= FP32_TOLERANCE, off
    largest = ", ".join(f"{name} {value:.1e}" for name, value in off.items())
    return f"largest difference of a logit: {largest} (their standard deviation: {logits.std():.1f})"


def _repeated(calls: int, call: Callable[[], object]) -> None:
    for _ in range(calls):
        call()
