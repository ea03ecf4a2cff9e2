"""One request from its coming to its answer: who has it, who failed it, and how it is settled, once.

Knows lanes by name and what they said; does not know who gets it next.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from workzone.core.errors import InferenceError
from workzone.engine.answers import Answer, StageRun
from workzone.serving.axon.lanes.lane import Lane, Ticket
from workzone.serving.axon.lanes.plan import Request

LESSER = "The large model would have been late, or is out."


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that is not settled yet.

    Attributes:
        picture: An encoded picture.
        stake: Of who asks; finite.
        arrived: Its number in order of arrival.
        end_s: When it must be answered, the margin taken off; infinite: at any time.
        begun_s: When it came.
        answer: What its caller waits for.
        runs: Of models that gave no answer.
        failed: Models that won't be asked again, and why.
        inside: Models that work on it: ticket, task, and since when.
    """

    picture: bytes
    stake: float
    arrived: int
    end_s: float
    begun_s: float
    answer: asyncio.Future[Answer]
    runs: list[StageRun] = field(default_factory=list)
    failed: dict[Lane, InferenceError] = field(default_factory=dict)
    inside: dict[Lane, tuple[Ticket, asyncio.Task[None], float]] = field(default_factory=dict)

    def request(self, now_s: float, large: Lane, small: Lane | None) -> Request:
        """Return what a plan wants to know; a lane that has it, or failed it, is not asked again."""
        asked = (self.failed, self.inside)
        may = [lane is not None and not any(lane in known for known in asked) for lane in (large, small)]
        return Request(self.stake, self.arrived, self.end_s - now_s, *may)

    def failed_in(self, lane: Lane, error: InferenceError, latency_ms: float) -> None:
        """Note that a lane gave no answer."""
        self.failed[lane] = error
        self.runs.append(_unanswered(lane, latency_ms, str(error)))

    def settle(self, lane: Lane, answer: Answer, *, lesser: bool, now_s: float) -> None:
        """Give a lane's answer to the caller, with what the others had to do with it.

        Args:
            lane: Whose it is.
            answer: As the lane's model gave it.
            lesser: Whether a better model exists: the answer is then not kept for equal pictures.
            now_s: The time.
        """
        if self.answer.done():
            return
        overtaken = [
            _unanswered(other, 1000 * (now_s - begun_s), f"'{lane.name}' answered before.")
            for other, (_, _, begun_s) in self.inside.items()
            if other is not lane
        ]
        self.answer.set_result(
            replace(
                answer,
                stages=(*self.runs, *overtaken, *answer.stages),
                reason=LESSER if lesser else answer.reason,
                degraded=answer.degraded or lesser,
                latency_ms=1000 * (now_s - self.begun_s),
            )
        )

    def refuse(self, error: Exception) -> None:
        """Give the caller an error, unless it has something already."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def seen(self) -> None:
        """Note that nobody waits any more: an error that came at that very moment is not reported as unread."""
        if self.answer.done() and not self.answer.cancelled():
            self.answer.exception()


def _unanswered(lane: Lane, latency_ms: float, why: str) -> StageRun:
    return StageRun(lane.name, None, None, None, latency_ms, False, why)
