"""The small bundle of the bundle tests, and its builders; a clock and an event loop that follows it."""

import asyncio
from collections.abc import Callable, Coroutine
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

_spec = spec_from_file_location("bundle_builders", Path(__file__).parents[1] / "bundle" / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
_builders = module_from_spec(_spec)
_spec.loader.exec_module(_builders)

parts = _builders.parts
bundle_path = _builders.bundle_path
factory = _builders.factory


class ManualClock:
    """Seconds that pass when a test says so; also the time of the loop that `run_async` makes."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def run_async(clock: ManualClock) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Like `asyncio.run`, on a loop whose timers follow `clock`: no test waits for time to pass."""

    def make_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.time = clock  # type: ignore[method-assign]
        return loop

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            return runner.run(coroutine)

    return run
