"""Our own caller: an axon over a real socket takes it for a validator, and what is no axon is one clear error."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from workzone.core.errors import ConfigError, InferenceError

pytest.importorskip("bittensor_wallet")
PICTURE = b"\xff\xd8\xff" + bytes(range(256)) * 40


@contextmanager
def served(app: Any) -> Iterator[int]:
    """Serve `app` in a thread; yield the port."""
    config = uvicorn.Config(
        app, ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False
    )
    server = uvicorn.Server(config)
    sock = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[sock])))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        sock.close()


@pytest.fixture
def ask(make_axon: Callable[..., Any], people: Any, sdk: Any) -> Callable[..., Any]:
    """Ask an axon as `signer`; return what it told and what it was asked."""
    from bittensor_wallet import Keypair

    from workzone.serving.axon.address import Address
    from workzone.serving.axon.client import ask_axon
    from workzone.serving.axon.keys.keys import MinerKeys

    def call(signer: Any, receiver: Any = None, **settings: Any) -> Any:
        axon = make_axon(live=True, **settings)
        keys = MinerKeys(signer, Keypair(ss58_address=people.owner.ss58_address))
        with served(axon.app) as port:
            told = ask_axon(
                Address("127.0.0.1", port), (receiver or people.miner).ss58_address, keys, PICTURE
            )
        return told, axon.replier.asked

    return call


def test_a_validator_is_answered_about_the_very_picture(ask, people):
    told, asked = ask(people.validator)
    assert (told.status, told.prediction) == (200, 0.75)
    [challenge] = asked
    assert (challenge.picture, challenge.hotkey, challenge.stake) == (
        PICTURE,
        people.validator.ss58_address,
        1000.0,
    )


def test_others_are_told_why_not(ask, people):
    stranger, _ = ask(people.stranger)
    permitless, _ = ask(people.permitless)
    other, asked = ask(people.validator, receiver=people.stranger)
    assert [one.prediction for one in (stranger, permitless, other)] == [None] * 3
    assert [one.status for one in (stranger, permitless, other)] == [403, 403, 401]
    assert "registered" in stranger.message
    assert "permit" in permitless.message
    assert asked == []


@pytest.mark.parametrize(
    ("reply", "prediction"),
    [(b'{"prediction": -1.0}', None), (b'{"prediction": 1.5}', None), (b'{"prediction": true}', None),
     (b'{"prediction": NaN}', None), (b"{}", None), (b'{"prediction": 0}', 0.0), (b'{"prediction": 1}', 1.0)],
)  # fmt: skip
def test_only_a_number_in_the_unit_interval_is_an_answer(reply, prediction):
    from workzone.serving.axon.client import _told

    assert _told(200, reply, 0.1).prediction == prediction
    assert _told(500, reply, 0.1).prediction is None


def test_nobody_there_and_no_axon_there(people, sdk):
    from bittensor_wallet import Keypair

    from workzone.serving.axon.address import Address
    from workzone.serving.axon.client import ask_axon
    from workzone.serving.axon.keys.keys import MinerKeys

    async def web_page(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"<html>"})

    keys = MinerKeys(people.validator, Keypair(ss58_address=people.owner.ss58_address))
    with served(web_page) as port, pytest.raises(InferenceError, match="is no axon"):
        ask_axon(Address("127.0.0.1", port), people.miner.ss58_address, keys, PICTURE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with pytest.raises(InferenceError, match="did not answer: ConnectionRefusedError"):
        ask_axon(Address("127.0.0.1", free), people.miner.ss58_address, keys, PICTURE)


class TestRehearsal:
    def test_its_files_are_what_a_miner_reads(self, tmp_path, people):
        from workzone.serving.axon.chain.neuron_file import NeuronFile
        from workzone.serving.axon.keys.keys import keys_from_file
        from workzone.serving.axon.rehearsal import write_rehearsal

        made = write_rehearsal(tmp_path / "r")
        miner, validator = (keys_from_file(made.folder / f"{name}.json") for name in ("miner", "validator"))
        assert (miner.hotkey_address, validator.hotkey_address) == (made.miner, made.validator)
        state = NeuronFile(made.folder / "neurons.json", made.miner).fetch()
        assert state.own_uid == 0
        assert state.neurons.find(made.validator).permit
        for name in ("miner.json", "validator.json"):
            assert (made.folder / name).stat().st_mode & 0o077 == 0

    def test_two_have_different_keys_and_none_replaces_another(self, tmp_path):
        from workzone.serving.axon.rehearsal import write_rehearsal

        one, two = write_rehearsal(tmp_path / "a"), write_rehearsal(tmp_path / "b")
        assert len({one.miner, one.validator, two.miner, two.validator}) == 4
        with pytest.raises(ConfigError, match="not empty"):
            write_rehearsal(tmp_path / "a")
        assert json.loads((tmp_path / "a" / "neurons.json").read_text())["neurons"][0]["hotkey"] == one.miner


@pytest.mark.parametrize(
    "text", ["", "8091", "host:8091", "1.2.3.4:", "1.2.3.4:http", "1.2.3.4:99999", "0.0.0.0:8091"]
)
def test_an_address_is_an_ip_and_a_port(text):
    from workzone.serving.axon.address import parse_address

    with pytest.raises(ConfigError):
        parse_address(text)
    assert str(parse_address("[2001:db8::1]:8091")) == "[2001:db8::1]:8091"
