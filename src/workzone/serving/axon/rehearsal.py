"""Throwaway keys and a table of neurons, so that a miner can be tried without a chain, a registration or coins.

Knows the files that `keys` and `neuron_file` read. The keys are as good as real ones and belong to nobody: never send
anything to their addresses.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workzone.core.errors import ConfigError
from workzone.core.lazy import require
from workzone.storage.atomic import atomic_directory

MINER_FILE, VALIDATOR_FILE, NEURONS_FILE = "miner.json", "validator.json", "neurons.json"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was written.

    Attributes:
        folder: Where.
        miner: SS58 address of the miner's hotkey.
        validator: Of the hotkey that may ask it.
    """

    folder: Path
    miner: str
    validator: str


def write_rehearsal(folder: Path) -> Rehearsal:
    """Write `miner.json`, `validator.json` (keys, mode 0600) and `neurons.json` to a new directory.

    Raises:
        ConfigError: The directory holds files already.
        MissingExtraError: The extra `axon` is not installed.
    """
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"'{folder}' exists and is not empty; a rehearsal is written to a new directory.")
    pairs = require("bittensor_wallet", "axon").Keypair
    seeds = ["0x" + os.urandom(32).hex() for _ in range(3)]
    miner, validator, owner = (pairs.create_from_seed(seed) for seed in seeds)
    neurons = [
        {"uid": 0, "hotkey": miner.ss58_address, "stake": 0.0, "permit": False},
        {"uid": 1, "hotkey": validator.ss58_address, "stake": 1000.0, "permit": True},
    ]
    with atomic_directory(folder) as temporary:
        for name, pair, seed in ((MINER_FILE, miner, seeds[0]), (VALIDATOR_FILE, validator, seeds[1])):
            path = temporary / name
            path.touch(0o600)
            path.write_text(_text({"hotkey": _keyfile(pair, seed), "coldkeypub": owner.ss58_address}))
        (temporary / NEURONS_FILE).write_text(_text({"block": 1, "neurons": neurons}))
    return Rehearsal(folder, str(miner.ss58_address), str(validator.ss58_address))


def _keyfile(pair: Any, seed: str) -> dict[str, str]:
    """Return a keyfile's content, as the SDK writes it."""
    public = "0x" + pair.public_key.hex()
    return {
        "accountId": public,
        "publicKey": public,
        "secretSeed": seed,
        "ss58Address": str(pair.ss58_address),
    }


def _text(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
