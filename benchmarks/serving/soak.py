"""`python -m benchmarks serving-soak`: the service at 80 % of its capacity for half an hour.

What must hold: no error; the 99th percentile of the last third at most 1.3 times the first third's; resident memory
growing by less than 1 % in ten minutes. The growth is fitted over the whole time and over the last two thirds: what
the runtime and the allocator take in the first minutes is no leak.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.serving.arithmetic import growth_percent, percentile, thirds
from benchmarks.serving.closed_loop import run_wrk
from benchmarks.serving.open_loop import Plan, Sent, ask_at_rate
from benchmarks.serving.overload import Search
from benchmarks.serving.processes import cores
from benchmarks.serving.servers import OURS, Server, awake, ours, running
from benchmarks.serving.settings import Settings
from benchmarks.serving.subjects import PICTURE_FOLDER, picture_paths, prepare
from benchmarks.serving.versions import versions

SHARE = 0.8
RSS_EVERY_S = 10.0
MOST_P99_RATIO, MOST_GROWTH_PERCENT = 1.3, 1.0


def run(settings: Settings) -> dict[str, Any]:
    """Soak; print what held and return the document."""
    server_core, load_core = cores()
    with settings.folder() as work:
        prepare(work)
        pictures = picture_paths(work)
        subject, folder = work / "costly", work / "servers"
        with running({OURS: ours}, subject, folder, server_core, pictures[0].read_bytes()) as servers:
            server = servers[OURS]
            capacity, rate = _rate(settings, server, pictures, load_core)
            print(f"soaking at {rate:.2f}/s for {settings.minutes:g} minutes", flush=True)
            plan = Plan(server.port, server.path, rate, 60 * settings.minutes)
            with awake(server):
                sent, memory = _soak(server, plan, work / PICTURE_FOLDER, load_core)
    found = judged(sent, memory)
    print(f"held: {found['held']}; p99 of the thirds {found['p99_ms']}; memory {found['rss_growth_percent']}")
    return {
        "libraries": versions(),
        "minutes": settings.minutes,
        "deadline_ms": settings.deadline_ms,
        "capacity_per_s": None if capacity is None else round(capacity, 3),
        "rate_per_s": round(rate, 3),
        **found,
    }


def judged(sent: Sent, memory: list[tuple[float, float]]) -> dict[str, Any]:
    """Return what came of it.

    Args:
        sent: All requests.
        memory: (seconds from the start, resident MiB), at least three.
    """
    at_s = [at for at, _ in memory]
    rss = [mib for _, mib in memory]
    late = [(at, mib) for at, mib in memory if at >= at_s[-1] / 3]
    growth = {
        "whole": round(growth_percent(at_s, rss), 3),
        "last_two_thirds": round(growth_percent([at for at, _ in late], [mib for _, mib in late]), 3),
    }
    p99 = [round(percentile(part, 99), 1) for part in thirds(sent.due_s, sent.latency_ms) if part]
    errors = len(sent.status) - sent.status.count(200)
    held = {
        "no_error": errors == 0,
        "p99": len(p99) == 3 and p99[2] <= MOST_P99_RATIO * p99[0],
        "memory": growth["last_two_thirds"] < MOST_GROWTH_PERCENT,
        "memory_whole": growth["whole"] < MOST_GROWTH_PERCENT,
    }
    return {
        "requests": len(sent.status),
        "statuses": sent.statuses(),
        "errors": errors,
        "p99_ms": p99,
        "p99_last_by_first": round(p99[-1] / p99[0], 3),
        "rss_growth_percent": growth,
        "rss_mib": [[round(at, 1), round(mib, 2)] for at, mib in memory],
        "late_start_ms": round(sent.late_start_ms, 1),
        "held": held,
    }


def _rate(
    settings: Settings, server: Server, pictures: list[Path], load_core: int
) -> tuple[float | None, float]:
    """Return the capacity, if it was measured, and the rate to soak at."""
    if settings.rate_per_s is not None:
        return None, settings.rate_per_s
    with awake(server):
        throughput = run_wrk(server, pictures, 8, settings.seconds, 1.0, load_core).load.throughput_per_s
    search = Search(server, pictures[0].parent, load_core, settings.deadline_ms, settings.step_s)
    capacity = search.run(throughput)
    if capacity is None:
        raise SystemExit(f"The service is in time at no rate; tried: {search.tried}")
    print(f"capacity {capacity:.2f}/s: {[asdict(one) for one in search.tried]}", flush=True)
    return capacity, SHARE * capacity


def _soak(server: Server, plan: Plan, pictures: Path, core: int) -> tuple[Sent, list[tuple[float, float]]]:
    memory: list[tuple[float, float]] = []
    stop = threading.Event()
    begun = time.monotonic()
    every_s = min(RSS_EVERY_S, plan.seconds / 6)

    def watch() -> None:
        while not stop.wait(every_s):
            memory.append((time.monotonic() - begun, server.tree.rss_mib()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        sent = ask_at_rate(plan, pictures, core)
    finally:
        stop.set()
        watcher.join()
    return sent, memory
