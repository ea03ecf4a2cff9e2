"""Processes under measurement: pinned, measured with all their children, and stopped dead while others are timed.

Knows process trees, cores and /proc; does not know what they serve. A server that idles is not idle: some poll a
queue a thousand times a second. So whoever is not being measured is suspended (SIGSTOP), not only left alone.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MIB = 1 << 20
ONE_THREAD: Mapping[str, str] = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}
_TICKS_PER_S, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def cores() -> tuple[int, int]:
    """Return the core of the servers and the core of the load generators.

    Raises:
        SystemExit: There is one core only: what is measured would then be the load generator too.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise SystemExit("The benchmark needs two cores: one for the server, one for the load.")
    return usable[0], usable[1]


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """Return the command, kept on one core with all that it starts."""
    return ["taskset", "--cpu-list", str(core), *command]


def module(name: str, *arguments: object) -> list[str]:
    """Return the command that runs a module of this package."""
    return [sys.executable, "-m", f"benchmarks.serving.{name}", *map(str, arguments)]


@dataclass(frozen=True, slots=True)
class Stat:
    """A process: its session, its seconds of processor (user and system), its resident memory."""

    session: int
    cpu_s: float
    rss_mib: float


@dataclass(slots=True)
class Measured:
    """What a process tree took while a block ran.

    Attributes:
        peak_rss_mib: Largest sum of resident memory that was seen, twice a second; shared pages count twice.
    """

    peak_rss_mib: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)


class ProcessTree:
    """A program and its children, in a session of its own."""

    def __init__(self, command: Sequence[str], core: int, log: Path) -> None:
        """Start it on a core, its output going to a file."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                pinned(core, command),
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **ONE_THREAD},
                start_new_session=True,
            )
        self.log = log

    @property
    def exit_code(self) -> int | None:
        """How it ended; None: it runs."""
        return self._popen.poll()

    def cpu_s(self) -> float:
        """Return the processor time of the tree so far, seconds."""
        return sum(stat.cpu_s for stat in self._each())

    def rss_mib(self) -> float:
        """Return the resident memory of the tree, the sum over its processes."""
        return sum(stat.rss_mib for stat in self._each())

    def suspend(self) -> None:
        """Stop every process, until `resume`."""
        os.killpg(self._popen.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        os.killpg(self._popen.pid, signal.SIGCONT)

    @contextmanager
    def measured(self) -> Iterator[Measured]:
        """Measure the tree while the block runs."""
        found = Measured()
        watcher = threading.Thread(target=self._watch, args=(found,), daemon=True)
        watcher.start()
        try:
            yield found
        finally:
            found._stop.set()
            watcher.join()

    def settle(self, limit_s: float = 90.0, quiet: float = 0.2) -> float:
        """Wait until the tree works on nothing any more, and return how long that took.

        What a load generator gave up is still being computed by a server that does not notice.
        """
        begun, idle = time.monotonic(), 0
        while idle < 2 and time.monotonic() - begun < limit_s:
            before = self.cpu_s()
            time.sleep(0.25)
            idle = idle + 1 if self.cpu_s() - before < quiet * 0.25 else 0
        return time.monotonic() - begun

    def end(self, limit_s: float = 15.0) -> None:
        """End the tree: told first, then killed."""
        with suppress(ProcessLookupError):
            self.resume()
            self._popen.terminate()
        try:
            self._popen.wait(limit_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()

    def _watch(self, found: Measured) -> None:
        while True:
            found.peak_rss_mib = max(found.peak_rss_mib, self.rss_mib())
            if found._stop.wait(0.5):
                return

    def _each(self) -> list[Stat]:
        """Return the processes of the session that are there."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it ended meanwhile
                stat = parse_stat(path.read_text())
                if stat.session == self._popen.pid:
                    found.append(stat)
        return found


def parse_stat(text: str) -> Stat:
    """Read `/proc/PID/stat`; proc(5) numbers its fields from 1, and the name may hold anything, brackets too."""
    fields = text[text.rindex(")") + 2 :].split()  # begins with field 3
    return Stat(
        session=int(fields[6 - 3]),
        cpu_s=(int(fields[14 - 3]) + int(fields[15 - 3])) / _TICKS_PER_S,
        rss_mib=int(fields[24 - 3]) * _PAGE / MIB,
    )
