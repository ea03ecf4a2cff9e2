"""A static table of neurons from a file, for rehearsals without a chain.

Knows the file: {"block": 1, "neurons": [{"uid": 0, "hotkey": "5F…", "stake": 10.0, "permit": true}, …]}. It is read
again at each look and so may be edited while the miner runs. What it names is let in, like what the chain names.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workzone.core.errors import ArtifactError, DataError
from workzone.serving.axon.address import Address
from workzone.serving.axon.chain.chain import ChainState
from workzone.serving.axon.chain.neurons import LONGEST_HOTKEY, MOST_NEURONS, Neuron, Neurons
from workzone.serving.keys import utc_now
from workzone.storage.jsonfile import read_json

MAX_FILE_BYTES = 16 << 20
"""Room for the most neurons a subnet can have."""
_EXAMPLE = '{"block": 1, "neurons": [{"uid": 0, "hotkey": "5F...", "stake": 1.0, "permit": true}]}'


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    uid: Annotated[int, Field(ge=0, lt=MOST_NEURONS)]
    hotkey: Annotated[str, Field(pattern=rf"^[0-9A-Za-z]{{1,{LONGEST_HOTKEY}}}$")]
    stake: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    permit: bool = False


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    block: Annotated[int, Field(ge=0)]
    neurons: Annotated[list[_Entry], Field(min_length=1, max_length=MOST_NEURONS)]


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
            parsed = _File.model_validate(read_json(self._path, MAX_FILE_BYTES))
        except ArtifactError as error:
            raise DataError(f"The table of neurons can't be used: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            raise DataError(
                f"'{self._path}' is no table of neurons: {place}: {first['msg']}. Expected: {_EXAMPLE}"
            ) from None
        entries = (Neuron(n.uid, n.hotkey, n.stake, n.permit) for n in parsed.neurons)
        return Neurons.of(parsed.block, self._clock(), entries)
