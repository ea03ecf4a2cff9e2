"""The service over real sockets: uvicorn in a thread of this process, or the real command in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http.client
import io
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

PATIENCE_S = 60.0
"""For what must come; a machine that is slow is no fault."""
Address = tuple[str, int]


@dataclass
class Heard:
    """One reply, as it came over a socket."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json()["error"]["code"]
        return code


def connected(address: Address) -> socket.socket:
    return socket.create_connection(address, timeout=PATIENCE_S)


def request_bytes(
    method: str, path: str, headers: Sequence[tuple[str, str]] = (), body: bytes = b"", *, length: bool = True
) -> bytes:
    """Return a request as it is sent; its length is stated unless `headers` or `length` say otherwise."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def predict_bytes(picture: bytes, *more: tuple[str, str], query: str = "") -> bytes:
    return request_bytes("POST", f"/v1/predict{query}", [("Content-Type", "image/jpeg"), *more], picture)


def rest(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes or resets."""
    pieces = []
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


def replies(data: bytes) -> list[Heard]:
    """Take what came over one connection apart."""
    stream, found = io.BytesIO(data), []
    while stream.tell() < len(data):
        reader = io.BufferedReader(io.BytesIO(data[stream.tell() :]))
        response = http.client.HTTPResponse(SimpleNamespace(makefile=lambda *_, r=reader: r))  # type: ignore[arg-type]
        # HTTPResponse closes what it read to the end: count before that.
        reader.close = lambda: None  # type: ignore[method-assign]
        response.begin()
        body = response.read()
        found.append(Heard(response.status, {k.lower(): v for k, v in response.getheaders()}, body))
        stream.seek(reader.tell(), os.SEEK_CUR)
    return found


def exchange(address: Address, data: bytes, *, close: bool = True) -> list[Heard]:
    """Send bytes on a connection of their own and return every reply until it is closed."""
    if close:
        data = data.replace(b"\r\nHost:", b"\r\nConnection: close\r\nHost:", 1)
    with connected(address) as connection:
        with contextlib.suppress(ConnectionError):  # refused before it was read to its end
            connection.sendall(data)
        return replies(rest(connection))


def ask(
    address: Address,
    method: str = "GET",
    path: str = "/readyz",
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Heard:
    """Send one well-formed request."""
    kind: Any = http.client.HTTPConnection
    options: dict[str, Any] = {"timeout": PATIENCE_S}
    if tls is not None:
        kind, options["context"] = http.client.HTTPSConnection, tls
    with contextlib.closing(kind(*address, **options)) as connection:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return Heard(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def eventually(what: Callable[[], Any], *, every_s: float = 0.02) -> Any:
    """Return the first true value of `what`, which must come."""
    end = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(every_s)
    return found


@dataclass
class Listening:
    """A service of fakes behind uvicorn, set up as `serve` sets it up."""

    bench: Any
    server: Any
    address: Address
    loop: asyncio.AbstractEventLoop

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function in the service's event loop."""

        async def called() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(PATIENCE_S)

    def ask(self, picture: bytes, *more: tuple[str, str]) -> Heard:
        [reply] = exchange(self.address, predict_bytes(picture, *more))
        return reply


@contextlib.contextmanager
def listening(
    bench: Any, *, connections: int = 1024, drain_s: float = 30.0, **timeouts: float
) -> Iterator[Listening]:
    """Serve a bench on a free port; `timeouts` replaces some of `BoundedH11Protocol`'s."""
    from workzone.serving.http import server as module
    from workzone.serving.http.slow_clients import BoundedH11Protocol

    config = module._config(bench.app, module.ServerSettings(connections=connections, drain_s=drain_s))
    config.http = type("Bounded", (BoundedH11Protocol,), timeouts)
    server = module._Server(config)
    sock = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()

    def live() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(server.serve(sockets=[sock]))
        loop.run_until_complete(bench.service.aclose())
        loop.close()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield Listening(bench, server, sock.getsockname(), loop)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the server did not end"


@dataclass
class Command:
    """`workzone serve run` in a process of its own."""

    process: subprocess.Popen[bytes]
    folder: Path
    address: Address = ("", 0)
    metrics: Address = ("", 0)
    tls: ssl.SSLContext | None = None

    @property
    def said(self) -> str:
        return "".join((self.folder / name).read_text() for name in ("stdout", "stderr"))

    def ask(self, method: str = "GET", path: str = "/readyz", **rest: Any) -> Heard:
        return ask(self.address, method, path, tls=self.tls, **rest)

    def predict(self, picture: bytes, **headers: str) -> Heard:
        given = {"Content-Type": "image/png", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.ask("POST", "/v1/predict", body=picture, headers=given)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return how the process ended."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def command(
    folder: Path,
    bundle: Path,
    *options: object,
    before: str = "",
    tls: ssl.SSLContext | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[Command]:
    """Run the command until it is ready; `before` is Python that is run in it first."""
    folder.mkdir()
    program = f"{before}\nfrom workzone.__main__ import main\nmain()"
    arguments = ["serve", "run", bundle, "--port", 0, "--metrics-port", 0, "--threads", 1, *options]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdout=out,
            stderr=err,
            cwd=folder,
            env={**os.environ, **(environment or {})},
        )
    running = Command(process, folder, tls=tls)
    try:
        listens = eventually(lambda: process.poll() is not None or _addresses(running.said))
        assert process.poll() is None, running.said
        running.address, running.metrics = listens
        eventually(lambda: running.ask().status == 200)
        yield running
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _addresses(said: str) -> list[Address]:
    lines = [line for line in said.splitlines(keepends=True) if line.startswith("listening on ")]
    if len(lines) < 2 or not lines[1].endswith("\n"):
        return []
    return [("127.0.0.1", int(line.rsplit(":", 1)[1])) for line in lines]


def png(seed: int) -> bytes:
    """A plain picture of 16 x 16 pixels, another for each seed below 2^24."""
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (seed & 255, seed >> 8 & 255, seed >> 16 & 255)).save(out, "PNG")
    return out.getvalue()


@dataclass
class Load:
    """Callers in threads of their own, each with one connection, asking one picture after another."""

    address: Address
    headers: dict[str, str] = field(default_factory=dict)
    callers: int = 4
    heard: list[tuple[str, int, Heard]] = field(default_factory=list)
    """Request id, the picture's seed, the reply."""
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(number,), daemon=True) for number in range(self.callers)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask nothing more, and wait for what was asked."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def until(self, count: int) -> None:
        """Wait until so many more replies have come."""
        wanted = len(self.heard) + count
        eventually(lambda: len(self.heard) >= wanted or self.failed)

    def _call(self, number: int) -> None:
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            seeds, count = random.Random(number), 0
            while not self._stop.is_set():
                identity, seed = f"load-{number}-{count}", seeds.randrange(1 << 24)
                count += 1
                headers = {"Content-Type": "image/png", "X-Request-Id": identity, **self.headers}
                try:
                    connection.request("POST", "/v1/predict", body=png(seed), headers=headers)
                    with connection.getresponse() as response:
                        given = {k.lower(): v for k, v in response.getheaders()}
                        self.heard.append((identity, seed, Heard(response.status, given, response.read())))
                except (OSError, http.client.HTTPException) as error:
                    self.failed.append(f"{identity}: {error!r}")
                    return


def records(directory: Path) -> list[dict[str, Any]]:
    """Return a journal's records; every line of it must be whole."""
    from workzone.storage.journal import read_journal

    damages: list[Any] = []
    found = list(read_journal(directory, damages.append))
    assert damages == []
    return found


@pytest.fixture
def wire() -> SimpleNamespace:
    """Everything above, for tests to use by name."""
    return SimpleNamespace(**{k: v for k, v in globals().items() if not k.startswith("_")})


@pytest.fixture(scope="module")
def listening_once(fakes: Any) -> Iterator[Listening]:
    with listening(fakes.make_bench()) as served:
        yield served


@pytest.fixture
def listen(listening_once: Listening) -> Listening:
    """A ready service of fakes behind uvicorn, shared by a module's tests; what others asked is forgotten."""
    listening_once.bench.answerer.asked.clear()
    listening_once.bench.journal.records.clear()
    return listening_once


@pytest.fixture(scope="session")
def moody_bundle(colour_builders: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose real network loops for days at white, gives NaN at green and fails at blue."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    root = tmp_path_factory.mktemp("moody")
    parts = colour_builders.make_parts(root / "parts")
    model = onnx.load(parts.model)
    graph = model.graph
    scalar, body_of = TensorProto.FLOAT, helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["sum", "nought"], ["summed"]),
        ],
        "pass",
        [
            body_of("n", TensorProto.INT64, []),
            body_of("go", TensorProto.BOOL, []),
            body_of("sum", scalar, []),
        ],
        [body_of("go_on", TensorProto.BOOL, []), body_of("summed", scalar, [])],
        [numpy_helper.from_array(np.array(0, dtype=np.float32), "nought")],
    )

    def number(name: str, value: object) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(value, dtype=np.float32), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **options: object) -> None:
        graph.node.append(helper.make_node(kind, inputs, [output], **options))

    graph.node[-1].output[0] = "plain_logits"
    number("zero", 0.0)
    # Channels lie in [-2, 1.98]: pure green or blue is 3.98 above red, the golden pictures' less than 3.6.
    number("edge", 3.6)
    for name, above_red in (("green", [-1, 1, 0]), ("blue", [-1, 0, 1])):
        node("MatMul", ["features", number(f"{name}_row", np.array(above_red)[:, None])], f"{name}_rows")
        node("ReduceMax", [f"{name}_rows"], f"{name}_most", keepdims=0)
    node("Sub", ["edge", "green_most"], "room")
    node("Sqrt", ["room"], "nan_at_green")
    node("Sub", ["blue_most", "edge"], "over")
    node("Relu", ["over"], "far")
    node("Mul", ["far", number("many", 1e6)], "farther")
    node("Cast", ["farther"], "index", to=TensorProto.INT64)
    node("Gather", [number("one_value", [0.0]), "index"], "fails_at_blue")
    node("ReduceMin", ["features"], "darkest", keepdims=0)
    node("Sub", ["darkest", number("whitish", 1.9)], "whiter")
    node("Relu", ["whiter"], "whiteness")
    node("Mul", ["whiteness", number("days", 1e13)], "times")
    node("Cast", ["times"], "passes", to=TensorProto.INT64)
    node("Loop", ["passes", "", "zero"], "hangs_at_white", body=body)
    node("Add", ["nan_at_green", "fails_at_blue"], "two")
    node("Add", ["two", "hangs_at_white"], "three")
    node("Mul", ["three", "zero"], "nothing")
    node("Add", ["plain_logits", "nothing"], "logits")
    onnx.checker.check_model(model)
    onnx.save(model, parts.model)
    from workzone.bundle.writer import write_bundle

    write_bundle(root / "bundle", parts)
    return root / "bundle"


@pytest.fixture(scope="session")
def two_bundles(colour_builders: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the bundles `one` and `two`, which give each picture logits that are 0.2 apart."""
    import numpy as np

    from workzone.bundle.writer import write_bundle

    root = tmp_path_factory.mktemp("two")
    for name, shift in (("one", 0.0), ("two", 0.2)):
        parts = colour_builders.make_parts(root / f"{name}-parts")
        bias = colour_builders.BIAS + shift
        model = colour_builders.mean_colour_network(root / f"{name}.onnx", bias=bias)
        logits = np.asarray(parts.golden.logits) + shift
        golden = dataclasses.replace(parts.golden, logits=logits, probs=parts.calibrator.apply(logits))
        write_bundle(root / "bundles" / name, dataclasses.replace(parts, model=model, golden=golden))
    return root / "bundles"
