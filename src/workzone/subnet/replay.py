"""Playing the validators: labelled pictures become challenges.

Knows how validators choose (label, source, picture, level) and what travels; does not know what is answered (see
`answers`) or earned. A reader would question the order of draws: validators draw label, source and picture
independently each time; here labels alternate in shuffled pairs, and the pictures of a kind are gone through before one
comes again, because an estimate from few pictures gains by it. `answers.answer_weights` restores the shares.

Unlike the validators' code, pictures are turned upright by their EXIF orientation, as everywhere in Workzone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import numpy as np

from workzone.core.errors import ConfigError, DataError
from workzone.imaging.decode import decode_image
from workzone.imaging.geometry import U8
from workzone.subnet.challenge import make_challenge
from workzone.subnet.profiles import Profile, Source
from workzone.subnet.wire import from_wire, to_wire

MAX_CHALLENGE_BYTES = 64 * 2**20
"""No challenge made here is larger; a bound for the way back from the wire."""
LABELS = (0, 1)


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture that validators could send."""

    name: str
    load: Callable[[], bytes]
    """Returns the picture's file: JPEG, PNG or another format that is decoded."""
    label: int
    """1 road work, 0 none."""
    group: str
    """The video sequence or place it came from: what intervals resample, and what fitting never shares."""
    source: Source = Source.REAL
    caption: str | None = None
    """Description of the scene; None: unknown, "": known to have none."""

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            raise DataError(
                f"Picture '{self.name}' has the label {self.label}; challenges have 0 or 1. "
                "Leave pictures of unknown label out."
            )

    @property
    def obeys_label_rule(self) -> bool:
        """Whether validators would use it: a real picture's caption, where known, agrees with its label."""
        return (
            self.source is not Source.REAL or self.caption is None or bool(self.caption) == bool(self.label)
        )


@dataclass(frozen=True, slots=True)
class Deck:
    """What of some pictures can be sent under a profile, by label and source."""

    profile: Profile
    pictures: tuple[LabelledPicture, ...]
    cells: Mapping[tuple[int, Source], tuple[int, ...]]
    """Indices of the pictures of each label and source."""
    missing: tuple[tuple[int, Source], ...]
    """What validators send and the data lack; the others' shares are scaled up."""
    against_label_rule: int
    """Real pictures left out because caption and label disagree."""
    of_other_sources: int
    """Pictures left out because their source is not used under the profile."""

    @classmethod
    def of(cls, pictures: Iterable[LabelledPicture], profile: Profile) -> Deck:
        """Sort pictures into what validators would draw from.

        Raises:
            ConfigError: Nothing is sent under the profile.
            DataError: Nothing is left of one of the labels.
        """
        if not profile.sends:
            raise ConfigError(
                f"Under profile '{profile.name}' validators send no challenges; name an earlier profile."
            )
        given = tuple(pictures)
        known = [one for one in given if one.source in profile.sources]
        usable = tuple(one for one in known if one.obeys_label_rule)
        kinds = list(product(LABELS, profile.sources))
        cells = {
            (label, source): tuple(
                index for index, one in enumerate(usable) if one.label == label and one.source is source
            )
            for label, source in kinds
        }
        for label in LABELS:
            if not any(cells[label, source] for source in profile.sources):
                raise DataError(
                    f"Of {len(given)} pictures none with the label {label} can be sent under profile "
                    f"'{profile.name}'; validators ask for both labels equally often."
                )
        return cls(
            profile=profile,
            pictures=usable,
            cells=MappingProxyType(cells),
            missing=tuple(kind for kind in kinds if not cells[kind]),
            against_label_rule=len(known) - len(usable),
            of_other_sources=len(given) - len(known),
        )

    def shares(self, label: int) -> Mapping[Source, float]:
        """Return how often each source is drawn for a label, among the sources that have pictures of it."""
        present = {s: share for s, share in self.profile.sources.items() if self.cells[label, s]}
        total = math.fsum(present.values())
        return MappingProxyType({source: share / total for source, share in present.items()})


@dataclass(frozen=True, slots=True)
class Sent:
    """One challenge as it arrives: the JPEG's bytes after the way through the wire's text."""

    label: int
    source: Source
    level: int
    group: str
    picture: str
    jpeg: bytes


def replay(deck: Deck, rng: np.random.Generator, n: int) -> Iterator[Sent]:
    """Yield `n` challenges of a deck, made one at a time.

    Args:
        deck: What can be sent.
        rng: Draws everything.
        n: How many, at least 1.

    Raises:
        ConfigError: `n` is below 1.
        DataError: A picture cannot be decoded; the message names it.
    """
    if n < 1:
        raise ConfigError(f"{n} challenges are none; expected at least 1.")
    return _challenges(deck, rng, n)


def _challenges(deck: Deck, rng: np.random.Generator, n: int) -> Iterator[Sent]:
    shuffled = {kind: _endless(cell, rng) for kind, cell in deck.cells.items() if cell}
    for start in range(0, n, 2):
        for label in rng.permutation(LABELS)[: n - start].tolist():
            shares = deck.shares(label)
            source = list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]
            picture = deck.pictures[next(shuffled[label, source])]
            made = make_challenge(_decoded(picture), deck.profile, rng)
            travelled = from_wire(to_wire(made.jpeg), MAX_CHALLENGE_BYTES)
            yield Sent(label, source, made.level, picture.group, picture.name, travelled)


def _decoded(picture: LabelledPicture) -> U8:
    try:
        return decode_image(picture.load())
    except DataError as error:
        raise DataError(f"Picture '{picture.name}' makes no challenge: {error}") from error


def _endless(cell: Sequence[int], rng: np.random.Generator) -> Iterator[int]:
    """All of a cell in a drawn order, then all in another."""
    while True:
        yield from rng.permutation(cell).tolist()
