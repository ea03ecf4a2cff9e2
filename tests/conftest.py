"""What is made once for the whole session: a run of the recipe `tiny`, and a bundle that takes no training."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # some tests import ONNX Runtime themselves

# A machine that is slow or busy is no bug: no property fails by the clock.
settings.register_profile("no clock", parent=settings.default, deadline=None)
settings.load_profile("no clock")

SEQUENCES, FRAMES = 48, 2


@dataclass(frozen=True, slots=True)
class TinyRun:
    """A finished run of the recipe `tiny`. Shared: what changes it works on a copy."""

    data: Path
    run: Path
    settings: tuple[str, ...]
    """What the run states beside the recipe and the data set."""

    @property
    def bundle(self) -> Path:
        return self.run / "bundle"

    @property
    def report(self) -> Path:
        return self.run / "report"

    def read(self, path: str) -> Any:
        """Return a JSON file of the run."""
        return json.loads((self.run / path).read_text(encoding="utf-8"))

    def manifest(self, artifact: str) -> dict[str, Any]:
        return self.read(f"{artifact}.manifest.json")

    def copy(self, directory: Path) -> TinyRun:
        """Copy data and run into `directory`."""
        shutil.copytree(self.data, directory / "data")
        shutil.copytree(self.run, directory / "run")
        return TinyRun(directory / "data", directory / "run", self.settings)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """Render and run through the command line, in this process: the session's one training."""
    from workzone.cli.app import run

    root = tmp_path_factory.mktemp("tiny")
    data, out = root / "data", root / "run"
    assert run(f"data render --out {data} --sequences {SEQUENCES} --frames {FRAMES} --workers 1".split()) == 0
    rest = ["--recipe", "tiny", "--out", str(out), f"data.path={data}"]
    assert run(["run", *rest]) == 0
    return TinyRun(data, out, ())


@pytest.fixture(scope="session")
def colour_builders() -> ModuleType:
    """The builders of the bundle tests: a hand-made network that takes orange for road work."""
    path = Path(__file__).parent / "bundle" / "conftest.py"
    spec = spec_from_file_location("colour_bundle_builders", path)
    assert spec is not None
    assert spec.loader is not None
    builders = module_from_spec(spec)
    spec.loader.exec_module(builders)
    return builders


@pytest.fixture(scope="session")
def colour_bundle_made(tmp_path_factory: pytest.TempPathFactory, colour_builders: ModuleType) -> Path:
    from workzone.bundle.writer import write_bundle

    root = tmp_path_factory.mktemp("colour")
    write_bundle(root / "bundle", colour_builders.make_parts(root / "parts"))
    return root / "bundle"


@pytest.fixture
def colour_bundle(colour_bundle_made: Path, tmp_path: Path) -> Path:
    """A whole, certified bundle of this test's own: orange is road work, blue is none, grey is deferred."""
    return Path(shutil.copytree(colour_bundle_made, tmp_path / "colour-bundle"))
