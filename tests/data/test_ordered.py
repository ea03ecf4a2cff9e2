"""Results come in order, with few waiting."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from workzone.data.ordered import ordered_map


def test_order_is_kept_and_few_results_wait():
    taken = 0
    ahead = []

    def source():
        nonlocal taken
        for number in range(50):
            taken += 1
            yield number

    with ThreadPoolExecutor(4) as pool:
        for done, result in enumerate(ordered_map(pool, lambda n: n * n, source(), in_flight=6)):
            assert result == done * done
            ahead.append(taken - done)
    assert max(ahead) <= 6
    assert done == 49


def test_a_failure_is_raised_in_its_place_and_cancels_the_rest():
    started = []
    gate = threading.Event()

    def work(number: int) -> int:
        started.append(number)
        if number == 1:
            raise ValueError("one")
        if number > 1:
            gate.wait(10)
        return number

    with ThreadPoolExecutor(1) as pool:
        results = ordered_map(pool, work, range(100), in_flight=8)
        assert next(results) == 0
        with pytest.raises(ValueError, match="one"):
            next(results)
        gate.set()
    assert len(started) <= 4
