"""A model is asked each challenge once, and what it said is kept in columns.

Knows challenges and numbers that come back; does not know what they earn (see `simulator`) or who answered. What a
reader would question: probabilities and logits are two records. Operating points are compared on logits, because the
probability of a confident model is 0 or 1 in floating point and tells no more where it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.observer import NullObserver, Observer, track
from workzone.subnet.operating_point import map_to_half
from workzone.subnet.profiles import Profile
from workzone.subnet.protocol import NO_ANSWER
from workzone.subnet.replay import LABELS, Sent

F64 = NDArray[np.float64]
Names = NDArray[np.str_]
Numbers = NDArray[np.int8]
Columns = tuple[Numbers, Names, Numbers, Names, Names]

TASK = "challenges"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which challenges were put: columns of N rows in one order."""

    labels: Numbers
    sources: Names
    levels: Numbers
    groups: Names
    pictures: Names

    def __post_init__(self) -> None:
        for field in fields(self):
            column = getattr(self, field.name)
            if column.ndim != 1 or len(column) != len(self.labels):
                raise DataError(f"'{field.name}' has {column.shape} values for {len(self.labels)} labels.")
        if not len(self.labels):
            raise DataError("No challenge was put; at least one is needed.")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def columns(self) -> Columns:
        """Labels, sources, levels, groups and pictures."""
        return self.labels, self.sources, self.levels, self.groups, self.pictures


@dataclass(frozen=True, slots=True)
class Answers(Asked):
    """What was answered: `probs` float64 [N] in [0, 1], or -1 where there was no answer."""

    probs: F64

    def __post_init__(self) -> None:
        Asked.__post_init__(self)  # `super()` knows nothing of a slotted dataclass
        wrong = ~((self.probs >= 0) & (self.probs <= 1) | (self.probs == NO_ANSWER))
        if wrong.any():
            raise DataError(
                f"{int(wrong.sum())} of {len(self.probs)} answers, {self.probs[wrong][0]} among them, are neither "
                "in [0, 1] nor -1; a miner sends -1 instead."
            )


@dataclass(frozen=True, slots=True)
class Logits(Asked):
    """What the model said before any operating point: `logits` float64 [N]."""

    logits: F64

    def at(self, threshold: float) -> Answers:
        """Return the answers of a miner whose operating point is at this logit."""
        return Answers(*self.columns, map_to_half(self.logits, threshold))


def ask(
    predict: Callable[[bytes], float],
    sent: Iterable[Sent],
    *,
    total: int | None = None,
    observer: Observer | None = None,
) -> Answers:
    """Put challenges to a model, each once.

    Args:
        predict: Gets the bytes of a JPEG, returns the probability of road work. Anything else than a number in
            [0, 1] (-1, nan) counts as no answer, as a miner would send it; what it raises is not caught.
        sent: The challenges.
        total: How many there are, for the observer.
        observer: Is told the progress, and how many were not answered.

    Raises:
        DataError: There was no challenge.
    """
    rows, probs = _put(partial(map, predict), sent, total, observer, TASK)
    silent = ~((probs >= 0) & (probs <= 1))
    if silent.any() and observer is not None:
        observer.note(f"{int(silent.sum())} of {len(probs)} challenges were not answered by a probability.")
    return Answers(*rows.columns, np.where(silent, NO_ANSWER, probs))


def ask_logits(
    score: Callable[[Iterator[bytes]], Iterable[float]],
    sent: Iterable[Sent],
    *,
    total: int | None = None,
    observer: Observer | None = None,
    task: str = TASK,
) -> Logits:
    """Put challenges to a model and keep its raw output, so that operating points are compared without asking again.

    Args:
        score: Gets the bytes of the JPEGs as they come, and gives the model's logit of each in the same order, maybe
            some challenges later: so a model can be asked in batches while the next challenges are made.
        sent: The challenges.
        total: How many there are, for the observer.
        observer: Is told the progress.
        task: What the observer knows this by.

    Raises:
        DataError: There was no challenge, or not one logit for each.
    """
    rows, logits = _put(score, sent, total, observer, task)
    return Logits(*rows.columns, logits)


def answer_weights(asked: Asked, profile: Profile) -> F64:
    """Return how much each row stands for under the profile's shares of sources and levels: float64 [N].

    The weights of each label's rows add up to 1. Shares of what was not asked go to what was.

    Raises:
        DataError: Nothing of what was asked is sent under the profile.
    """
    weights = np.zeros(len(asked))
    for label, (source, share), level in product(LABELS, profile.sources.items(), profile.levels):
        rows = (asked.labels == label) & (asked.sources == source.value) & (asked.levels == level.number)
        if rows.any():
            weights[rows] = share * level.probability / rows.sum()
    for label in LABELS:
        rows = asked.labels == label
        if rows.any() and not weights[rows].sum():
            raise DataError(
                f"Nothing that was asked with label {label} is sent under profile '{profile.name}'."
            )
        weights[rows] /= weights[rows].sum() if rows.any() else 1.0
    return weights


def _put(
    model: Callable[[Iterator[bytes]], Iterable[float]],
    sent: Iterable[Sent],
    total: int | None,
    observer: Observer | None,
    task: str,
) -> tuple[Asked, F64]:
    seen: list[tuple[int, str, int, str, str]] = []

    def jpegs() -> Iterator[bytes]:
        for one in sent:
            seen.append((one.label, one.source.value, one.level, one.group, one.picture))
            yield one.jpeg

    values = [float(value) for value in track(model(jpegs()), observer or NullObserver(), task, total)]
    if len(values) != len(seen):
        raise DataError(
            f"The model gave {len(values)} numbers for {len(seen)} challenges; expected one of each."
        )
    labels, sources, levels, groups, pictures = zip(*seen, strict=True) if seen else ((),) * 5
    asked = Asked(
        labels=np.array(labels, dtype=np.int8),
        sources=np.array(sources, dtype=np.str_),
        levels=np.array(levels, dtype=np.int8),
        groups=np.array(groups, dtype=np.str_),
        pictures=np.array(pictures, dtype=np.str_),
    )
    return asked, np.array(values, dtype=np.float64)
