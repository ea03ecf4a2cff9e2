"""docs/guarantee.md says what was measured, and what was measured goes through all that is promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.promise_tables import markdown

from workzone.policy.risks import Risk

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantee.md").read_text(encoding="utf-8")


def results(name):
    return json.loads((ROOT / f"benchmarks/results/{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("table", ["pac", "average", "naive"])
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
    rows = document["pac"] + document["average"] + document["naive"]
    assert [row for row in rows if not row["as_expected"]] == []
    assert {row["expected"] for row in document["naive"]} == {"fails", "harmless"}


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
    for word in ("heavy", "skewed", "ties", "4 frames, ρ = 0.95", "16 frames, ρ = 0 ", "16 frames, ρ = 0.5"):
        assert word in f"{populations} "
    assert any(" and " in row["limits"] for row in rows)
