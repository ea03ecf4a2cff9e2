"""The matrix as records, in words and as a page."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from workzone.evaluation.grouped import Sampling
from workzone.evaluation.matrix import (
    MEASURES,
    Matrix,
    MatrixCell,
    MatrixDataSet,
    measure_answers,
    transfer_sentences,
)
from workzone.evaluation.matrix_page import heat_map_svg, render_matrix, write_matrix_html
from workzone.evaluation.records import Measure, to_json
from workzone.evaluation.system_answers import SystemAnswers

FEW = Sampling(n_resamples=100, confidence=0.95, seed=0)


def answers(n: int = 80, **changes) -> SystemAnswers:
    """40 groups of 2; every second group shows road work, every fifth picture is answered wrongly, some deferred."""
    number = np.arange(n)
    positive = number // 2 % 2 == 1
    right = number % 5 != 0
    probs = np.where(positive == right, 0.9, 0.1)
    codes = np.where(number % 7 == 0, -1, (probs >= 0.5).astype(int)).astype(np.int8)
    made = {
        "name": "a", "ids": np.array([f"i{k:03d}" for k in number]), "groups": np.array([f"g{k // 2}" for k in number]),
        "positive": positive, "probs": probs, "codes": codes,
    }  # fmt: skip
    return SystemAnswers(**(made | changes))


def cell(trained: str, tested: str, mcc: float | None, **changes) -> MatrixCell:
    values = {"mcc": mcc, "selective_fnr": 0.05, "false_alarm_rate": 0.1, "coverage": 0.8}
    measures = tuple(
        Measure(name, value, None if value is None else value - 0.04, None if value is None else value + 0.04, 90, 40,
                reason="too few" if value is None else None)
        for name, value in values.items()
    )  # fmt: skip
    made = MatrixCell(trained, tested, trained.ljust(64, "0"), False, 90, 40, 45, 0, 0, 0, measures)
    return replace(made, **changes)


def matrix(*names: str, mccs: list[list[float | None]]) -> Matrix:
    datasets = tuple(
        MatrixDataSet(name, f"set {name}", "rev-7", f"{k}".rjust(64, "a"), f"{k}".rjust(64, "b"), 100, 3)
        for k, name in enumerate(names)
    )
    cells = tuple(cell(names[r], names[c], mccs[r][c]) for r in range(len(names)) for c in range(len(names)))
    return Matrix("r", datasets, cells, 100, 0.95, 0)


TWO = matrix("kerb", "tram", mccs=[[0.91, 0.34], [0.27, 0.88]])


def test_measures_are_counted_as_stated():
    said = answers()
    found = {m.name: m for m in measure_answers(said, FEW)}
    assert tuple(found) == MEASURES
    answered = said.codes != -1
    missed = said.positive & (said.codes == 0)
    assert found["selective_fnr"].estimate == pytest.approx(missed.sum() / (said.positive & answered).sum())
    alarms = ~said.positive & (said.codes == 1)
    assert found["false_alarm_rate"].estimate == pytest.approx(alarms.sum() / (~said.positive).sum())
    assert found["coverage"].estimate == pytest.approx(answered.mean())
    correlation = np.corrcoef(said.positive, said.probs >= 0.5)[0, 1]
    assert found["mcc"].estimate == pytest.approx(correlation)
    for measure in found.values():
        assert measure.low <= measure.estimate <= measure.high


def test_one_label_has_no_mcc_and_few_pictures_no_number():
    only = measure_answers(answers(positive=np.ones(80, dtype=np.bool_)), FEW)
    assert (only[0].estimate, only[0].reason) == (None, "all show road work")
    assert only[3].estimate is not None
    few = measure_answers(answers(n=8), FEW)
    assert all(measure.estimate is None and "too few" in measure.reason for measure in few)


def test_each_model_gets_a_sentence_on_what_it_is_worth_elsewhere():
    assert transfer_sentences(TWO) == (
        "Trained on kerb: MCC 0.91 on its own test part, 0.34 on tram.",
        "Trained on tram: MCC 0.88 on its own test part, 0.27 on kerb.",
    )
    three = matrix("a", "b", "c", mccs=[[0.9, 0.5, 0.1], [None, None, None], [0.2, None, 0.8]])
    assert transfer_sentences(three) == (
        "Trained on a: MCC 0.90 on its own test part, 0.30 on average elsewhere, 0.10 on c.",
        "Trained on b: MCC not measured on its own test part, not measured elsewhere.",
        "Trained on c: MCC 0.80 on its own test part, 0.20 on a.",
    )


def test_the_page_has_every_number_and_names_revision_and_hash(tmp_path):
    seen = replace(
        TWO, cells=(TWO.cells[0], replace(TWO.cells[1], n_seen=4, n_in_seen_groups=6), *TWO.cells[2:])
    )
    page = render_matrix(seen)
    for text in (
        "0.910",
        "0.340",
        "0.270",
        "0.880",
        "set kerb, revision rev-7",
        "4 of tram by the model of kerb",
    ):
        assert text in page
    for dataset in TWO.datasets:
        assert dataset.sha256 in page
        assert dataset.split_sha256 in page
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    write_matrix_html(tmp_path / "page.html", seen)
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    assert render_matrix(seen) == page
    assert "there were none" in render_matrix(TWO)


def test_the_heat_map_shows_each_value_once_and_follows_the_page():
    svg = heat_map_svg(TWO, "mcc")
    assert re.findall(r">(\d\.\d\d)<", svg) == ["0.91", "0.34", "0.27", "0.88"]
    assert "var(--series-1)" in svg
    assert "80.0 %" in heat_map_svg(TWO, "coverage")
    empty = replace(TWO, cells=(replace(TWO.cells[0], measures=()), *TWO.cells[1:]))
    assert ">–<" in heat_map_svg(empty, "mcc")


def test_hostile_names_stay_names():
    page = render_matrix(matrix("<b>$x$", "a" * 60, mccs=[[0.9, 0.1], [0.2, 0.8]]))
    assert "<b>" not in page
    assert "&lt;b&gt;$x$" in page


def test_the_records_are_json():
    document = to_json(TWO)
    assert document["cells"][1]["measures"][0]["estimate"] == 0.34
    assert document["datasets"][0]["revision"] == "rev-7"
