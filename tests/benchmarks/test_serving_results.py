"""What wrk prints, what /proc says, and what is made of runs and of a soak."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from benchmarks.serving.closed_loop import SCRIPT, Load, Run, parse_wrk
from benchmarks.serving.open_loop import Sent
from benchmarks.serving.overload import Tried
from benchmarks.serving.processes import MIB, parse_stat
from benchmarks.serving.settings import CONCURRENCIES, Settings
from benchmarks.serving.soak import judged
from benchmarks.serving.tables import print_tables, summary

SAID = {
    "in_window": 120, "not_200": 2, "requests": 150, "duration_us": 15_000_000, "connect": 1, "read": 2, "write": 0,
    "status": 3, "timeout": 4, "p50_us": 71_000, "p95_us": 90_500, "p99_us": 120_000,
}  # fmt: skip


def test_wrk_counts_after_the_warm_up() -> None:
    output = f"Running 15s test @ http://127.0.0.1:1/predict\n  1 threads\nRESULT {json.dumps(SAID)}\n"
    assert parse_wrk(output, 3.0) == Load(10.0, 120, 71.0, 90.5, 120.0, 10, 150)


@pytest.mark.parametrize("output", ["", "unable to connect", f"RESULT {json.dumps(SAID)}\n" * 2])
def test_wrk_without_a_result_is_refused(output: str) -> None:
    with pytest.raises(RuntimeError, match="no result"):
        parse_wrk(output, 1.0)


def test_the_script_prints_what_is_read() -> None:
    script = SCRIPT.read_text()
    assert all(f'"{key}": %d' in script for key in SAID)


def test_stat_is_read_whatever_the_process_is_called() -> None:
    tail = "S 1 77 77 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 12345 1000000 512 18446744073709551615"
    found = parse_stat(f"4242 (a) b) {tail}")
    ticks = os.sysconf("SC_CLK_TCK")
    assert (found.session, found.cpu_s) == (77, 300 / ticks)
    assert found.rss_mib == 512 * os.sysconf("SC_PAGE_SIZE") / MIB


def test_stat_of_this_process() -> None:
    found = parse_stat(Path("/proc/self/stat").read_text())
    times = os.times()
    assert found.session == os.getsid(0)
    assert found.cpu_s == pytest.approx(times.user + times.system, abs=0.1)
    assert 5 < found.rss_mib < 10_000


def runs() -> tuple[list[Run], list[dict[str, float]]]:
    made, ceilings = [], []
    for repeat in (1, 2, 3):
        for concurrency in CONCURRENCIES:
            ceilings.append({"per_s": 10.0 * repeat, "decode_ms": 7.0, "network_ms": 60.0})
            for server, share in (("fastapi", 0.5), ("workzone", 0.9)):
                load = Load(10.0 * repeat * share, 100, 70.0, 80.0, 90.0 * repeat, 1, 110)
                made.append(Run(server, concurrency, load, 70.0, 300.0 + repeat))
    return made, ceilings


def test_summary_compares_the_runs_of_a_round() -> None:
    found = summary(*runs())
    assert [(row["server"], row["concurrency"]) for row in found["closed_loop"]] == [
        (server, c) for c in CONCURRENCIES for server in ("workzone", "fastapi")
    ]
    row = found["closed_loop"][0]
    assert row["throughput_per_s"] == {"median": 18.0, "low": 9.0, "high": 27.0}
    assert row["p99_ms"] == {"median": 180.0, "low": 90.0, "high": 270.0}
    assert row["failed"] == 3
    # the machine was three times as quick in the last round, and no ratio of a pair knows it
    ours = {"ratio": 0.9, "low": 0.9, "high": 0.9, "pairs": 3}
    assert found["throughput_of_ceiling"][0] == {"server": "workzone", "concurrency": 1, **ours}
    assert found["throughput_ours_by_theirs"][0]["ratio"] == 1.8
    assert len(found["runs"]) == 18
    json.dumps(found, allow_nan=False)


def test_tables_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    spread = {"median": 2.0, "low": 1.0, "high": 3.0}
    once = {
        "server": "workzone",
        "in_time_of_capacity": 0.97,
        "statuses": {"200": 9, "429": 9},
        "answered_too_late": 0,
    }
    open_loop = {"deadline_ms": 1000, "capacity_per_s": 11.5, "at_twice_the_capacity": [once]}
    ratio = {"ratio": 3.0, "low": 2.5, "high": 3.5, "pairs": 3}
    start = {"seconds": {"workzone": spread}, "pipeline_by_ours": ratio}
    networks = {"costly": {**summary(*runs()), "open_loop": open_loop}}
    print_tables({"networks": networks, "start_to_first_answer": start})
    said = capsys.readouterr().out
    assert "0.90 (0.90 to 0.90)" in said
    assert "ours by fastapi, concurrency 64: 1.80" in said
    assert "in time 0.97 of capacity" in said
    assert "3.00 (2.50 to 3.50, 3 pairs)" in said


def soaked(last_ms: float = 100.0, status: int = 200) -> Sent:
    due = [float(i) for i in range(1800)]
    latency = [100.0] * 1200 + [last_ms] * 600
    return Sent(due, latency, [200] * 1799 + [status], 1.0)


def memory(per_10_min: float, first: float = 0.0) -> list[tuple[float, float]]:
    return [
        (at, 300.0 * (1 + per_10_min * at / 600) - (first if at < 500 else 0)) for at in range(10, 1800, 10)
    ]


def test_a_sound_soak_holds() -> None:
    found = judged(soaked(), memory(0.005))
    assert found["held"] == {"no_error": True, "p99": True, "memory": True, "memory_whole": True}
    assert found["p99_ms"] == [100.0, 100.0, 100.0]
    assert found["rss_growth_percent"]["whole"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("sent", "grows", "broken"),
    [
        (soaked(status=500), memory(0.0), {"no_error"}),
        (soaked(last_ms=131.0), memory(0.0), {"p99"}),
        (soaked(), memory(0.02), {"memory", "memory_whole"}),
        (soaked(), memory(0.0, first=30.0), {"memory_whole"}),  # taken at the start, and then no more
    ],
)
def test_each_fault_of_a_soak_is_seen(sent: Sent, grows: list[tuple[float, float]], broken: set[str]) -> None:
    held = judged(sent, grows)["held"]
    assert {name for name, held_ in held.items() if not held_} == broken


def test_a_request_without_an_answer_is_infinitely_late() -> None:
    sent = Sent([0.0] * 50, [5.0] * 50, [200] * 49 + [503], 0.1)
    tried = Tried.of(10.0, sent)
    assert (tried.failed, tried.p99_ms) == (1, float("inf"))
    assert tried.to_json()["p99_ms"] is None


def test_a_round_of_all_servers_takes_minutes_not_hours() -> None:
    settings = Settings()
    once_s = sum(sum(settings.window_s(name, c)) for name in ("costly", "tiny") for c in CONCURRENCIES)
    assert 4 * settings.repeats * once_s < 25 * 60
