"""Batches: never above the largest, in order, nobody lost, and as large as the oldest one's slack lets them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.engine.forming import form_batch, slack_s


@dataclass(frozen=True, eq=False)
class Request:
    deadline_s: float | None


def linear(size):
    return float(size)


deadlines = st.lists(st.none() | st.integers(-3, 12).map(float), max_size=12)


@given(deadlines, st.integers(1, 6))
def test_everybody_goes_waits_or_is_late_in_order(all_deadlines, max_batch):
    waiting = [Request(deadline) for deadline in all_deadlines]
    batch, late = form_batch(waiting, 0.0, max_batch, linear)
    assert len(batch) <= max_batch
    assert not set(batch) & set(late)
    places = {request: place for place, request in enumerate(waiting)}
    for part in (batch, late):
        assert sorted(part, key=places.__getitem__) == part
    left = [request for request in waiting if request not in batch and request not in late]
    assert all(places[taken] < places[waits] for taken in batch for waits in left)
    # An idle network never waits while somebody can still be in time, and nobody in time is given up.
    assert bool(batch) == any(slack_s(request, 0.0) > 0 for request in waiting)
    assert all(slack_s(request, 0.0) < 1.0 for request in late)
    assert all(slack_s(request, 0.0) > 0 for request in batch)
    if len(batch) > 1:
        assert linear(len(batch)) <= slack_s(batch[0], 0.0)


@pytest.mark.parametrize(
    ("oldest", "size"), [(None, 4), (4.0, 4), (3.9, 3), (1.0, 1)]
)  # a run of n pictures takes n seconds
def test_the_oldest_ones_slack_decides(oldest, size):
    waiting = [Request(oldest), *(Request(None) for _ in range(5))]
    batch, late = form_batch(waiting, 0.0, 4, linear)
    assert (batch, late) == (waiting[:size], [])


def test_who_would_be_late_steps_aside_for_who_would_not():
    late_one, in_time = Request(0.9), Request(1.5)
    assert form_batch([late_one, in_time], 0.0, 4, linear) == ([in_time], [late_one])


def test_when_nobody_would_be_in_time_the_newest_is_tried():
    first, newest = Request(0.5), Request(0.9)
    assert form_batch([first, newest], 0.0, 4, linear) == ([newest], [first])


def test_a_deadline_that_is_now_has_passed():
    request = Request(5.0)
    assert form_batch([request], 5.0, 4, lambda _: 0.0) == ([], [request])
    assert form_batch([], 5.0, 4, linear) == ([], [])
