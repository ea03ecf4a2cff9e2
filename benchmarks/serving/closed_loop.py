"""Closed loop: wrk keeps so many requests in flight and sends the next when an answer comes.

Knows wrk's command and its output. The throughput is counted after a warm-up, because a server that works on forty
pictures at once gives nothing at all for a while, and then many; wrk's own count would be of that. The percentiles
are wrk's, of the whole run.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.serving.processes import pinned
from benchmarks.serving.servers import Server

SCRIPT = Path(__file__).with_name("wrk.lua")
_MARK = "RESULT "


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw.

    Attributes:
        throughput_per_s: Answers with status 200 a second, after the warm-up.
        answers: How many those were.
        p50_ms: Median latency.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        failed: Requests that ended in another status, a broken connection or wrk's timeout.
        requests: All that ended, those of the warm-up too.
    """

    throughput_per_s: float
    answers: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    failed: int
    requests: int


@dataclass(frozen=True, slots=True)
class Run:
    """One server, one concurrency, one run.

    Attributes:
        cpu_ms_per_answer: Processor time of the server's processes after the warm-up, by answer, milliseconds.
        peak_rss_mib: Most resident memory of its processes together.
    """

    server: str
    concurrency: int
    load: Load
    cpu_ms_per_answer: float
    peak_rss_mib: float

    def to_json(self) -> dict[str, object]:
        """Return it flat, rounded."""
        flat = {"concurrency": self.concurrency, **asdict(self.load)}
        flat |= {"cpu_ms_per_answer": self.cpu_ms_per_answer, "peak_rss_mib": self.peak_rss_mib}
        return {key: round(value, 3) if isinstance(value, float) else value for key, value in flat.items()}


def run_wrk(
    server: Server, pictures: list[Path], concurrency: int, seconds: float, warm_up_s: float, core: int
) -> Run:
    """Load a server that is awake, and let it come to rest afterwards.

    Args:
        server: Whom to ask.
        pictures: Sent in turn.
        concurrency: Requests in flight.
        seconds: Counted, after the warm-up.
        warm_up_s: Not counted.
        core: Of wrk.

    Raises:
        RuntimeError: wrk failed.
    """
    listed = server.folder / "pictures.txt"
    listed.write_text("".join(f"{path}\n" for path in pictures))
    total = max(1, round(seconds + warm_up_s))
    command = [
        "wrk", "--threads", "1", "--connections", str(concurrency), "--duration", f"{total}s", "--timeout", "60s",
        "--script", str(SCRIPT), server.url, "--", str(listed), str(warm_up_s), "0",
    ]  # fmt: skip
    with server.tree.measured() as measured:
        wrk = subprocess.Popen(
            pinned(core, command), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        time.sleep(warm_up_s)
        before_s = server.tree.cpu_s()
        output, errors = wrk.communicate()
        cpu_s = server.tree.cpu_s() - before_s
    if wrk.returncode != 0:
        raise RuntimeError(f"wrk failed on {server.name}: {output} {errors}")
    load = parse_wrk(output, warm_up_s)
    server.tree.settle()
    return Run(server.name, concurrency, load, 1000 * cpu_s / max(1, load.answers), measured.peak_rss_mib)


def parse_wrk(output: str, warm_up_s: float) -> Load:
    """Read what the script printed.

    Raises:
        RuntimeError: It printed nothing.
    """
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    if len(lines) != 1:
        raise RuntimeError(f"wrk printed no result: {output[-500:]!r}")
    said: dict[str, int] = json.loads(lines[0].removeprefix(_MARK))
    window_s = said["duration_us"] / 1e6 - warm_up_s
    failed = sum(said[key] for key in ("connect", "read", "write", "status", "timeout"))
    return Load(
        throughput_per_s=said["in_window"] / window_s,
        answers=said["in_window"],
        p50_ms=said["p50_us"] / 1000,
        p95_ms=said["p95_us"] / 1000,
        p99_ms=said["p99_us"] / 1000,
        failed=failed,
        requests=said["requests"],
    )
