"""The servers under comparison: how each is started, asked, and known to be ready.

Knows commands and the shape of answers; does not know loads. All get the same picture as a raw body, one core and one
inference thread; ours keeps its journal and has its cache off.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.processes import ProcessTree, free_port, module
from benchmarks.serving.subjects import BUNDLE, TRANSFORMERS

OURS, FASTAPI, LITSERVE, PIPELINE = "workzone", "fastapi", "litserve", "pipeline"
READY_S = 240.0
Command = Callable[[Path, Path, int], list[str]]
"""(subject, folder for what it writes, port) → command."""


def ours(subject: Path, folder: Path, port: int) -> list[str]:
    """Return the command that is sold, with a queue for 64 callers and no limit on their rate."""
    return [
        sys.executable, "-m", "workzone", "serve", "run", str(subject / BUNDLE), "--port", str(port), "--threads", "1",
        "--cache-mib", "0", "--journal", str(folder / "journal"), "--logs", str(folder / "logs"),
        "--queue-size", "128", "--rate", "1000000", "--burst", "1000000",
    ]  # fmt: skip


def fastapi(http_parser: str) -> Command:
    """Return how plain FastAPI is started, with one of uvicorn's HTTP implementations."""
    return lambda subject, _, port: module(
        "peer_fastapi", subject / BUNDLE, "--port", port, "--http", http_parser
    )


def litserve(max_batch: int, batch_timeout_s: float) -> Command:
    """Return how LitServe is started."""
    options = ("--max-batch", max_batch, "--batch-timeout", batch_timeout_s)
    return lambda subject, _, port: module("peer_litserve", subject / BUNDLE, "--port", port, *options)


def pipeline(subject: Path, _: Path, port: int) -> list[str]:
    """Return how the pipeline is started."""
    return module("peer_pipeline", subject / TRANSFORMERS, "--port", port)


FASTAPI_SETTINGS: Mapping[str, Command] = {
    "h11, as ours": fastapi("h11"),
    "uvicorn's default (httptools, uvloop)": fastapi("auto"),
}
LITSERVE_SETTINGS: Mapping[str, Command] = {
    "one at a time": litserve(1, 0.0),
    "max_batch_size=4, batch_timeout=0.01": litserve(4, 0.01),
    "max_batch_size=8, batch_timeout=0.01": litserve(8, 0.01),
}
"""Settings of a peer that are tried first; the fastest is what is compared."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs.

    Attributes:
        name: In tables.
        tree: Its processes.
        folder: For what is written about it.
        port: On the loopback address.
        path: Of the request.
    """

    name: str
    tree: ProcessTree
    folder: Path
    port: int
    path: str

    @property
    def url(self) -> str:
        """Where pictures are posted to."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    def ask(self, picture: bytes, timeout_s: float = 60.0) -> tuple[int, dict[str, Any]]:
        """Post one picture on a connection of its own; return status and answer.

        Raises:
            OSError: Nobody listens, or the connection broke.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("POST", self.path, picture, {"Content-Type": "image/jpeg"})
            reply = connection.getresponse()
            body = reply.read()
        finally:
            connection.close()
        return reply.status, json.loads(body) if reply.status == 200 else {}

    def probability(self, picture: bytes) -> float:
        """Return the probability of road work that it answers."""
        status, said = self.ask(picture)
        if status != 200:
            raise RuntimeError(f"{self.name} answered {status}; see {self.tree.log}")
        return float(said["results"][0]["probability"] if "results" in said else said["probability"])

    def wait_ready(self, picture: bytes, every_s: float = 0.1, limit_s: float = READY_S) -> None:
        """Return with the first answer.

        Raises:
            RuntimeError: It ended, or took too long.
        """
        begun = time.monotonic()
        while time.monotonic() - begun < limit_s:
            if self.tree.exit_code is not None:
                break
            try:
                if self.ask(picture)[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(every_s)
        raise RuntimeError(f"{self.name} is not ready; see {self.tree.log}")


def start(name: str, command: Command, subject: Path, folder: Path, core: int) -> Server:
    """Start a server, and do not wait for it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = free_port()
    tree = ProcessTree(command(subject, folder, port), core, folder / "output.log")
    return Server(name, tree, folder, port, "/v1/predict" if name == OURS else "/predict")


@contextmanager
def running(
    commands: Mapping[str, Command], subject: Path, work: Path, core: int, picture: bytes
) -> Iterator[dict[str, Server]]:
    """Start servers one after the other, suspend each once it answers, and end all."""
    servers: dict[str, Server] = {}
    try:
        for name, command in commands.items():
            servers[name] = start(name, command, subject, work / f"{subject.name}-{name}", core)
            servers[name].wait_ready(picture)
            servers[name].tree.settle(20.0)
            servers[name].tree.suspend()
        yield servers
    finally:
        for server in servers.values():
            server.tree.end()


@contextmanager
def awake(server: Server) -> Iterator[Server]:
    """Let a suspended server go on for a while."""
    server.tree.resume()
    try:
        yield server
    finally:
        server.tree.suspend()
