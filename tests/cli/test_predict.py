"""`workzone predict` into files: resumed after a real kill, safe against a second writer and wrong names."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PICTURES, KILLED_AFTER = 14, 5

# Dies by SIGKILL as soon as a given number of answers are safely on disk; nothing in the product knows of it.
DYING = f"""
import os, signal, sys
from workzone.cli.app import run
sync, left = os.fsync, [{KILLED_AFTER} + 1]  # the header, then one picture at a time
def counted(handle):
    sync(handle)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = counted
run(sys.argv[1:])
"""


@pytest.fixture
def streets(tmp_path) -> Path:
    directory = tmp_path / "streets"
    (directory / "b").mkdir(parents=True)
    for number in range(PICTURES):
        colour = [(240, 130, 10), (20, 60, 200)][number % 2]
        name = f"{'b/' if number % 3 else ''}{number:02d}.png"
        Image.fromarray(np.full((20, 20, 3), colour, dtype=np.uint8)).save(directory / name)
    return directory


def answers(path: Path) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in row.items() if key != "latency_ms"} for row in rows]


def test_a_killed_command_goes_on_where_it_was(invoke, colour_bundle, streets, tmp_path) -> None:
    out = tmp_path / "answers.jsonl"
    arguments = ["predict", str(colour_bundle), str(streets), "--out", str(out), "--batch", "1"]
    child = subprocess.run([sys.executable, "-c", DYING, *arguments], capture_output=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert not out.exists()
    assert len((tmp_path / "answers.jsonl.partial").read_text().splitlines()) == 1 + KILLED_AFTER
    said = invoke(*arguments)
    assert said.code == 0
    assert f"{KILLED_AFTER} of {PICTURES} pictures were answered by an interrupted run" in said.err
    assert invoke("predict", colour_bundle, streets, "--out", tmp_path / "calm.jsonl").code == 0
    assert answers(out) == answers(tmp_path / "calm.jsonl")
    assert [row["verdict"] for row in answers(out)].count("roadwork") == PICTURES // 2
    assert not list(tmp_path.glob("*.partial"))


def test_another_bundle_does_not_go_on(invoke, colour_bundle, streets, tmp_path, tiny_run) -> None:
    out = tmp_path / "answers.jsonl"
    arguments = ["predict", str(colour_bundle), str(streets), "--out", str(out), "--batch", "1"]
    subprocess.run([sys.executable, "-c", DYING, *arguments], capture_output=True, check=False)
    partial = (tmp_path / "answers.jsonl.partial").read_bytes()
    said = invoke("predict", tiny_run.bundle, streets, "--out", out)
    assert said.code == 1
    said.sentence("answers.jsonl.partial", "one file does not mix answers of two")
    assert (tmp_path / "answers.jsonl.partial").read_bytes() == partial
    assert invoke("predict", tiny_run.bundle, streets, "--out", out, "--restart").code == 0
    assert len(answers(out)) == PICTURES


def test_files_and_directories_each_once_in_order(invoke, colour_bundle, streets) -> None:
    first = streets / "00.png"
    said = invoke("predict", colour_bundle, streets / "b", first, streets, "--json")
    images = [json.loads(line)["image"] for line in said.out.splitlines()]
    assert len(images) == len(set(images)) == PICTURES
    below = sorted(str(path) for path in (streets / "b").iterdir())
    assert images[: len(below)] == below
    assert images[len(below)] == str(first)


def test_an_empty_directory(invoke, colour_bundle, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    said = invoke("predict", colour_bundle, tmp_path / "empty", "--out", tmp_path / "a.csv")
    assert said.code == 1
    said.sentence("No pictures in", "empty")
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("arguments", [["missing.png"], ["missing.png", "--out", "a.csv"]])
def test_a_picture_that_is_not_there(
    invoke, colour_bundle, tmp_path, monkeypatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = invoke("predict", colour_bundle, *arguments)
    assert said.code == 1
    said.sentence("missing.png")
    assert not list(tmp_path.glob("a.csv*"))


def test_a_format_that_is_none(invoke, colour_bundle, streets, tmp_path) -> None:
    for options in (["--out", tmp_path / "answers.xlsx"], ["--out", tmp_path / "answers", "--format", "xml"]):
        said = invoke("predict", colour_bundle, streets, *options)
        assert said.code == 2
        said.sentence("jsonl, .csv or .parquet")
    said = invoke("predict", colour_bundle, streets, "--out", streets, "--format", "csv")
    assert said.code == 2
    said.sentence("is a directory")
    assert not list(tmp_path.glob("answers*"))
