"""Interleaved timing of alternatives, and the description of the machine it was done on.

Knows callables and clocks; does not know what is compared.
"""

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
REPEATS = 7


@dataclass(frozen=True, slots=True)
class Result:
    """One comparison.

    `ratio` is how many times faster `contender` is than `baseline` (medians of interleaved repeats), `low`
    and `high` the smallest and largest ratio of a single pair. `contender_ms` and `baseline_ms` are the
    medians behind it, in milliseconds per item: a picture, where pictures are worked on.
    """

    benchmark: str
    contender: str
    baseline: str
    ratio: float
    low: float
    high: float
    contender_ms: float
    baseline_ms: float
    repeats: int
    note: str = ""


def compare(
    benchmark: str,
    baseline: tuple[str, Callable[[], object]],
    contenders: Mapping[str, Callable[[], object]],
    *,
    repeats: int = REPEATS,
    items: int = 1,
    note: str = "",
    clock: Callable[[], float] = time.perf_counter,
) -> list[Result]:
    """Time each contender and the baseline in turn, `repeats` times, after one warm-up of each.

    Interleaving lets a slow spell of the machine hit all alike.

    Args:
        benchmark: What is compared.
        baseline: Name and call of what the others are measured against.
        contenders: Calls by name; each does the baseline's work.
        repeats: Timed calls of each, at least 1.
        items: How many pictures (or starts) one call works through.
        note: What a reader must know.
        clock: Seconds that pass, from any origin.
    """
    name, call = baseline
    runs = {name: call, **contenders}
    seconds = _interleaved(runs, repeats, clock)
    results = []
    for contender in contenders:
        pairs = [slow / fast for slow, fast in zip(seconds[name], seconds[contender], strict=True)]
        slow, fast = statistics.median(seconds[name]), statistics.median(seconds[contender])
        results.append(
            Result(
                benchmark=benchmark,
                contender=contender,
                baseline=name,
                ratio=round(slow / fast, 2),
                low=round(min(pairs), 2),
                high=round(max(pairs), 2),
                contender_ms=round(1000 * fast / items, 3),
                baseline_ms=round(1000 * slow / items, 3),
                repeats=repeats,
                note=note,
            )
        )
    return results


def _interleaved(
    runs: Mapping[str, Callable[[], object]], repeats: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return seconds


def machine() -> dict[str, object]:
    """Describe the processor, what else it does, and the libraries: without them a ratio means little."""
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
        "load_1_min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def as_json(results: list[Result]) -> list[dict[str, object]]:
    """Return the JSON form of results."""
    return [asdict(result) for result in results]
