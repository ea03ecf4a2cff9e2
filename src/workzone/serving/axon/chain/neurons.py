"""Who is registered on the subnet: the table by which a caller is let in and ranked.

Knows records only; does not know where they come from (`chain`, `neuron_file`). A table is never changed: a new one
takes its place, so whoever holds one sees a single block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from workzone.core.errors import DataError

MOST_NEURONS = 1 << 16
"""The chain numbers neurons with 16 bits."""
LONGEST_HOTKEY = 64
"""Characters; an SS58 address of 32 bytes has 47 or 48."""


@dataclass(frozen=True, slots=True)
class Neuron:
    """A registered hotkey.

    Attributes:
        uid: Its number on the subnet, 0 to 65,535.
        hotkey: Its SS58 address.
        stake: What ranks it among callers, at least 0; the subnet's unit, which nothing here depends on.
        permit: Whether it may validate.
    """

    uid: int
    hotkey: str
    stake: float
    permit: bool

    def __post_init__(self) -> None:
        if not 0 <= self.uid < MOST_NEURONS:
            raise DataError(f"A neuron has the number {self.uid}; expected 0 to {MOST_NEURONS - 1}.")
        if not (0 < len(self.hotkey) <= LONGEST_HOTKEY and self.hotkey.isascii() and self.hotkey.isalnum()):
            raise DataError(
                f"Neuron {self.uid} has the hotkey {self.hotkey[:80]!r}; expected an SS58 address: up to "
                f"{LONGEST_HOTKEY} letters and digits."
            )
        if not (math.isfinite(self.stake) and self.stake >= 0):
            raise DataError(
                f"Neuron {self.uid} has the stake {self.stake}; expected a finite number, at least 0."
            )


@dataclass(frozen=True, slots=True)
class Neurons:
    """The table of one block.

    Attributes:
        block: Its number.
        synced_at: When it was read, by our clock, with its zone.
        by_hotkey: SS58 address → neuron; read only.
    """

    block: int
    synced_at: datetime
    by_hotkey: Mapping[str, Neuron]

    @classmethod
    def of(cls, block: int, synced_at: datetime, neurons: Iterable[Neuron]) -> Neurons:
        """Make the table of `neurons`.

        Raises:
            DataError: Two neurons share a number or a hotkey, or there are more than the chain can number.
        """
        by_hotkey: dict[str, Neuron] = {}
        uids: set[int] = set()
        for neuron in neurons:
            if neuron.hotkey in by_hotkey or neuron.uid in uids:
                raise DataError(
                    f"The neurons of block {block} name {neuron.hotkey} (number {neuron.uid}) twice, by its hotkey or "
                    "its number; expected each once."
                )
            by_hotkey[neuron.hotkey] = neuron
            uids.add(neuron.uid)
        return cls(block, synced_at, MappingProxyType(by_hotkey))

    def find(self, hotkey: str) -> Neuron | None:
        """Return the neuron with this hotkey, None where it isn't registered."""
        return self.by_hotkey.get(hotkey)

    def age(self, now: datetime) -> timedelta:
        """Return how long ago the table was read; never negative, though a clock may be set back."""
        return max(timedelta(0), now - self.synced_at)
