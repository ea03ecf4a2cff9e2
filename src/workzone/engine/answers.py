"""What is said of one picture, and who can say it: the vocabulary between engine, cascade and service.

Knows stages and their outcome; does not know HTTP, the journal, or how an answer is made. An answer carries no
time of day and no caller: those belong to the request, and an answer that is kept serves more than one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from workzone.core.types import Verdict


@dataclass(frozen=True, slots=True)
class StageRun:
    """One stage that was asked.

    Attributes:
        name: The stage's name in its cascade; "model" for a bundle that stands alone.
        verdict: What it said; None: it gave no answer.
        probability: Calibrated probability of road work, in [0, 1]; None: it gave no answer.
        logit: Its raw output; None: it gave no answer.
        latency_ms: Time that was spent on it, waiting included.
        certified: Whether its verdict is covered by a certificate.
        error: Why it gave no answer; None: it gave one.
    """

    name: str
    verdict: Verdict | None
    probability: float | None
    logit: float | None
    latency_ms: float
    certified: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for one picture, with how it came about.

    Attributes:
        sha256: Of the picture's bytes, 64 hexadecimal digits.
        probability: Calibrated probability of road work, in [0, 1].
        verdict: Road work, none, or deferred.
        logit: The model's raw output, on which the policy's thresholds live.
        certified: Whether the path that led to the verdict carries a certificate.
        stages: Every stage that was asked, in order.
        reason: Why it was deferred, or which fallback was taken; None: a plain answer.
        degraded: A later stage was down or late and a fallback was taken. Such an answer is never kept: the
            same picture gets a better one when the stage is back.
        bundle: Digest of the bundle (or cascade) that answered.
        latency_ms: Time from bytes to verdict, waiting included.
        cached: Whether it was computed for an earlier, equal picture.
    """

    sha256: str
    probability: float
    verdict: Verdict
    logit: float
    certified: bool
    stages: tuple[StageRun, ...]
    reason: str | None
    degraded: bool
    bundle: str
    latency_ms: float
    cached: bool = False


class Answerer(Protocol):
    """Whatever answers pictures: a bundle, a cascade of them, or something remote.

    Attributes:
        identity: Digest of all that the answer depends on beside the picture; part of the cache's key.
    """

    identity: str

    async def answer(self, picture: bytes, *, deadline_s: float | None) -> Answer:
        """Answer one picture.

        Args:
            picture: An encoded picture (JPEG, PNG, WebP, BMP, TIFF, GIF).
            deadline_s: When the answer ceases to be of use, on the clock of `time.monotonic`, which is the
                event loop's; None: never.

        Raises:
            DataError: The bytes are no picture, or exceed a limit.
            Overloaded: More was asked than can be answered in time.
            DeadlineExceeded: The answer would come too late.
            ModelUnavailable: What should answer is broken or cannot be reached.
            InferenceError: The answer could not be computed.
        """
        ...
