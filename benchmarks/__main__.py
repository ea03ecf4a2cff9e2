"""`python -m benchmarks [NAME ...]`: measure, print, write `benchmarks/results/NAME.json`.

What is timed gives ratios; what is simulated (`promise`, `tightness`) gives tables, and runs only when named, as do
the loads of the HTTP service (`serving`, `serving-soak`), which want a quiet machine for half an hour, and of the
miner (`miner`), which takes some minutes and the Bittensor SDK.
Each name's module is imported when it is asked for: a simulation needs no torch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import REPEATS, Result, as_json, machine

if TYPE_CHECKING:
    from benchmarks.miner.settings import Settings as MinerSettings
    from benchmarks.serving.settings import Settings

RESULTS = Path(__file__).parent / "results"
TIMED: dict[str, str] = {
    "preprocessing": "benchmarks.preprocessing",
    "runtime": "benchmarks.runtime",
    "cache": "benchmarks.cache",
    "startup": "benchmarks.startup",
    "certify": "benchmarks.certify",
    "backends": "benchmarks.backends",
    "subnet-reward": "benchmarks.subnet_reward",
}
"""Name → module with `run(repeats) -> list[Result]`."""
DATA: dict[str, str] = {
    "importing": "benchmarks.importing",
    "data-check": "benchmarks.data_check",
    "near-duplicates": "benchmarks.near_duplicates",
}
"""The same, run only when named: minutes each, beside libraries that `workzone` itself does without."""
TABLES: Mapping[str, str] = {"promise": "benchmarks.promise", "tightness": "benchmarks.tightness"}
"""Name → module with `run(redraws, scores) -> JSON`."""
SERVING: Mapping[str, str] = {
    "serving": "benchmarks.serving.compare",
    "serving-soak": "benchmarks.serving.soak",
}
"""Name → module with `run(settings) -> JSON`."""
MINER: Mapping[str, str] = {"miner": "benchmarks.miner.rehearse"}
"""The same, with settings of its own."""
REDRAWS = 2000


def main() -> None:
    arguments = _parser().parse_args()
    unknown = set(arguments.names) - set(TIMED | DATA) - set(TABLES) - set(SERVING) - set(MINER)
    if unknown:
        _parser().error(f"unknown: {', '.join(sorted(unknown))}")
    if (arguments.repeats is not None and arguments.repeats < 1) or arguments.redraws < 1:
        _parser().error("--repeats and --redraws are at least 1")
    if arguments.only and arguments.names != ["promise"]:
        _parser().error("--only is for 'promise'")
    for name in arguments.names or list(TIMED):
        described = machine()  # its load before the benchmark adds its own
        document: dict[str, Any] = {"machine": described}
        if name in TIMED | DATA:
            results: list[Result] = import_module((TIMED | DATA)[name]).run(arguments.repeats or REPEATS)
            _print_ratios(results)
            document["results"] = as_json(results)
        elif name in SERVING:
            document |= import_module(SERVING[name]).run(_serving_settings(arguments))
        elif name in MINER:
            document |= import_module(MINER[name]).run(_miner_settings(arguments))
        elif arguments.only:
            written = json.loads((arguments.out / f"{name}.json").read_text())
            document |= import_module(TABLES[name]).rerun(arguments.redraws, arguments.only, written)
        else:
            document |= import_module(TABLES[name]).run(arguments.redraws, arguments.scores)
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / f"{name}.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    names = f"of {', '.join(TIMED)} (default: these), {', '.join([*DATA, *TABLES, *SERVING, *MINER])}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=names)
    parser.add_argument(
        "--repeats", type=int, help=f"timed calls of each alternative ({REPEATS}; serving: 5)"
    )
    parser.add_argument("--redraws", type=int, default=REDRAWS, help="simulated calibration sets of a row")
    parser.add_argument("--scores", type=Path, help="a finished run, whose predictions `tightness` adds")
    only = (
        "cells of `promise` whose description has this text, such as UnequalGroups; the other rows are kept"
    )
    parser.add_argument("--only", action="append", metavar="TEXT", help=only)
    parser.add_argument("--out", type=Path, default=RESULTS, help="directory of the results")
    serving = parser.add_argument_group("serving, serving-soak, miner (--work and --smoke)")
    serving.add_argument(
        "--seconds", type=float, default=12.0, help="what the length of each run follows from"
    )
    serving.add_argument("--deadline-ms", type=int, default=1000, help="capacity: p99 within this")
    serving.add_argument("--minutes", type=float, default=30.0, help="of the soak")
    serving.add_argument(
        "--rate", type=float, help="of the soak, requests a second; default: 0.8 of capacity"
    )
    serving.add_argument("--work", type=Path, help="keep bundles, pictures, journals and logs here")
    serving.add_argument("--smoke", action="store_true", help="one short round, to see that everything works")
    miner = parser.add_argument_group("miner")
    miner.add_argument(
        "--bundle",
        type=Path,
        default=Path("runs/demo/bundle"),
        help="answers; default: what `workzone demo` made",
    )
    miner.add_argument(
        "--old-sdk", type=Path, metavar="PYTHON", help="of an environment with bittensor 9.12: asks as well"
    )
    return parser


def _serving_settings(arguments: argparse.Namespace) -> Settings:
    from benchmarks.serving.settings import REPEATS as ROUNDS
    from benchmarks.serving.settings import Settings

    smoke = arguments.smoke
    return Settings(
        repeats=1 if smoke else arguments.repeats or ROUNDS,
        seconds=3.0 if smoke else arguments.seconds,
        deadline_ms=arguments.deadline_ms,
        minutes=0.5 if smoke else arguments.minutes,
        rate_per_s=arguments.rate,
        work=arguments.work,
    )


def _miner_settings(arguments: argparse.Namespace) -> MinerSettings:
    from benchmarks.miner.settings import REPEATS as VOLLEYS
    from benchmarks.miner.settings import Settings

    repeats = 1 if arguments.smoke else arguments.repeats or VOLLEYS
    return Settings(arguments.bundle, repeats, arguments.old_sdk, arguments.work)


def _print_ratios(results: list[Result]) -> None:
    for result in results:
        print(
            f"{result.benchmark}: {result.contender} is {result.ratio}x as fast as {result.baseline} "
            f"({result.low} to {result.high}, {result.repeats} repeats)",
            flush=True,
        )


if __name__ == "__main__":
    main()
