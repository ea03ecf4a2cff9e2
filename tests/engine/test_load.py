"""Callers in a closed loop: counts and percentiles by a clock that a test moves, and a real bundle at the end."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from workzone.core.errors import ConfigError, DataError, InferenceError, ModelUnavailable
from workzone.engine.live import open_live
from workzone.engine.load import PERCENTILES, ask, ask_live, readable
from workzone.imaging.decode import DecodeLimits

PICTURES = [b"a", b"b", b"c"]


class Answers:
    """Takes the given seconds for one answer after the other, the last of them for all that follow."""

    identity = "fake"

    def __init__(self, clock, *seconds):
        self.clock = clock
        self.seconds = list(seconds)
        self.asked = []
        self.inside = self.most = 0

    async def answer(self, picture, *, deadline_s):
        assert deadline_s is None
        self.asked.append(picture)
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(0)
        self.clock.advance(self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0])
        self.inside -= 1


def test_rate_and_latencies_of_one_caller(clock, run_async):
    answers = Answers(clock, 0.125)
    load = run_async(ask(answers, PICTURES, callers=1, seconds=2.5, clock=clock))
    assert (load.answers, load.seconds, load.per_second) == (20, 2.5, 8.0)
    assert answers.asked == [PICTURES[i % 3] for i in range(20)]
    assert load.latency_ms(50) == load.latency_ms(95) == pytest.approx(125)
    assert load.latency_ms(99) is None  # none of 20 answers need lie above it


def test_percentiles_are_numpys(clock, run_async):
    seconds = np.random.default_rng(0).exponential(0.1, 400)
    load = run_async(
        ask(Answers(clock, *seconds), PICTURES, callers=1, seconds=float(seconds.sum()) - 1e-6, clock=clock)
    )
    assert load.answers == 400
    for percentile in PERCENTILES:
        assert load.latency_ms(percentile) == pytest.approx(1000 * np.percentile(seconds, percentile))


@pytest.mark.parametrize(("answers", "known"), [(1, []), (2, [50]), (19, [50]), (20, [50, 95]), (99, [50, 95]),
                                                (100, [50, 95, 99])])  # fmt: skip
def test_a_percentile_takes_enough_answers(clock, run_async, answers, known):
    load = run_async(ask(Answers(clock, 0.5), PICTURES, callers=1, seconds=0.5 * answers, clock=clock))
    assert load.answers == answers
    assert [one.percentile for one in load.latencies if one.ms is not None] == known


def test_so_many_callers_ask_at_once_and_each_at_least_once(clock, run_async):
    answers = Answers(clock, 1.0)
    load = run_async(ask(answers, PICTURES, callers=5, seconds=0.001, clock=clock))
    assert answers.most == load.answers == load.callers == 5


def test_an_error_ends_the_load(clock, run_async):
    class Broken:
        identity = "broken"

        async def answer(self, picture, *, deadline_s):
            raise InferenceError("the network broke")

    with pytest.raises(InferenceError, match="the network broke"):
        run_async(ask(Broken(), PICTURES, callers=3, seconds=1, clock=clock))


@pytest.mark.parametrize(("pictures", "callers", "seconds"), [([], 1, 1), (PICTURES, 0, 1), (PICTURES, 1, 0),
                                                              (PICTURES, 1, float("nan"))])  # fmt: skip
def test_a_load_of_nothing_is_refused(clock, run_async, pictures, callers, seconds):
    with pytest.raises(ConfigError, match="A load takes pictures, callers and time"):
        run_async(ask(Answers(clock, 1.0), pictures, callers=callers, seconds=seconds, clock=clock))


def test_a_bundle_is_asked_and_closed(colour_bundle, colour_builders):
    live = open_live(colour_bundle)
    pictures = [
        colour_builders.encoded(colour_builders.plain(c)) for c in (colour_builders.ORANGE, (1, 2, 3))
    ]
    alone, together = ask_live(live, pictures, callers=(1, 4), seconds=0.05)
    assert (alone.callers, together.callers) == (1, 4)
    assert alone.answers >= 1
    assert together.answers >= 4
    assert together.seconds >= 0.05
    with pytest.raises(ModelUnavailable):
        asyncio.run(live.answer(pictures[0], deadline_s=None))


def test_unreadable_pictures_are_left_out(colour_builders):
    good = colour_builders.encoded(colour_builders.plain(colour_builders.BLUE))
    assert readable(colour_builders.PREPROCESSING, [b"no", good, b""], DecodeLimits()) == [good]
    with pytest.raises(DataError, match="None of 2 pictures can be decoded"):
        readable(colour_builders.PREPROCESSING, [b"no", b""], DecodeLimits())
