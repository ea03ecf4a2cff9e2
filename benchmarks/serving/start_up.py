"""From the start of a process to its first answer to a picture; ours beside the pipeline."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.serving.arithmetic import Ratio, Spread
from benchmarks.serving.servers import OURS, PIPELINE, Command, ours, pipeline, start

_EVERY_S = 0.02
REPEATS = 3


def first_answers(
    subject: Path, work: Path, core: int, picture: bytes, repeats: int = REPEATS
) -> dict[str, object]:
    """Start both servers in turn; once before it counts, so that the disk's cache is warm for both."""
    commands: dict[str, Command] = {OURS: ours, PIPELINE: pipeline}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for repeat in range(repeats + 1):
        for name, command in commands.items():
            taken = _first_answer(name, command, subject, work, core, picture)
            if repeat > 0:
                seconds[name].append(taken)
    ratio = Ratio.of(seconds[PIPELINE], seconds[OURS])
    return {
        "seconds": {name: asdict(Spread.of(values)) for name, values in seconds.items()},
        "pipeline_by_ours": asdict(ratio),
    }


def _first_answer(name: str, command: Command, subject: Path, work: Path, core: int, picture: bytes) -> float:
    begun = time.perf_counter()
    server = start(name, command, subject, work / f"start-{name}", core)
    try:
        server.wait_ready(picture, _EVERY_S)
        return time.perf_counter() - begun
    finally:
        server.tree.end()
