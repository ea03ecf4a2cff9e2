"""What a volley of challenges came to, on replies whose verdict is known."""

from __future__ import annotations

import pytest
from benchmarks.miner.volleys import Reply, judge, together

STAKES = {f"high {at}": 9.0 for at in range(10)} | {f"low {at}": 1.0 for at in range(10)}


def reply(hotkey: str, seconds: float | None = 1.0, *, prediction: float = 0.7, status: int = 200) -> Reply:
    return Reply(hotkey, prediction, status, seconds, 2.0)


def replies(answered: int) -> list[Reply]:
    return [
        reply(hotkey, prediction=0.7 if at < answered else -1.0, seconds=5.0 if at < answered else 0.25)
        for at, hotkey in enumerate(STAKES)
    ]


def test_what_can_be_done_is_whole_answers_and_no_more_than_was_asked() -> None:
    assert together({"large": 3.49, "small": 2.2}, 64) == 20 + 13
    assert together({"large": 3.3}, 64) == 19
    assert together({"large": 3.5, "small": 200.0}, 64) == 64


@pytest.mark.parametrize(("answered", "passed"), [(20, True), (19, True), (18, False)])
def test_nineteen_of_twenty_pass(answered: int, passed: bool) -> None:
    found = judge(replies(answered), 20, STAKES)
    assert (found["answered"], found["refused"], found["late"]) == (answered, 20 - answered, 0)
    assert found["passed"] is passed
    assert found["answered_by_stake"] == {"9": [10, 10], "1": [answered - 10, 10]}
    assert found["refused_p50_s"] == (None if answered == 20 else 0.25)


@pytest.mark.parametrize(
    "wrong", [reply("low 9", 6.02), reply("low 9", None), reply("low 9", 6.5, prediction=-1.0)]
)
def test_one_that_is_late_fails_the_volley_answered_or_not(wrong: Reply) -> None:
    found = judge([*replies(20)[:19], wrong], 19, STAKES)
    assert found["late"] == 1
    assert not found["passed"]


def test_the_first_answer_counts_from_the_first_head() -> None:
    heads = [
        Reply("high 0", -1.0, 200, 0.5, 2.0, begun_s=10.0),
        Reply("low 0", 0.5, 200, 3.0, 4.0, begun_s=10.5),
    ]
    assert judge(heads, 1, STAKES)["first_answer_after_s"] == 3.5
    assert judge(replies(20), 20, STAKES)["first_answer_after_s"] is None


def test_an_error_is_no_minus_one() -> None:
    found = judge([*replies(20)[:19], reply("low 9", prediction=-1.0, status=503)], 19, STAKES)
    assert found["other_status"] == 1
    assert not found["passed"]


@pytest.mark.parametrize("prediction", [-1.0, 1.5, float("nan")])
def test_what_is_no_probability_is_no_answer(prediction: float) -> None:
    assert not reply("low 1", prediction=prediction).answered


def test_a_clients_line_is_read() -> None:
    said = {"hotkey": "5F", "prediction": 0.5, "status": "200", "server_s": None, "client_s": 1}
    assert Reply.of(said) == Reply("5F", 0.5, 200, None, 1.0)


@pytest.mark.parametrize(("seconds", "passed"), [(2.9, True), (3.1, False)])
def test_a_minus_one_that_comes_at_the_last_moment_is_not_prompt(seconds: float, passed: bool) -> None:
    slow = [reply(hotkey, seconds, prediction=-1.0) for hotkey in list(STAKES)[10:]]
    assert judge([*replies(20)[:10], *slow], 10, STAKES)["passed"] is passed
