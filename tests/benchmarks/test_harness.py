"""The arithmetic of ratios, on a clock that only the compared calls move."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator

import pytest
from benchmarks.harness import as_json, compare, machine


class Clock:
    """Stands still unless a call takes time; the calls are written down in their order."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def taking(self, name: str, *seconds: float) -> Callable[[], None]:
        remaining: Iterator[float] = iter(seconds)

        def call() -> None:
            self.calls.append(name)
            self.now += next(remaining)

        return call


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_ratio_of_medians_and_extremes_of_pairs(clock: Clock) -> None:
    slow = clock.taking("slow", 99, 8, 6, 10)  # the first of each is the warm-up
    fast = clock.taking("fast", 77, 2, 3, 1)
    (result,) = compare(
        "work", ("slow", slow), {"fast": fast}, repeats=3, items=4, note="as told", clock=clock
    )
    assert (result.benchmark, result.contender, result.baseline) == ("work", "fast", "slow")
    assert (result.ratio, result.low, result.high) == (4.0, 2.0, 10.0)  # 8 / 2; 6 / 3; 10 / 1
    assert (result.baseline_ms, result.contender_ms) == (2000.0, 500.0)
    assert (result.repeats, result.note) == (3, "as told")


def test_the_calls_take_turns_after_one_warm_up_of_each(clock: Clock) -> None:
    alternatives = {name: clock.taking(name, 1, 1, 1) for name in ("b", "c")}
    compare("work", ("a", clock.taking("a", 1, 1, 1)), alternatives, repeats=2, clock=clock)
    assert clock.calls == list("abc" * 3)


def test_every_contender_is_compared_with_the_baseline(clock: Clock) -> None:
    results = compare(
        "work",
        ("base", clock.taking("base", 1, 3)),
        {"faster": clock.taking("faster", 1, 2), "slower": clock.taking("slower", 1, 4)},
        repeats=1,
        clock=clock,
    )
    assert [(r.contender, r.ratio, r.low, r.high) for r in results] == [
        ("faster", 1.5, 1.5, 1.5),
        ("slower", 0.75, 0.75, 0.75),
    ]


def test_a_slow_spell_that_hits_both_leaves_the_ratio(clock: Clock) -> None:
    slow, fast = clock.taking("slow", 1, 4, 400, 4), clock.taking("fast", 1, 2, 200, 2)
    (result,) = compare("work", ("slow", slow), {"fast": fast}, repeats=3, clock=clock)
    assert (result.ratio, result.low, result.high) == (2.0, 2.0, 2.0)


def test_a_failing_call_is_not_swallowed(clock: Clock) -> None:
    with pytest.raises(StopIteration):
        compare("work", ("a", clock.taking("a", 1)), {}, repeats=1, clock=clock)


def test_results_and_machine_are_json_without_the_host(clock: Clock) -> None:
    results = compare(
        "work", ("a", clock.taking("a", 1, 2)), {"b": clock.taking("b", 1, 1)}, repeats=1, clock=clock
    )
    text = json.dumps({"machine": machine(), "results": as_json(results)})
    assert json.loads(text)["results"][0]["ratio"] == 2.0
    described = json.loads(text)["machine"]
    assert described["processor"]
    assert described["cores"] >= 1
    assert described["python"] == platform.python_version()
    assert set(described) == {"processor", "cores", "load_1_min", "python", "libraries"}
    assert platform.node() not in text
