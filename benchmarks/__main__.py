"""`python -m benchmarks [NAME ...]`: run benchmarks, print the ratios, write `benchmarks/results/NAME.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import cache, preprocessing, runtime, startup
from benchmarks.harness import Result, as_json, machine

BENCHMARKS: dict[str, Callable[[], list[Result]]] = {
    "preprocessing": preprocessing.run,
    "runtime": runtime.run,
    "cache": cache.run,
    "startup": startup.run,
}


def main(names: list[str]) -> None:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"unknown benchmark {', '.join(sorted(unknown))}; known: {', '.join(BENCHMARKS)}")
    for name in names or list(BENCHMARKS):
        results = BENCHMARKS[name]()
        for result in results:
            print(
                f"{name}: {result.contender} is {result.ratio}x as fast as {result.baseline} "
                f"({result.low} to {result.high}, {result.repeats} repeats)"
            )
        target = Path(__file__).parent / "results" / f"{name}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps({"machine": machine(), "results": as_json(results)}, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
