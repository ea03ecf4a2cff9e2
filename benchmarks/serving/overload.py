"""What a server bears: the highest rate at which it is in time, and what becomes of twice that.

Knows rates and deadlines; does not know who serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.arithmetic import highest_passing, percentile
from benchmarks.serving.open_loop import Plan, Sent, ask_at_rate
from benchmarks.serving.servers import OURS, Server, awake

_RESOLUTION = _STEP_DOWN = 0.05
_CONFIRMED_BY, _MOST_CONFIRMATIONS = 2, 8
"""How many times longer than a step of the search the rate that was found is tried again: a short step may pass by
luck, so the rate goes down until a long one passes."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One rate.

    Attributes:
        rate_per_s: Requests a second.
        p99_ms: From the moment a request was due; a request without an answer counts as infinitely late.
        failed: Requests that had no answer with status 200.
        late_start_ms: The worst delay of the generator itself.
    """

    rate_per_s: float
    p99_ms: float
    failed: int
    late_start_ms: float

    @classmethod
    def of(cls, rate_per_s: float, sent: Sent) -> Tried:
        """Sum up what was sent."""
        latency = [
            ms if status == 200 else float("inf")
            for ms, status in zip(sent.latency_ms, sent.status, strict=True)
        ]
        failed = sum(1 for status in sent.status if status != 200)
        return cls(rate_per_s, percentile(latency, 99), failed, sent.late_start_ms)

    def to_json(self) -> dict[str, float | int | None]:
        """Return it rounded; infinity as null."""
        return {
            "rate_per_s": round(self.rate_per_s, 3),
            "p99_ms": None if self.p99_ms == float("inf") else round(self.p99_ms, 1),
            "failed": self.failed,
            "late_start_ms": round(self.late_start_ms, 1),
        }


class Search:
    """The highest rate at which a server's 99th percentile is below the deadline."""

    def __init__(self, server: Server, pictures: Path, core: int, deadline_ms: int, step_s: float) -> None:
        self._server = server
        self._pictures = pictures
        self._core = core
        self._deadline_ms = deadline_ms
        self._step_s = step_s
        self.tried: list[Tried] = []
        self.confirmed = False

    def run(self, throughput_per_s: float) -> float | None:
        """Return the capacity, requests a second; None: no rate is borne.

        Where no long try passed, `confirmed` is False: the machine was not quiet, and the number says little.

        Args:
            throughput_per_s: Of the closed loop; where to look.
        """
        with awake(self._server):
            rate = highest_passing(
                lambda rate: self._bears(rate, self._step_s),
                0.7 * throughput_per_s,
                1.05 * throughput_per_s,
                _RESOLUTION,
            )
            for _ in range(_MOST_CONFIRMATIONS if rate > 0 else 0):
                self.confirmed = self._bears(rate, _CONFIRMED_BY * self._step_s)
                if self.confirmed:
                    break
                rate *= 1 - _STEP_DOWN
        return rate or None

    def _bears(self, rate: float, seconds: float) -> bool:
        plan = Plan(self._server.port, self._server.path, rate, seconds, seed=len(self.tried))
        tried = Tried.of(rate, ask_at_rate(plan, self._pictures, self._core))
        self._server.tree.settle(30.0)
        self.tried.append(tried)
        return tried.failed == 0 and tried.p99_ms <= self._deadline_ms


def overloaded(
    server: Server, pictures: Path, core: int, capacity: float, deadline_ms: int, seconds: float, seed: int
) -> dict[str, object]:
    """Ask for twice a capacity and return what came of it.

    `in_time_of_capacity`: answers within the deadline, by those that the capacity would be in the same time.
    Ours is told the deadline by `X-Deadline-Ms`; a peer does not know such a header.
    """
    deadline = deadline_ms if server.name == OURS else None
    plan = Plan(server.port, server.path, 2 * capacity, seconds, deadline_ms=deadline, seed=seed)
    with awake(server):
        sent = ask_at_rate(plan, pictures, core)
        settled_s = server.tree.settle(120.0)
    in_time = sent.within(deadline_ms)
    refused = [
        ms for ms, status in zip(sent.latency_ms, sent.status, strict=True) if status in {429, 503, 504}
    ]
    return {
        "server": server.name,
        "requests": len(sent.status),
        "in_time": in_time,
        "in_time_of_capacity": round(in_time / (capacity * seconds), 3),
        "statuses": sent.statuses(),
        "answered_too_late": sent.statuses().get("200", 0) - in_time,
        "refused_p50_ms": round(percentile(refused, 50), 1) if refused else None,
        "refused_p99_ms": round(percentile(refused, 99), 1) if refused else None,
        "late_start_ms": round(sent.late_start_ms, 1),
        "settled_after_s": round(settled_s, 1),
    }
