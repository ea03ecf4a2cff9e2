"""The SDK's own axon and its announcement take `MinerKeys` in a wallet's place."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from workzone.serving.axon.keys.keys import MinerKeys, keys_from_wallet


class Watched:
    """Passes everything on and keeps which names were asked for."""

    def __init__(self, keys: MinerKeys) -> None:
        self._keys, self.names = keys, set()

    def __getattr__(self, name: str) -> Any:
        self.names.add(name)
        return getattr(self._keys, name)


class Substrate:
    """As far as an announcement goes without a chain: signs a payload with the pair it is given."""

    def __init__(self) -> None:
        self.signed: list[tuple[Any, bytes]] = []

    def create_signed_extrinsic(self, call: Any, keypair: Any, **_: Any) -> str:
        assert (keypair.crypto_type, len(keypair.public_key)) == (1, 32)
        self.signed.append((keypair.ss58_address, keypair.sign(repr(call).encode())))
        return "extrinsic"

    def submit_extrinsic(self, extrinsic: str, **_: Any) -> Any:
        assert extrinsic == "extrinsic"
        return SimpleNamespace(is_success=True, total_fee_amount=0, error_message=None)


@pytest.fixture
def sdk():
    from workzone.serving.axon.sdk import bittensor, quietly

    module = bittensor()
    with quietly():  # an axon sets up the loggers of its server
        yield module


def make_axon(sdk, keys):
    return sdk.Axon(wallet=keys, port=8091, external_ip="203.0.113.7", external_port=8092)


def test_the_axon_asks_for_nothing_else(sdk, wallet) -> None:
    keys = Watched(keys_from_wallet(wallet.path, wallet.name, wallet.hotkey))
    axon = make_axon(sdk, keys)
    try:
        info = axon.info()
        assert (info.hotkey, info.coldkey) == (wallet.fields["ss58Address"], wallet.coldkeypub["ss58Address"])
        shown = f"{axon} {axon!r} {info} {axon.config()} {copy.deepcopy(axon._config)}"
        assert keys.names == {"hotkey", "coldkeypub"}
        for secret in wallet.secrets.values():
            assert secret[: len(secret) // 2] not in shown
    finally:
        axon.thread_pool.shutdown(wait=False)


def test_the_announcement_asks_for_nothing_else_and_is_signed_by_the_hotkey(sdk, wallet, monkeypatch) -> None:
    keys = Watched(keys_from_wallet(wallet.path, wallet.name, wallet.hotkey))
    axon = make_axon(sdk, keys)
    calls: list[dict[str, Any]] = []
    subtensor = object.__new__(sdk.Subtensor)  # its own __init__ connects to the chain
    subtensor.substrate, subtensor.network = Substrate(), "test"
    monkeypatch.setattr(sdk.Subtensor, "__del__", lambda self: None, raising=False)
    monkeypatch.setattr(
        sdk.Subtensor, "get_neuron_for_pubkey_and_subnet", lambda *_, **__: SimpleNamespace(is_null=True)
    )
    monkeypatch.setattr(
        sdk.Subtensor, "compose_call", lambda _, **call: calls.append(call) or call["call_function"]
    )
    try:
        response = subtensor.serve_axon(netuid=72, axon=axon, mev_protection=False)
    finally:
        axon.thread_pool.shutdown(wait=False)
    assert response.success, response.message
    (call,) = calls
    assert (call["call_function"], call["call_params"]["port"]) == ("serve_axon", 8092)
    ((address, signature),) = subtensor.substrate.signed
    assert address == wallet.fields["ss58Address"]
    from bittensor_wallet import Keypair

    assert Keypair(ss58_address=address).verify(repr("serve_axon").encode(), signature)
    assert keys.names == {"hotkey", "coldkeypub", "unlock_hotkey"}
