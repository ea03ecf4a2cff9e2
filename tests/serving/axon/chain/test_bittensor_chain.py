"""The SDK's own Subtensor and Metagraph, on a node that this file plays; and on nodes that fail."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from workzone.core.errors import ConfigError
from workzone.serving.axon.address import Address
from workzone.serving.axon.chain.bittensor_chain import BittensorChain
from workzone.serving.axon.chain.chain import ChainState, ChainUnavailable
from workzone.serving.axon.chain.chain_threads import LimitedThreads
from workzone.serving.axon.chain.neurons import Neuron
from workzone.serving.axon.chain.survey import survey
from workzone.serving.axon.keys.keys import MinerKeys
from workzone.serving.axon.sdk import bittensor

pytestmark = pytest.mark.skipif(importlib.util.find_spec("bittensor") is None, reason="needs workzone[axon]")

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NAMES = ("Owner", "Miner", "Validator", "OwnersSecond")
U16 = 65535


def address_of(name: str) -> str:
    return str(bittensor().Keypair.create_from_uri(f"//{name}").ss58_address)


@pytest.fixture(scope="module")
def keys() -> MinerKeys:
    sdk = bittensor()
    return MinerKeys(
        sdk.Keypair.create_from_uri("//Miner"), sdk.Keypair(ss58_address=address_of("MinerCold"))
    )


@dataclass
class Node:
    """What `async_substrate_interface.SubstrateInterface` would answer, decoded, as the SDK asks it."""

    names: tuple[str, ...] = NAMES
    incentive: tuple[int, ...] = (U16 // 5, U16 * 2 // 5, 0, U16 // 5)
    ip: str = "198.51.100.7"
    port: int = 8091
    block: int = 1234
    block_time: datetime = NOW - timedelta(seconds=7)
    stake_fails: bool = False
    owner_known: bool = True
    price_rao: int = 250_000_000
    success: bool = True
    closed: int = 0
    calls: list[dict[str, Any]] = field(default_factory=list)
    signed_by: list[str] = field(default_factory=list)

    def __call__(self, *, url: str, **_: Any) -> Node:  # the constructor, as the SDK calls it
        self.url = url
        return self

    def close(self) -> None:
        self.closed += 1

    def get_block_number(self, _: str | None) -> int:
        return self.block

    def get_block_hash(self, block: int) -> str:
        return f"0x{block:064x}"

    def get_chain_head(self) -> str:
        return self.get_block_hash(self.block)

    def init_runtime(self, block_hash: str) -> Any:
        apis = {"SubnetInfoRuntimeApi": {"get_selective_mechagraph": True}}
        return SimpleNamespace(metadata_v15=True, runtime_api_map=apis)

    def get_metadata_storage_function(self, *_: Any, **__: Any) -> None:
        return None

    def query(
        self, module: str, storage_function: str, params: Any = None, block_hash: str | None = None
    ) -> Any:
        if (module, storage_function) == ("Timestamp", "Now"):
            assert block_hash is None  # the newest block's
            return SimpleNamespace(value=int(self.block_time.timestamp() * 1000))
        if (module, storage_function, params) == ("SubtensorModule", "Burn", [72]):
            return SimpleNamespace(value=self.price_rao)
        if (module, storage_function) == ("SubtensorModule", "NetworksAdded"):
            return SimpleNamespace(value=True)
        if storage_function == "Uids":
            return SimpleNamespace(value=None)
        raise AssertionError(f"{module}.{storage_function}")

    def runtime_call(self, api: str, method: str, params: Any = None, block_hash: str | None = None) -> Any:
        if method == "get_neurons_lite":
            return [self._neuron(uid) for uid in range(len(self.names))]
        if method == "get_subnet_state":
            return None if self.stake_fails else self._state()
        if method == "get_selective_mechagraph":
            return self._mechagraph()
        raise AssertionError(f"{api}.{method}")

    def _coldkey(self, uid: int) -> str:
        return address_of("OwnerCold" if self.names[uid].startswith("Owner") else f"{self.names[uid]}Cold")

    def _neuron(self, uid: int) -> dict[str, Any]:
        name = self.names[uid]
        served = name == "Miner" and self.ip != ""
        return {
            "hotkey": address_of(name), "coldkey": self._coldkey(uid), "uid": uid, "netuid": 72, "active": True,
            "axon_info": {
                "version": 1, "ip": int.from_bytes(socket.inet_aton(self.ip)) if served else 0,
                "port": self.port if served else 0, "ip_type": 4, "protocol": 4, "placeholder1": 0, "placeholder2": 0,
            },
            "prometheus_info": {"block": 0, "version": 0, "ip": 0, "port": 0, "ip_type": 0},
            "stake": [], "emission": 0, "incentive": self.incentive[uid], "consensus": 0, "validator_trust": 0,
            "dividends": 0, "last_update": 0, "validator_permit": name == "Validator",
        }  # fmt: skip

    def _state(self) -> dict[str, Any]:
        count = len(self.names)
        zeros = dict.fromkeys(
            ("active", "validator_permit", "pruning_score", "last_update", "emission", "dividends", "incentives",
             "consensus", "trust", "rank", "block_at_registration", "alpha_stake", "tao_stake"), [0] * count
        )  # fmt: skip
        stakes = [uid * 10**9 + 5 * 10**8 for uid in range(count)]
        return {"netuid": 72, **zeros, "total_stake": stakes, "emission_history": []}

    def _mechagraph(self) -> dict[str, Any]:
        from bittensor.core.chain_data import MetagraphInfo

        value: dict[str, Any] = {f.name: 0 for f in fields(MetagraphInfo)}
        lists = ("identities", "axons", "active", "validator_permit", "pruning_score", "last_update", "emission",
                 "dividends", "incentives", "consensus", "trust", "rank", "block_at_registration", "alpha_stake",
                 "tao_stake", "total_stake", "tao_dividends_per_hotkey", "alpha_dividends_per_hotkey", "validators",
                 "commitments", "hotkeys", "coldkeys")  # fmt: skip
        value |= {name: [] for name in lists}
        value |= {
            "netuid": 72,
            "name": b"natix",
            "symbol": b"x",
            "identity": None,
            "moving_price": {"bits": 0},
        }
        owner = (address_of("Owner"), address_of("OwnerCold")) if self.owner_known else (None, None)
        return value | {"owner_hotkey": owner[0], "owner_coldkey": owner[1]}

    # What an announcement needs.

    def get_metadata_call_function(self, **_: Any) -> Any:
        names = ("netuid", "version", "ip", "port", "ip_type", "protocol", "placeholder1", "placeholder2")
        return SimpleNamespace(get_param_info=lambda: dict.fromkeys(names))

    def compose_call(
        self, call_module: str, call_function: str, call_params: dict[str, Any], **_: Any
    ) -> str:
        self.calls.append({"call": f"{call_module}.{call_function}", **call_params})
        return "the call"

    def create_signed_extrinsic(self, call: str, keypair: Any, **_: Any) -> str:
        self.signed_by.append(keypair.ss58_address)
        return "the extrinsic"

    def submit_extrinsic(self, extrinsic: str, wait_for_inclusion: bool, wait_for_finalization: bool) -> Any:
        assert wait_for_inclusion
        assert wait_for_finalization
        error = {"name": "ServingRateLimitExceeded", "docs": ["Too often."], "type": "Module"}
        return SimpleNamespace(is_success=self.success, total_fee_amount=0, error_message=error)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    bittensor()
    import bittensor.core.subtensor as module

    played = Node()
    monkeypatch.setattr(module, "SubstrateInterface", played)
    return played


def look(node: Node, keys: MinerKeys) -> ChainState:
    return BittensorChain("ws://127.0.0.1:9944", 72, keys, clock=lambda: NOW).fetch()


def test_a_look_reads_the_metagraph(node: Node, keys: MinerKeys) -> None:
    state = look(node, keys)
    assert (state.neurons.block, state.neurons.synced_at) == (1234, NOW)
    table = sorted(state.neurons.by_hotkey.values(), key=lambda neuron: neuron.uid)
    assert table == [Neuron(uid, address_of(name), uid + 0.5, uid == 2) for uid, name in enumerate(NAMES)]
    assert (state.own_uid, state.announced) == (1, Address("198.51.100.7", 8091))
    assert state.lag_s == 7.0
    assert state.burnt_share == pytest.approx(
        0.5, abs=1e-4
    )  # the owner's, and another of his coldkey's, of four fifths
    assert node.url == "ws://127.0.0.1:9944"
    assert node.closed == 1


def test_an_unregistered_hotkey_has_no_number(node: Node, keys: MinerKeys) -> None:
    node.names, node.incentive = ("Owner", "Validator"), (0, 0)
    state = look(node, keys)
    assert (state.own_uid, state.announced, state.burnt_share) == (None, None, None)
    assert len(state.neurons.by_hotkey) == 2


@pytest.mark.parametrize(("ip", "port"), [("", 0), ("198.51.100.7", 80)])
def test_no_address_or_one_that_can_not_be_ours_is_none(
    node: Node, keys: MinerKeys, ip: str, port: int
) -> None:
    node.ip, node.port = ip, port
    assert look(node, keys).announced is None


def test_a_node_that_does_not_say_whose_the_subnet_is(node: Node, keys: MinerKeys) -> None:
    node.owner_known = False
    assert look(node, keys).burnt_share is None


def test_stakes_that_the_sdk_lost_are_not_taken_for_none(node: Node, keys: MinerKeys) -> None:
    node.stake_fails = True
    with pytest.raises(ChainUnavailable, match="gave 0 stakes for 4 neurons"):
        look(node, keys)
    assert node.closed == 1


def test_a_subnet_without_neurons_is_an_empty_table(node: Node, keys: MinerKeys) -> None:
    node.names = ()
    assert look(node, keys).neurons.by_hotkey == {}  # which the watch refuses


def test_an_announcement_is_signed_by_the_hotkey_and_names_no_other_key(node: Node, keys: MinerKeys) -> None:
    BittensorChain("finney", 72, keys).announce(Address("203.0.113.9", 8092))
    (call,) = node.calls
    assert call["call"] == "SubtensorModule.serve_axon"
    assert (call["netuid"], call["port"], call["ip_type"], call["protocol"]) == (72, 8092, 4, 4)
    assert socket.inet_ntoa(call["ip"].to_bytes(4)) == "203.0.113.9"
    assert node.signed_by == [keys.hotkey_address]
    assert node.closed == 1


def test_a_refused_announcement_says_why(node: Node, keys: MinerKeys) -> None:
    node.success = False
    with pytest.raises(
        ChainUnavailable, match=r"refused the address 203\.0\.113\.9:8092: .*ServingRateLimitExceeded"
    ):
        BittensorChain("finney", 72, keys).announce(Address("203.0.113.9", 8092))


def test_what_a_node_says_is_one_bounded_line(
    node: Node, keys: MinerKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shout(*_: Any, **__: Any) -> int:
        raise ValueError("\x1b[31mline\r\n" * 1000)

    monkeypatch.setattr(node, "get_block_number", shout, raising=False)
    with pytest.raises(ChainUnavailable) as caught:
        look(node, keys)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "network", ["", "finey", "http://node", "ws://", "wss://user:secret@node", "ws://a b", "ws://node#x"]
)
def test_an_unknown_network_is_refused_at_once(network: str, keys: MinerKeys) -> None:
    with pytest.raises(ConfigError, match="There is no network"):
        BittensorChain(network, 72, keys)


def test_a_mistyped_network_is_guessed(keys: MinerKeys) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'finney'"):
        BittensorChain("finey", 72, keys)


@pytest.mark.parametrize("netuid", [0, -1, 1 << 16])
def test_an_impossible_subnet_is_refused_at_once(netuid: int, keys: MinerKeys) -> None:
    with pytest.raises(ConfigError, match="A subnet's number"):
        BittensorChain("finney", netuid, keys)


def errs(query: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": query["id"], "error": {"code": -32000, "message": "syncing"}})


def lies(query: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": query["id"], "result": None})


def babbles(query: dict[str, Any]) -> str:
    return "<html>502 Bad Gateway</html>"


class Connections:
    """Those that are open now."""

    def __init__(self) -> None:
        self._changed, self._open = threading.Condition(), 0

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._changed:
            self._open += 1
        yield
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def all_closed(self) -> bool:
        """Wait until none is open; in vain: False."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == 0, timeout=20.0)


@contextmanager
def served(answer: Callable[[dict[str, Any]], str] | None) -> Iterator[tuple[str, Connections]]:
    """Serve a node over a real websocket that answers so; None: hangs up at once."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.server import ServerConnection, serve

    connections = Connections()

    def handle(connection: ServerConnection) -> None:
        if answer is None:
            return
        with connections.one(), suppress(ConnectionClosed):
            for message in connection:
                connection.send(answer(json.loads(message)))

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", connections
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("answer", [errs, lies, babbles, None])
def test_a_node_that_fails_is_unavailable_and_keeps_no_connection(
    answer: Callable[[dict[str, Any]], str] | None, keys: MinerKeys
) -> None:
    gc.collect()
    gc.disable()  # a failed call must let go by itself, not when the collector comes round
    try:
        with served(answer) as (endpoint, connections):
            chain = BittensorChain(endpoint, 72, keys)
            for call in (chain.fetch, lambda: chain.announce(Address("203.0.113.9", 8092))) * 3:
                with pytest.raises(ChainUnavailable, match=f"The node of '{endpoint}' failed: "):
                    asyncio.run(LimitedThreads().call(call, 60.0))
            assert connections.all_closed()
    finally:
        gc.enable()


def test_a_node_that_is_not_there_is_unavailable(keys: MinerKeys) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can have it meanwhile
        taken.bind(("127.0.0.1", 0))
        chain = BittensorChain(f"ws://127.0.0.1:{taken.getsockname()[1]}", 72, keys)
        with pytest.raises(ChainUnavailable, match="Connection refused"):
            chain.fetch()


@pytest.mark.parametrize("network", ["finney", "test", "local"])
def test_a_named_network_that_is_away_is_told_with_its_address(
    network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bittensor.core.settings import NETWORK_MAP

    def unknown(*_: Any, **__: Any) -> None:
        raise ConnectionError("[Errno -2] Name or service not known")

    monkeypatch.setattr(bittensor(), "Subtensor", unknown)
    with pytest.raises(ChainUnavailable) as caught:
        BittensorChain(network, 72, None).fetch()
    message = str(caught.value)
    assert message.startswith(
        f"The node of '{network}' ({NETWORK_MAP[network]}) failed: ConnectionError: [Errno -2]"
    )
    assert ("Is this machine on the Internet?" in message) == (network != "local")
    assert message.endswith("Another node is named by --network wss://HOST:PORT")


def test_a_node_that_fails_later_was_reached(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ConnectionError("closed")

    monkeypatch.setattr(node, "get_block_number", fail, raising=False)
    with pytest.raises(ChainUnavailable, match=r"failed: .*closed$"):
        BittensorChain("finney", 72, None, clock=lambda: NOW).fetch()


def test_somebody_without_keys_may_look_and_not_announce(node: Node) -> None:
    chain = BittensorChain("ws://127.0.0.1:9944", 72, None, clock=lambda: NOW)
    state = chain.fetch()
    assert (state.own_uid, state.announced, len(state.neurons.by_hotkey)) == (None, None, len(NAMES))
    with pytest.raises(ConfigError, match="without keys"):
        chain.announce(Address("203.0.113.7", 8091))
    assert node.calls == []


def test_a_survey_says_what_is_burnt_and_what_entry_costs(node: Node) -> None:
    chain = BittensorChain("ws://127.0.0.1:9944", 72, None, clock=lambda: NOW)
    found = survey(chain)
    assert (found.block, found.neurons, found.validators) == (1234, len(NAMES), 1)
    assert found.price_tao == 0.25
    assert found.burnt_share == look_share(node)
    assert found.pays
    assert "goes to miners" in found.sentence


def look_share(node: Node) -> float:
    """The owner's part of all incentive, of which the node tells in 1/65535."""
    owned = [share for name, share in zip(NAMES, node.incentive, strict=True) if name.startswith("Owner")]
    return pytest.approx(sum(owned) / sum(node.incentive))


@pytest.mark.parametrize(("owners", "pays"), [(0, None), (U16, False)], ids=["nobody gets any", "all burnt"])
def test_where_all_is_burnt_or_unknown_that_is_said(node: Node, owners: int, pays: bool | None) -> None:
    node.incentive = tuple(owners if name.startswith("Owner") else 0 for name in NAMES)
    found = survey(BittensorChain("ws://127.0.0.1:9944", 72, None, clock=lambda: NOW))
    assert found.pays is pays
    assert "nothing" in found.sentence
