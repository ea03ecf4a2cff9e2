"""The most that one core gives: bytes to verdict in a loop, in one process, without any server.

Run as a program: it opens the bundle and then measures for as many seconds as each line of its input says, one JSON
line an answer. Where warm-up finds that a batch pays, half of the time goes to batches, and the better half counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from benchmarks.serving.processes import ONE_THREAD, REPOSITORY, module, pinned


class Ceiling:
    """The loop in its process, asked now and then."""

    def __init__(self, bundle: Path, pictures: Path, core: int) -> None:
        import os

        self._process = subprocess.Popen(
            pinned(core, module("ceiling", bundle, pictures)), cwd=REPOSITORY, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, **ONE_THREAD},
        )  # fmt: skip
        self.opened = self._read()

    def measure(self, seconds: float) -> dict[str, float]:
        """Return `per_s`, `cpu_s` an answer, `batch`, and the steps `decode_ms` and `network_ms` of one picture."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return self._read()

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The loop in process has ended; its error is above.")
        found: dict[str, float] = json.loads(line)
        return found


def main() -> None:
    import numpy as np

    from workzone.engine.predictor import open_verified
    from workzone.engine.scorer import run_fitted
    from workzone.engine.warm_up import warm_up

    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("pictures", type=Path)
    arguments = parser.parse_args()
    bundle, backend = open_verified(arguments.bundle, threads=1)
    data = [path.read_bytes() for path in sorted(arguments.pictures.glob("*.jpg"))]
    best = warm_up(backend, bundle.preprocessing).best_batch
    print(json.dumps({"best_batch": best}), flush=True)

    def answer(part: Sequence[bytes]) -> tuple[float, float]:
        begun = time.perf_counter()
        fitted = [bundle.preprocessing.load(picture) for picture in part]
        read = time.perf_counter()
        output = run_fitted(backend, bundle.preprocessing, fitted)
        logits = output.logits.astype(np.float64)
        bundle.calibrator.apply(logits)
        bundle.policy.verdicts(logits, output.features)
        return read - begun, time.perf_counter() - read

    def loop(batch: int, seconds: float) -> dict[str, float]:
        waiting = cycle(data)
        begun, cpu, steps = time.perf_counter(), time.process_time(), []
        while time.perf_counter() - begun < seconds:
            steps.append(answer(list(islice(waiting, batch))))
        n = batch * len(steps)
        return {
            "per_s": n / (time.perf_counter() - begun),
            "cpu_s": (time.process_time() - cpu) / n,
            "batch": batch,
            "decode_ms": 1000 * sum(step[0] for step in steps) / n,
            "network_ms": 1000 * sum(step[1] for step in steps) / n,
        }

    for line in sys.stdin:
        sizes = sorted({1, best})
        found = [loop(size, float(line) / len(sizes)) for size in sizes]
        print(json.dumps(max(found, key=lambda one: one["per_s"])), flush=True)


if __name__ == "__main__":
    main()
