"""docs/guarantee.md says what was measured, and what was measured goes through all that is promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.promise import PARTS
from benchmarks.promise_cells import AverageCell
from benchmarks.promise_tables import markdown

from workzone.policy.risks import Risk
from workzone.policy.settings import ConformalMethod

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantee.md").read_text(encoding="utf-8")


def results(name):
    return json.loads((ROOT / f"benchmarks/results/{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("table", ["pac", "average", "naive", "naive_average", "printed"])
def test_the_page_has_the_simulated_tables(table):
    document = results("promise")
    assert document["redraws"] == 2000
    assert markdown(table, document[table]) in PAGE


def test_the_page_has_the_comparison_and_the_speed():
    document = results("tightness")
    assert markdown("tightness", document["rows"]) in PAGE
    assert f"crepes {document['libraries']['crepes']}" in PAGE
    for row in results("certify")["results"]:
        assert f"{row['ratio']:g} ({row['low']:g} to {row['high']:g})" in PAGE


def test_every_row_came_out_as_theory_says():
    document = results("promise")
    rows = [row for table in PARTS for row in document[table]]
    assert [row for row in rows if not row["as_expected"]] == []
    for table in ("naive", "naive_average"):
        assert {row["expected"] for row in document[table]} == {"fails", "harmless"}


def test_every_cell_of_every_table_has_its_rows():
    document = results("promise")
    for table, cells in PARTS.items():
        assert len(document[table]) == sum(rows_of(cell) for cell in cells())


def rows_of(cell):
    return 1 + (
        isinstance(cell, AverageCell) and (cell.method is ConformalMethod.SETS or cell.alarms is not None)
    )


def test_every_policy_risk_and_count_was_tried():
    rows = results("promise")["pac"]
    single = {(row["policy"], row["limits"].split(" ≤ ")[0], row["counting"]) for row in rows}
    for risk in Risk:
        for policy, counts in (
            ("threshold", ("one_per_group", "all_frames")),
            ("gate", ("one_per_group", "all_frames")),
            ("scrc", ("one_per_group",)),
        ):
            assert {(policy, str(risk), counting) for counting in counts} <= single
    populations = " ".join(row["population"] for row in rows)
    for word in (
        "heavy",
        "skewed",
        "ties",
        "4 frames, ρ = 0.95",
        "16 frames, ρ = 0 ",
        "16 frames, ρ = 0.5",
        "unequal",
    ):
        assert word in f"{populations} "
    assert any(" and " in row["limits"] for row in rows)


def test_the_page_says_in_words_what_is_not_promised():
    printed = results("promise")["printed"]
    assert f"too low in up to {max(row['above_bound'] for row in printed):.0%}".replace("%", " %") in PAGE
    assert "Only α is promised" in PAGE
    assert "over all draws, not among the draws that got one" in PAGE
    rows = {row["contender"]: row for row in results("tightness")["rows"] if row["source"] == "run 'demo'"}
    assert rows["workzone, β = 0.075"]["certified"] == 0.0
    assert "neither does ours with β = 0.075" in PAGE
    learnt = next(
        row
        for row in results("tightness")["rows"]
        if (row["source"], row["contender"]) == ("run 'demo'", "MAPIE split_fixed_sequence")
        and row["promise"].startswith("false_omission_rate")
    )
    text = f"ahead by\n  {-learnt['ahead']:.3f} ± {learnt['standard_error']:.3f}"
    assert text in PAGE


def test_nothing_certified_is_coverage_0_for_every_contender():
    rows = results("tightness")["rows"]
    assert all(row["coverage"] == 0.0 for row in rows if row["certified"] == 0.0)
    assert all(row["coverage"] <= row["certified"] for row in rows)
