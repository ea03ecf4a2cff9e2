"""From runs to what is written down and printed: medians with their spread, and ratios of interleaved pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.serving.arithmetic import Ratio, Spread
from benchmarks.serving.closed_loop import Run
from benchmarks.serving.servers import OURS
from benchmarks.serving.settings import CONCURRENCIES

_MEASURES = ("throughput_per_s", "p50_ms", "p95_ms", "p99_ms", "cpu_ms_per_answer", "peak_rss_mib")


def summary(runs: Sequence[Run], ceilings: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return the JSON form of a network's closed loops.

    Args:
        runs: In the order in which they were made.
        ceilings: One before each round of the servers at a concurrency, in the same order.
    """
    names = sorted({run.server for run in runs}, key=lambda name: (name != OURS, name))
    throughputs = {
        (name, c): [run.load.throughput_per_s for run in _of(runs, name, c)]
        for name in names
        for c in CONCURRENCIES
    }
    rows, ratios, of_ceiling = [], [], []
    for at, concurrency in enumerate(CONCURRENCIES):
        ceiling = [one["per_s"] for one in ceilings[at :: len(CONCURRENCIES)]]
        for name in names:
            rows.append(_row(_of(runs, name, concurrency), name, concurrency))
            values = throughputs[name, concurrency]
            of_ceiling.append(
                {"server": name, "concurrency": concurrency, **asdict(Ratio.of(values, ceiling))}
            )
            if name != OURS and min(values) > 0:  # one that gave no answer in its time has no ratio
                ratio = Ratio.of(throughputs[OURS, concurrency], values)
                ratios.append({"beside": name, "concurrency": concurrency, **asdict(ratio)})
    return {
        "ceiling": {key: asdict(Spread.of([one[key] for one in ceilings])) for key in ceilings[0]},
        "closed_loop": rows,
        "throughput_of_ceiling": of_ceiling,
        "throughput_ours_by_theirs": ratios,
        "runs": [{"server": run.server, **run.to_json()} for run in runs],
    }


def print_tables(document: Mapping[str, Any]) -> None:
    """Print what `compare.run` found."""
    for name, network in document["networks"].items():
        ceiling = network["ceiling"]
        print(
            f"\n{name}: decode {ceiling['decode_ms']['median']:.1f} ms, network {ceiling['network_ms']['median']:.1f} "
            f"ms, ceiling {ceiling['per_s']['median']:.1f}/s ({_range(ceiling['per_s'])})"
        )
        print(f"{'server':10}{'c':>4}{'1/s':>9}{'of ceiling':>24}{'p50':>8}{'p95':>8}{'p99':>8}{'CPU ms':>8}"
              f"{'RSS MiB':>9}{'failed':>8}")  # fmt: skip
        for row, share in zip(network["closed_loop"], network["throughput_of_ceiling"], strict=True):
            said = f"{share['ratio']:.2f} ({share['low']:.2f} to {share['high']:.2f})"
            values = [row[key]["median"] for key in _MEASURES]
            shown = [f"{value:>8.0f}" for value in values[1:4]] + [f"{values[4]:>8.1f}{values[5]:>9.0f}"]
            begins = f"{row['server']:10}{row['concurrency']:>4}{values[0]:>9.1f}{said:>24}"
            print(f"{begins}{''.join(shown)}{row['failed']:>8}")
        for ratio in network["throughput_ours_by_theirs"]:
            print(f"  ours by {ratio['beside']}, concurrency {ratio['concurrency']}: {_ratio(ratio)}")
        if "open_loop" in network:
            _print_open_loop(network["open_loop"])
    start = document["start_to_first_answer"]
    print(f"\nstart to first answer, pipeline by ours: {_ratio(start['pipeline_by_ours'])}")
    for name, spread in start["seconds"].items():
        print(f"  {name}: {spread['median']:.1f} s ({_range(spread)})")


def _print_open_loop(found: Mapping[str, Any]) -> None:
    print(
        f"\ncapacity, p99 within {found['deadline_ms']} ms: {found['capacity_per_s']:.2f}/s; at twice that:"
    )
    for one in found["at_twice_the_capacity"]:
        print(
            f"  {one['server']}: in time {one['in_time_of_capacity']:.2f} of capacity; statuses {one['statuses']}, "
            f"too late {one['answered_too_late']}"
        )


def _of(runs: Sequence[Run], server: str, concurrency: int) -> list[Run]:
    return [run for run in runs if run.server == server and run.concurrency == concurrency]


def _row(runs: Sequence[Run], server: str, concurrency: int) -> dict[str, Any]:
    flat = [run.to_json() for run in runs]
    spreads = {key: asdict(Spread.of([float(str(one[key])) for one in flat])) for key in _MEASURES}
    failed = sum(run.load.failed for run in runs)
    return {"server": server, "concurrency": concurrency, **spreads, "failed": failed}


def _ratio(ratio: Mapping[str, float]) -> str:
    return f"{ratio['ratio']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f}, {ratio['pairs']} pairs)"


def _range(spread: Mapping[str, float]) -> str:
    return f"{spread['low']:.1f} to {spread['high']:.1f}"
