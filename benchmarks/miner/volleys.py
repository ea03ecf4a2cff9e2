"""What came of challenges that were sent at once, and whether it is what was promised: pure arithmetic.

Knows replies and times; does not know processes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.serving.arithmetic import percentile

DEADLINE_S = 6.0
"""What a miner grants itself of the validators' 9 s."""
SHARE = 0.95
"""Of what the models can do together: what must be answered."""
PROMPT_S = DEADLINE_S / 2
"""Until then half of those without an answer must have been told so."""
_ROUNDING_S = 0.01


@dataclass(frozen=True, slots=True)
class Reply:
    """One challenge's.

    Attributes:
        hotkey: Who asked.
        prediction: -1: no answer.
        status: As the SDK's client says it.
        server_s: Inside the miner, from the request's head to the reply; None: it didn't say.
        client_s: As the client saw it, its own work on all the others included.
        begun_s: When the head reached the miner, on a clock of its own; None: not known.
    """

    hotkey: str
    prediction: float
    status: int
    server_s: float | None
    client_s: float
    begun_s: float | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Reply:
        """Read what a client printed."""
        inside = said["server_s"]
        return cls(
            str(said["hotkey"]), float(said["prediction"]), int(said["status"]),
            None if inside is None else float(inside), float(said["client_s"]),
        )  # fmt: skip

    @property
    def answered(self) -> bool:
        """Whether it holds a probability."""
        return self.status == 200 and 0.0 <= self.prediction <= 1.0


def together(per_s: Mapping[str, float], asked: int) -> int:
    """Return how many of so many challenges the models can answer before the deadline, by their closed loops.

    Each model whole pictures. That they must be received first, and be recorded and told afterwards, is not taken off.
    """
    return min(asked, sum(math.floor(DEADLINE_S * each) for each in per_s.values()))


def judge(replies: Sequence[Reply], possible: int, stakes: Mapping[str, float]) -> dict[str, Any]:
    """Return what one volley came to.

    Args:
        replies: To all of its challenges.
        possible: How many could be answered.
        stakes: By hotkey.
    """
    inside = [reply.server_s for reply in replies if reply.server_s is not None]
    answered = [reply for reply in replies if reply.answered]
    refused = [reply.server_s for reply in replies if not reply.answered and reply.server_s is not None]
    late = sum(1 for reply in replies if reply.server_s is None or reply.server_s > DEADLINE_S + _ROUNDING_S)
    prompt = not refused or percentile(refused, 50) <= PROMPT_S
    by_stake = {
        f"{stake:g}": [
            sum(1 for reply in answered if stakes[reply.hotkey] == stake),
            sum(1 for reply in replies if stakes[reply.hotkey] == stake),
        ]
        for stake in sorted(set(stakes.values()), reverse=True)
    }
    return {
        "challenges": len(replies),
        "possible": possible,
        "answered": len(answered),
        "of_possible": round(len(answered) / possible, 3),
        "late": late,
        "other_status": sum(1 for reply in replies if reply.status != 200),
        "first_answer_after_s": _first_answer_s(replies),
        "answered_p50_s": _at(50, [reply.server_s for reply in answered if reply.server_s is not None]),
        "worst_s": _at(100, inside),
        "refused": len(replies) - len(answered),
        "refused_p50_s": _at(50, refused),
        "refused_worst_s": _at(100, refused),
        "worst_at_the_client_s": _at(100, [reply.client_s for reply in replies]),
        "answered_by_stake": by_stake,
        "passed": late == 0
        and prompt
        and len(answered) >= SHARE * possible
        and all(r.status == 200 for r in replies),
    }


def _first_answer_s(replies: Sequence[Reply]) -> float | None:
    """Return the time from the first head to the first answer: pictures must be received before a model has any."""
    heads = [reply.begun_s for reply in replies if reply.begun_s is not None]
    ends = [
        reply.begun_s + reply.server_s
        for reply in replies
        if reply.answered and reply.begun_s is not None and reply.server_s is not None
    ]
    return round(min(ends) - min(heads), 3) if ends else None


def _at(percent: float, values: Sequence[float]) -> float | None:
    return round(percentile(values, percent), 3) if values else None
