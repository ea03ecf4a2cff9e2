"""`python -m benchmarks miner`: what a miner makes of few and of many challenges at once.

Knows what is measured when; does not know how. `workzone mine` itself gets few; many go to the same miner with slowed
networks: a large one alone, with a small one that is quick, and with a small one that cannot do the rest either.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.miner.processes import Callers, Running, measure_capacity, mining
from benchmarks.miner.settings import FEW, LARGE_S, MANY, SMALL_S, Settings
from benchmarks.miner.subjects import Rehearsal, prepare
from benchmarks.miner.volleys import Reply, judge, together

SLOWED: Mapping[str, tuple[float, ...]] = {
    "large alone": (LARGE_S,),
    "large and quick small": (LARGE_S, 0.0),
    "large and slow small": (LARGE_S, SMALL_S),
}
"""Seconds by picture; 0: as quick as it is."""
_REST_S = 2.0


def run(settings: Settings) -> dict[str, Any]:
    """Measure, print a table, and return the document."""
    with settings.folder() as work:
        _say("keys, pictures, bundle")
        rehearsal = prepare(work, settings.bundle)
        document: dict[str, Any] = {"repeats": settings.repeats, "volleys": []}
        with mining(rehearsal, work / "sold", None) as running:
            for python in _pythons(settings):
                document["volleys"] += _volleys(
                    "workzone mine", rehearsal, running, python, FEW, FEW, settings
                )
        for name, slowed in SLOWED.items():
            per_s = measure_capacity(rehearsal, slowed)
            possible = together(per_s, MANY)
            _say(f"{name}: {per_s} a second, {possible} of {MANY} can be answered")
            with mining(rehearsal, work / name.replace(" ", "-"), slowed) as running:
                for python in _pythons(settings):
                    document["volleys"] += [
                        {**volley, "per_s": {key: round(value, 3) for key, value in per_s.items()}}
                        for volley in _volleys(name, rehearsal, running, python, MANY, possible, settings)
                    ]
    document["passed"] = all(volley["passed"] for volley in document["volleys"])
    print_table(document)
    return document


def print_table(document: Mapping[str, Any]) -> None:
    """Print what `run` found."""
    print(f"\n{'miner':24}{'SDK':>9}{'at once':>9}{'possible':>10}{'answered':>10}{'late':>6}{'1st s':>7}{'worst s':>9}"
          f"{'-1':>5}{'-1 p50 s':>10}{'passed':>8}")  # fmt: skip
    for one in document["volleys"]:
        first = "-" if one["first_answer_after_s"] is None else f"{one['first_answer_after_s']:.2f}"
        prompt = "-" if one["refused_p50_s"] is None else f"{one['refused_p50_s']:.2f}"
        print(
            f"{one['miner']:24}{one['client']:>9}{one['challenges']:>9}{one['possible']:>10}{one['answered']:>10}"
            f"{one['late']:>6}{first:>7}{one['worst_s'] or 0:>9.2f}{one['refused']:>5}{prompt:>10}{one['passed']!s:>8}"
        )


def _volleys(
    name: str,
    rehearsal: Rehearsal,
    running: Running,
    python: Path,
    asked: int,
    possible: int,
    settings: Settings,
) -> list[dict[str, Any]]:
    _say(f"{name}: {asked} at once, {settings.repeats} times, from {python}")
    found = []
    callers = Callers(python, rehearsal, running, asked)
    try:
        for _ in range(settings.repeats):
            before = _tapped(running)
            replies = callers.volley()
            time.sleep(_REST_S)
            replies = _with_tap(replies, _tapped(running)[len(before) :])
            judged = judge(replies, possible, rehearsal.stakes)
            found.append({"miner": name, "client": callers.version, **judged})
    finally:
        callers.end()
    return found


def _tapped(running: Running) -> list[dict[str, Any]]:
    """Return what the tap wrote so far; `workzone mine` has none."""
    path = running.folder / "tap.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _with_tap(replies: Sequence[Reply], tapped: Sequence[Mapping[str, Any]]) -> list[Reply]:
    """Put the tap's times, which begin earlier and end later, in the place of the SDK's."""
    inside = {str(one["hotkey"]): (float(one["begun"]), float(one["seconds"])) for one in tapped}
    found = []
    for reply in replies:
        begun_s, seconds = inside.get(reply.hotkey, (None, reply.server_s))
        found.append(replace(reply, begun_s=begun_s, server_s=seconds))
    return found


def _pythons(settings: Settings) -> list[Path]:
    here = Path(sys.executable)
    return [here] if settings.old_python is None else [here, settings.old_python]


def _say(what: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {what}", flush=True)
