"""The miner and its callers as processes on the two cores.

Knows commands; does not know what is measured. The miner has one core and all callers the other, so that what the
callers do to make and sign their requests does not count as the miner's.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.miner.settings import PROFILE, TIMEOUT_S
from benchmarks.miner.subjects import Rehearsal, caller_seeds, free_axon_port
from benchmarks.miner.volleys import Reply
from benchmarks.serving.processes import ONE_THREAD, REPOSITORY, ProcessTree, cores, free_port, pinned

CLIENT = Path(__file__).with_name("client.py")
_READY_S = 240.0


@dataclass(frozen=True, slots=True)
class Running:
    """A miner that answers.

    Attributes:
        port: Of its axon.
        private_port: Of its probes.
        folder: Of its journal and log.
    """

    port: int
    private_port: int
    folder: Path


def command_sold(rehearsal: Rehearsal, running: Running) -> list[str]:
    """Return `workzone mine` with the bundle as it is."""
    return [
        sys.executable, "-m", "workzone", "mine", str(rehearsal.bundle), "--neurons", str(rehearsal.neurons),
        "--hotkey-file", str(rehearsal.keys), "--host", "127.0.0.1", "--port", str(running.port),
        "--external-ip", "127.0.0.1", "--profile", PROFILE, "--private-port", str(running.private_port),
        "--journal", str(running.folder / "journal"), "--logs", str(running.folder / "logs"), "--threads", "1",
    ]  # fmt: skip


def command_slowed(rehearsal: Rehearsal, running: Running, slowed: Sequence[float]) -> list[str]:
    """Return the same miner, put together with slowed networks."""
    return [
        *_slowed("serve", rehearsal, slowed), "--keys", str(rehearsal.keys), "--neurons", str(rehearsal.neurons),
        "--folder", str(running.folder), "--port", str(running.port), "--private-port", str(running.private_port),
    ]  # fmt: skip


@contextmanager
def mining(rehearsal: Rehearsal, folder: Path, slowed: Sequence[float] | None) -> Iterator[Running]:
    """Start a miner, wait until it is ready, and end it.

    Args:
        rehearsal: Its files.
        folder: For what it writes.
        slowed: Seconds by picture of the large and the small model; None: `workzone mine` as it is sold.

    Raises:
        RuntimeError: It ended, or is not ready in time.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    running = Running(free_axon_port(), free_port(), folder)
    command = (
        command_sold(rehearsal, running) if slowed is None else command_slowed(rehearsal, running, slowed)
    )
    tree = ProcessTree(command, cores()[0], folder / "output.log")
    try:
        _wait_ready(running, tree)
        tree.settle(20.0)
        yield running
    finally:
        tree.end()


def measure_capacity(rehearsal: Rehearsal, slowed: Sequence[float]) -> dict[str, float]:
    """Return the answers a second of each model while all are asked, on the miner's core."""
    command = [*_slowed("capacity", rehearsal, slowed), "--pictures", str(rehearsal.pictures)]
    done = subprocess.run(
        pinned(cores()[0], command), cwd=REPOSITORY, env={**os.environ, **ONE_THREAD}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"The closed loop failed: {done.stderr[-800:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


class Callers:
    """Validators in one process, each with a hotkey of its own."""

    def __init__(self, python: Path, rehearsal: Rehearsal, running: Running, asked: int) -> None:
        """Start them and wait until they have imported the SDK.

        Args:
            python: Of the environment whose SDK they use.
            rehearsal: Whose pictures they send.
            running: Whom they ask.
            asked: How many they are; each sends one challenge in a volley.

        Raises:
            RuntimeError: They ended instead.
        """
        folder = running.folder / f"callers-{asked}-{python.parent.parent.name}"
        folder.mkdir(exist_ok=True)
        plan = {
            "port": running.port, "miner": rehearsal.miner, "seeds": caller_seeds()[:asked], "timeout_s": TIMEOUT_S,
            "pictures": [str(path) for path in sorted(rehearsal.pictures.glob("*.jpg"))],
        }  # fmt: skip
        (folder / "plan.json").write_text(json.dumps(plan))
        command = pinned(cores()[1], [str(python), str(CLIENT), str(folder / "plan.json")])
        environment = {**os.environ, **ONE_THREAD, "HOME": str(folder)}  # where the SDK makes its directories
        self._log = (folder / "output.log").open("ab")
        self._popen = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.version = self._line().removeprefix("READY").strip()

    def volley(self) -> list[Reply]:
        """Send one challenge of each at once, and return all replies."""
        assert self._popen.stdin is not None
        self._popen.stdin.write("go\n")
        self._popen.stdin.flush()
        return [Reply.of(said) for said in json.loads(self._line())]

    def end(self) -> None:
        """Let them go."""
        assert self._popen.stdin is not None
        with suppress(OSError):
            self._popen.stdin.close()
        try:
            self._popen.wait(15.0)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._log.close()

    def _line(self) -> str:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise RuntimeError(f"The callers ended; see {self._log.name}")
        return line


def _slowed(what: str, rehearsal: Rehearsal, slowed: Sequence[float]) -> list[str]:
    times = [part for each_s in slowed for part in ("--slowed", str(each_s))]
    return [sys.executable, "-m", "benchmarks.miner.slowed", what, str(rehearsal.bundle), *times]


def _wait_ready(running: Running, tree: ProcessTree) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < _READY_S and tree.exit_code is None:
        connection = http.client.HTTPConnection("127.0.0.1", running.private_port, timeout=5.0)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.25)
    raise RuntimeError(f"The miner is not ready; see {tree.log}")
