"""A bundle that answers many: the predictor's verdicts, and refusals, deadlines and closing around them."""

from __future__ import annotations

import asyncio
import hashlib
import threading

import numpy as np
import pytest

from workzone.bundle.reader import open_bundle
from workzone.core.errors import (
    BundleError,
    ConfigError,
    DataError,
    DeadlineExceeded,
    InferenceError,
    ModelUnavailable,
    Overloaded,
)
from workzone.core.types import Verdict
from workzone.engine.answers import StageRun
from workzone.engine.backend import BackendOutput
from workzone.engine.live import LiveBundle, LiveSettings, open_live
from workzone.engine.predictor import open_predictor
from workzone.engine.warm_up import WarmUp

PATIENCE_S = 30


class Held:
    """A backend that runs once it is let go: logit = the mean of what the network reads."""

    def __init__(self):
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.sizes = []
        self.logit = None

    def run(self, images):
        self.sizes.append(len(images))
        self.begun.release()
        assert self.gate.wait(PATIENCE_S)
        logits = images.mean(axis=(1, 2, 3, 4)) if self.logit is None else np.full(len(images), self.logit)
        return BackendOutput(logits.astype(np.float32), np.ones((len(images), 3), np.float32))

    def terminate(self):
        self.gate.set()

    async def has_begun(self):
        assert await asyncio.to_thread(self.begun.acquire, timeout=PATIENCE_S)


@pytest.fixture
def held():
    backend = Held()
    yield backend
    backend.gate.set()


@pytest.fixture
def make(colour_bundle, held, clock):
    bundle = open_bundle(colour_bundle)

    def build(**changes):
        settings = LiveSettings(**{"decode_threads": 1, "hang_s": 100.0, **changes})
        return LiveBundle(bundle, held, settings, WarmUp(4, ()), clock=clock)

    return build


@pytest.fixture
def orange(colour_builders):
    return colour_builders.encoded(colour_builders.plain(colour_builders.ORANGE))


def test_the_verdicts_are_the_predictors(colour_bundle, colour_builders):
    rng = np.random.default_rng(5)
    colours = [colour_builders.ORANGE, colour_builders.GREY, colour_builders.BLUE]
    pictures = [colour_builders.encoded(colour_builders.plain(colour, 40), "JPEG") for colour in colours]
    pictures += [
        colour_builders.encoded(rng.integers(0, 256, (1, 1, 3), dtype=np.uint8).repeat(24, 0).repeat(31, 1))
        for _ in range(30)
    ]

    async def scenario(live):
        answers = await asyncio.gather(*(live.answer(picture, deadline_s=None) for picture in pictures))
        await live.aclose()
        return answers

    predictor = open_predictor(colour_bundle)
    answers = asyncio.run(scenario(open_live(colour_bundle, LiveSettings(max_batch=3))))
    singly = [predictor.predict(picture) for picture in pictures]
    assert [a.verdict for a in answers] == [p.verdict for p in singly]
    assert set(Verdict) == {a.verdict for a in answers}
    np.testing.assert_allclose([a.logit for a in answers], [p.logit for p in singly], atol=1e-6)
    np.testing.assert_allclose([a.probability for a in answers], [p.probability for p in singly], atol=1e-6)
    for picture, answer in zip(pictures, answers, strict=True):
        assert answer.sha256 == hashlib.sha256(picture).hexdigest()
        assert answer.bundle == predictor.bundle.digest
        assert answer.certified
        assert not answer.degraded
        assert not answer.cached
        assert (answer.reason is not None) == (answer.verdict is Verdict.DEFER)
        assert answer.stages == (
            StageRun("model", answer.verdict, answer.probability, answer.logit, answer.latency_ms, True),
        )
    assert "deferred between" in answers[1].reason


def test_what_answers_names_itself_and_was_warmed_up(colour_bundle):
    live = open_live(colour_bundle)
    assert live.identity == live.bundle.digest
    assert [size for size, _ in live.warm_up.seconds_per_batch] == [1, 2, 4]
    assert not live.dead
    assert live.depth == 0
    asyncio.run(live.aclose())


def test_what_is_no_picture_spoils_no_other(colour_bundle, orange):
    async def scenario(live):
        calls = [live.answer(data, deadline_s=None) for data in (orange, b"no picture", b"", orange)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        await live.aclose()
        return results

    results = asyncio.run(scenario(open_live(colour_bundle)))
    assert [type(result) for result in results[1:3]] == [DataError, DataError]
    assert [results[0].verdict, results[3].verdict] == [Verdict.ROADWORK] * 2


def test_a_changed_bundle_does_not_open(colour_bundle):
    model = colour_bundle / "model.onnx"
    data = bytearray(model.read_bytes())
    data[100] ^= 1
    model.write_bytes(data)
    with pytest.raises(BundleError):
        open_live(colour_bundle)


@pytest.mark.parametrize("name", ["threads", "queue_size", "max_batch", "hang_s", "decode_threads"])
@pytest.mark.parametrize("value", [0, -1])
def test_settings_that_make_no_sense_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        LiveSettings(**{name: value})


def test_the_batch_is_never_above_the_settings_or_the_bundles(make, held, orange, run_async):
    async def scenario(live):
        first = asyncio.create_task(live.answer(orange, deadline_s=None))
        await held.has_begun()
        rest = [asyncio.create_task(live.answer(orange, deadline_s=None)) for _ in range(9)]
        while live._batcher.depth < 9:
            await asyncio.sleep(0)
        held.gate.set()
        await asyncio.gather(first, *rest)
        await live.aclose()

    run_async(scenario(make(max_batch=1000)))  # the bundle's largest batch is 4
    assert held.sizes == [1, 4, 4, 1]
    held.sizes.clear()
    held.gate.clear()
    held.begun = threading.Semaphore(0)  # runs of before are not taken for the next one's first
    run_async(scenario(make(max_batch=2)))
    assert held.sizes == [1, 2, 2, 2, 2, 1]


def test_the_deadline_ends_the_wait_wherever_it_is(make, held, orange, clock, run_async):
    async def scenario():
        live = make()
        with pytest.raises(DeadlineExceeded):
            await live.answer(b"not even looked at", deadline_s=clock() - 1)
        running = asyncio.create_task(live.answer(orange, deadline_s=clock() + 5))
        await held.has_begun()
        clock.advance(5.1)
        with pytest.raises(DeadlineExceeded):
            await running
        held.gate.set()
        answer = await live.answer(orange, deadline_s=clock() + 5)
        await live.aclose()
        return answer

    assert run_async(scenario()).verdict is not None


def test_who_waits_for_the_decoder_is_counted_and_cancelled_for_nothing(make, held, orange, run_async):
    decoding, go_on, decoded = threading.Semaphore(0), threading.Event(), []

    async def scenario():
        live = make(queue_size=2)
        load = live._load

        def held_load(picture):
            decoding.release()
            assert go_on.wait(PATIENCE_S)
            decoded.append(picture)
            return load(picture)

        live._load = held_load
        held.gate.set()
        tasks = [asyncio.create_task(live.answer(data, deadline_s=None)) for data in (orange, b"second")]
        assert await asyncio.to_thread(decoding.acquire, timeout=PATIENCE_S)
        assert live.depth == 2
        with pytest.raises(Overloaded):
            await live.answer(orange, deadline_s=None)
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)
        assert live.depth == 1
        go_on.set()
        assert (await tasks[0]).verdict is not None
        await live.aclose()

    run_async(scenario())
    assert decoded == [orange]


def test_a_hang_makes_it_unavailable_and_ending_it_available(make, held, orange, clock, run_async):
    async def scenario():
        live = make(hang_s=5.0)
        hung = asyncio.create_task(live.answer(orange, deadline_s=None))
        await held.has_begun()
        clock.advance(5.1)
        with pytest.raises(ModelUnavailable):
            await hung
        answer = await live.answer(orange, deadline_s=None)
        await live.aclose()
        return answer, live.dead

    answer, dead = run_async(scenario())
    assert answer.verdict is not None
    assert not dead


def test_a_hang_for_good_is_told(make, held, orange, clock, run_async):
    async def scenario():
        held.terminate = lambda: None
        live = make(hang_s=5.0)
        hung = asyncio.create_task(live.answer(orange, deadline_s=None))
        await held.has_begun()
        clock.advance(5.1)
        with pytest.raises(ModelUnavailable):
            await hung
        clock.advance(5.1)
        await live.wait_dead()
        assert live.dead
        with pytest.raises(ModelUnavailable):
            await live.answer(orange, deadline_s=None)
        await live.aclose()

    run_async(scenario())


def test_nan_is_an_error_never_an_answer(make, held, orange, run_async):
    async def scenario():
        live = make()
        held.logit = np.nan
        held.gate.set()
        with pytest.raises(InferenceError, match="not finite"):
            await live.answer(orange, deadline_s=None)
        await live.aclose()

    run_async(scenario())


def test_closing_answers_what_is_in_work(make, held, orange, clock, run_async):
    async def scenario():
        live = make()
        task = asyncio.create_task(live.answer(orange, deadline_s=None))
        await held.has_begun()
        closing = asyncio.create_task(live.aclose(drain_s=50.0))
        await asyncio.sleep(0)
        with pytest.raises(ModelUnavailable, match="closed"):
            await live.answer(orange, deadline_s=None)
        held.gate.set()
        answer = await task
        await closing
        await live.aclose()
        return answer

    assert run_async(scenario()).verdict is not None


def test_closing_does_not_wait_longer_than_it_may(make, held, orange, clock, run_async):
    async def scenario():
        live = make()
        task = asyncio.create_task(live.answer(orange, deadline_s=None))
        await held.has_begun()
        closing = asyncio.create_task(live.aclose(drain_s=5.0))
        await asyncio.sleep(0)
        clock.advance(5.1)
        with pytest.raises(ModelUnavailable):
            await task
        await closing

    run_async(scenario())


def test_what_waits_for_the_decoder_at_the_end_of_the_drain_is_told(
    make, orange, clock, run_async, monkeypatch
):
    hashed = []
    monkeypatch.setattr("workzone.engine.live.sha256_bytes", hashed.append)
    decoding, go_on = threading.Semaphore(0), threading.Event()

    async def scenario():
        live = make()
        load = live._load

        def held_load(picture):
            decoding.release()
            assert go_on.wait(PATIENCE_S)
            return load(picture)

        live._load = held_load
        tasks = [asyncio.create_task(live.answer(orange, deadline_s=None)) for _ in range(3)]
        assert await asyncio.to_thread(decoding.acquire, timeout=PATIENCE_S)
        closing = asyncio.create_task(live.aclose(drain_s=5.0))
        await asyncio.sleep(0)
        clock.advance(5.1)
        await closing
        go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(result) for result in run_async(scenario())] == [ModelUnavailable] * 3
    assert hashed == []  # and costs nothing any more
