from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from workzone.serving.axon.health.concerns import Concern, Concerns, Finding

START = datetime(2026, 5, 1, tzinfo=UTC)


class Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_concern_is_told_when_it_begins_changes_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    concerns = Concerns(clock)
    concerns.set(Concern.MODEL_AGE, Finding("It is 45 days old.", "45"))
    for minute in range(1000):  # an age that grows by the minute is shown, not told
        clock.now = START + timedelta(minutes=minute)
        concerns.set(Concern.MODEL_AGE, Finding(f"It is 45 days and {minute} minutes old.", "45"))
    assert lines(caplog) == ["concern_begins: model_age: It is 45 days old."]
    assert concerns.current[Concern.MODEL_AGE].finding.message == "It is 45 days and 999 minutes old."
    assert concerns.current[Concern.MODEL_AGE].since == START

    concerns.set(Concern.MODEL_AGE, Finding("It is 55 days old.", "55"))
    concerns.set(Concern.MODEL_AGE, None)
    concerns.set(Concern.MODEL_AGE, None)
    assert lines(caplog)[1:] == [
        "concern_changes: model_age: It is 55 days old.",
        "concern_ends: model_age, since 2026-05-01T00:00:00+00:00",
    ]
    assert concerns.current == {}


def test_what_is_over_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    concerns = Concerns(clock)
    concerns.set(Concern.CHAIN_AWAY, Finding("Away."))
    concerns.set(Concern.CHAIN_AWAY, None)
    clock.now += timedelta(days=1)
    concerns.set(Concern.CHAIN_AWAY, Finding("Away."))
    assert concerns.current[Concern.CHAIN_AWAY].since == START + timedelta(days=1)
    assert [line.split(":")[0] for line in lines(caplog)] == [
        "concern_begins",
        "concern_ends",
        "concern_begins",
    ]


def test_nothing_is_told_of_what_never_was(caplog: pytest.LogCaptureFixture) -> None:
    concerns = Concerns()
    for kind in Concern:
        concerns.set(kind, None)
    assert caplog.records == []


def test_what_was_read_stays_as_it_was() -> None:
    concerns = Concerns()
    before = concerns.current
    concerns.set(Concern.BURNT, Finding("All of it."))
    assert before == {}
    assert list(concerns.current) == [Concern.BURNT]
    with pytest.raises(TypeError):
        concerns.current[Concern.HALTED] = concerns.current[Concern.BURNT]  # type: ignore[index]


def test_threads_do_not_lose_one_anothers() -> None:
    concerns = Concerns()
    start = threading.Barrier(len(Concern))

    def say(kind: Concern) -> None:
        start.wait()
        for i in range(200):
            concerns.set(kind, Finding(str(i)))

    threads = [threading.Thread(target=say, args=(kind,)) for kind in Concern]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(concerns.current) == set(Concern)
    assert {concern.finding.message for concern in concerns.current.values()} == {"199"}
