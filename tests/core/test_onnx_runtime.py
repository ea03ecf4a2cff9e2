"""ONNX Runtime reports to nobody: of its own it writes an identity and a database below the home, at import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

VARIABLE = "ORT_DISABLE_TELEMETRY"
ANSWER = """
import sys
import numpy as np
import workzone
print(workzone.open(sys.argv[1]).predict(np.full((20, 20, 3), (240, 130, 10), dtype=np.uint8)).verdict)
"""
UNTIL_IT_IS_IMPORTED = """
import importlib, os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"))
            sys.exit()
sys.meta_path.insert(0, Watch())
importlib.import_module(sys.argv[1])
"""


def said(code: str, *arguments: object, home: Path, **more: str) -> str:
    """Run in a process with an empty home that is told nothing of telemetry but by `more`."""
    home.mkdir()
    told = {name: value for name, value in os.environ.items() if name != VARIABLE and name[:4] != "XDG_"}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=told | {"HOME": str(home)} | more, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_an_answer_leaves_nothing_in_the_home(colour_bundle_made: Path, tmp_path: Path) -> None:
    assert said(ANSWER, colour_bundle_made, home=tmp_path / "home") == "roadwork"
    assert list((tmp_path / "home").rglob("*")) == []


@pytest.mark.parametrize("module", ["engine.onnxruntime_backend", "engine.onnxruntime_gpu"])
def test_it_is_silenced_before_it_is_imported_unless_the_user_says_otherwise(
    module: str, tmp_path: Path
) -> None:
    imported = f"workzone.{module}"
    assert said(UNTIL_IT_IS_IMPORTED, imported, home=tmp_path / "home") == "1"
    assert said(UNTIL_IT_IS_IMPORTED, imported, home=tmp_path / "asked", **{VARIABLE: "0"}) == "0"
