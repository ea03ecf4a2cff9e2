"""Where the time goes: each real step once, by a clock that counts, and the same answers as without."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.bundle.reader import open_bundle
from workzone.core.errors import ConfigError
from workzone.engine.backend import BackendOutput
from workzone.engine.predictor import Failure, open_predictor
from workzone.engine.timing import WARM_UP, Step, TimedPredictor, open_timed

REAL_STEPS = tuple(step for step in Step if step is not Step.OTHER)


class Ticks:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        self.now += 1
        return float(self.now)


class Slow:
    """A network that takes half a second of a manual clock, and 2 s the first time."""

    def __init__(self, clock):
        self.clock = clock
        self.runs = 0

    def run(self, images):
        self.clock.advance(0.5 if self.runs else 2.0)
        self.runs += 1
        return BackendOutput(np.full(len(images), 1.5, np.float32), np.ones((len(images), 3), np.float32))


class Instant:
    """A network that takes no time."""

    def run(self, images):
        return BackendOutput(np.zeros(len(images), np.float32), np.ones((len(images), 3), np.float32))


@pytest.fixture
def streets(tmp_path, colour_builders):
    rng = np.random.default_rng(3)
    paths = []
    for number, colour in enumerate([colour_builders.ORANGE, colour_builders.GREY, colour_builders.BLUE]):
        noise = rng.integers(0, 8, (30, 40, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(colour_builders.encoded(colour_builders.plain(colour, 40)[:30] + noise))
    return paths


def test_answers_are_those_without_timing(colour_bundle, streets):
    plain = list(open_predictor(colour_bundle).predict_many(streets, 1))
    timed = open_timed(colour_bundle)
    verdicts = set()
    for path, expected in zip(streets, plain, strict=True):
        found = timed.time(path, 2).answer
        assert (found.image, found.verdict, found.probability, found.logit, found.certified) == (
            expected.image, expected.verdict, expected.probability, expected.logit, expected.certified,
        )  # fmt: skip
        verdicts.add(found.verdict)
    assert len(verdicts) == 3


def test_every_step_really_runs_and_once(colour_bundle, streets):
    bundle = open_bundle(colour_bundle)
    timing = TimedPredictor(bundle, Instant(), clock=Ticks()).time(streets[0], 3).timing
    assert [one.step for one in timing.steps] == list(Step)
    for one in timing.steps:
        if one.step in REAL_STEPS:  # entered and left: one tick; twice would be two
            assert one.first_ms == one.median_ms == 1000
    assert sum(one.median_ms for one in timing.steps) == timing.median_ms  # every run is alike
    assert sum(one.share for one in timing.steps) == pytest.approx(1)


def test_time_is_booked_where_it_is_spent(colour_bundle, streets, clock):
    network = Slow(clock)
    timing = TimedPredictor(open_bundle(colour_bundle), network, clock=clock).time(streets[0], 5).timing
    steps = {one.step: one for one in timing.steps}
    assert network.runs == 1 + WARM_UP + 5
    assert steps[Step.NETWORK].median_ms == pytest.approx(500)
    assert steps[Step.NETWORK].first_ms == timing.first_ms == pytest.approx(2000)
    assert steps[Step.NETWORK].share == pytest.approx(1)
    assert timing.low_ms == pytest.approx(timing.high_ms)
    assert timing.repeats == 5


def test_a_picture_without_an_answer_fails_as_it_does_without_timing(colour_bundle, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff rest")
    timed, plain = open_timed(colour_bundle), open_predictor(colour_bundle)
    for path in (tmp_path / "broken.jpg", tmp_path / "absent.jpg", tmp_path):
        found = timed.time(path, 1)
        assert found.timing is None
        assert isinstance(found.answer, Failure)
        assert found.answer == next(plain.predict_many([path]))


def test_a_network_that_gives_no_number_is_a_failure(colour_bundle, streets):
    class Broken:
        def run(self, images):
            return BackendOutput(
                np.full(len(images), np.nan, np.float32), np.ones((len(images), 3), np.float32)
            )

    found = TimedPredictor(open_bundle(colour_bundle), Broken()).time(streets[0], 1)
    assert found.timing is None
    assert "nan" in found.answer.error


def test_no_repeats_are_refused(colour_bundle, streets):
    with pytest.raises(ConfigError, match="at least 1 repeat"):
        open_timed(colour_bundle).time(streets[0], 0)


def test_opening_is_timed(colour_bundle):
    assert open_timed(colour_bundle, clock=Ticks()).opened_ms == 1000
