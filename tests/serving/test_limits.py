"""Limits, the token bucket against its definition, and the budget of memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import ConfigError, Overloaded
from workzone.serving.limits import Admission, Limits, RateLimiter


@pytest.mark.parametrize("changed", [{"body_bytes": 0}, {"rate_per_s": float("nan")}, {"in_flight": -1},
                                     {"default_deadline_s": float("inf")}, {"burst": 3, "pictures": 4},
                                     {"in_flight_bytes": 5, "body_bytes": 6}])  # fmt: skip
def test_limits_that_make_no_sense_are_refused(changed) -> None:
    with pytest.raises(ConfigError):
        Limits(**changed)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 6)), max_size=40))
def test_no_span_of_time_sees_more_than_its_rate_and_one_burst(asks) -> None:
    now, taken = 0.0, []
    limiter = RateLimiter(2.0, 6, clock=lambda: now)
    for wait, n in asks:
        now += wait
        try:
            limiter.take("key", n)
        except Overloaded as full:
            now += full.retry_after_s + 1e-9
            limiter.take("key", n)  # the stated wait suffices
        taken.append((now, n))
    for i, (start, _) in enumerate(taken):
        total = 0
        for end, n in taken[i:]:
            total += n
            assert total <= 6 + 2.0 * (end - start) + 1e-6


def test_keys_have_a_bucket_each_and_memory_is_bounded() -> None:
    limiter = RateLimiter(1.0, 2, clock=lambda: 0.0, max_buckets=3)
    limiter.take("a", 2)
    limiter.take("b", 2)
    with pytest.raises(Overloaded):
        limiter.take("a", 1)
    for number in range(100):
        limiter.take(f"key{number}", 1)
    assert len(limiter._buckets) == 3


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    now = 100.0
    limiter = RateLimiter(1.0, 2, clock=lambda: now)
    limiter.take("a", 2)
    now = 50.0
    with pytest.raises(Overloaded):
        limiter.take("a", 1)


def test_places_and_bytes_are_given_back_whatever_happens() -> None:
    admission = Admission(Limits(in_flight=1, in_flight_bytes=100, body_bytes=100))

    def fail() -> None:
        with admission.enter() as ticket:
            ticket.hold(60)
            with pytest.raises(Overloaded):
                admission.enter()
            with pytest.raises(Overloaded):
                ticket.hold(41)
            ticket.hold(40)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (admission.requests, admission.bytes) == (0, 0)
