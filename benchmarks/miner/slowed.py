"""The miner with networks that are slowed down, put together from the library as `workzone mine` does it.

Two ways to run it as a program: `serve` answers validators; `capacity` asks both models at once in a closed loop, to
see what they can do together. Whatever answers is real (decoding, batches, lanes, cache, journal): only a run of a
network is made to last so long by picture, by sleeping in the thread that runs it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from workzone.engine.backend import Backend, BackendOutput
    from workzone.engine.live import LiveBundle
    from workzone.serving.served import Served

CAPACITY_S = 8.0


class Slowed:
    """A backend whose runs last at least so many seconds by picture."""

    def __init__(self, backend: Backend, each_s: float) -> None:
        self._backend = backend
        self._each_s = each_s

    def run(self, images: NDArray[np.float32]) -> BackendOutput:
        """Run, and wait for the rest of the time."""
        begun = time.monotonic()
        output = self._backend.run(images)
        time.sleep(max(0.0, begun + self._each_s * len(images) - time.monotonic()))
        return output


class Tap:
    """Writes down for each request how long it was inside: from its head's arrival to the last byte of the reply."""

    def __init__(self, app: Any, path: Path) -> None:
        self._app = app
        self._file = path.open("a", buffering=1)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()
        headers = dict(scope["headers"])
        hotkey = headers.get(b"bt_header_dendrite_hotkey", b"").decode("latin-1")
        await self._app(scope, receive, send)
        ended = time.monotonic()
        self._file.write(json.dumps({"hotkey": hotkey, "begun": begun, "seconds": ended - begun}) + "\n")


def open_slowed(path: Path, each_s: float) -> LiveBundle:
    """Open a bundle whose network is slowed down; 0: as it is."""
    from workzone.engine.live import LiveBundle, LiveSettings
    from workzone.engine.predictor import open_verified
    from workzone.engine.warm_up import warm_up

    settings = LiveSettings(threads=1, decode_threads=1)
    bundle, backend = open_verified(path, threads=1)
    slowed = Slowed(backend, each_s)
    return LiveBundle(bundle, slowed, settings, warm_up(slowed, bundle.preprocessing))


def open_served(path: Path, each_s: Sequence[float]) -> Served:
    """Open the models and put them in lanes."""
    from workzone.serving.axon.lanes.lanes import Lanes
    from workzone.serving.axon.lanes.operating import LARGE, SMALL, live_model
    from workzone.serving.served import Description, Served

    models = [
        live_model(open_slowed(path, seconds), 0.0, name)
        for seconds, name in zip(each_s, (LARGE, SMALL), strict=False)
    ]
    lanes = Lanes(models[0], models[1] if len(models) > 1 else None)
    return Served(lanes, Description("slowed", lanes.identity, "", "operating_point", "", (), None, None))


async def serve_slowed(arguments: argparse.Namespace) -> None:
    """Serve until told to stop."""
    from workzone.engine.cache import AnswerCache
    from workzone.serving.axon.address import Address
    from workzone.serving.axon.chain.neuron_file import NeuronFile
    from workzone.serving.axon.chain.watch import WatchSettings
    from workzone.serving.axon.guard.challenge import GuardSettings
    from workzone.serving.axon.health.health import HealthSettings
    from workzone.serving.axon.keys.keys import keys_from_file
    from workzone.serving.axon.miner import Location, Miner, Records
    from workzone.serving.http.server import ServerSettings
    from workzone.storage.journal import Journal

    keys = keys_from_file(arguments.keys)
    chain = NeuronFile(arguments.neurons, keys.hotkey_address)
    location = Location(Address("127.0.0.1", arguments.port), announce=False, submitted=None)
    with Journal(arguments.folder / "journal", retain_days=1) as journal:
        miner = Miner(
            keys, chain, location, Records(AnswerCache(1 << 20), journal, None),
            guard=GuardSettings(), watch=WatchSettings(), health=HealthSettings(),
        )  # fmt: skip
        tapped: Any = miner  # its application is a Guard, and behaves as one still
        tapped.application = Tap(miner.application, arguments.folder / "tap.jsonl")
        settings = ServerSettings(
            "127.0.0.1", arguments.port, "127.0.0.1", arguments.private_port, drain_s=10.0
        )
        await miner.run(lambda: asyncio.to_thread(open_served, arguments.bundle, arguments.slowed), settings)


async def capacity(arguments: argparse.Namespace) -> dict[str, float]:
    """Ask every model at the same time, each by as many callers as keep it busy; return answers a second of each."""
    from workzone.engine.load import ask

    pictures = [path.read_bytes() for path in sorted(arguments.pictures.glob("*.jpg"))]
    live = [open_slowed(arguments.bundle, seconds) for seconds in arguments.slowed]
    callers = [2 * one.warm_up.best_batch for one in live]
    for one in live:
        await ask(one, pictures, callers=1, seconds=0.5)
    loads = await asyncio.gather(
        *(ask(one, pictures, callers=n, seconds=CAPACITY_S) for one, n in zip(live, callers, strict=True))
    )
    for one in live:
        await one.aclose()
    return dict(zip(("large", "small"), (load.per_second for load in loads), strict=False))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["serve", "capacity"])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--slowed", type=float, action="append", required=True, help="large, then small")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--neurons", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--private-port", type=int)
    arguments = parser.parse_args()
    if arguments.what == "capacity":
        print(json.dumps(asyncio.run(capacity(arguments))))
    else:
        asyncio.run(serve_slowed(arguments))


if __name__ == "__main__":
    main()
