"""The phase `calibrate`: what it reads, writes and says, for each method."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from workzone.calibration.calibrators import FITTERS
from workzone.core.scores import Scores
from workzone.phases.calibrate import COMPARISON_NAME, FILE_NAME, calibrate_phase, read_calibrator
from workzone.phases.recipe import CalibrateSection
from workzone.pipeline.phase import PhaseContext
from workzone.policy.calibrators import calibrator_kind
from workzone.storage.scores import write_scores


class Notes(list[str]):
    def progress(self, task: str, done: int, total: int | None) -> None:
        pass

    def note(self, message: str) -> None:
        self.append(message)


def scores(seed: int) -> Scores:
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, 300)
    return Scores(
        ids=np.array([f"{i:064x}" for i in range(300)]),
        labels=(rng.random(300) < 1 / (1 + np.exp(-z))).astype(np.int8),
        ambiguous=np.zeros(300, dtype=bool),
        groups=np.array([f"g{i // 2}" for i in range(300)]),
        logits=z,
        features=np.zeros((300, 1), dtype=np.float32),
    )


def run(tmp_path: Path, settings: CalibrateSection) -> tuple[PhaseContext, Notes]:
    notes = Notes()
    phase = calibrate_phase(settings)
    inputs = {}
    for seed, name in enumerate(("predictions-calib", "predictions-select")):
        if name in phase.inputs:
            inputs[name] = tmp_path / name
            inputs[name].mkdir()
            write_scores(inputs[name], scores(seed))
    output = tmp_path / "calibrator"
    output.mkdir()
    context = PhaseContext(
        inputs=inputs, input_sha256={}, lineage=frozenset(), output=output, work=tmp_path / "work",
        grant=None, observer=notes, created=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    phase.run(context)
    return context, notes


def read(context: PhaseContext, tmp_path: Path):
    import dataclasses

    return read_calibrator(dataclasses.replace(context, inputs={"calibrator": context.output}))


def test_the_recipe_offers_every_fitter_and_auto() -> None:
    offered = get_args(CalibrateSection.model_fields["method"].annotation)
    assert set(offered) == set(FITTERS) | {"auto"}


@pytest.mark.parametrize("method", FITTERS)
def test_each_method_writes_its_kind(tmp_path: Path, method: str) -> None:
    context, notes = run(tmp_path, CalibrateSection(method=method))
    calibrator = read(context, tmp_path)
    assert calibrator_kind(calibrator) == method
    assert [f.name for f in context.output.iterdir()] == [FILE_NAME]
    assert bool(notes) != calibrator.strictly_increasing  # a map that may tie is noted
    assert all("displayed probability only" in note for note in notes)


def test_auto_says_why_and_writes_the_comparison(tmp_path: Path) -> None:
    context, notes = run(tmp_path, CalibrateSection(method="auto", fit_on="select"))
    comparison = json.loads((context.output / COMPARISON_NAME).read_text(encoding="utf-8"))
    assert notes == [f"Calibrator: {comparison['sentence']}"]
    assert comparison["chosen"] == calibrator_kind(read(context, tmp_path))
    assert [c["name"] for c in comparison["candidates"]] == list(FITTERS)


def test_fitted_on_select_it_reads_select_only_and_ties_need_no_note(tmp_path: Path) -> None:
    settings = CalibrateSection(method="isotonic", fit_on="select")
    assert calibrate_phase(settings).inputs == ("predictions-select",)
    assert calibrate_phase(CalibrateSection()).inputs == ("predictions-calib",)
    _, notes = run(tmp_path, settings)
    assert notes == []
