"""What every answerer must do, whatever answers: a live bundle, a cascade, or something across a wire.

A new kind of answerer joins by one entry in `SUBJECTS`: a function from the colour bundle's directory to the
answerer, in which orange is road work, blue is none and grey is deferred.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import importlib.util
import json
import math
import time

import pytest

from workzone.core.errors import DataError, DeadlineExceeded
from workzone.core.types import Verdict
from workzone.engine.answers import Answer, StageRun
from workzone.engine.cascade import Cascade, Stage
from workzone.engine.predictor import open_predictor

COLOURS = {"orange": Verdict.ROADWORK, "grey": Verdict.DEFER, "blue": Verdict.NONE}


class RemoteStage:
    """A stage behind a wire: pictures and answers cross it as text; errors come back by name."""

    def __init__(self, path):
        self._served = open_predictor(path)
        self.identity = self._served.bundle.digest

    async def answer(self, picture, *, deadline_s):
        start = time.monotonic()
        if deadline_s is not None and deadline_s <= start:
            raise DeadlineExceeded("It was too late to ask.")
        reply = json.loads(await self._send(json.dumps({"picture": base64.b64encode(picture).decode()})))
        if "error" in reply:
            raise {"DataError": DataError}[reply["error"]](reply["message"])
        latency_ms = 1000 * (time.monotonic() - start)
        verdict = Verdict(reply["verdict"])
        said = (reply["probability"], reply["logit"])
        return Answer(
            sha256=hashlib.sha256(picture).hexdigest(),
            probability=said[0],
            verdict=verdict,
            logit=said[1],
            certified=reply["certified"],
            stages=(StageRun("remote", verdict, *said, latency_ms, reply["certified"]),),
            reason="The remote model defers." if verdict is Verdict.DEFER else None,
            degraded=False,
            bundle=self.identity,
            latency_ms=latency_ms,
        )

    async def _send(self, message):
        await asyncio.sleep(0)
        picture = base64.b64decode(json.loads(message)["picture"])
        try:
            return json.dumps(dataclasses.asdict(self._served.predict(picture)))
        except DataError as error:
            return json.dumps({"error": "DataError", "message": str(error)})


def remote(path):
    return RemoteStage(path)


def cascade(path):
    stages = [Stage(name, RemoteStage(path), deadline_ms=30_000.0) for name in ("first", "second")]
    return Cascade(stages, identity="c" * 64, certified=(True, True))


def live(path):
    from workzone.engine.live import LiveSettings, open_live

    return open_live(path, LiveSettings(threads=1))


def live_cascade(path):
    stages = [Stage("first", live(path), deadline_ms=30_000.0), Stage("second", remote(path), 30_000.0)]
    return Cascade(stages, identity="c" * 64, certified=(True, True))


def lanes(path):
    from workzone.serving.axon.lanes.lane import Model
    from workzone.serving.axon.lanes.lanes import Lanes

    return Lanes(Model("large", live(path), 4), Model("small", live(path), 4))


SUBJECTS = {"remote": remote, "cascade": cascade}
if importlib.util.find_spec("workzone.engine.live"):
    SUBJECTS |= {"live": live, "live cascade": live_cascade, "lanes": lanes}


@pytest.fixture(params=SUBJECTS)
def ask(request, bundle_path):
    """Run `scenario(answerer)` on a loop of its own, and close the answerer."""

    def run(scenario):
        async def opened():
            answerer = SUBJECTS[request.param](bundle_path)
            try:
                return await scenario(answerer)
            finally:
                if hasattr(answerer, "aclose"):
                    await answerer.aclose()

        return asyncio.run(opened())

    return run


@pytest.fixture
def pictures(factory):
    colours = {"orange": factory.ORANGE, "grey": factory.GREY, "blue": factory.BLUE}
    return {name: factory.encoded(factory.plain(colour)) for name, colour in colours.items()}


def without_times(answer):
    stages = tuple(dataclasses.replace(stage, latency_ms=0.0) for stage in answer.stages)
    return dataclasses.replace(answer, latency_ms=0.0, stages=stages)


def test_an_answer_is_whole(ask, pictures):
    async def scenario(answerer):
        return [await answerer.answer(picture, deadline_s=None) for picture in pictures.values()], answerer

    answers, answerer = ask(scenario)
    assert isinstance(answerer.identity, str)
    assert answerer.identity
    assert [a.verdict for a in answers] == list(COLOURS.values())
    for picture, answer in zip(pictures.values(), answers, strict=True):
        assert answer.sha256 == hashlib.sha256(picture).hexdigest()
        assert 0.0 <= answer.probability <= 1.0
        assert math.isfinite(answer.logit)
        assert len(answer.bundle) == 64
        assert answer.latency_ms > 0.0
        assert all(0.0 <= stage.latency_ms <= answer.latency_ms + 1.0 for stage in answer.stages)
        assert (answer.certified, answer.degraded, answer.cached) == (True, False, False)


def test_it_says_which_stages_ran_and_what_they_said(ask, pictures):
    async def scenario(answerer):
        return [await answerer.answer(picture, deadline_s=None) for picture in pictures.values()]

    for answer in ask(scenario):
        assert answer.stages
        assert len({stage.name for stage in answer.stages}) == len(answer.stages)
        last = answer.stages[-1]
        assert (last.verdict, last.probability, last.logit) == (
            answer.verdict,
            answer.probability,
            answer.logit,
        )
        assert all(stage.verdict is Verdict.DEFER for stage in answer.stages[:-1])


def test_a_deferral_says_why_and_a_plain_answer_needs_no_reason(ask, pictures):
    async def scenario(answerer):
        return {n: await answerer.answer(picture, deadline_s=None) for n, picture in pictures.items()}

    answers = ask(scenario)
    assert answers["grey"].reason
    assert answers["orange"].reason is answers["blue"].reason is None


@pytest.mark.parametrize("junk", [b"", b"no picture", b"\xff\xd8\xff\xe0" + bytes(40)])
def test_what_is_no_picture_is_a_data_error_and_spoils_no_other(ask, pictures, junk):
    async def scenario(answerer):
        asked = [answerer.answer(p, deadline_s=None) for p in (pictures["orange"], junk, pictures["blue"])]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, error, last = ask(scenario)
    assert isinstance(error, DataError)
    assert (first.verdict, last.verdict) == (Verdict.ROADWORK, Verdict.NONE)


def test_a_deadline_that_has_passed_is_an_error_never_an_answer(ask, pictures):
    async def scenario(answerer):
        with pytest.raises(DeadlineExceeded):
            await answerer.answer(pictures["orange"], deadline_s=time.monotonic() - 1.0)
        far = time.monotonic() + 3600.0
        return await answerer.answer(pictures["orange"], deadline_s=far)

    assert ask(scenario).verdict is Verdict.ROADWORK


def test_equal_pictures_get_equal_answers(ask, pictures):
    async def scenario(answerer):
        return [await answerer.answer(pictures["grey"], deadline_s=None) for _ in range(3)]

    first, *others = map(without_times, ask(scenario))
    assert others == [first, first]


def test_answers_at_once_are_not_mixed_up(ask, pictures):
    async def scenario(answerer):
        names = list(pictures) * 5
        answers = await asyncio.gather(*[answerer.answer(pictures[n], deadline_s=None) for n in names])
        return list(zip(names, answers, strict=True))

    for name, answer in ask(scenario):
        assert answer.verdict is COLOURS[name]
        assert answer.sha256 == hashlib.sha256(pictures[name]).hexdigest()


def test_a_caller_who_goes_away_takes_nobody_along(ask, pictures):
    async def scenario(answerer):
        tasks = [asyncio.create_task(answerer.answer(pictures["blue"], deadline_s=None)) for _ in range(6)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    for number, outcome in enumerate(ask(scenario)):
        if number % 2:
            assert outcome.verdict is Verdict.NONE
        else:
            assert isinstance(outcome, asyncio.CancelledError)
