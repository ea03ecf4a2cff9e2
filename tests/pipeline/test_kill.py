"""SIGKILL anywhere, resume: the artifacts of an undisturbed run, nothing done twice, nothing left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TOY = Path(__file__).with_name("toy.py")
PHASES = ("split", "train", "freeze", "predict-calib", "policy", "evaluate")
PLACES = [f"{phase}:{place}" for phase in PHASES for place in ("start", "middle", "end")]


def toy(*arguments: object) -> subprocess.CompletedProcess[str]:
    # One thread: a forked child must find no lock that another thread holds.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(TOY), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)


def outcome(base: Path, start: str, points: list[str]) -> dict[str, object]:
    result = toy("matrix", base, start, ",".join(points))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def calls(base: Path, start: str) -> int:
    return int(toy("count", base / "count", start).stdout)


def test_a_killed_process_is_resumed_by_another(tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    assert toy("run", run, log, "train:middle").returncode == -signal.SIGKILL
    assert not (run / "checkpoint").exists()
    assert len(list((run / ".work").iterdir())) == 1
    assert toy("run", run, log).returncode == 0
    # `split` is not run again, and training goes on after the two epochs that were done.
    trained = ["train", "epoch 0", "epoch 1", "train", "epoch 2"]
    after = ["freeze", "predict-calib", "policy", "evaluate"]
    assert log.read_text().splitlines() == ["split", *trained, *after]
    assert not [p for p in run.iterdir() if p.name.startswith((".tmp-", ".work"))]


def test_kills_at_every_boundary_and_in_the_middle_of_phases(tmp_path: Path) -> None:
    assert outcome(tmp_path, "nothing", PLACES) == {"tried": len(PLACES), "wrong": {}}


@pytest.mark.parametrize("start", ["nothing", "older"])
def test_kills_between_some_writes(tmp_path: Path, start: str) -> None:
    points = [str(n) for n in range(0, calls(tmp_path, start), 17)]
    assert len(points) >= 9
    assert outcome(tmp_path, start, points) == {"tried": len(points), "wrong": {}}


@pytest.mark.slow
@pytest.mark.parametrize("start", ["nothing", "older"])
def test_kills_between_all_writes(tmp_path: Path, start: str) -> None:
    points = PLACES + [str(n) for n in range(calls(tmp_path, start))]
    assert outcome(tmp_path, start, points) == {"tried": len(points), "wrong": {}}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_process_killed_at_every_place_is_resumed_by_another(tmp_path: Path, place: str) -> None:
    assert toy("run", tmp_path / "calm", tmp_path / "calm-log").returncode == 0
    assert toy("run", tmp_path / "run", tmp_path / "log", place).returncode == -signal.SIGKILL
    assert toy("run", tmp_path / "run", tmp_path / "log").returncode == 0
    calm, resumed = (
        {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != ".lock"}
        for root in (tmp_path / "calm", tmp_path / "run")
    )
    assert resumed == calm
