"""Importing is free: no torch, no folder made, no logging set up, nothing registered."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ["torch", "transformers", "lightning", "sklearn", "scipy", "pyarrow", "onnx", "matplotlib", "hydra"]


def loaded(code: str, cwd: Path) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after running `code`."""
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_workzone_loads_nothing_of_weight(tmp_path: Path) -> None:
    modules = loaded("import workzone; workzone.__version__; workzone.Verdict", tmp_path)
    assert not modules & {*HEAVY, "numpy", "PIL", "cv2", "pydantic", "onnxruntime", "yaml"}
    assert list(tmp_path.iterdir()) == [], "importing wrote a file"


def test_help_loads_nothing_of_weight(tmp_path: Path) -> None:
    code = (
        "from workzone.cli.app import run\nimport contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()): code = run(['--help'])\nassert code == 0, code"
    )
    assert not loaded(code, tmp_path) & {*HEAVY, "numpy", "PIL", "cv2", "onnxruntime"}


@pytest.mark.parametrize("package", ["engine.predictor", "engine.batch", "bundle.reader", "bundle.recertify",
                                     "policy.threshold", "imaging.preprocessing",
                                     "pipeline.runner"])  # fmt: skip
def test_the_serving_path_never_imports_torch(package: str, tmp_path: Path) -> None:
    assert not loaded(f"import workzone.{package}", tmp_path) & set(HEAVY)


def test_importing_configures_no_logging(tmp_path: Path) -> None:
    loaded(
        "import logging, workzone, workzone.engine.predictor\nassert not logging.getLogger().handlers",
        tmp_path,
    )
