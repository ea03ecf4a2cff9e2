"""The vocabulary of answers: immutable, and satisfied by the one who answers with a bundle."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from workzone.core.types import Verdict
from workzone.engine.answers import Answer, Answerer, StageRun
from workzone.engine.live import LiveBundle

STAGE = StageRun("model", Verdict.NONE, 0.1, -2.0, 3.0, certified=True)
ANSWER = Answer("0" * 64, 0.1, Verdict.NONE, -2.0, True, (STAGE,), None, False, "b" * 64, 3.0)


def test_an_answer_cannot_be_changed_and_is_fresh_unless_said_otherwise():
    assert not ANSWER.cached
    assert STAGE.error is None
    for record in (ANSWER, STAGE):
        with pytest.raises(dataclasses.FrozenInstanceError):
            record.verdict = Verdict.ROADWORK
        assert not hasattr(record, "__dict__")
    assert hash(ANSWER) == hash(dataclasses.replace(ANSWER))


def test_a_live_bundle_has_the_protocols_signature():
    protocol, ours = (inspect.signature(kind.answer) for kind in (Answerer, LiveBundle))
    assert list(protocol.parameters.values()) == list(ours.parameters.values())
    assert inspect.iscoroutinefunction(LiveBundle.answer)
