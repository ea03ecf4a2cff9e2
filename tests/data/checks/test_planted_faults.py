"""The benchmark of planted faults on a small number; the large run is `python -m benchmarks.planted_faults`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from workzone.data.scenes.world import WorldSpec

sys.path.insert(0, str(Path(__file__).parents[3]))


def planted(**options):
    pytest.importorskip("sklearn")
    from benchmarks.planted_faults import run

    return run(**options)


def missed(outcome, but: set[str] = frozenset()) -> dict[str, tuple[int, int]]:
    return {
        row.check: (row.found, row.planted)
        for row in outcome.rows
        if row.found != row.planted and row.check not in but
    }


def wrong_sets(outcome) -> dict[str, tuple[int, int, int]]:
    return {
        row.fault: (row.found, row.planted, row.false_alarms)
        for row in outcome.sets
        if (row.found, row.false_alarms) != (row.planted, 0)
    }


def test_every_kind_is_found_on_a_small_set():
    """Too few pictures to learn from: flipped labels are for the large run."""
    outcome = planted(sequences=130, each=2, draws=1, flips=False, spec=WorldSpec(width_px=128, height_px=96))
    assert missed(outcome, but={"label_suspects"}) == {}
    assert all(row.planted >= 2 for row in outcome.rows if row.check != "label_suspects")
    assert outcome.clean_named <= 0.02 * outcome.clean
    assert wrong_sets(outcome) == {}
    assert {row.check for row in outcome.sets} == {"shortcuts", "class_balance", "near_duplicates"}
    assert all(row.planted == 1 for row in outcome.sets)


def test_a_table_has_a_line_for_every_check_and_every_set():
    from benchmarks.planted_faults import Outcome, Row, as_markdown
    from benchmarks.planted_sets import SetRow

    row, one = Row("tiny", 5, 4, 1, 90), SetRow("with EXIF", "shortcuts", 3, 2, 1)
    lines = as_markdown(Outcome((row,), (one,), 100, 90, 9, ("shortcuts",))).splitlines()
    assert lines[2:4] == ["| `tiny` | 5 | 4 | 1 |", "| `shortcuts`: with EXIF | 3 sets | 2 | 1 of 3 twins |"]
    assert "(10.00 %)" in lines[5]
    assert lines[6].endswith("nothing was planted: shortcuts.")


def test_too_few_sequences_for_a_small_set_are_refused(tmp_path):
    pytest.importorskip("sklearn")
    from benchmarks.planted_sets import judged_sets

    with pytest.raises(ValueError, match="54 sequences; a set takes 55"):
        judged_sets([[]] * 54, tmp_path, draws=1)


@pytest.mark.slow
def test_every_planted_fault_is_found_among_2000():
    outcome = planted()
    assert missed(outcome) == {}
    assert wrong_sets(outcome) == {}
    assert all(row.planted >= 5 for row in (*outcome.rows, *outcome.sets))
    assert outcome.clean_named < 0.01 * outcome.clean
