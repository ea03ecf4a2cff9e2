"""Probes through a life, and the metrics port."""

from __future__ import annotations

import asyncio

import pytest

from workzone.serving.http.metrics import metrics_app
from workzone.serving.readiness import State


def probes(bench) -> tuple[int, int, int]:
    live, ready, startup = (bench.call("GET", path).status for path in ("/livez", "/readyz", "/startupz"))
    return live, ready, startup


def test_probes_tell_the_truth_at_every_stage(fakes) -> None:
    bench = fakes.make_bench(start=False)
    assert probes(bench) == (200, 503, 503)
    early = bench.ask()
    assert (early.status, early.code) == (503, "unavailable")
    assert bench.call("GET", "/v1/model").status == 503
    bench.service.swap(fakes.served(bench.answerer))
    assert probes(bench) == (200, 200, 200)
    assert bench.call("GET", "/readyz").json()["state"] == "ready"
    bench.answerer.available = False
    assert probes(bench) == (200, 503, 200)
    bench.answerer.available = True
    bench.service.begin_drain()
    assert probes(bench) == (200, 503, 200)
    late = bench.ask()
    assert (late.status, late.header("connection")) == (200, "close")
    bench.answerer.dead = True
    assert probes(bench) == (503, 503, 200)
    assert bench.service.readiness.state is State.FAILED
    assert bench.ask().status == 503


def test_probes_need_no_key_and_are_not_counted(fakes, tmp_path) -> None:
    from workzone.serving.key_file import add_key
    from workzone.serving.key_ring import KeyRing
    from workzone.serving.keys import Role

    add_key(tmp_path / "keys", "a", Role.PREDICT, now=fakes.NOW)
    bench = fakes.make_bench(keys=KeyRing.open(tmp_path / "keys"))
    assert probes(bench) == (200, 200, 200)
    assert bench.call("GET", "/").status == 200
    assert bench.call("GET", "/v1/model").status == 401
    shown = fakes.run(fakes.call(metrics_app(bench.metrics), "GET", "/metrics")).body.decode()
    assert 'workzone_requests_total{code="401"} 1.0' in shown
    assert 'code="200"' not in shown
    for name in ("workzone_ready 1.0", "workzone_queue_depth 3.0", 'workzone_stage_state{stage="second"} 2.0',
                 "workzone_journal_errors_total 0.0", f'workzone_bundle_info{{digest="{"a" * 64}"}} 1.0',
                 "workzone_answer_seconds_bucket"):  # fmt: skip
        assert name in shown


def test_a_websocket_is_refused(bench) -> None:
    sent = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    asyncio.run(bench.app({"type": "websocket", "path": "/v1/predict", "headers": []}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("end", ["told", "failed", "open fails"])
def test_the_end_is_in_order(bench, fakes, monkeypatch, end) -> None:
    """`serve` without sockets: listening and uvicorn are replaced, the rest is as it runs."""
    from workzone.core.errors import BundleError
    from workzone.serving.http import server

    class Listening:
        should_exit = False

        async def serve(self, sockets: object) -> None:
            while not self.should_exit:
                await asyncio.sleep(0)

    monkeypatch.setattr(server, "_listen", lambda *_: (Listening(), None))
    monkeypatch.setattr(server, "_LOOK_EVERY_S", 0.001)

    async def opened():
        if end == "open fails":
            raise BundleError("It was changed.")
        return fakes.served(bench.answerer)

    async def life() -> bool:
        from workzone.serving.service import Service

        service = Service(journal=bench.journal)

        async def look_after() -> None:
            assert service.readiness.started
            if end == "told":
                import os
                import signal

                os.kill(os.getpid(), signal.SIGTERM)
            bench.answerer.dead = end == "failed"

        told = await server.serve(None, None, service, opened, server.ServerSettings(), look_after=look_after)
        assert bench.answerer.closed
        return told

    if end == "open fails":
        with pytest.raises(BundleError, match="changed"):
            fakes.run(life())
    else:
        assert fakes.run(life()) is (end == "told")


def test_an_answer_does_not_wait_for_the_callers_acknowledgement() -> None:
    """Without TCP_NODELAY the body of an answer follows its head 40 ms later, which no probe would show."""
    import socket
    from contextlib import AsyncExitStack

    from workzone.serving.http import server

    async def delays() -> int:
        async with AsyncExitStack() as stack:
            settings = server.ServerSettings()
            _, listening = server._listen(stack, None, settings, "127.0.0.1", 0, lambda _: None)
            with socket.create_connection(listening.getsockname()):
                accepted, _ = listening.accept()
                with accepted:
                    return accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    assert asyncio.run(delays()) != 0
