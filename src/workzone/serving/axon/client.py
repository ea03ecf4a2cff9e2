"""A caller of axons: one signed challenge to one miner, as the SDK's client sends it, to see whether it answers.

Knows the wire; does not know validators' schedules. Not the SDK's own client, which asks the Internet for this
machine's address before it asks anybody.
"""

from __future__ import annotations

import http.client
import json
import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from workzone.core.errors import InferenceError
from workzone.serving.axon.address import Address
from workzone.serving.axon.keys.keys import MinerKeys
from workzone.serving.axon.sdk import BODY_HASH, MIN_VERSION
from workzone.subnet.protocol import CHALLENGE_TIMEOUT_S, NO_ANSWER, SYNAPSE
from workzone.subnet.wire import to_wire

_MAX_REPLY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Told:
    """What a miner told.

    Attributes:
        status: Of HTTP.
        prediction: In [0, 1]; None: it has no answer.
        message: Why, where it said so.
        seconds: From sending to having the reply.
    """

    status: int
    prediction: float | None
    message: str
    seconds: float


def ask_axon(
    address: Address,
    receiver: str,
    keys: MinerKeys,
    picture: bytes,
    *,
    timeout_s: float = CHALLENGE_TIMEOUT_S,
    clock_ns: Callable[[], int] = time.time_ns,
) -> Told:
    """Ask a miner about a picture.

    Args:
        address: Where it listens; axons speak plain HTTP.
        receiver: Its hotkey's SS58 address.
        keys: Who asks; the hotkey signs.
        picture: Encoded.
        timeout_s: How long to wait, and what is said of it.
        clock_ns: ns since 1970, for the signature.

    Raises:
        InferenceError: Nobody answered there, or not with a reply of an axon.
    """
    head = _signed_head(receiver, keys, timeout_s, clock_ns())
    body = json.dumps(
        {"name": SYNAPSE, "image": to_wire(picture), "prediction": NO_ANSWER, "testnet_label": -1}
    )
    begun = time.monotonic()
    connection = http.client.HTTPConnection(address.ip, address.port, timeout=timeout_s)
    try:
        connection.request("POST", f"/{SYNAPSE}", body=body.encode("ascii"), headers=head)
        with connection.getresponse() as reply:
            status, data = reply.status, reply.read(_MAX_REPLY_BYTES)
    except (OSError, http.client.HTTPException) as error:
        why = "no reply in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
        raise InferenceError(f"The miner at {address} did not answer: {why:.200}.") from error
    finally:
        connection.close()
    return _told(status, data, time.monotonic() - begun)


def _signed_head(receiver: str, keys: MinerKeys, timeout_s: float, nonce: int) -> dict[str, str]:
    caller, session = keys.hotkey_address, str(uuid.uuid4())
    signature = keys.hotkey.sign(f"{nonce}.{caller}.{receiver}.{session}.{BODY_HASH}")
    return {
        "name": SYNAPSE,
        "timeout": str(timeout_s),
        "content-type": "application/json",
        "computed_body_hash": BODY_HASH,
        "bt_header_axon_hotkey": receiver,
        "bt_header_dendrite_version": str(MIN_VERSION),
        "bt_header_dendrite_nonce": str(nonce),
        "bt_header_dendrite_uuid": session,
        "bt_header_dendrite_hotkey": caller,
        "bt_header_dendrite_signature": f"0x{signature.hex()}",
    }


def _told(status: int, data: bytes, seconds: float) -> Told:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise InferenceError(f"What answered with status {status} is no axon: its reply is no JSON object.")
    value, message = said.get("prediction"), said.get("message")
    prediction = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    return Told(
        status,
        prediction if status == 200 and 0.0 <= prediction <= 1.0 else None,
        message[:200] if isinstance(message, str) else "",
        seconds,
    )
