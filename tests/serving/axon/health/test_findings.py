from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.serving.axon.health.findings import (
    burnt_finding,
    clock_finding,
    halted_finding,
    model_age_finding,
    models_finding,
    quiet_finding,
    stale_finding,
)

HOUR = timedelta(hours=1)


def messages_of_everything() -> list[str]:
    found = [
        clock_finding(72.0),
        clock_finding(-60.0),
        clock_finding(None, [60.0] * 3),
        clock_finding(None, too_old=9),
        clock_finding(72.0, [0.5] * 3),
        models_finding({"large": "open", "small": "closed"}),
        models_finding({"large": "open"}),
        burnt_finding(1.0),
        quiet_finding(5 * HOUR, 3 * HOUR, none_yet=True),
        model_age_finding(timedelta(days=46)),
        stale_finding(5 * HOUR, HOUR),
        stale_finding(None, HOUR),
        halted_finding("halted", datetime(2026, 7, 1, tzinfo=UTC)),
    ]
    return [finding.message for finding in found if finding is not None]


def test_every_finding_says_what_goes_on() -> None:
    said = messages_of_everything()
    assert len(said) == 13
    for message in said:
        assert any(word in message for word in ("goes on", "go on", "refused with 503")), message


@pytest.mark.parametrize("age_s", [0.5, 6.0, 12.9, 25.0])
def test_a_right_clock_is_no_concern_whatever_the_blocks_age(age_s: float) -> None:
    assert clock_finding(age_s) is None


@pytest.mark.parametrize("age_s", [0.0, 6.0, 13.0])
def test_a_clock_off_by_a_minute_is_seen_either_way(age_s: float) -> None:
    ahead, behind = clock_finding(age_s + 60), clock_finding(age_s - 60)
    assert ahead is not None
    assert "ahead" in ahead.message
    assert ahead.grade == "ahead of"
    assert behind is not None
    assert "behind" in behind.message
    assert behind.grade == "behind"


def test_nothing_known_of_the_clock_is_no_concern() -> None:
    assert clock_finding(None) is None


def test_callers_clocks_are_evidence_of_their_own() -> None:
    assert clock_finding(None, [60.0, 61.0]) is None  # two say nothing
    off = clock_finding(6.0, [9.0, 10.0, 11.0])
    assert off is not None
    assert "about 10 s ahead of those of 3 callers" in off.message
    off = clock_finding(6.0, [-9.0, -10.0, -400.0])
    assert off is not None
    assert "about 10 s behind" in off.message
    assert clock_finding(6.0, [0.3, 0.5, 5000.0]) is None  # one wrong caller moves no median


def test_a_node_that_lags_is_told_from_a_wrong_clock() -> None:
    found = clock_finding(300.0, [0.4, 0.5, 1.0])
    assert found is not None
    assert "the node lags" in found.message
    assert found.grade == "node"


def test_requests_that_all_look_too_old_point_at_our_clock() -> None:
    found = clock_finding(20.0, [], too_old=3)  # 20 s ahead: within what a block's age can tell
    assert found is not None
    assert "may be ahead" in found.message
    assert clock_finding(None, [], too_old=3) == found
    assert clock_finding(20.0, [], too_old=2) is None
    assert clock_finding(20.0, [0.5], too_old=30) is None  # others verify, so it is those callers'


@given(st.floats(-5.0, 12.0), st.integers(0, 1000))
def test_nobody_unverified_can_raise_it_where_the_chain_says_that_the_clock_is_right(
    lag_s: float, too_old: int
) -> None:
    assert clock_finding(lag_s, [], too_old) is None


@given(st.floats(-1e9, 1e9), st.lists(st.floats(-1e9, 1e9), max_size=9), st.integers(0, 1000))
def test_what_was_refused_never_changes_what_better_evidence_says(
    lag_s: float, offsets: list[float], too_old: int
) -> None:
    without = clock_finding(lag_s, offsets)
    if without is not None:
        assert clock_finding(lag_s, offsets, too_old) == without


def test_a_clock_that_is_behind_the_chain_is_behind_whatever_callers_say() -> None:
    found = clock_finding(-900.0, [9.0] * 3, too_old=3)
    assert found is not None
    assert found.grade == "behind"
    assert "at least 900 s behind" in found.message


@pytest.mark.parametrize(
    ("states", "grade", "fragments"),
    [
        ({}, None, ()),
        ({"large": "closed"}, None, ()),
        ({"large": "closed", "small": "closed"}, None, ()),
        (
            {"large": "open", "small": "closed"},
            "large",
            ("The large model is out (its breaker is open)", "the small one goes on answering alone"),
        ),
        (
            {"large": "closed", "small": "half_open"},
            "small",
            ("The small model is out (its breaker is half open)", "the large one goes on answering alone"),
        ),
        ({"large": "open"}, "large", ("The large model is out", "nothing answers")),
        (
            {"large": "open", "small": "open"},
            "large small",
            ("The large model is out", "the small model is out", "told -1"),
        ),
    ],
)
def test_models_that_are_out(states: dict[str, str], grade: str | None, fragments: tuple[str, ...]) -> None:
    found = models_finding(states)
    assert (None if found is None else found.grade) == grade
    if found is not None:
        assert all(fragment in found.message for fragment in fragments)


@pytest.mark.parametrize(
    ("share", "grade"),
    [(None, None), (0.0, None), (0.099, None), (0.1, "0.1"), (0.5, "0.5"), (0.9, "0.5"), (1.0, "0.999")],
)
def test_burnt_shares(share: float | None, grade: str | None) -> None:
    found = burnt_finding(share)
    assert (None if found is None else found.grade) == grade
    if share == 1.0:
        assert found is not None
        assert "the whole miners' share" in found.message


@pytest.mark.parametrize(
    ("days", "grade"),
    [
        (-3.0, None),
        (44.9, None),
        (45.0, "45"),
        (54.9, "45"),
        (55.0, "55"),
        (75.0, "75"),
        (89.9, "75"),
        (90.0, "90"),
    ],
)
def test_the_models_age(days: float, grade: str | None) -> None:
    found = model_age_finding(timedelta(days=days))
    assert (None if found is None else found.grade) == grade
    if grade is not None:
        assert found is not None
        assert ("pays nothing" in found.message) == (days >= 90)


def test_silence_is_told_when_it_begins_and_each_time_it_has_doubled() -> None:
    assert quiet_finding(3 * HOUR - timedelta(seconds=1), 3 * HOUR, none_yet=False) is None
    grades = []
    for hours in range(3, 49):
        found = quiet_finding(hours * HOUR, 3 * HOUR, none_yet=False)
        assert found is not None
        grades.append(found.grade)
    changes = [hours for hours, a, b in zip(range(4, 49), grades, grades[1:], strict=False) if a != b]
    assert changes == [6, 12, 24, 48]


def test_silence_since_the_start_is_another_sentence() -> None:
    first = quiet_finding(3 * HOUR, 3 * HOUR, none_yet=True)
    later = quiet_finding(100 * HOUR, 3 * HOUR, none_yet=False)
    assert first is not None
    assert "No challenge came for 3 h since the start." in first.message
    assert later is not None
    assert "No challenge came for 4 days since the last." in later.message


def test_the_tables_age() -> None:
    assert stale_finding(59 * HOUR / 60, HOUR) is None
    old, none = stale_finding(HOUR, HOUR), stale_finding(None, HOUR)
    assert old is not None
    assert "60 min old" in old.message
    assert none is not None
    assert none.grade != old.grade


@given(st.floats(-1e9, 1e9), st.lists(st.floats(-1e9, 1e9), max_size=9), st.integers(0, 1000))
def test_the_clocks_words_never_fail_and_never_contradict(
    lag_s: float, offsets: list[float], old: int
) -> None:
    found = clock_finding(lag_s, offsets, old)
    if found is not None:
        assert found.grade in {"ahead of", "behind", "node"}
        assert ("behind" in found.message.split("expected")[0]) == (found.grade == "behind")
