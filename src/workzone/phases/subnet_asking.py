"""Challenges of a replay put to a bundle, in batches, as it serves; and where its own probability turns.

Knows the engine and the simulator; does not know which pictures may be asked about (`subnet_pictures`), what is earned
or how a threshold is chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from workzone.core.errors import ConfigError
from workzone.core.observer import Observer
from workzone.data.ordered import ordered_map
from workzone.engine.predictor import Predictor
from workzone.policy.calibrators import Calibrator
from workzone.subnet.answers import Logits, ask_logits
from workzone.subnet.profiles import Profile
from workzone.subnet.replay import Deck, replay

DEFAULT_CHALLENGES = 4000
REPORT_STREAM, FIT_STREAM = 0, 1
"""Of the seed: the two replays draw apart, so that a point fitted alone is the one that a score fits."""
_FARTHEST = 2.0**20
"""No logit is looked at beyond: a map that is not at one half by then is so nowhere."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """How many challenges are put, and what is drawn."""

    challenges: int = DEFAULT_CHALLENGES
    """Of each of the two replays: the one that is reported, and the one that the threshold is fitted on."""
    seed: int = 0
    n_resamples: int = 2000
    """Of groups, for the intervals."""


def check_sends(profile: Profile) -> None:
    """Refuse a profile without challenges.

    Raises:
        ConfigError: Nothing is sent under it.
    """
    if not profile.sends:
        raise ConfigError(
            f"Under profile '{profile.name}' (since {profile.first_day}, last seen {profile.last_seen}) validators "
            "send no challenges, so nothing can be earned or rehearsed. Name the profile that you expect when they "
            "begin again, such as '2026-05', the last that was in force; and look whether the subnet pays before you "
            "spend."
        )


def ask_in_batches(
    predictor: Predictor,
    deck: Deck,
    settings: ReplaySettings,
    stream: int,
    observer: Observer,
    task: str,
) -> Logits:
    """Put a replay to a bundle, and return its logits.

    Challenges are made while the batch before is with the model. The same bytes are asked once: under a profile
    without distortions every challenge of a picture is the same.

    Raises:
        DataError: A picture cannot be read.
        InferenceError: The model gave no finite logit.
    """
    known: dict[bytes, float] = {}

    def score_batch(jpegs: Sequence[bytes]) -> list[float]:
        keys = [hashlib.sha256(jpeg).digest() for jpeg in jpegs]
        new = {key: jpeg for key, jpeg in zip(keys, jpegs, strict=True) if key not in known}
        if new:
            known.update(zip(new, predictor.score(list(new.values()))[0].tolist(), strict=True))
        return [known[key] for key in keys]

    def score(jpegs: Iterator[bytes]) -> Iterator[float]:
        batches = iter(lambda: list(islice(jpegs, 2 * predictor.max_batch)), [])
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="challenges") as executor:
            for logits in ordered_map(executor, score_batch, batches, in_flight=2):
                yield from logits

    sent = replay(deck, np.random.default_rng([settings.seed, stream]), settings.challenges)
    return ask_logits(score, sent, total=settings.challenges, observer=observer, task=task)


def logit_at_half(calibrator: Calibrator) -> float:
    """Return the largest logit whose probability is at most one half, to the last digit, by bisection.

    Probabilities must not fall as logits rise, as no calibrator's do. Where all are above one half, or none is, the
    result is a logit that no model gives: everything, or nothing, is road work.
    """

    def below(logit: float) -> bool:
        return float(calibrator.apply(np.array([logit]))[0]) <= 0.5

    low, high = -_FARTHEST, _FARTHEST
    if not below(low):
        return low
    if below(high):
        return high
    while low < (middle := low + (high - low) / 2) < high:
        low, high = (middle, high) if below(middle) else (low, middle)
    return low
