from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workzone.serving.logs import PERFORMANCE
from workzone.serving.performance import HourlySummary


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def summaries(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.name == PERFORMANCE]


@pytest.fixture(autouse=True)
def _level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", PERFORMANCE)


def test_an_hour_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    summary = HourlySummary(clock=clock)
    for latency_ms in (10.0, 20.0, 30.0):
        summary.count("none", latency_ms)
    summary.count("defer", 5.0, cached=True)
    summary.count("503", 0.0)
    clock.now += 3599
    summary.log_if_due()
    assert summaries(caplog) == []
    clock.now += 1
    summary.count("none", 1.0)  # of the next hour
    (line,) = summaries(caplog)
    assert line["outcomes"] == {"503": 1, "defer": 1, "none": 3}
    assert (line["requests"], line["cached"], line["seconds"]) == (5, 1, 3600.0)
    assert (line["longest_ms"], line["p99_ms"]) == (30.0, 30.0)
    summary.log()
    assert summaries(caplog)[1]["requests"] == 1


def test_a_quiet_hour_says_so(caplog: pytest.LogCaptureFixture) -> None:
    HourlySummary(clock=Clock()).log()
    (line,) = summaries(caplog)
    assert (line["requests"], line["p50_ms"], line["longest_ms"]) == (0, None, 0.0)


@settings(max_examples=50)
@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=200))
def test_percentiles_are_numpys_within_5_percent(latencies: list[float]) -> None:
    summary = HourlySummary(clock=Clock())
    for latency_ms in latencies:
        summary.count("none", latency_ms)
    for share in (0.5, 0.95, 0.99):
        truth = float(np.percentile(latencies, 100 * share, method="inverted_cdf"))
        found = summary._percentile(share)
        assert found is not None
        assert truth - 0.001 <= found <= truth * 1.05 + 0.001


def test_threads_lose_no_count(caplog: pytest.LogCaptureFixture) -> None:
    summary = HourlySummary(clock=Clock())
    threads = [
        threading.Thread(target=lambda: [summary.count("none", 1.0) for _ in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summary.log()
    assert summaries(caplog)[0]["requests"] == 2000
