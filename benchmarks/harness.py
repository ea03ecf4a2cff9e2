"""Interleaved timing of alternatives, and the description of the machine it was done on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("numpy", "pillow", "opencv-python-headless", "onnxruntime", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class Result:
    """One comparison.

    `ratio` is how many times faster `contender` is than `baseline` (medians of interleaved repeats), `low` and
    `high` the smallest and largest ratio of a single pair.
    """

    benchmark: str
    contender: str
    baseline: str
    ratio: float
    low: float
    high: float
    repeats: int
    note: str = ""


def compare(
    benchmark: str,
    baseline: tuple[str, Callable[[], object]],
    contenders: Mapping[str, Callable[[], object]],
    *,
    repeats: int = 7,
    note: str = "",
) -> list[Result]:
    """Time each contender and the baseline in turn, `repeats` times, after one warm-up of each.

    Interleaving lets a slow spell of the machine hit all alike.
    """
    runs = {baseline[0]: baseline[1], **contenders}
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    slow = seconds[baseline[0]]
    results = []
    for name in contenders:
        pairs = [b / c for b, c in zip(slow, seconds[name], strict=True)]
        ratio = statistics.median(slow) / statistics.median(seconds[name])
        results.append(
            Result(
                benchmark,
                name,
                baseline[0],
                round(ratio, 2),
                round(min(pairs), 2),
                round(max(pairs), 2),
                repeats,
                note,
            )
        )
    return results


def machine() -> dict[str, object]:
    """Describe the processor and the libraries: without them a ratio means little."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def as_json(results: list[Result]) -> list[dict[str, object]]:
    """Return the JSON form of results."""
    return [asdict(result) for result in results]
