"""`python -m benchmarks [NAME ...]`: measure, print the ratios, write `benchmarks/results/NAME.json`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from benchmarks import cache, preprocessing, runtime, startup
from benchmarks.harness import REPEATS, Result, as_json, machine

RESULTS = Path(__file__).parent / "results"
BENCHMARKS: dict[str, Callable[[int], list[Result]]] = {
    "preprocessing": preprocessing.run,
    "runtime": runtime.run,
    "cache": cache.run,
    "startup": startup.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="timed calls of each alternative")
    parser.add_argument("--out", type=Path, default=RESULTS, help="directory of the results")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown or arguments.repeats < 1:
        parser.error(f"unknown: {', '.join(sorted(unknown))}" if unknown else "--repeats is at least 1")
    for name in arguments.names or list(BENCHMARKS):
        described = machine()  # its load before the benchmark adds its own
        results = BENCHMARKS[name](arguments.repeats)
        for result in results:
            print(
                f"{result.benchmark}: {result.contender} is {result.ratio}x as fast as {result.baseline} "
                f"({result.low} to {result.high}, {result.repeats} repeats)",
                flush=True,
            )
        arguments.out.mkdir(parents=True, exist_ok=True)
        document = {"machine": described, "results": as_json(results)}
        (arguments.out / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
