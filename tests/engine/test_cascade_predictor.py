"""Pictures through a cascade in turn: the same verdicts as the stages composed, and as the live cascade."""

from __future__ import annotations

import asyncio
import dataclasses

import numpy as np
import pytest

from workzone.bundle.cascade import open_cascade
from workzone.core.types import Verdict
from workzone.engine.batch import find_pictures, predict_to_file
from workzone.engine.cascade_predictor import CascadePredictor, open_cascade_predictor
from workzone.engine.live import LiveSettings
from workzone.engine.live_cascade import open_live_cascade
from workzone.engine.predictor import Failure, open_predictor
from workzone.engine.results import ResultFormat
from workzone.policy.cascade import compose_codes
from workzone.policy.verdicts import CODES


@pytest.fixture
def path(factory, tmp_path):
    return factory.make_cascade(tmp_path)


@pytest.fixture
def pictures(factory):
    colours = [factory.ORANGE, factory.BLUE, factory.GREY, factory.LIGHT, factory.MIDDLE]
    return [factory.encoded(factory.plain(colour)) for colour in colours * 2]


def test_verdicts_are_those_of_the_stages_composed_and_of_the_live_cascade(path, pictures):
    predictor = open_cascade_predictor(path)
    answers = list(predictor.predict_many(pictures, 3))
    alone = []
    for bundle in open_cascade(path).stages:
        logits, features = open_predictor(bundle.path).score(pictures)
        alone.append(bundle.policy.decide(logits, features))
    assert [CODES[answer.verdict] for answer in answers] == compose_codes(alone).tolist()
    assert [answer.stage for answer in answers] == ["small", "small", "big", "big", "big"] * 2
    assert all(answer.certified for answer in answers)

    async def live():
        cascade = open_live_cascade(path, LiveSettings(threads=1, max_batch=1)).answerer
        said = [await cascade.answer(picture, deadline_s=None) for picture in pictures[:5]]
        await cascade.aclose()
        return [(answer.verdict, answer.stages[-1].name, answer.logit) for answer in said]

    assert asyncio.run(live()) == [(a.verdict, a.stage, a.logit) for a in answers[:5]]


def test_a_broken_picture_spoils_no_other(path, pictures):
    answers = list(open_cascade_predictor(path).predict_many([pictures[2], b"no picture", pictures[0]]))
    assert isinstance(answers[1], Failure)
    assert [answers[0].verdict, answers[2].verdict] == [Verdict.NONE, Verdict.ROADWORK]


def test_what_a_later_stage_cannot_answer_is_deferred_under_the_shorter_path(factory, tmp_path, pictures):
    class Broken:
        max_batch = 4

        def predict_many(self, sources, batch=None):
            return [Failure("x", "not finite") for _ in sources]

    for first_alone in (False, True):
        cascade = open_cascade(factory.make_cascade(tmp_path / str(first_alone), first_alone=first_alone))
        first = open_predictor(cascade.stages[0].path)
        answers = list(CascadePredictor(cascade, [first, Broken()]).predict_many(pictures[:3]))
        said = [(answer.verdict, answer.stage, answer.certified) for answer in answers]
        assert said == [
            (Verdict.ROADWORK, "small", True),
            (Verdict.NONE, "small", True),
            (Verdict.DEFER, "small", first_alone),
        ]


def test_without_a_certificate_every_picture_is_deferred(path, pictures):
    cascade = open_cascade(path)
    paths = tuple(dataclasses.replace(p, certificate=None, refusal="too few") for p in cascade.paths)
    stages = [open_predictor(bundle.path) for bundle in cascade.stages]
    answers = CascadePredictor(dataclasses.replace(cascade, paths=paths), stages).predict_many(pictures)
    said = {(answer.verdict, answer.certified) for answer in answers}
    assert said == {(Verdict.DEFER, False)}


def test_a_directory_goes_to_a_file_under_the_cascades_digest(path, pictures, tmp_path):
    (tmp_path / "street").mkdir()
    for number, picture in enumerate(pictures):
        (tmp_path / "street" / f"{number:02d}.png").write_bytes(picture)
    predictor = open_cascade_predictor(path)
    assert predictor.identity == open_cascade(path).digest
    found = find_pictures([tmp_path / "street"])
    summary = predict_to_file(predictor, found, tmp_path / "out.csv", ResultFormat.CSV)
    assert (summary.pictures, summary.failed) == (10, 0)
    rows = np.array([line.split(",") for line in (tmp_path / "out.csv").read_text().splitlines()[1:]])
    assert rows[:, 3].tolist() == ["small", "small", "big", "big", "big"] * 2
