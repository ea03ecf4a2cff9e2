"""Callers who are slow: with a head, a body, a reply; they cost a connection for a bounded time and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import threading
import time
from typing import Any

import pytest

SOON_S = 0.3
"""A time-out for tests that wait for one; the slow callers below send a byte each tenth of it."""


def drip(connection: socket.socket, data: bytes, stop: threading.Event) -> None:
    """Send a byte at a time, for as long as it is taken."""
    with contextlib.suppress(OSError):
        for value in data:
            connection.sendall(bytes([value]))
            if stop.wait(SOON_S / 10):
                return


def dripping(connection: socket.socket, data: bytes) -> tuple[threading.Thread, threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=drip, args=(connection, data, stop), daemon=True)
    thread.start()
    return thread, stop


def test_the_service_listens_with_these_bounds() -> None:
    from workzone.serving.http.server import ServerSettings, _config
    from workzone.serving.http.slow_clients import BoundedH11Protocol

    config = _config(None, ServerSettings())
    config.load()
    assert config.http_protocol_class is BoundedH11Protocol


def test_a_head_byte_by_byte_is_ended_and_others_do_not_wait(wire, bench, fakes) -> None:
    """Slowloris: every byte comes before any bound on silence, and the head never ends."""
    endless = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-Filler: aaaaaaaaaaaaaaaa\r\n" * 1000
    with wire.listening(bench, head_timeout_s=SOON_S) as service, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(wire.connected(service.address)) for _ in range(20)]
        drips = [dripping(connection, endless) for connection in slow]
        wire.eventually(lambda: service.connections >= 20)
        assert service.ask(fakes.picture()).status == 200
        for connection in slow:
            assert wire.rest(connection) == b"", "closed without a word"
        wire.eventually(lambda: service.connections == 0)
        for thread, stop in drips:
            stop.set()
            thread.join()


def test_silence_is_ended_before_the_first_and_after_a_request(wire, bench) -> None:
    with wire.listening(bench, head_timeout_s=SOON_S) as service:
        with wire.connected(service.address) as silent:
            assert wire.rest(silent) == b""
        with wire.connected(service.address) as once:
            once.sendall(wire.request_bytes("GET", "/livez"))
            [reply] = wire.replies(wire.rest(once))
            assert reply.status == 200
            assert "connection" not in reply.headers, "it was kept, and then ended"


def test_the_bound_is_on_the_head_not_on_the_answer(wire, bench, fakes) -> None:
    """A head that is whole in time has its answer, however long that takes."""
    with (
        wire.listening(bench, head_timeout_s=SOON_S) as service,
        wire.connected(service.address) as connection,
    ):
        connection.sendall(wire.predict_bytes(fakes.picture(b"slow"), ("Connection", "close")))
        wire.eventually(bench.answerer.entered.is_set)
        time.sleep(2 * SOON_S)
        service.call(bench.answerer.release.set)
        [reply] = wire.replies(wire.rest(connection))
        assert reply.status == 200


class Arrivals:
    """An application that notes what it is told of a request's beginning; `/slow` waits for its body to be released."""

    def __init__(self) -> None:
        self.began_s: list[float] = []
        self.called_s: list[float] = []
        self.released = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from workzone.serving.http.arrival import ARRIVED_S

        self.began_s.append(scope["state"][ARRIVED_S])
        self.called_s.append(asyncio.get_running_loop().time())
        if scope["path"] == "/slow":
            await self.released.wait()
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


class TestWhenARequestBegan:
    """Told to the application on the event loop's clock, which is this process's monotonic one."""

    @pytest.fixture
    def app(self) -> Arrivals:
        return Arrivals()

    @pytest.fixture
    def service(self, wire, bench, app):
        with wire.listening(dataclasses.replace(bench, app=app)) as service:
            yield service

    def taken(self, wire, service, data: bytes) -> float:
        """Wait until the server holds these bytes of a head that is not whole; return a time after that."""

        def held() -> bool:
            found = service.call(
                lambda: [one.conn.trailing_data[0] for one in service.server.server_state.connections]
            )
            return data in found

        wire.eventually(held)
        return time.monotonic()

    def test_a_head_that_drips_began_with_its_first_byte(self, wire, service, app) -> None:
        request = wire.request_bytes("GET", "/")
        with wire.connected(service.address) as connection:
            before_s = time.monotonic()
            connection.sendall(request[:1])
            first_s = self.taken(wire, service, request[:1])
            for at in range(1, 4):
                connection.sendall(request[at : at + 1])
                self.taken(wire, service, request[: at + 1])
            connection.sendall(request[4:])
            wire.eventually(lambda: app.called_s)
        assert before_s <= app.began_s[0] <= first_s <= app.called_s[0]

    def test_the_next_one_on_a_connection_began_with_its_own(self, wire, service, app) -> None:
        request = wire.request_bytes("POST", "/", body=b"abcdef")
        with wire.connected(service.address) as connection:
            for number in range(3):
                before_s = time.monotonic()
                connection.sendall(request[:9])
                first_s = self.taken(wire, service, request[:9])
                connection.sendall(request[9:-3])
                wire.eventually(lambda n=number: len(app.called_s) == n + 1)
                connection.sendall(request[-3:])
                assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
                assert before_s <= app.began_s[number] <= first_s <= app.called_s[number]

    def test_one_sent_before_the_reply_to_the_last_began_when_it_came(self, wire, service, app) -> None:
        """Its beginning comes with the end of the last one's body, its end after the last one's reply."""
        first, second = wire.request_bytes("POST", "/slow", body=b"abcdef"), wire.request_bytes("GET", "/")
        with wire.connected(service.address) as connection:
            connection.sendall(first[:-3])
            wire.eventually(lambda: app.called_s)
            before_s = time.monotonic()
            connection.sendall(first[-3:] + second[:9])
            came_s = self.taken(wire, service, second[:9])
            service.call(app.released.set)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
            connection.sendall(second[9:])
            wire.eventually(lambda: len(app.called_s) == 2)
        assert app.began_s[0] <= before_s <= app.began_s[1] <= came_s <= app.called_s[1]

    def test_whole_ones_that_wait_began_when_they_came(self, wire, service, app) -> None:
        slow, quick = wire.request_bytes("GET", "/slow"), wire.request_bytes("GET", "/")
        with wire.connected(service.address) as connection:
            before_s = time.monotonic()
            connection.sendall(slow + quick + quick)
            came_s = self.taken(wire, service, quick + quick)
            service.call(app.released.set)
            wire.eventually(lambda: len(app.called_s) == 3)
        assert all(before_s <= began_s <= came_s for began_s in app.began_s)
        assert came_s <= app.called_s[1] <= app.called_s[2]


def test_a_body_byte_by_byte_is_408_and_holds_what_came_and_no_more(wire, fakes) -> None:
    from workzone.serving.limits import Limits

    bench = fakes.make_bench(limits=Limits(body_timeout_s=SOON_S))
    with wire.listening(bench) as service, wire.connected(service.address) as connection:
        head = [("Content-Type", "image/jpeg"), ("Content-Length", "1000000")]
        connection.sendall(wire.request_bytes("POST", "/v1/predict", head, fakes.picture(), length=False))
        thread, stop = dripping(connection, b"x" * 100_000)
        assert service.ask(fakes.picture()).status == 200
        most = 0
        while bench.context.admission.requests:
            most = max(most, bench.context.admission.bytes)
            time.sleep(0.01)
        assert most < 1000, "the declared length was believed"
        connection.settimeout(wire.PATIENCE_S)
        status = connection.recv(12)
        stop.set()
        thread.join()
        assert status == b"HTTP/1.1 408"
        assert bench.context.admission.bytes == 0
        assert [record["status"] for record in bench.journal.records] == [200]


def test_a_body_that_goes_on_after_it_was_refused_is_ended(wire, fakes) -> None:
    """uvicorn reads and drops such a body for as long as it comes."""
    bench = fakes.make_bench()
    with (
        wire.listening(bench, head_timeout_s=SOON_S) as service,
        wire.connected(service.address) as connection,
    ):
        head = [("Content-Type", "text/plain"), ("Content-Length", "1000000")]
        connection.sendall(wire.request_bytes("POST", "/v1/predict", head, length=False))
        thread, stop = dripping(connection, b"x" * 100_000)
        [reply] = wire.replies(wire.rest(connection))
        assert reply.status == 415
        wire.eventually(lambda: service.connections == 0)
        stop.set()
        thread.join()


def test_who_asks_and_never_reads_is_ended(wire, bench) -> None:
    """Replies pile up to the buffers' bound, not beyond, and then the connection is given up."""
    with wire.listening(bench, write_timeout_s=SOON_S) as service:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.settimeout(wire.PATIENCE_S)
            deaf.connect(service.address)
            with contextlib.suppress(OSError):  # reset, once it was given up
                for _ in range(10_000):
                    deaf.sendall(wire.request_bytes("GET", "/openapi.json"))
            wire.eventually(lambda: service.connections == 0)
        assert wire.ask(service.address).status == 200


def test_more_connections_than_allowed_are_503_then_hung_up_on_and_it_recovers(wire, bench, fakes) -> None:
    with wire.listening(bench, connections=8) as service:
        with contextlib.ExitStack() as stack:
            for number in range(8):
                stack.enter_context(wire.connected(service.address))
                wire.eventually(lambda n=number: service.connections == n + 1)
            [refused] = wire.exchange(service.address, wire.predict_bytes(fakes.picture()))
            assert (refused.status, refused.headers["connection"]) == (503, "close")
            many = [stack.enter_context(wire.connected(service.address)) for _ in range(30)]
            wire.eventually(lambda: service.connections <= 10)
            kept = sum(_is_open(connection) for connection in many)
            assert kept <= 2
        wire.eventually(lambda: service.connections == 0)
        assert service.ask(fakes.picture()).status == 200


def _is_open(connection: socket.socket) -> bool:
    connection.settimeout(1.0)
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def test_a_full_queue_is_429_with_when_to_come_back(wire, fakes) -> None:
    from workzone.serving.limits import Limits

    bench = fakes.make_bench(limits=Limits(in_flight=1))
    with wire.listening(bench) as service, wire.connected(service.address) as first:
        full = service.ask(fakes.picture(b"busy"))
        assert (full.status, full.code, full.headers["retry-after"]) == (429, "overloaded", "3")
        first.sendall(wire.predict_bytes(fakes.picture(b"slow"), ("Connection", "close")))
        wire.eventually(bench.answerer.entered.is_set)
        turned_away = service.ask(fakes.picture())
        assert (turned_away.status, turned_away.code) == (429, "overloaded")
        assert int(turned_away.headers["retry-after"]) >= 1
        service.call(bench.answerer.release.set)
        [reply] = wire.replies(wire.rest(first))
        assert reply.status == 200


def test_a_real_queue_that_is_full_is_429(wire, colour_bundle, fakes) -> None:
    """The batcher's own bound, with a network that is held."""
    import numpy as np

    from workzone.bundle.reader import open_bundle
    from workzone.engine.backend import BackendOutput
    from workzone.engine.live import LiveBundle, LiveSettings
    from workzone.engine.warm_up import WarmUp
    from workzone.serving.served import Served, describe_bundle

    gate = threading.Event()

    class Held:
        def run(self, images):
            assert gate.wait(wire.PATIENCE_S)
            return BackendOutput(np.zeros(len(images), np.float32), np.zeros((len(images), 3), np.float32))

    bundle = open_bundle(colour_bundle)
    bench = fakes.make_bench(start=False)
    with wire.listening(bench) as service, contextlib.ExitStack() as stack:
        settings = LiveSettings(queue_size=2, max_batch=1, decode_threads=1)
        service.call(
            lambda: bench.service.swap(
                Served(LiveBundle(bundle, Held(), settings, WarmUp(1, ())), describe_bundle(bundle))
            )
        )
        waiting = []
        for number in range(3):  # one runs, two wait
            waiting.append(stack.enter_context(wire.connected(service.address)))
            waiting[-1].sendall(wire.predict_bytes(wire.png(number), ("Connection", "close")))
            wire.eventually(lambda n=number: bench.service.in_flight == n + 1)
        answerer = bench.service.current.answerer
        wire.eventually(lambda: answerer.depth == 2)
        full = service.ask(wire.png(99))
        assert (full.status, full.code) == (429, "overloaded")
        assert int(full.headers["retry-after"]) >= 1
        gate.set()
        statuses = [wire.replies(wire.rest(connection))[0].status for connection in waiting]
        assert statuses == [200, 200, 200]
        assert sorted(record["status"] for record in bench.journal.records) == [200, 200, 200, 429]


def test_what_is_in_flight_at_the_end_is_answered(wire, bench, fakes) -> None:
    """The drain: ports closed, requests in flight finished, their connections told to close."""
    with wire.listening(bench) as service, wire.connected(service.address) as connection:
        connection.sendall(wire.predict_bytes(fakes.picture(b"slow")))
        wire.eventually(bench.answerer.entered.is_set)
        service.call(bench.service.begin_drain)
        service.server.should_exit = True
        wire.eventually(lambda: _refuses(service.address))
        service.call(bench.answerer.release.set)
        [reply] = wire.replies(wire.rest(connection))
        assert (reply.status, reply.headers["connection"]) == (200, "close")


def test_what_is_not_answered_when_the_drain_is_over_is_503_not_500(wire, bench, fakes) -> None:
    with wire.listening(bench, drain_s=1.0) as service, wire.connected(service.address) as connection:
        connection.sendall(wire.predict_bytes(fakes.picture(b"slow")))
        wire.eventually(bench.answerer.entered.is_set)
        service.call(bench.service.begin_drain)
        service.server.should_exit = True
        [reply] = wire.replies(wire.rest(connection))
        assert (reply.status, reply.code) == (503, "unavailable")
    assert bench.answerer.cancelled == 1
    assert bench.journal.records == []


def _refuses(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=5):
            return False
    except OSError:
        return True
