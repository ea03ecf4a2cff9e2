"""Validators in a process of their own, with whatever version of the SDK its Python has; needs nothing else.

`python client.py PLAN`: reads the plan (JSON), imports the SDK, says READY, and for every line on its input sends one
volley: every caller one challenge, all at once. Prints one line of JSON for each.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
os.environ["BT_NO_PARSE_CLI_ARGS"] = "1"


def never_seen(jpeg: bytes) -> bytes:
    """Return the same picture with a comment of its own, so that no cache has it."""
    return jpeg[:2] + b"\xff\xfe\x00\x12" + os.urandom(16) + jpeg[2:]


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text())
    sys.argv[1:] = []
    out, sys.stdout = sys.stdout, sys.stderr  # the SDK prints
    import bittensor as bt
    from bittensor.utils import networking
    from bittensor_wallet import Keypair

    networking.get_external_ip = lambda: "127.0.0.1"  # it would be looked up on the Internet

    class ImageSynapse(bt.Synapse):
        image: str = ""
        prediction: float = -1.0
        testnet_label: int = -1

        def deserialize(self) -> float:
            return self.prediction

    target = bt.AxonInfo(
        version=1, ip="127.0.0.1", port=plan["port"], ip_type=4, hotkey=plan["miner"], coldkey=""
    )
    pictures = [Path(path).read_bytes() for path in plan["pictures"]]

    async def volleys() -> None:
        create: Any = Keypair.create_from_seed  # of a text, though its stub says bytes
        callers = [bt.Dendrite(wallet=create(seed)) for seed in plan["seeds"]]

        async def one(caller: Any, image: str) -> dict[str, Any]:
            begun = time.time()
            reply = await caller.forward(
                target, ImageSynapse(image=image), timeout=plan["timeout_s"], deserialize=False
            )
            return {
                "hotkey": caller.keypair.ss58_address,
                "prediction": reply.prediction,
                "status": reply.dendrite.status_code,
                "server_s": reply.axon.process_time,
                "client_s": time.time() - begun,
            }

        print("READY", bt.__version__, file=out, flush=True)
        while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            fresh = [base64.b64encode(never_seen(picture)).decode() for picture in pictures]
            sent = [one(caller, image) for caller, image in zip(callers, fresh, strict=False)]
            print(json.dumps(await asyncio.gather(*sent)), file=out, flush=True)
            for caller in callers:  # a connection that is kept may be closed just when it is used again
                await caller.aclose_session()

    asyncio.run(volleys())


if __name__ == "__main__":
    main()
