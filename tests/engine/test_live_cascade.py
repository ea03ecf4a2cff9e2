"""A cascade's directory becomes answerers: each stage by itself, together no more threads than one bundle."""

from __future__ import annotations

import asyncio
import shutil
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import BundleError, ModelUnavailable
from workzone.core.types import Verdict
from workzone.engine import live_cascade
from workzone.engine.breaker import BreakerState
from workzone.engine.live import LiveSettings
from workzone.engine.live_cascade import open_live_cascade, share_threads

ONE = LiveSettings(threads=2, decode_threads=2, max_batch=1)


@given(st.integers(1, 200), st.integers(2, 20))
def test_threads_are_divided_and_no_stage_goes_without(threads, n_stages):
    shares = share_threads(threads, n_stages)
    assert len(shares) == n_stages
    assert sum(shares) == max(threads, n_stages)
    assert max(shares) - min(shares) <= 1
    assert list(shares) == sorted(shares, reverse=True)


@pytest.mark.parametrize("threads", [1, 5])
def test_every_stage_is_opened_with_its_share(factory, tmp_path, monkeypatch, threads):
    opened = []
    real = live_cascade.open_live

    def spy(path, settings, *, clock):
        opened.append((path.name, settings.threads, settings.decode_threads, settings.queue_size))
        return real(path, settings, clock=clock)

    monkeypatch.setattr(live_cascade, "open_live", spy)
    settings = LiveSettings(threads=threads, decode_threads=3, max_batch=1, queue_size=7)
    open_live_cascade(factory.make_cascade(tmp_path), settings)
    shares = {1: (1, 1), 5: (3, 2)}[threads]
    assert opened == [("small", shares[0], 2, 7), ("big", shares[1], 1, 7)]


def test_it_answers_and_closing_it_closes_every_stage(factory, tmp_path):
    path = factory.make_cascade(tmp_path, deadline_ms=50_000.0)
    live = open_live_cascade(path, ONE)
    cascade = live.answerer
    assert cascade.identity == live.artifact.digest
    assert [(s.name, s.deadline_ms) for s in cascade.stages] == [("small", 50_000.0), ("big", 50_000.0)]

    async def ask():
        said = []
        for colour in (factory.ORANGE, factory.BLUE, factory.GREY, factory.LIGHT, factory.MIDDLE):
            answer = await cascade.answer(factory.encoded(factory.plain(colour)), deadline_s=None)
            said.append((answer.verdict, [run.name for run in answer.stages], answer.certified))
        assert (cascade.dead, cascade.available, cascade.depth) == (False, True, 0)
        assert set(cascade.stage_states().values()) == {BreakerState.CLOSED}
        await cascade.aclose()
        with pytest.raises(ModelUnavailable):
            await cascade.answer(factory.encoded(factory.plain(factory.ORANGE)), deadline_s=None)
        for stage in cascade.stages:
            with pytest.raises(ModelUnavailable, match="being closed"):
                await stage.answerer.answer(b"", deadline_s=None)
        return said

    assert asyncio.run(ask()) == [
        (Verdict.ROADWORK, ["small"], True),
        (Verdict.NONE, ["small"], True),
        (Verdict.NONE, ["small", "big"], True),
        (Verdict.ROADWORK, ["small", "big"], True),
        (Verdict.DEFER, ["small", "big"], True),
    ]
    for thread in threading.enumerate():
        thread.join(0 if thread is threading.current_thread() else 5) if "decode" in thread.name else None
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_a_stage_that_is_exchanged_between_verifying_and_opening_is_noticed(factory, tmp_path, monkeypatch):
    path = factory.make_cascade(tmp_path)
    real = live_cascade.open_cascade

    def exchanged(where):
        found = real(where)
        shutil.rmtree(path / "stages" / "big")
        factory.write_bundle(path / "stages" / "big", factory.make_parts(tmp_path / "other", name="big"))
        return found

    monkeypatch.setattr(live_cascade, "open_cascade", exchanged)
    with pytest.raises(BundleError, match="Stage 'big' would be answered by"):
        open_live_cascade(path, ONE)
