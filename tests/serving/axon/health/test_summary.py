from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from workzone.serving.axon.health.summary import NightlySummary
from workzone.serving.logs import PERFORMANCE


class Clock:
    now = datetime(2026, 5, 1, 22, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(autouse=True)
def _level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", PERFORMANCE)


def days(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.getMessage() == "miner_day"]


def test_a_day_ends_at_midnight_utc(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    summary = NightlySummary(clock=clock)
    for seconds in (0.4, 5.9, 1.0):
        summary.answered(seconds)
    summary.late()
    for _ in range(2):
        summary.unreadable()
    summary.left()
    for why in ("unknown", "unknown", "too_large"):
        summary.refused(why)
    clock.now += timedelta(hours=1, minutes=59, seconds=59)
    summary.log_if_due()
    assert days(caplog) == []
    clock.now += timedelta(seconds=1)
    summary.answered(2.0)  # of the next day
    (line,) = days(caplog)
    assert (line["day"], line["hours"]) == ("2026-05-01", 2.0)
    assert (line["answered"], line["late"], line["left"], line["longest_s"]) == (3, 1, 1, 5.9)
    assert line["unreadable"] == 2
    assert line["refused"] == {"too_large": 1, "unknown": 2}

    clock.now += timedelta(hours=6)
    summary.log()  # the miner stops
    assert [(line["day"], line["answered"]) for line in days(caplog)] == [
        ("2026-05-01", 3),
        ("2026-05-02", 1),
    ]


def test_a_quiet_day_says_so(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    summary = NightlySummary(clock=clock)
    clock.now += timedelta(days=1)
    summary.log_if_due()
    (line,) = days(caplog)
    assert (line["answered"], line["late"], line["refused"], line["longest_s"]) == (0, 0, {}, 0.0)


def test_the_day_is_utcs_whatever_the_clocks_zone(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    clock.now = datetime(2026, 5, 2, 1, 30, tzinfo=timezone(timedelta(hours=9)))  # 16:30 the day before, UTC
    summary = NightlySummary(clock=clock)
    clock.now += timedelta(hours=7)
    summary.log_if_due()
    assert days(caplog) == []
    clock.now += timedelta(minutes=30)
    summary.log_if_due()
    assert [line["day"] for line in days(caplog)] == ["2026-05-01"]


def test_a_clock_set_back_over_midnight_ends_no_day_twice(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    clock.now = datetime(2026, 5, 2, 0, 0, 5, tzinfo=UTC)
    summary = NightlySummary(clock=clock)
    clock.now -= timedelta(seconds=10)
    summary.log_if_due()
    clock.now += timedelta(seconds=10)
    summary.log_if_due()
    assert days(caplog) == []


def test_no_count_is_lost_between_threads(caplog: pytest.LogCaptureFixture) -> None:
    summary = NightlySummary(clock=Clock())

    def count() -> None:
        for _ in range(500):
            summary.answered(1.0)
            summary.refused("rate")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    summary.log()
    (line,) = days(caplog)
    assert (line["answered"], line["refused"]) == (2000, {"rate": 2000})
