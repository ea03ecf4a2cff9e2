"""Open loop: requests are sent when they are due, however the server fares.

Latency counts from the moment at which a request was *due*, so a server that stalls is charged for everyone who had
to wait (no "coordinated omission"; Tene, "How NOT to measure latency", 2015). wrk cannot do that: it sends the next
request when the last one is answered. Run as a program, in a process of its own, by `ask_at_rate`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, cycle
from pathlib import Path
from typing import Literal

from benchmarks.serving.processes import REPOSITORY, module, pinned

CONNECTIONS = 512
"""The most at once; a request that finds none free waits, and its latency says so."""
BROKEN, TIMED_OUT = -1, -2
"""What stands for a status where there was none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent.

    Attributes:
        port: Of the server, on the loopback address.
        path: Of the request.
        rate_per_s: Requests a second.
        seconds: How long requests are due; answers are waited for longer.
        arrivals: `poisson`: as independent callers come; `constant`: as cameras do.
        deadline_ms: Sent as `X-Deadline-Ms`; None: not sent.
        timeout_s: Given up after this, from the moment it was due.
        seed: Of the Poisson arrivals.
    """

    port: int
    path: str
    rate_per_s: float
    seconds: float
    arrivals: Literal["poisson", "constant"] = "poisson"
    deadline_ms: int | None = None
    timeout_s: float = 60.0
    seed: int = 0

    def due_s(self) -> list[float]:
        """Return when each request is due, seconds from the start."""
        if self.arrivals == "constant":
            return [i / self.rate_per_s for i in range(int(self.rate_per_s * self.seconds))]
        draw = random.Random(self.seed)
        due: list[float] = []
        for at in accumulate(iter(lambda: draw.expovariate(self.rate_per_s), None)):
            if at >= self.seconds:
                break
            due.append(at)
        return due


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the requests, in the order in which they were due.

    Attributes:
        due_s: When each was due, seconds from the start.
        latency_ms: From then until its answer was read, or until it was given up.
        status: Of its answer; `BROKEN` or `TIMED_OUT` where there was none.
        late_start_ms: How late the generator itself was at the worst: well below the latencies, or it is no measure.
    """

    due_s: list[float]
    latency_ms: list[float]
    status: list[int]
    late_start_ms: float

    def within(self, deadline_ms: float) -> int:
        """Return how many answers with status 200 came within so long."""
        pairs = zip(self.latency_ms, self.status, strict=True)
        return sum(1 for latency, status in pairs if status == 200 and latency <= deadline_ms)

    def statuses(self) -> dict[str, int]:
        """Return how often each status came."""
        return {str(status): self.status.count(status) for status in sorted(set(self.status))}


def ask_at_rate(plan: Plan, pictures: Path, core: int) -> Sent:
    """Send a plan from a process of its own, on a core.

    Raises:
        RuntimeError: The generator failed.
    """
    command = pinned(core, module("open_loop", json.dumps(asdict(plan)), pictures))
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"The open-loop generator failed: {done.stderr[-800:]}")
    return Sent(**json.loads(done.stdout))


async def send(plan: Plan, pictures: Sequence[bytes]) -> Sent:
    """Send a plan's requests from this process."""
    due = plan.due_s()
    pool = _Connections(plan.port)
    ready = [_request(plan, picture) for picture in pictures]
    latency_ms, status, late_ms = [0.0] * len(due), [0] * len(due), 0.0
    clock = time.perf_counter
    start = clock() + 0.05

    async def one(index: int, request: bytes) -> None:
        try:
            async with asyncio.timeout(max(0.001, start + due[index] + plan.timeout_s - clock())):
                status[index] = await pool.exchange(request)
        except TimeoutError:
            status[index] = TIMED_OUT
        except (OSError, asyncio.IncompleteReadError, ValueError):
            status[index] = BROKEN
        latency_ms[index] = 1000 * (clock() - start - due[index])

    tasks = []
    for index, (at, request) in enumerate(zip(due, cycle(ready), strict=False)):
        await asyncio.sleep(max(0.0, start + at - clock()))
        late_ms = max(late_ms, 1000 * (clock() - start - at))
        tasks.append(asyncio.create_task(one(index, request)))
    await asyncio.gather(*tasks)
    pool.close()
    return Sent(due, latency_ms, status, late_ms)


class _Connections:
    """Connections that are kept alive, the last used first, so that few are idle for long."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._free = asyncio.Semaphore(CONNECTIONS)

    async def exchange(self, request: bytes) -> int:
        """Send a request and return the status of its answer, which is read to its end."""
        async with self._free:
            while self._idle:
                reader, writer = self._idle.pop()
                if reader.at_eof():  # the server closed it while it was idle
                    writer.close()
                    continue
                try:
                    return await self._over(reader, writer, request)
                except (ConnectionError, asyncio.IncompleteReadError) as error:
                    if getattr(error, "partial", b""):
                        raise  # it had begun to answer
            return await self._over(*await asyncio.open_connection("127.0.0.1", self._port), request)

    def close(self) -> None:
        """Close what is idle."""
        for _, writer in self._idle:
            writer.close()

    async def _over(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
        keep = False
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            status, length, keep = parse_head(head)
            await reader.readexactly(length)
        finally:
            if not keep:
                writer.close()
        if keep:
            self._idle.append((reader, writer))
        return status


def parse_head(head: bytes) -> tuple[int, int, bool]:
    """Return status, length of the body, and whether the connection stays open.

    Raises:
        ValueError: It is no answer of HTTP/1.1 that states its length.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    version, status = first.split(" ")[:2]
    if version != "HTTP/1.1" or "content-length" not in fields:
        raise ValueError(f"not understood: {first}")
    return int(status), int(fields["content-length"]), fields.get("connection", "").lower() != "close"


def _request(plan: Plan, picture: bytes) -> bytes:
    deadline = "" if plan.deadline_ms is None else f"X-Deadline-Ms: {plan.deadline_ms}\r\n"
    return (
        f"POST {plan.path} HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\nContent-Type: image/jpeg\r\n{deadline}"
        f"Content-Length: {len(picture)}\r\n\r\n"
    ).encode() + picture


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("plan")
    parser.add_argument("pictures", type=Path)
    arguments = parser.parse_args()
    data = [path.read_bytes() for path in sorted(arguments.pictures.glob("*.jpg"))]
    sent = asyncio.run(send(Plan(**json.loads(arguments.plan)), data))
    json.dump(asdict(sent), sys.stdout)


if __name__ == "__main__":
    main()
