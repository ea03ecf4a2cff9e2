"""An axon with real keys and the SDK's own application, and callers who sign as its client does."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

NO_FIELDS = hashlib.sha3_256(b"").hexdigest()
PICTURE = b"\xff\xd8\xffa picture"
START_NS = 1_790_000_000_000_000_000
"""When the axon of a test starts, by the clock it is given."""


@dataclass
class Counts:
    """An observer that keeps what it was told."""

    refusals: list[str] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    blanks: list[float] = field(default_factory=list)
    unread: list[float] = field(default_factory=list)
    offsets: list[tuple[str, float]] = field(default_factory=list)
    failures: int = 0
    leavers: int = 0

    def refused(self, why: Any) -> None:
        self.refusals.append(str(why))

    def verified(self, hotkey: str, clock_offset_s: float) -> None:
        self.offsets.append((hotkey, clock_offset_s))

    def answered(self, seconds: float) -> None:
        self.answers.append(seconds)

    def unanswered(self, seconds: float) -> None:
        self.blanks.append(seconds)

    def unreadable(self, seconds: float) -> None:
        self.unread.append(seconds)

    def failed(self) -> None:
        self.failures += 1

    def left(self, seconds: float) -> None:
        assert seconds >= 0
        self.leavers += 1


class Replier:
    """Answers 0.75, or does what it was told."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.act: Callable[[Any], Awaitable[float]] | None = None

    async def __call__(self, challenge: Any) -> float:
        self.asked.append(challenge)
        return 0.75 if self.act is None else await self.act(challenge)


@dataclass
class AxonBench:
    """An axon, those who call it, and everything a test looks at."""

    app: Any
    keys: Any
    caller: Any
    permitless: Any
    stranger: Any
    replier: Replier
    counts: Counts
    fakes: Any
    table: Any
    now_ns: int = START_NS + 10**9
    nonces_made: int = 0

    def head(self, signer: Any = None, **changed: str | None) -> list[tuple[str, str]]:
        """Return the head of a good request, signed as the SDK's client signs; None takes a header out.

        Names are those of the headers without `bt_header_`; `receiver` is whom the signature names.
        """
        signer = signer or self.caller
        self.nonces_made += 1
        hotkey, receiver = signer.ss58_address, changed.pop("receiver", None) or self.keys.hotkey.ss58_address
        uuid = changed.get("dendrite_uuid") or "5ecbd69c-1cec-11ee-b0dc-e29ce36fec1a"
        nonce = changed.get("dendrite_nonce") or str(self.now_ns + self.nonces_made)
        body_hash = changed.get("computed_body_hash") or NO_FIELDS
        signed = f"{nonce}.{hotkey}.{receiver}.{uuid}.{body_hash}"
        signature = signer.sign(
            signed.encode()
        ).hex()  # text that begins with 0x would be read as hexadecimal
        values: dict[str, str | None] = {
            "name": "ImageSynapse", "timeout": "9.0", "axon_ip": "127.0.0.1", "axon_port": "8091",
            "axon_hotkey": receiver, "dendrite_ip": "127.0.0.1", "dendrite_version": "10005000",
            "dendrite_nonce": nonce, "dendrite_uuid": uuid, "dendrite_hotkey": hotkey,
            "dendrite_signature": f"0x{signature}", "header_size": "640", "total_size": "5000",
            "computed_body_hash": body_hash, **changed,
        }  # fmt: skip
        named = {
            k if not k.startswith(("axon_", "dendrite_")) else f"bt_header_{k}": v for k, v in values.items()
        }
        return [(k, v) for k, v in named.items() if v is not None] + [("content-type", "application/json")]

    def ask(self, body: Any = None, *, head: list[tuple[str, str]] | None = None, **rest: Any) -> Any:
        """Send one challenge in a loop of its own."""
        return self.fakes.run(self.asking(body, head=head, **rest))

    def asking(self, body: Any = None, *, head: list[tuple[str, str]] | None = None, **rest: Any) -> Any:
        """Send one challenge."""
        body = body_of() if body is None else body
        rest.setdefault("path", "/ImageSynapse")
        return self.fakes.call(self.app, body=body, headers=self.head() if head is None else head, **rest)

    def idle(self) -> bool:
        """Return whether nothing is held."""
        return (self.app.places.everyone.requests, self.app.places.everyone.bytes) == (0, 0)


def body_of(picture: bytes = PICTURE, **changed: Any) -> bytes:
    """Return a body as the SDK's client sends it."""
    value = {
        "name": "ImageSynapse", "timeout": 9.0, "dendrite": {"ip": None}, "computed_body_hash": "",
        "image": base64.b64encode(picture).decode(), "prediction": -1.0, "testnet_label": -1, **changed,
    }  # fmt: skip
    return json.dumps(value).encode()


AxonBench.body_of = staticmethod(body_of)  # type: ignore[attr-defined]
AxonBench.PICTURE = PICTURE  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def sdk() -> Any:
    """The SDK, imported once for all tests."""
    from workzone.serving.axon.sdk import bittensor

    pytest.importorskip("bittensor_wallet")
    return bittensor()


@pytest.fixture(scope="session")
def people(sdk: Any) -> SimpleNamespace:
    """Key pairs made from fixed seeds."""
    from bittensor_wallet import Keypair

    names = ("miner", "owner", "validator", "permitless", "stranger")
    pairs = {name: Keypair.create_from_seed("0x" + f"{at:02x}" * 32) for at, name in enumerate(names, 1)}
    return SimpleNamespace(**pairs)


@pytest.fixture
def make_axon(people: SimpleNamespace, fakes: Any) -> Callable[..., AxonBench]:
    """Make an axon; settings by name. Its wall clock stands still until a test moves `now_ns`."""
    from bittensor_wallet import Keypair

    from workzone.serving.axon.address import Address
    from workzone.serving.axon.chain.neurons import Neuron, Neurons
    from workzone.serving.axon.guard.application import GuardSettings, axon_application
    from workzone.serving.axon.keys.keys import MinerKeys

    def make(*, live: bool = False, keys: Any = None, **settings: Any) -> AxonBench:
        keys = keys or MinerKeys(people.miner, Keypair(ss58_address=people.owner.ss58_address))
        neurons = [
            Neuron(7, people.validator.ss58_address, 1000.0, True),
            Neuron(8, people.permitless.ss58_address, 5.0, False),
        ]
        table = Neurons.of(1, datetime(2026, 5, 4, tzinfo=UTC), neurons)
        replier, counts, holder = Replier(), Counts(), SimpleNamespace(bench=None)

        def clock_ns() -> int:
            if live:
                return time.time_ns()
            return START_NS if holder.bench is None else holder.bench.now_ns

        app = axon_application(
            keys,
            lambda: holder.bench.table,
            replier,
            GuardSettings(**settings),
            counts,
            external=Address("127.0.0.1", 8091),
            clock_ns=clock_ns,
        )
        holder.bench = AxonBench(
            app, keys, people.validator, people.permitless, people.stranger, replier, counts, fakes, table
        )
        return holder.bench

    return make


@pytest.fixture
def axon(make_axon: Callable[..., AxonBench]) -> AxonBench:
    """An axon of the default settings."""
    return make_axon()


@pytest.fixture
def clean_log(caplog: pytest.LogCaptureFixture) -> Any:
    """After the test there must be no exception and no error in any log."""
    caplog.set_level("DEBUG")
    yield caplog
    bad = [r for r in caplog.records if r.exc_info or r.levelname in ("ERROR", "CRITICAL")]
    assert not bad, [r.getMessage() for r in bad]
