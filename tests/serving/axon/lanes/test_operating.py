"""A threshold on the logit becomes one half, the bundle's own policy is left out, and all else goes through."""

from __future__ import annotations

import asyncio
import hashlib
import math
from types import SimpleNamespace

import numpy as np
import pytest

from workzone.core.errors import ConfigError, InferenceError
from workzone.core.types import Verdict
from workzone.engine.answers import Answer, StageRun
from workzone.engine.warm_up import WarmUp
from workzone.serving.axon.lanes.operating import LARGE, SMALL, AtOperatingPoint, live_model


class Said:
    """Says a logit, as a bundle whose policy defers."""

    identity = "b" * 64

    def __init__(self, logit):
        self.logit = logit
        self.deadlines = []

    async def answer(self, picture, *, deadline_s):
        self.deadlines.append(deadline_s)
        stage = StageRun("model", Verdict.DEFER, 0.7, self.logit, 3.0, certified=True)
        return Answer(
            sha256=hashlib.sha256(picture).hexdigest(), probability=0.7, verdict=Verdict.DEFER, logit=self.logit,
            certified=True, stages=(stage,), reason="between the thresholds", degraded=False, bundle=self.identity,
            latency_ms=3.0,
        )  # fmt: skip


class Mortal(Said):
    """One that queues, dies and closes."""

    dead, depth, closed = False, 7, False

    async def wait_dead(self):
        return

    async def aclose(self):
        self.closed = True


def answer(said, threshold, deadline_s=None):
    return asyncio.run(AtOperatingPoint(said, threshold, LARGE).answer(b"p", deadline_s=deadline_s))


@pytest.mark.parametrize(
    ("logit", "threshold", "verdict"),
    [
        (1.5, 1.0, Verdict.ROADWORK),
        (0.5, 1.0, Verdict.NONE),
        (1.0, 1.0, Verdict.NONE),
        (math.nextafter(1.0, 2.0), 1.0, Verdict.ROADWORK),
        (-3.0, -4.0, Verdict.ROADWORK),
        (1e3, 0.0, Verdict.ROADWORK),
        (-1e3, 0.0, Verdict.NONE),
    ],
)
def test_the_threshold_decides_and_nothing_is_deferred(logit, threshold, verdict):
    found = answer(Said(logit), threshold)
    assert found.verdict is verdict
    assert (found.probability > 0.5) == (logit > threshold)
    assert 0.0 <= found.probability <= 1.0
    # as the validator rounds: half to even, so that exactly 0.5 is "None"
    assert np.round(found.probability) == (verdict is Verdict.ROADWORK)


def test_the_probability_is_the_logistic_of_the_distance():
    assert answer(Said(2.0), 0.5).probability == pytest.approx(1 / (1 + math.exp(-1.5)))


def test_the_answer_says_what_it_is():
    said = Said(2.0)
    found = answer(said, 1.0, deadline_s=9.0)
    identity = AtOperatingPoint(said, 1.0, LARGE).identity
    assert found.stages == (
        StageRun("large@bbbbbbbbbbbb", Verdict.ROADWORK, found.probability, 2.0, 3.0, certified=False),
    )
    assert (found.certified, found.reason, found.bundle) == (False, None, identity)
    assert found.sha256 == hashlib.sha256(b"p").hexdigest()
    assert said.deadlines == [9.0]


def test_its_identity_covers_what_is_asked_and_the_threshold():
    other = Said(0.0)
    other.identity = "c" * 64
    points = [
        (Said(0.0), 1.0, "large"),
        (Said(0.0), 1.5, "large"),
        (Said(0.0), 1.0, "small"),
        (other, 1.0, "large"),
    ]
    assert len({AtOperatingPoint(*point).identity for point in points}) == 4


@pytest.mark.parametrize("logit", [math.nan, math.inf])
def test_a_logit_that_is_no_number_is_a_failure_of_the_model(logit):
    with pytest.raises(InferenceError, match="large model gave the logit"):
        answer(Said(logit), 0.0)


@pytest.mark.parametrize("threshold", [math.nan, math.inf, -math.inf])
def test_a_threshold_that_is_no_number_is_refused(threshold):
    with pytest.raises(ConfigError, match="expected a finite logit"):
        AtOperatingPoint(Said(0.0), threshold, LARGE)


def test_it_queues_dies_and_closes_as_what_it_asks():
    async def scenario():
        mortal = Mortal(0.0)
        point = AtOperatingPoint(mortal, 0.0, LARGE)
        before = (point.dead, point.depth)
        mortal.dead = True
        await point.wait_dead()
        await point.aclose()
        return before, point.dead, mortal.closed

    assert asyncio.run(scenario()) == ((False, 7), True, True)


def test_what_cannot_die_or_close_never_does():
    async def scenario():
        point = AtOperatingPoint(Said(0.0), 0.0, LARGE)
        await point.aclose()
        waiting = asyncio.create_task(point.wait_dead())
        await asyncio.sleep(0)
        waited = waiting.done()
        waiting.cancel()
        return point.dead, point.depth, waited

    assert asyncio.run(scenario()) == (False, 0, False)


@pytest.mark.parametrize(("most", "asked", "run"), [(8, None, 4), (2, None, 2), (8, 3, 3), (8, 16, 8)])
def test_a_warmed_up_bundle_is_a_model_with_its_run_and_times(most, asked, run):
    live = Said(0.0)
    live.warm_up = WarmUp(4, ((1, 0.1), (4, 0.3)))
    live.bundle = SimpleNamespace(preprocessing=SimpleNamespace(max_batch=most))
    model = live_model(live, 1.5, SMALL, max_batch=asked)
    assert (model.name, model.run, model.measured) == ("small", run, ((1, 0.1), (4, 0.3)))
    assert isinstance(model.answerer, AtOperatingPoint)
    assert model.answerer.threshold == 1.5
