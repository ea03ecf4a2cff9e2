"""The numbers of the subnet's wire protocol, and how long an answer may take.

Knows what travels between validator and miner; does not know the challenges (`profiles`) or any server. Source:
natixnetwork/streetvision-subnet, commits 28a1755 (January 2026) to 5d0756b (May 2026).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

SYNAPSE = "ImageSynapse"
"""Name of the request; its route is `/ImageSynapse`."""
NO_ANSWER = -1.0
"""What a miner that has no answer leaves: the step pays nothing, and the windows skip it."""
CHALLENGE_TIMEOUT_S = 9.0
"""How long validators wait."""
RESERVE_S = 2.0
"""Of the caller's time kept for the way back and for a clock that starts before ours."""
LONGEST_S = 6.0
"""No answer is worked on for longer, whatever the caller allows."""
NETUIDS: Mapping[str, int] = MappingProxyType({"finney": 72, "test": 323})
"""Network → the subnet's number there."""


def answer_time_s(timeout_s: float | None) -> float:
    """Return how long an answer may take from the first byte of the request: min(6 s, timeout − 2 s).

    Args:
        timeout_s: What the caller says it waits; None, or no finite number: the validators' 9 s.

    >>> answer_time_s(9.0), answer_time_s(5.0), answer_time_s(1.0), answer_time_s(None)
    (6.0, 3.0, 0.0, 6.0)
    """
    if timeout_s is None or not math.isfinite(timeout_s):
        timeout_s = CHALLENGE_TIMEOUT_S
    return max(0.0, min(LONGEST_S, timeout_s - RESERVE_S))
