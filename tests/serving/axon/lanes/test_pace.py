"""What is expected of a model from what it did lately."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from workzone.serving.axon.lanes.pace import Pace


@pytest.fixture
def clock():
    time = SimpleNamespace(now=100.0)
    time.read = lambda: time.now
    return time


def test_nothing_known_is_nothing_expected(clock):
    pace = Pace((), clock.read)
    assert pace.each_s(1) == 0.0
    assert pace.sure == 0.0


def test_a_warm_up_is_believed_until_pictures_are_answered(clock):
    pace = Pace(((1, 0.5), (4, 1.0)), clock.read)
    assert (pace.each_s(1), pace.each_s(4), pace.each_s(64)) == (0.5, 0.25, 0.25)
    assert pace.sure == 0.0
    for _ in range(40):
        pace.record(1, 0.1)
    assert pace.each_s(1) == pytest.approx(0.1, rel=0.05)
    assert pace.each_s(4) == 0.25
    assert pace.sure == 1.0


@pytest.mark.parametrize("run", [1, 2, 4, 8])
def test_a_run_of_many_counts_by_its_pictures(clock, run):
    pace, draw = Pace((), clock.read), random.Random(0)
    for _ in range(60):
        seconds = run * 0.2 * draw.uniform(0.8, 1.2)
        for place in range(run):
            pace.record(2 * run, seconds if place == 0 else 0.0, run)
    assert pace.each_s(2 * run) == pytest.approx(0.2, rel=0.15)


def test_one_run_that_was_held_up_counts_little_and_many_count(clock):
    pace = Pace(((1, 0.1),), clock.read)
    for _ in range(20):
        pace.record(1, 0.1)
    pace.record(1, 60.0)
    assert pace.each_s(1) < 0.13
    for _ in range(40):
        pace.record(1, 0.4)
    assert pace.each_s(1) == pytest.approx(0.4, rel=0.1)


def test_one_that_was_given_up_counts_in_full(clock):
    pace = Pace(((1, 0.1),), clock.read)
    pace.record(1, 6.0, given_up=True)
    assert pace.each_s(1) > 2.0


def test_what_nothing_confirms_goes_back_to_the_best_there_was(clock):
    pace = Pace(((1, 0.1),), clock.read)
    pace.record(1, 6.0, given_up=True)
    before = pace.each_s(1)
    clock.now += 60.0
    assert pace.each_s(1) == pytest.approx(0.1 + (before - 0.1) / 2)
    clock.now += 3600.0
    assert pace.each_s(1) == pytest.approx(0.1)


def test_where_no_best_is_known_it_goes_back_to_nothing(clock):
    pace = Pace((), clock.read)
    pace.record(1, 20.0)
    clock.now += 3600.0
    assert pace.each_s(1) < 0.001
