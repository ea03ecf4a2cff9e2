"""`workzone matrix`: what it hands on and what it prints; the training itself is tests/phases/test_matrix.py's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workzone.evaluation.matrix import Matrix, MatrixCell, MatrixDataSet
from workzone.evaluation.records import Measure


def found() -> Matrix:
    mcc = Measure("mcc", 0.5, 0.4, 0.6, 90, 40, "bootstrap")
    rest = tuple(
        Measure(name, None, None, None, 0, 0, reason="too few: 3 pictures")
        for name in ("selective_fnr", "false_alarm_rate", "coverage")
    )
    names = ("kerb", "[tram]")
    datasets = tuple(MatrixDataSet(name, name, "1", "a" * 64, "b" * 64, 100, 2) for name in names)
    cells = tuple(
        MatrixCell(one, other, "c" * 64, False, 90, 40, 45, 1, 2, 3, (mcc, *rest))
        for one in names
        for other in names
    )
    return Matrix("matrix", datasets, cells, 100, 0.95, 0)


@pytest.fixture
def called(monkeypatch) -> dict[str, Any]:
    """What `run_matrix` was called with, instead of half an hour of training."""
    seen: dict[str, Any] = {}

    def run_matrix(recipe, paths, out, **options) -> Matrix:
        seen.update(recipe=recipe, paths=list(paths), out=out, **options)
        return found()

    monkeypatch.setattr("workzone.phases.matrix.run_matrix", run_matrix)
    return seen


def test_words_with_an_equals_sign_are_settings_and_the_rest_data_sets(invoke, called):
    said = invoke("matrix", "a", "train.epochs=3", "b", "--out", "m", "--force")
    assert said.code == 0
    assert called["paths"] == [Path("a"), Path("b")]
    assert called["recipe"].train.epochs == 3
    assert called["recipe"].name == "matrix"
    assert (called["out"], called["force"]) == (Path("m"), True)


def test_it_prints_every_cell_and_a_sentence_for_each_model(invoke, called):
    said = invoke("matrix", "a", "b", "--out", "m")
    assert said.out.count("0.400 to 0.600") == said.out.count(" 0.500 ") == 4
    assert "too few" in said.out
    assert "Trained on [tram]: MCC 0.50 on its own test part, 0.50 on kerb." in said.out
    assert "Page: m/matrix.html" in said.out


def test_it_speaks_json(invoke, called):
    document = json.loads(invoke("matrix", "a", "b", "--out", "m", "--json").out)
    assert {"matrix", "page", "recipe", "datasets", "cells", "n_resamples", "confidence", "seed"} == set(
        document
    )
    assert len(document["cells"]) == 4


def test_one_data_set_is_no_matrix(invoke, tmp_path):
    assert (
        invoke(
            "data", "render", "--out", tmp_path / "d", "--sequences", 4, "--frames", 1, "--workers", 1
        ).code
        == 0
    )
    invoke("matrix", tmp_path / "d", "--out", tmp_path / "m").sentence("expected at least two")
    assert not (tmp_path / "m").exists()
