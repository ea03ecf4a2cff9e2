"""A bundle's answers as the subnet wants them: never deferred, and one half where the best decision is.

Knows a threshold on the logit and the map that puts it at one half; does not know how it was fitted, profiles, or
requests. What the bundle's own policy says is left out: on the subnet a deferral earns nothing.

The decision a reader would question: no answer is certified, not even where the policy's certificate would cover the
same verdict. It was given for another rule.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import numpy as np

from workzone.core.errors import ConfigError, InferenceError
from workzone.core.types import Verdict
from workzone.engine.answers import Answer, Answerer, StageRun
from workzone.engine.cascade import Closable, Perishable, Queued
from workzone.engine.live import LiveBundle
from workzone.serving.axon.lanes.lane import Model
from workzone.storage.hashing import sha256_json
from workzone.subnet.operating_point import map_to_half

LARGE, SMALL = "large", "small"
"""The models' names in metrics; in answers and the journal, where each answered, its bundle's digest follows."""
_DIGITS = 12
"""Of a digest, where it follows a name."""


class AtOperatingPoint:
    """An `Answerer` with one threshold over another with one logit; closes, queues and dies as that one does.

    Attributes:
        identity: Digest of what is asked, the threshold and the name.
        threshold: The logit that becomes one half.
        name: Of the model.
        stage: Of the one stage in its answers: the name, and which bundle answers.
    """

    def __init__(self, answerer: Answerer, threshold: float, name: str) -> None:
        """Put a threshold on an answerer.

        Args:
            answerer: A bundle that stands alone. Of a cascade the last stage's logit would be taken, and stages have
                thresholds of their own.
            threshold: On its logit.
            name: "large" or "small".

        Raises:
            ConfigError: The threshold is no finite number.
        """
        if not math.isfinite(threshold):
            raise ConfigError(f"The {name} model's operating point is {threshold}; expected a finite logit.")
        self.threshold, self.name = threshold, name
        self.stage = f"{name}@{answerer.identity[:_DIGITS]}"
        self._answerer = answerer
        self.identity = sha256_json(["operating point", answerer.identity, threshold, name])

    @property
    def dead(self) -> bool:
        """Whether only a restart helps."""
        return isinstance(self._answerer, Perishable) and self._answerer.dead

    @property
    def depth(self) -> int:
        """How many pictures wait."""
        return self._answerer.depth if isinstance(self._answerer, Queued) else 0

    async def wait_dead(self) -> None:
        """Return when it is dead; never where it cannot be."""
        await (
            self._answerer.wait_dead() if isinstance(self._answerer, Perishable) else asyncio.Event().wait()
        )

    async def aclose(self) -> None:
        """Give back what the answerer holds."""
        if isinstance(self._answerer, Closable):
            await self._answerer.aclose()

    async def answer(self, picture: bytes, *, deadline_s: float | None) -> Answer:
        """Answer one picture by the threshold; see `Answerer.answer`.

        Raises:
            InferenceError: As the answerer's; also where its logit is not finite, which the other model must mend.
        """
        answer = await self._answerer.answer(picture, deadline_s=deadline_s)
        if not math.isfinite(answer.logit):
            raise InferenceError(f"The {self.name} model gave the logit {answer.logit}: it is broken.")
        probability = float(map_to_half(np.array([answer.logit]), self.threshold)[0])
        verdict = Verdict.ROADWORK if probability > 0.5 else Verdict.NONE
        stage = StageRun(self.stage, verdict, probability, answer.logit, answer.latency_ms, certified=False)
        return replace(
            answer,
            probability=probability,
            verdict=verdict,
            certified=False,
            stages=(stage,),
            reason=None,
            bundle=self.identity,
        )


def live_model(live: LiveBundle, threshold: float, name: str, *, max_batch: int | None = None) -> Model:
    """Return a warmed-up bundle as one of the two models.

    Args:
        live: Open, not yet used.
        threshold: The bundle's operating point for the profile in force, on the logit.
        name: `LARGE` or `SMALL`.
        max_batch: What the bundle was opened with, `LiveSettings.max_batch`.

    Raises:
        ConfigError: The threshold is no finite number.
    """
    warmed = live.warm_up
    run = min(max_batch or warmed.best_batch, live.bundle.preprocessing.max_batch)
    return Model(name, AtOperatingPoint(live, threshold, name), run, warmed.seconds_per_batch)
