"""Expected run times."""

from __future__ import annotations

import pytest

from workzone.engine.run_times import RunTimes


def test_nothing_is_expected_before_anything_is_known():
    assert RunTimes().expected_s(4) == 0.0
    assert RunTimes().drain_s(100, 4) == 0.0


def test_a_size_that_was_never_run_is_taken_in_proportion_to_the_nearest():
    times = RunTimes([(1, 1.0), (4, 2.0)])
    assert [times.expected_s(size) for size in (1, 2, 4, 8)] == pytest.approx([1.0, 2.0, 2.0, 4.0])


def test_one_slow_run_changes_nothing_and_a_lasting_change_does():
    times = RunTimes()
    for _ in range(5):
        times.record(1, 0.1)
    times.record(1, 60.0)
    assert times.expected_s(1) == pytest.approx(0.1)
    for _ in range(9):
        times.record(1, 0.3)
    assert times.expected_s(1) == pytest.approx(0.3)


def test_a_queue_drains_in_full_runs_and_a_rest():
    times = RunTimes([(1, 1.0), (4, 2.0)])
    assert times.drain_s(0, 4) == 0.0
    assert times.drain_s(9, 4) == pytest.approx(5.0)
    assert times.drain_s(3, 1) == pytest.approx(3.0)
