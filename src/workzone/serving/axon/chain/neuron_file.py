"""A static table of neurons from a file, for rehearsals without a chain.

Knows the file: {"block": 1, "neurons": [{"uid": 0, "hotkey": "5F…", "stake": 10.0, "permit": true}, …]}. It is read
again at each look and so may be edited while the miner runs. What it names is let in, like what the chain names. Each
hotkey's checksum is checked: one that was cut short would be a validator that is silently refused. No complaint quotes
what stands in place of a hotkey, since a key may have been pasted there.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from workzone.core.errors import ArtifactError, DataError, nearest
from workzone.serving.axon.address import Address
from workzone.serving.axon.chain.chain import ChainState, Source
from workzone.serving.axon.chain.neurons import MOST_NEURONS, Neuron, Neurons
from workzone.serving.axon.keys.keyfile import is_address
from workzone.serving.keys import utc_now
from workzone.storage.jsonfile import read_json

MAX_FILE_BYTES = 16 << 20
"""Room for the most neurons a subnet can have."""
_EXAMPLE = '{"block": 1, "neurons": [{"uid": 0, "hotkey": "5F...", "stake": 1.0, "permit": true}]}'


class NeuronFile:
    """A `Chain` that is a file; what is announced to it is only remembered."""

    def __init__(self, path: Path, own_hotkey: str, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Read nothing yet.

        Args:
            path: The file.
            own_hotkey: Our SS58 address, looked up in the table.
            clock: Tells the time, with its zone.
        """
        self._path, self._own_hotkey, self._clock = path, own_hotkey, clock
        self.source = Source(
            f"the file '{path}'",
            f"Our hotkey {own_hotkey} is not in the file '{path}'",
            "add it there, or check which hotkey is used",
        )
        self._announced: Address | None = None
        self._read: tuple[tuple[int, ...], Neurons] | None = None

    def fetch(self) -> ChainState:
        """Read the file, where it changed since the last look.

        Raises:
            DataError: It is missing, too large, or no such table; says where.
        """
        stamp = self._stamp()
        if self._read is not None and self._read[0] == stamp:
            neurons = replace(self._read[1], synced_at=self._clock())
        else:
            neurons = self._parse()
            self._read = (stamp, neurons)
        own = neurons.find(self._own_hotkey)
        return ChainState(neurons, own_uid=None if own is None else own.uid, announced=self._announced)

    def announce(self, address: Address) -> None:
        """Remember `address` as announced: there is nobody to tell."""
        self._announced = address

    def _stamp(self) -> tuple[int, ...]:
        try:
            status = self._path.stat()
        except OSError as error:
            raise DataError(
                f"The table of neurons '{self._path}' can't be read: {error.strerror}."
            ) from error
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"'{self._path}' is no file; expected a table of neurons as JSON: {_EXAMPLE}")
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _parse(self) -> Neurons:
        try:
            block, neurons = _table(read_json(self._path, MAX_FILE_BYTES))
            return Neurons.of(block, self._clock(), neurons)
        except ArtifactError as error:
            raise DataError(f"The table of neurons can't be used: {error}") from error
        except DataError as error:
            raise DataError(f"'{self._path}' is no table of neurons: {error} Expected: {_EXAMPLE}") from None


def _table(value: Any) -> tuple[int, list[Neuron]]:
    """Return the block's number and the neurons of a file's content.

    Raises:
        DataError: It is something else; says what, and of which neuron.
    """
    _check_keys(value, "it", needed=("block", "neurons"))
    block, entries = value["block"], value["neurons"]
    if not _is_number(block, int) or not 0 <= block <= sys.maxsize:
        raise DataError("'block' is no whole number from 0 on.")
    if not isinstance(entries, list) or not 0 < len(entries) <= MOST_NEURONS:
        raise DataError(f"'neurons' is no list of 1 to {MOST_NEURONS} neurons.")
    return block, [_neuron(entry, f"neuron {number} in the list") for number, entry in enumerate(entries, 1)]


def _neuron(entry: Any, which: str) -> Neuron:
    _check_keys(entry, which, needed=("uid", "hotkey"), others=("stake", "permit"))
    uid, hotkey, stake, permit = (
        entry["uid"],
        entry["hotkey"],
        entry.get("stake", 0.0),
        entry.get("permit", False),
    )
    if not _is_number(uid, int) or not 0 <= uid < MOST_NEURONS:
        raise DataError(f"{which}: its 'uid' is no whole number from 0 to {MOST_NEURONS - 1}.")
    if not isinstance(hotkey, str) or not is_address(hotkey):
        found = f"{len(hotkey)} characters" if isinstance(hotkey, str) else "no text"
        raise DataError(
            f"the 'hotkey' of uid {uid} is no valid SS58 address (found {found}; an address has 48, the first a "
            "5, and a checksum). Is it cut short or mistyped?"
        )
    if not _is_number(stake, (int, float)) or not 0 <= stake <= sys.float_info.max:
        raise DataError(f"the 'stake' of uid {uid} is no number from 0 on.")
    if not isinstance(permit, bool):
        raise DataError(f"the 'permit' of uid {uid} is neither true nor false.")
    return Neuron(uid, hotkey, float(stake), permit)


def _check_keys(value: Any, which: str, needed: Iterable[str], others: Iterable[str] = ()) -> None:
    if not isinstance(value, Mapping):
        raise DataError(f"{which} is no object.")
    known = (*needed, *others)
    for key in value:
        if key not in known:
            raise DataError(f"{which} has the unknown key {key[:60]!r}.{nearest(key[:60], known)}")
    for key in needed:
        if key not in value:
            raise DataError(f"{which} lacks '{key}'.")


def _is_number(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
