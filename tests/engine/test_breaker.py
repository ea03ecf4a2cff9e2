"""The breaker against its definition, on a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import ConfigError
from workzone.engine.breaker import BreakerState, CircuitBreaker

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def opened(clock, failures=5):
    breaker = CircuitBreaker(failures=failures, clock=clock)
    for _ in range(failures):
        breaker.failed(breaker.admit())
    return breaker


def test_it_opens_after_five_failures_in_a_row_and_not_after_four():
    clock = Clock()
    breaker = CircuitBreaker(clock=clock)
    for expected in (CLOSED, CLOSED, CLOSED, CLOSED, OPEN):
        breaker.failed(breaker.admit())
        assert breaker.state is expected
    assert breaker.admit() is None


def test_a_success_between_failures_starts_the_count_anew():
    breaker = CircuitBreaker(clock=Clock())
    for _ in range(3):
        for _ in range(4):
            breaker.failed(breaker.admit())
        breaker.succeeded(breaker.admit())
    assert breaker.state is CLOSED


def test_after_sixty_seconds_one_trial_is_let_through_and_closes_it():
    clock = Clock()
    breaker = opened(clock)
    clock.now += 59.9
    assert (breaker.state, breaker.admit()) == (OPEN, None)
    clock.now += 0.1
    assert breaker.state is HALF_OPEN
    ticket = breaker.admit()
    assert ticket is not None
    assert [breaker.admit() for _ in range(3)] == [None] * 3  # one trial, however many wait
    breaker.succeeded(ticket)
    assert breaker.state is CLOSED
    assert breaker.admit() is not None


def test_a_failed_trial_opens_it_for_another_sixty_seconds():
    clock = Clock()
    breaker = opened(clock)
    clock.now += 60
    ticket = breaker.admit()
    clock.now += 10  # the trial took a while: the wait starts when it failed
    breaker.failed(ticket)
    clock.now += 59.9
    assert breaker.state is OPEN
    clock.now += 0.1
    assert breaker.state is HALF_OPEN


def test_an_abandoned_trial_leaves_room_for_the_next():
    clock = Clock()
    breaker = opened(clock)
    clock.now += 60
    breaker.abandoned(breaker.admit())
    assert breaker.state is HALF_OPEN
    ticket = breaker.admit()
    assert ticket is not None
    breaker.succeeded(ticket)
    assert breaker.state is CLOSED


def test_abandoned_requests_are_neither_failures_nor_successes():
    breaker = CircuitBreaker(clock=Clock())
    for _ in range(20):
        breaker.abandoned(breaker.admit())
    for _ in range(4):
        breaker.failed(breaker.admit())
        breaker.abandoned(breaker.admit())
    assert breaker.state is CLOSED
    breaker.failed(breaker.admit())
    assert breaker.state is OPEN


def test_stragglers_from_before_it_opened_change_nothing():
    clock = Clock()
    breaker = CircuitBreaker(clock=clock)
    stragglers = [breaker.admit() for _ in range(4)]
    for _ in range(5):
        breaker.failed(breaker.admit())
    breaker.succeeded(stragglers[0])
    assert breaker.state is OPEN
    clock.now += 60
    trial = breaker.admit()
    breaker.failed(stragglers[1])
    breaker.abandoned(stragglers[2])
    assert breaker.admit() is None  # the trial still runs
    breaker.succeeded(trial)
    breaker.failed(stragglers[3])
    for _ in range(4):
        breaker.failed(breaker.admit())
    assert breaker.state is CLOSED


@pytest.mark.parametrize("numbers", [{"failures": 0}, {"reset_s": 0.0}, {"reset_s": float("nan")}])
def test_numbers_out_of_range_are_refused(numbers):
    with pytest.raises(ConfigError, match="at least 1 failure"):
        CircuitBreaker(**numbers)


@given(st.lists(st.sampled_from(["ask", "succeeded", "failed", "abandoned", "wait"]), max_size=80))
def test_whatever_happens_at_most_one_trial_runs_and_it_recovers(events):
    clock = Clock()
    breaker = CircuitBreaker(failures=2, reset_s=10.0, clock=clock)
    running: list[tuple[int, bool]] = []
    for event in events:
        if event == "wait":
            clock.now += 4
        elif event == "ask":
            before = breaker.state
            ticket = breaker.admit()
            assert (ticket is None) or before is not OPEN
            if ticket is not None:
                running.append((ticket, before is HALF_OPEN))
        elif running:
            ticket, _ = running.pop(0)
            getattr(breaker, event)(ticket)
        assert sum(trial for _, trial in running) <= 1 or breaker.state is not HALF_OPEN
    for ticket, _ in running:
        breaker.abandoned(ticket)
    clock.now += 10
    ticket = breaker.admit()
    assert ticket is not None
    breaker.succeeded(ticket)
    assert breaker.state is CLOSED
