"""Looking at every picture of a data set: `measure_dataset` against a plain loop of Pillow.

    python -m benchmarks data-check

The loop opens, loads and shrinks each picture and nothing else: about what any tool pays before it knows anything.
`measure_dataset` hashes, decodes, checks and measures. Both read the same files through the operating system's
cache. Peak memory is that of a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness import REPEATS, Result, compare
from workzone.core.types import Label
from workzone.data.dataset import DataSet, open_dataset, write_dataset
from workzone.data.facts import PictureFacts, measure_dataset
from workzone.data.render import encode_jpeg
from workzone.data.scenes.compose import render_sequence
from workzone.data.scenes.world import WorldSpec
from workzone.data.schema import NewSample
from workzone.engine.peak_memory import peak_memory_bytes

SEED = 30_000_002
N = 120
SIZES = ((512, 384), (1280, 960))
SIDE_PX = 256
_N_RENDERED = 12


def written(folder: Path, width_px: int, height_px: int, n: int = N) -> DataSet:
    """Write n different street pictures of this size."""
    spec = WorldSpec(width_px=width_px, height_px=height_px)
    frames = [
        render_sequence(SEED, index, Label(index % 2), 1, spec)[0].image_rgb_u8
        for index in range(_N_RENDERED)
    ]
    return write_dataset(
        folder,
        (_sample(frames[index % len(frames)], index, width_px, height_px) for index in range(n)),
        name="benchmark",
    )


def _sample(frame: NDArray[np.uint8], index: int, width_px: int, height_px: int) -> NewSample:
    """Rendering is slow: a frame is used again, moved sideways, which costs a decoder as much."""
    moved = np.ascontiguousarray(np.roll(frame, 7 * index, axis=1))
    return NewSample(encode_jpeg(moved), Label(index % 2), width_px, height_px, group=f"g{index}")


def pillow_loop(dataset: DataSet) -> int:
    """Open, load and shrink each picture."""
    total = 0
    for path in dataset.paths():
        with Image.open(path) as image:
            image.load()
            total += image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX).size[0]
    return total


def measured(dataset: DataSet, workers: int) -> PictureFacts:
    """Look at each picture."""
    return measure_dataset(dataset, workers=workers)


CALLS: Mapping[str, Callable[[DataSet], object]] = {
    "Pillow: open, load, resize": pillow_loop,
    "measure_dataset, 1 thread": lambda dataset: measured(dataset, 1),
    "measure_dataset, 2 threads": lambda dataset: measured(dataset, 2),
}


def run(repeats: int = REPEATS) -> list[Result]:
    """Compare at each size, and a second look through the cache."""
    cv2.setNumThreads(1)
    results = []
    for width_px, height_px in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            dataset = written(folder / "set", width_px, height_px)
            measure_dataset(dataset, cache=folder / "cache")
            memory = {call: _measured_apart(call, dataset.root) for call in CALLS}
            baseline = next(iter(CALLS))
            contenders = {
                name: (lambda call=call, dataset=dataset: call(dataset))
                for name, call in list(CALLS.items())[1:]
            }
            contenders["measure_dataset, all in its cache"] = lambda d=dataset, f=folder: measure_dataset(
                d, cache=f / "cache"
            )
            results += compare(
                f"look at {len(dataset)} JPEGs of {width_px} x {height_px} px",
                (baseline, lambda d=dataset: pillow_loop(d)),  # type: ignore[misc]
                contenders,
                repeats=repeats,
                items=len(dataset),
                note="peak memory of a process: " + ", ".join(f"{k} {v} MB" for k, v in memory.items()),
            )
    return results


def _measured_apart(call: str, root: Path) -> int:
    """Return the peak memory of a process that does one of `CALLS`, in megabytes."""
    command = [sys.executable, "-m", "benchmarks.data_check", call, str(root)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(json.loads(answer.stdout)["megabytes"])


def _main(call: str, root: str) -> None:
    CALLS[call](open_dataset(root))
    print(json.dumps({"megabytes": (peak_memory_bytes() or 0) // 2**20}))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
