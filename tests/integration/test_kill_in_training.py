"""SIGKILL in the middle of training, through the command line: the artifacts of a run that was left alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STARTED = {"created": "2026-01-02T03:04:05+00:00", "package_version": "0.1.0"}
EPOCHS = 4


def command(data: Path, run: Path) -> list[str]:
    """Up to the policy: a model of so few pictures may be too bad for the calibrator, which is no matter here."""
    settings = [f"train.epochs={EPOCHS}", f"data.path={data}", f"data.ledger={run.parent / 'ledger'}"]
    return [
        sys.executable,
        "-m",
        "workzone",
        "run",
        "policy",
        "--recipe",
        "tiny",
        "--out",
        str(run),
        *settings,
    ]


def hashes(run: Path) -> dict[str, str]:
    return {path.name: json.loads(path.read_text())["sha256"] for path in run.glob("*.manifest.json")}


@pytest.mark.slow
def test_a_run_killed_in_training_ends_as_one_that_was_not(tiny_run, tmp_path) -> None:
    for name in ("calm", "killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(STARTED))  # the same clock for both
    subprocess.run(command(tiny_run.data, tmp_path / "calm"), check=True, capture_output=True)
    killed = tmp_path / "killed"
    child = subprocess.Popen(command(tiny_run.data, killed), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list(killed.glob(".work/train-*/**/state.pt")):  # an epoch is done
        assert child.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    child.kill()
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert (killed / "split.manifest.json").exists()
    assert not (killed / "checkpoint.manifest.json").exists()

    done = subprocess.run(command(tiny_run.data, killed), check=True, capture_output=True, text=True)
    assert "goes on after epoch" in done.stderr
    assert f"epoch {EPOCHS} of {EPOCHS}" in done.stderr
    assert hashes(killed) == hashes(tmp_path / "calm")
    assert hashes(killed).keys() == {
        f"{name}.manifest.json"
        for name in ("split", "checkpoint", "model", "predictions-select", "predictions-calib", "policy")
    }
    assert not [path for path in killed.iterdir() if path.name.startswith((".tmp-", ".work"))]
