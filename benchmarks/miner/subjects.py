"""What a rehearsal needs: throwaway keys, a table of neurons, a bundle with an operating point, and pictures.

The operating point's threshold is 0: times are measured, not answers. All seeds are hashes of names, so that both
kinds of clients and the miner come to the same keys without exchanging them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.miner.settings import MANY, PICTURE_PX, PROFILE
from benchmarks.serving.processes import free_port

STAKES = (1000.0, 100.0, 10.0)
"""Given to the callers in turn."""
_SEED = 40_000_001


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Files of one rehearsal.

    Attributes:
        folder: Holds all of them.
        miner: SS58 address of the miner's hotkey.
        stakes: Address → stake of each caller, in order.
    """

    folder: Path
    miner: str
    stakes: dict[str, float]

    @property
    def bundle(self) -> Path:
        """With an operating point."""
        return self.folder / "bundle"

    @property
    def keys(self) -> Path:
        """The miner's."""
        return self.folder / "keys.json"

    @property
    def neurons(self) -> Path:
        """Who is registered."""
        return self.folder / "neurons.json"

    @property
    def pictures(self) -> Path:
        """JPEG files."""
        return self.folder / "pictures"


def seed_of(name: str) -> str:
    """Return the seed of a throwaway key, 64 hexadecimal digits."""
    return hashlib.sha256(f"workzone benchmark, {name}".encode()).hexdigest()


def caller_seeds() -> list[str]:
    """Return the seeds of all callers."""
    return [seed_of(f"validator {number}") for number in range(MANY)]


def prepare(folder: Path, bundle: Path) -> Rehearsal:
    """Write everything that is not there yet."""
    miner, coldkey = _address(seed_of("miner")), _address(seed_of("coldkey"))
    addresses = [_address(seed) for seed in caller_seeds()]
    stakes = {address: STAKES[at % len(STAKES)] for at, address in enumerate(addresses)}
    found = Rehearsal(folder, miner, stakes)
    fields = {"secretSeed": "0x" + seed_of("miner"), "ss58Address": found.miner}
    found.keys.touch(mode=0o600)
    found.keys.write_text(json.dumps({"hotkey": fields, "coldkeypub": coldkey}))
    neurons = [{"uid": 0, "hotkey": found.miner, "stake": 0.0, "permit": False}]
    neurons += [
        {"uid": uid, "hotkey": address, "stake": stake, "permit": True}
        for uid, (address, stake) in enumerate(stakes.items(), start=1)
    ]
    found.neurons.write_text(json.dumps({"block": 1, "neurons": neurons}))
    _write_pictures(found.pictures)
    _write_bundle(bundle, found.bundle)
    return found


def free_axon_port() -> int:
    """Return a free port from the range that an axon may have."""
    while not 1025 <= (port := free_port()) <= 65534:
        pass
    return port


def _address(seed: str) -> str:
    from bittensor_wallet import Keypair

    create: Any = Keypair.create_from_seed  # of a text, though its stub says bytes
    return str(create(seed).ss58_address)


def _write_pictures(folder: Path) -> None:
    from workzone.core.types import Label
    from workzone.data.render import encode_jpeg
    from workzone.data.scenes.compose import render_sequence
    from workzone.data.scenes.world import WorldSpec

    folder.mkdir(exist_ok=True)
    spec = WorldSpec(width_px=PICTURE_PX[0], height_px=PICTURE_PX[1])
    for index in range(MANY):
        path = folder / f"{index:03d}.jpg"
        if not path.exists():
            frame = render_sequence(_SEED, index, Label(index % 2), 1, spec)[0]
            path.write_bytes(encode_jpeg(frame.image_rgb_u8))


def _write_bundle(source: Path, out: Path) -> None:
    from workzone.bundle.manifest import OperatingPoint
    from workzone.bundle.operating_point import write_with_operating_point
    from workzone.bundle.reader import open_bundle

    if not out.exists():
        point = OperatingPoint(profile=PROFILE, threshold=0.0)
        write_with_operating_point(open_bundle(source), out, point, card_note="set for a benchmark of times")
