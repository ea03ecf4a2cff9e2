"""Registering against a server on this machine that fails, hangs, drips and lies."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from workzone.core.errors import ArtifactError, ConfigError
from workzone.subnet.publishing.http_request import MAX_ANSWER_BYTES
from workzone.subnet.publishing.registration import (
    Patience,
    Registered,
    Registration,
    register,
    sign_registration,
)

ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
SIGNATURE = bytes(range(64))
NOW = 1_790_000_000
TOOK = (200, {"detail": "Registration queued"})

Answer = tuple[int, Any]
"""Status, and JSON, text or bytes."""


@dataclass
class Natix:
    """What the server answers, one after the other (the last one again and again), and what it was asked."""

    url: str = ""
    post: list[Any] = field(default_factory=lambda: [TOOK])
    get: list[Any] = field(default_factory=lambda: [(200, {"status": "succeeded"})])
    before: Any = (404, {"detail": "unknown"})
    """To the question for the status before anything was sent."""
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def next(self, method: str) -> Any:
        if [m for m, _, _ in self.asked] == ["GET"]:
            return self.before
        answers = self.post if method == "POST" else self.get
        return answers.pop(0) if len(answers) > 1 else answers[0]


class _Handler(BaseHTTPRequestHandler):
    natix: Natix

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        assert self.headers["Content-Type"] == "application/json"
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.natix.asked.append((self.command, self.path, body))
        answer = self.natix.next(self.command)
        if callable(answer):
            answer(self)
            return
        status, value = answer
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if 300 <= status < 400:
            self.send_header("Location", f"{self.natix.url}/elsewhere")
        self.end_headers()
        self.wfile.write(data)


def hang(handler: _Handler) -> None:
    handler.natix.released.wait(30)


def cut(handler: _Handler) -> None:
    handler.close_connection = True


def cut_within(handler: _Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"status": "succ')


def drip(handler: _Handler) -> None:
    """A byte now and then, without a length: no single read ever takes too long, and its end looks like an end."""
    handler.send_response(200)
    handler.end_headers()
    for letter in '{"status": "succeeded"}' + " " * 1000:
        handler.wfile.write(letter.encode())
        if handler.natix.released.wait(0.05):
            return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no fault of the server."""


@contextmanager
def running_natix() -> Iterator[Natix]:
    natix = Natix()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"natix": natix}))
    natix.url = f"http://127.0.0.1:{server.server_address[1]}/participants"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield natix
    finally:
        natix.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def natix() -> Iterator[Natix]:
    with running_natix() as running:
        yield running


@dataclass
class Time:
    """A clock that only waiting moves."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def patience(self, **changes: Any) -> Patience:
        return Patience(sleep=self.sleep, clock=lambda: self.now, **({"request_s": 5.0} | changes))


class Listener:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.seconds: list[tuple[int, int | None]] = []

    def progress(self, task: str, done: int, total: int | None) -> None:
        assert task == "registration"
        self.seconds.append((done, total))

    def note(self, message: str) -> None:
        self.notes.append(message)


def request(sign: Callable[[bytes], bytes] = lambda _: SIGNATURE, uid: int = 88) -> Registration:
    return sign_registration(uid, "someone/road-work", ALICE, sign, NOW)


def test_the_request_is_what_the_subnets_script_sends(natix: Natix) -> None:
    signed: list[bytes] = []

    def sign(message: bytes) -> bytes:
        signed.append(message)
        return SIGNATURE

    said = register(request(sign), server=natix.url + "/", patience=Time().patience())
    assert said == Registered(88, '{"status": "succeeded"}')
    assert signed == [b"1790000000"]
    assert natix.asked[0] == ("GET", "/participants/registration-status/88", b"")
    method, path, body = natix.asked[1]
    assert (method, path) == ("POST", "/participants/register")
    assert json.loads(body) == {
        "uid": "88",
        "message": "1790000000",
        "natix_public_key": ALICE,
        "natix_signature": SIGNATURE.hex(),
        "type": "miner",
        "model_repo": "someone/road-work",
    }
    assert natix.asked[2:] == [natix.asked[0]]


def test_the_wallets_signature_can_be_verified() -> None:
    wallet = pytest.importorskip("bittensor_wallet")
    pair = wallet.Keypair.create_from_uri("//Alice")
    signed = sign_registration(1, "a/b", pair.ss58_address, pair.sign, NOW)
    anybody = wallet.Keypair(ss58_address=signed.natix_public_key)
    assert anybody.verify(signed.message.encode(), bytes.fromhex(signed.natix_signature))
    assert not anybody.verify(b"another", bytes.fromhex(signed.natix_signature))


@pytest.mark.parametrize("uid", [-1, 65536])
def test_what_is_no_uid_is_refused(uid: int) -> None:
    with pytest.raises(ConfigError, match="is no UID"):
        request(uid=uid)


def test_what_is_no_signature_is_refused() -> None:
    with pytest.raises(ConfigError, match="has 63 bytes"):
        request(lambda _: SIGNATURE[1:])


def test_waiting_grows_and_is_told(natix: Natix) -> None:
    natix.get = [(200, {"status": word}) for word in ("pending", "queued", "processing", "", "success")]
    listener, clock = Listener(), Time()
    register(request(), server=natix.url, patience=clock.patience(), observer=listener)
    assert clock.waits == [3.0, 4.5, 6.75, 10.125]
    assert [s for s, _ in listener.seconds] == [0, 3, 7, 14, 24, 180]
    assert listener.notes[0] == 'The registration server took the request: {"detail": "Registration queued"}'
    assert len(listener.notes) == 5


def test_time_is_bounded(natix: Natix) -> None:
    natix.get = [(200, {"status": "pending"})]
    clock = Time()
    with pytest.raises(
        ArtifactError, match=r"not confirmed within 60 s; the server said last: .*pending"
    ) as caught:
        register(request(), server=natix.url, patience=clock.patience(total_s=60))
    assert clock.now == pytest.approx(60)
    assert max(clock.waits) == 15.0
    assert f"{natix.url}/registration-status/88" in str(caught.value)


@pytest.mark.parametrize("word", ["failed", "error", "FAILED"])
def test_a_failed_registration_says_why(natix: Natix, word: str) -> None:
    natix.get = [(200, {"status": word, "error_message": "model_card.json not found \x1b[2J"})]
    with pytest.raises(ArtifactError, match=r"has failed; the server says: model_card.json not found \[2J\."):
        register(request(), server=natix.url, patience=Time().patience())


@pytest.mark.parametrize(
    "fault", [(500, b"oops"), (503, {}), cut, cut_within], ids=["500", "503", "cut", "within"]
)
def test_a_server_that_recovers_is_asked_again(natix: Natix, fault: Any) -> None:
    natix.post = [fault, TOOK]
    natix.get = [fault, (404, {"detail": "unknown"}), (200, {"status": "succeeded"})]
    listener, clock = Listener(), Time()
    register(request(), server=natix.url, patience=clock.patience(), observer=listener)
    assert [method for method, _, _ in natix.asked] == ["GET", "POST", "POST", "GET", "GET", "GET"]
    assert natix.asked[1] == natix.asked[2]
    assert clock.waits == [3.0, 3.0, 4.5]
    assert "trying again in 3 s" in listener.notes[0]


def test_a_server_that_never_recovers_is_given_up(natix: Natix) -> None:
    natix.post = [(502, b"<html>bad gateway</html>")]
    clock = Time()
    with pytest.raises(ArtifactError, match=r"failed 4 times, last with HTTP 502: <html>bad.*does no harm"):
        register(request(), server=natix.url, patience=clock.patience())
    assert clock.waits == [3.0, 6.0, 12.0]
    assert len(natix.asked) == 5


def test_a_server_that_cannot_be_reached_was_sent_nothing() -> None:
    with pytest.raises(ArtifactError, match="ConnectionRefusedError") as caught:
        register(request(), server="http://127.0.0.1:9/x", patience=Time().patience(attempts=2))
    said = str(caught.value)
    assert "'127.0.0.1' could not be reached, tried 2 times" in said
    assert "The request was not sent" in said
    assert "not known" not in said


def test_a_name_that_is_not_found_was_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ArtifactError, match=r"tried once, last with gaierror: .*The request was not sent"):
        register(request(), server="https://natix.invalid", patience=Time().patience(attempts=1))


def test_once_a_try_was_sent_the_next_that_was_not_does_not_deny_it(
    natix: Natix, monkeypatch: pytest.MonkeyPatch
) -> None:
    natix.post = [cut]
    connect = http.client.HTTPConnection.connect

    def unknown(connection: Any) -> None:
        if len(natix.asked) == 2:
            raise ConnectionRefusedError("refused")
        connect(connection)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", unknown)
    with pytest.raises(
        ArtifactError, match=r"ConnectionRefusedError.*Whether it took the request is not known"
    ):
        register(request(), server=natix.url, patience=Time().patience(attempts=2))


@pytest.mark.parametrize(("total_s", "waits"), [(2, []), (8, [3.0]), (10, [3.0, 6.0])])
def test_the_time_bounds_trying_again(natix: Natix, total_s: float, waits: list[float]) -> None:
    natix.post = [(502, b"bad")]
    clock = Time()
    with pytest.raises(ArtifactError, match="HTTP 502"):
        register(request(), server=natix.url, patience=clock.patience(total_s=total_s))
    assert clock.waits == waits
    assert clock.now < total_s


def test_the_time_is_that_of_sending_and_asking_together(natix: Natix) -> None:
    natix.post, natix.get = [(502, b"bad"), (502, b"bad"), TOOK], [(200, {"status": "pending"})]
    clock = Time()
    with pytest.raises(ArtifactError, match="not confirmed within 20 s"):
        register(request(), server=natix.url, patience=clock.patience(total_s=20))
    assert clock.now == pytest.approx(20)
    assert clock.waits[:2] == [3.0, 6.0]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429])
def test_a_refusal_is_not_sent_again(natix: Natix, status: int) -> None:
    natix.post = [(status, {"detail": "no", "natix_signature": "abc"})]
    with pytest.raises(ArtifactError, match=f"refused UID 88 with HTTP {status}") as caught:
        register(request(), server=natix.url, patience=Time().patience())
    assert [method for method, _, _ in natix.asked] == ["GET", "POST"]
    assert "abc" not in str(caught.value)
    assert ("--server" in str(caught.value)) == (status == 404)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(natix: Natix, status: int) -> None:
    natix.post = [(status, {})]
    with pytest.raises(ArtifactError, match=f"HTTP {status}"):
        register(request(), server=natix.url, patience=Time().patience())
    assert len(natix.asked) == 2
    natix.post, natix.get = [TOOK], [(status, {})]
    with pytest.raises(ArtifactError, match=f"does not say how UID 88 stands: HTTP {status}"):
        register(request(), server=natix.url, patience=Time().patience())


@pytest.mark.parametrize(
    "lie",
    [
        b"<html>fine, thanks</html>",
        b"[]",
        b'"succeeded"',
        b"\xff\xfe",
        b"[" * 20_000,
        {"status": "splendid"},
        {"status": ["succeeded"]},
        {"status": 1},
        {"state": "succeeded"},
    ],
)
def test_an_answer_that_is_none_counts_as_not_yet(natix: Natix, lie: Any) -> None:
    natix.get = [(200, lie)]
    with pytest.raises(ArtifactError, match="not confirmed within 10 s"):
        register(request(), server=natix.url, patience=Time().patience(total_s=10))


def test_an_answer_about_another_uid_is_worth_nothing(natix: Natix) -> None:
    natix.get = [(200, {"uid": 89, "status": "succeeded"})]
    with pytest.raises(ArtifactError, match="asked about UID 88 and answered about 89"):
        register(request(), server=natix.url, patience=Time().patience())
    natix.get = [(200, {"uid": 88, "status": "succeeded"})]
    assert register(request(), server=natix.url, patience=Time().patience()).uid == 88


def test_an_outcome_of_an_earlier_registration_is_not_taken_for_this_one(natix: Natix) -> None:
    old = (200, {"status": "failed", "error_message": "no model_card.json"})
    natix.before, natix.get = old, [old, old, (200, {"status": "pending"}), (200, {"status": "succeeded"})]
    listener = Listener()
    said = register(request(), server=natix.url, patience=Time().patience(), observer=listener)
    assert not said.as_before
    assert "what it said before the request" in listener.notes[1]


def test_an_outcome_that_stays_as_it_was_is_believed_in_the_end_and_marked(natix: Natix) -> None:
    natix.before = (200, {"status": "succeeded"})
    clock = Time()
    assert register(request(), server=natix.url, patience=clock.patience()).as_before
    assert 30 <= clock.now < 50
    natix.asked.clear()
    natix.before = natix.get[0] = (200, {"status": "failed"})
    with pytest.raises(ArtifactError, match="has failed"):
        register(request(), server=natix.url, patience=Time().patience())


@pytest.mark.parametrize("fault", [cut, (500, {}), (200, b"nonsense")])
def test_a_question_beforehand_that_fails_costs_nothing(natix: Natix, fault: Any) -> None:
    natix.before = fault
    assert not register(request(), server=natix.url, patience=Time().patience()).as_before


def test_an_endless_answer_is_refused(natix: Natix) -> None:
    natix.get = [(200, b" " * (MAX_ANSWER_BYTES + 1))]
    with pytest.raises(ArtifactError, match="answered with more than 65536 bytes"):
        register(request(), server=natix.url, patience=Time().patience())
    natix.get = [(200, b" " * (MAX_ANSWER_BYTES - 30) + b'{"status": "succeeded"}')]
    assert register(request(), server=natix.url, patience=Time().patience()).uid == 88


@pytest.mark.parametrize("slow", [hang, drip])
def test_a_server_that_takes_too_long_is_cut_off(natix: Natix, slow: Any) -> None:
    natix.post = [slow]
    with pytest.raises(ArtifactError, match=r"no whole answer within 0\.3 s|timed out"):
        register(request(), server=natix.url, patience=Time().patience(request_s=0.3, attempts=1))


def test_what_a_server_says_is_shown_without_the_signature(natix: Natix) -> None:
    natix.post = [(200, f"got {SIGNATURE.hex()} \x07 {'x' * 5000}".encode())]
    listener = Listener()
    register(request(), server=natix.url, patience=Time().patience(), observer=listener)
    assert SIGNATURE.hex() not in listener.notes[0]
    assert "got [redacted] xxx" in listener.notes[0]
    assert len(listener.notes[0]) < 400


def test_only_this_machine_is_spoken_to_unencrypted() -> None:
    with pytest.raises(ConfigError, match="the registration server"):
        register(request(), server="http://hydra.natix.network/participants")


def test_an_encrypted_server_must_prove_who_it_is(natix: Natix) -> None:
    """A plain server under an https address: the handshake fails, and nothing of the request is sent."""
    with pytest.raises(ArtifactError, match="SSL"):
        register(request(), server=natix.url.replace("http:", "https:"), patience=Time().patience(attempts=1))
    assert natix.asked == []
