"""`python -m benchmarks serving`: the order of the whole comparison.

Knows what is measured when; does not know how. One server at a time is awake, on one core; whoever loads it is on the
other. The servers take turns within each round, each round begins with another one, and the loop in process that is
the ceiling has its turn too, so that a slow spell of the machine hits all alike.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving.ceiling import Ceiling
from benchmarks.serving.closed_loop import Run, run_wrk
from benchmarks.serving.overload import Search, overloaded
from benchmarks.serving.processes import cores
from benchmarks.serving.servers import (
    FASTAPI,
    FASTAPI_SETTINGS,
    LITSERVE,
    LITSERVE_SETTINGS,
    OURS,
    PIPELINE,
    Command,
    Server,
    awake,
    ours,
    pipeline,
    running,
)
from benchmarks.serving.settings import CONCURRENCIES, Settings
from benchmarks.serving.start_up import REPEATS, first_answers
from benchmarks.serving.subjects import BUNDLE, NAMES, PICTURE_FOLDER, picture_paths, prepare
from benchmarks.serving.tables import print_tables, summary
from benchmarks.serving.versions import versions

SAME_CODE, OTHER_RESIZING = 1e-4, 0.03
"""How far probabilities of one picture may lie apart: with our preprocessing, and with the pipeline's."""
_ASKED = 4
UNFINISHED = "unfinished.json"


@dataclass(slots=True)
class Bench:
    """What stays the same throughout."""

    settings: Settings
    work: Path
    pictures: list[Path]
    server_core: int
    load_core: int
    data: list[bytes] = field(default_factory=list)

    def folder_of_pictures(self) -> Path:
        """Where the generators read them."""
        return self.work / PICTURE_FOLDER

    def running(self, commands: Mapping[str, Command], subject: str) -> Any:
        """Start servers of a subject; see `servers.running`."""
        return running(commands, self.work / subject, self.work / "servers", self.server_core, self.data[0])

    def load(self, server: Server, subject: str, concurrency: int) -> Run:
        """Wake a server and load it."""
        seconds, warm_up_s = self.settings.window_s(subject, concurrency)
        with awake(server):
            return run_wrk(server, self.pictures, concurrency, seconds, warm_up_s, self.load_core)


def run(settings: Settings) -> dict[str, Any]:
    """Measure everything but the soak; print tables and return the document."""
    begun = time.monotonic()
    with settings.folder() as work:
        prepare(work)
        pictures = picture_paths(work)
        bench = Bench(settings, work, pictures, *cores(), [path.read_bytes() for path in pictures[:_ASKED]])
        document: dict[str, Any] = {
            "libraries": versions(),
            "repeats": settings.repeats,
            "seconds": settings.seconds,
            "networks": {},
        }
        for name in NAMES:
            document["networks"][name] = _measure(bench, name)
            (work / UNFINISHED).write_text(
                json.dumps(document)
            )  # half an hour is not lost to what comes after
        _say("start to first answer")
        repeats = min(REPEATS, settings.repeats)
        document["start_to_first_answer"] = first_answers(
            work / "costly", work / "servers", bench.server_core, bench.data[0], repeats
        )
    document["took_minutes"] = round((time.monotonic() - begun) / 60, 1)
    print_tables(document)
    return document


def _measure(bench: Bench, subject: str) -> dict[str, Any]:
    fastapi, tried_fastapi = _fastest(bench, subject, FASTAPI, FASTAPI_SETTINGS)
    litserve, tried_litserve = _fastest(bench, subject, LITSERVE, LITSERVE_SETTINGS)
    commands = {OURS: ours, FASTAPI: fastapi, LITSERVE: litserve, PIPELINE: pipeline}
    ceiling = Ceiling(
        bench.work / subject / BUNDLE,
        bench.folder_of_pictures(),
        bench.server_core,
    )
    try:
        _say(f"{subject}: starting {', '.join(commands)}")
        with bench.running(commands, subject) as servers:
            found: dict[str, Any] = {
                "settings_tried": {FASTAPI: tried_fastapi, LITSERVE: tried_litserve},
                "probabilities": check_equal(servers, bench.data),
            }
            runs, ceilings = _closed_loop(bench, subject, servers, ceiling)
            found |= summary(runs, ceilings)
            if subject == "costly":
                throughput = statistics.median(
                    run.load.throughput_per_s for run in runs if run.server == OURS and run.concurrency == 8
                )
                found["open_loop"] = _open_loop(bench, servers, throughput)
    finally:
        ceiling.end()
    return found


def check_equal(servers: Mapping[str, Server], data: list[bytes]) -> dict[str, list[float]]:
    """Ask every server for the same pictures.

    Raises:
        RuntimeError: One says something else than ours.
    """
    said: dict[str, list[float]] = {}
    for name, server in servers.items():
        with awake(server):
            said[name] = [round(server.probability(picture), 6) for picture in data]
    for name, probabilities in said.items():
        apart = max(abs(a - b) for a, b in zip(said[OURS], probabilities, strict=True))
        if not apart <= (OTHER_RESIZING if name == PIPELINE else SAME_CODE):
            raise RuntimeError(f"{name} answers other probabilities than ours: {said}")
    return said


def _fastest(
    bench: Bench, subject: str, name: str, commands: Mapping[str, Command]
) -> tuple[Command, dict[str, float]]:
    """Try a peer's settings in turn at concurrency 8, and return the best with what each gave."""
    _say(f"{subject}: trying settings of {name}")
    found: dict[str, list[float]] = {setting: [] for setting in commands}
    keyed = {f"{name}-{index}": setting for index, setting in enumerate(commands)}
    with bench.running({key: commands[setting] for key, setting in keyed.items()}, subject) as servers:
        for _ in range(min(2, bench.settings.repeats)):
            for key, setting in keyed.items():
                found[setting].append(bench.load(servers[key], subject, 8).load.throughput_per_s)
    medians = {setting: round(statistics.median(values), 3) for setting, values in found.items()}
    best = max(medians, key=lambda setting: medians[setting])
    return commands[best], medians


def _closed_loop(
    bench: Bench, subject: str, servers: Mapping[str, Server], ceiling: Ceiling
) -> tuple[list[Run], list[dict[str, float]]]:
    runs: list[Run] = []
    ceilings: list[dict[str, float]] = []
    names = list(servers)
    for repeat in range(bench.settings.repeats):
        for concurrency in CONCURRENCIES:
            _say(f"{subject}: round {repeat + 1} of {bench.settings.repeats}, concurrency {concurrency}")
            ceilings.append(ceiling.measure(bench.settings.window_s(subject, 1)[0] / 2))
            first = repeat % len(names)
            runs += [
                bench.load(servers[name], subject, concurrency) for name in names[first:] + names[:first]
            ]
    return runs, ceilings


def _open_loop(bench: Bench, servers: Mapping[str, Server], throughput_per_s: float) -> dict[str, Any]:
    _say("capacity")
    deadline_ms, pictures = bench.settings.deadline_ms, bench.folder_of_pictures()
    search = Search(servers[OURS], pictures, bench.load_core, deadline_ms, bench.settings.step_s)
    capacity = search.run(throughput_per_s)
    found: dict[str, Any] = {
        "arrivals": "poisson",
        "deadline_ms": deadline_ms,
        "capacity_per_s": None if capacity is None else round(capacity, 3),
        "confirmed": search.confirmed,
        "tried": [one.to_json() for one in search.tried],
        "at_twice_the_capacity": [],
    }
    if capacity is None:
        return found
    for repeat in range(min(3, bench.settings.repeats)):
        _say(f"twice the capacity, round {repeat + 1}")
        found["at_twice_the_capacity"] += [
            overloaded(
                servers[name],
                pictures,
                bench.load_core,
                capacity,
                deadline_ms,
                bench.settings.overload_s,
                repeat,
            )
            for name in (OURS, FASTAPI)
        ]
    return found


def _say(what: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {what}", flush=True)
