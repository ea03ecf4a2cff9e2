"""`workzone mine`: what it refuses before it listens, and a whole miner in a process of its own."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("bittensor_wallet")

SEED = "0x" + "5ec2e7" * 10 + "beef"
"""Of the hotkey: must never be seen again."""
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def pair() -> Any:
    from bittensor_wallet import Keypair

    return Keypair.create_from_seed(SEED)


@pytest.fixture(scope="module")
def validator() -> Any:
    from bittensor_wallet import Keypair

    return Keypair.create_from_uri("//validator")


@pytest.fixture
def folder(tmp_path: Path, pair: Any, validator: Any, colour_bundle_made: Path) -> Path:
    """A directory with all that a rehearsal needs."""
    from bittensor_wallet import Keypair

    from workzone.bundle.manifest import OperatingPoint
    from workzone.bundle.operating_point import write_with_operating_point
    from workzone.bundle.reader import open_bundle

    point = OperatingPoint(profile="2026-05", threshold=0.0)
    write_with_operating_point(
        open_bundle(colour_bundle_made), tmp_path / "bundle", point, card_note="A test."
    )
    cold = Keypair.create_from_uri("//cold")
    keyfile = {
        "accountId": "0x" + pair.public_key.hex(),
        "publicKey": "0x" + pair.public_key.hex(),
        "secretSeed": SEED,
        "ss58Address": pair.ss58_address,
    }
    (tmp_path / "keys.json").write_text(json.dumps({"hotkey": keyfile, "coldkeypub": cold.ss58_address}))
    (tmp_path / "keys.json").chmod(0o600)
    neurons = [
        {"uid": 0, "hotkey": pair.ss58_address},
        {"uid": 1, "hotkey": validator.ss58_address, "stake": 1000.0, "permit": True},
    ]
    (tmp_path / "neurons.json").write_text(json.dumps({"block": 1, "neurons": neurons}))
    return tmp_path


def line(folder: Path, *more: object, without: tuple[str, ...] = ()) -> list[str]:
    """The command's arguments of a rehearsal."""
    options = {
        "--profile": "2026-05",
        "--neurons": folder / "neurons.json",
        "--hotkey-file": folder / "keys.json",
        "--host": "127.0.0.1",
        "--port": free_port(),
        "--private-port": 0,
    }
    given = [str(part) for name, value in options.items() if name not in without for part in (name, value)]
    return ["mine", str(folder / "bundle"), *given, *map(str, more)]


@pytest.mark.parametrize(
    ("without", "more", "fragment"),
    [
        (("--hotkey-file",), (), "0 sources of the keys"),
        ((), ("--wallet", "miner"), "2 sources of the keys"),
        (("--profile",), ("--profile", "2026-50"), "Did you mean '2026-05'?"),
        (("--profile",), ("--profile", "2026-04"), "no operating point for the profile '2026-04'"),
        (("--neurons",), ("--neurons", "gone.json"), "gone.json"),
        (("--neurons",), ("--network", "finny", "--external-ip", "203.0.113.7", "--netuid", "72"), "finney"),
        (("--neurons",), ("--network", "ws://127.0.0.1:9", "--external-ip", "203.0.113.7"), "--netuid"),
        ((), ("--external-ip", "0.0.0.0"), "--external-ip"),
        (("--hotkey-file",), ("--hotkey-file", "none.json"), "none.json"),
        (("--hotkey-file",), ("--wallet", "w", "--wallet-path", "wallets"), "btcli"),
        (("--hotkey-file",), ("--vault", "none.yaml"), "none.yaml"),
        ((), ("--model-card", "none.json"), "none.json"),
        ((), ("--keep-pictures", "sample=0.5"), "--pictures"),
        ((), ("--small", "no-bundle"), "no-bundle"),
        ((), ("--backend", "tensorrt"), "no inference backend 'tensorrt'"),
        ((), ("--backend", "openvino-bf16"), "certified in fp32"),
        ((), ("--port", "18091", "--private-port", "18091"), "--port and --private-port are both 18091"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_it_refuses_before_it_listens(invoke, folder, monkeypatch, without, more, fragment):
    monkeypatch.chdir(folder)
    said = invoke(*line(folder, *more, without=without))
    assert said.code != 0
    assert SEED.removeprefix("0x") not in said.err
    assert fragment in said.sentence()
    assert sorted(p.name for p in folder.iterdir()) == ["bundle", "keys.json", "neurons.json"]


def test_without_a_profile_it_refuses_where_the_one_in_force_sends_nothing(invoke, folder, monkeypatch):
    from workzone.serving.axon import mined
    from workzone.subnet.profiles import profile

    monkeypatch.setattr(mined, "in_force", lambda _: profile("halted"))  # whatever is in force today
    said = invoke(*line(folder, without=("--profile",)))
    assert said.code != 0
    assert "send no challenges" in said.sentence()


def test_without_a_profile_it_takes_the_one_in_force(invoke, folder, monkeypatch):
    from workzone.serving.axon import mined
    from workzone.subnet.profiles import profile

    monkeypatch.setattr(mined, "in_force", lambda _: profile("2026-04"))
    said = invoke(*line(folder, without=("--profile",)))
    assert said.code != 0
    assert "no operating point for the profile '2026-04'" in said.sentence()


def test_a_backend_that_is_not_installed_is_refused_before_it_listens(invoke, folder, monkeypatch):
    from workzone.engine import backend

    absent = {**backend.PACKAGES, "openvino-fp32": ("not_installed_anywhere", "openvino")}
    monkeypatch.setattr("workzone.serving.axon.mined.PACKAGES", absent)
    said = invoke(*line(folder, "--backend", "openvino-fp32"))
    assert said.code != 0
    said.sentence("workzone[openvino]")


@pytest.mark.parametrize("option", ["--port", "--private-port"])
def test_a_port_that_is_taken_leaves_nothing_behind(invoke, folder, option):
    before = sorted(folder.iterdir())
    records = [f"{name}={folder / name[2:]}" for name in ("--journal", "--logs", "--pictures")]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = invoke(*line(folder, option, taken.getsockname()[1], *records))
    assert said.code != 0
    said.sentence("cannot listen on", "Is another one running?")
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("option", ["--host", "--private-host"])
def test_an_address_of_another_machine(invoke, folder, option):
    said = invoke(*line(folder, option, "203.0.113.7"))  # of a network for documentation: nobody's
    assert said.code != 0
    assert "Is another one running?" not in said.sentence(
        "cannot listen on 203.0.113.7", "It can listen only on an address of this machine."
    )


def free_port() -> int:
    """A port the SDK takes that nobody has at this moment."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
        if port < 65535:
            return int(port)


class Running:
    """The command in a process of its own."""

    def __init__(self, folder: Path, *options: object) -> None:
        self.folder, self.port = folder, free_port()
        with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workzone", *line(folder, "--port", self.port, *options)],
                stdout=out,
                stderr=err,
                cwd=folder,
                env={**os.environ, "HOME": str(folder)},
            )
        try:
            self.private = int(self.until(self._private_port))
            self.until(lambda: self.ask(self.private, "GET", "/readyz")[0] == 200)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _private_port(self) -> str:
        found = [text for text in self.said.splitlines() if text.startswith("listening on ")]
        return found[1].rsplit(":", 1)[1] if len(found) > 1 and self.said.endswith("\n") else ""

    @property
    def said(self) -> str:
        return "".join((self.folder / name).read_text() for name in ("stdout", "stderr"))

    def until(self, what: Any) -> Any:
        end = time.monotonic() + PATIENCE_S
        while not (found := what()):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.05)
        return found

    def ask(self, port: int, method: str, path: str, body: bytes = b"", headers: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            with connection.getresponse() as reply:
                return reply.status, reply.read()
        finally:
            connection.close()


def test_a_miner_that_never_gets_ready_is_not_left_behind(folder, monkeypatch):
    started: list[Running] = []

    def never(self: Running, what: Any) -> None:
        started.append(self)
        raise AssertionError("never ready")

    monkeypatch.setattr(Running, "until", never)
    with pytest.raises(AssertionError, match="never ready"):
        Running(folder)
    [running] = started
    code = running.process.poll()
    running.kill()
    assert code == -signal.SIGKILL


def signed(signer: Any, receiver: str, nonce: int) -> dict[str, str]:
    """The head of a request as the SDK's client signs it."""
    uuid, body_hash = "5ecbd69c-1cec-11ee-b0dc-e29ce36fec1a", hashlib.sha3_256(b"").hexdigest()
    message = f"{nonce}.{signer.ss58_address}.{receiver}.{uuid}.{body_hash}"
    return {
        "name": "ImageSynapse",
        "timeout": "9.0",
        "content-type": "application/json",
        "computed_body_hash": body_hash,
        "header_size": "640",
        "total_size": "5000",
        "bt_header_axon_ip": "127.0.0.1",
        "bt_header_axon_port": "8091",
        "bt_header_axon_hotkey": receiver,
        "bt_header_dendrite_ip": "127.0.0.1",
        "bt_header_dendrite_version": "9012002",
        "bt_header_dendrite_nonce": str(nonce),
        "bt_header_dendrite_uuid": uuid,
        "bt_header_dendrite_hotkey": signer.ss58_address,
        "bt_header_dendrite_signature": "0x" + signer.sign(message).hex(),
    }


def body(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(out, "JPEG")
    return json.dumps({"image": base64.b64encode(out.getvalue()).decode(), "prediction": -1.0}).encode()


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_a_rehearsal_from_start_to_stop(folder, pair, validator):
    """Answers a validator, refuses a stranger, says so on its own port, and leaves no secret anywhere."""
    running = Running(folder, "--journal", "journal", "--logs", "logs", "--cache-mib", 0)
    process = running.process
    try:
        ours = pair.ss58_address

        def ask(signer: Any, colour: tuple[int, int, int]) -> Any:
            head = signed(signer, ours, time.time_ns())
            return running.ask(running.port, "POST", "/ImageSynapse", body(colour), head)

        orange, blue = ask(validator, (255, 120, 0)), ask(validator, (0, 60, 255))
        assert (orange[0], blue[0]) == (200, 200)
        assert json.loads(orange[1])["prediction"] > 0.5 > json.loads(blue[1])["prediction"] >= 0
        assert b'"image":""' in orange[1].replace(b" ", b"")  # the picture does not travel back
        cut = json.dumps({"image": base64.b64encode(b"\xff\xd8\xff\xe0 no picture").decode()}).encode()
        head = signed(validator, ours, time.time_ns())
        unread = running.ask(running.port, "POST", "/ImageSynapse", cut, head)
        assert (unread[0], json.loads(unread[1])["prediction"]) == (200, -1.0)
        assert ask(pair, (0, 0, 0))[0] == 403  # registered, but no permit
        assert running.ask(running.port, "GET", "/")[0] == 404
        status, said = running.ask(running.private, "GET", "/readyz")
        assert status == 200
        report = json.loads(said)
        assert report["challenges"] == {"answered": 2, "late": 0, "unreadable": 1, "left": 0}
        assert report["refused"] == {"no_permit": 1, "no_route": 1}
        # The bundle is from May; whether anything is sent today is for the table of profiles to say.
        concerns = {one["concern"] for one in report["concerns"]}
        assert {"model_age"} <= concerns <= {"model_age", "halted"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        running.kill()
    records = [one for path in sorted((folder / "journal").glob("*.jsonl")) for one in json_lines(path)]
    assert [r["key"] for r in records if "key" in r] == [validator.ss58_address] * 3
    days = json_lines(folder / "logs" / "performance.jsonl")
    assert [d["answered"] for d in days if d.get("event") == "miner_day"] == [2]
    # An auditor can tell which bundle answered.
    from workzone.bundle.reader import open_bundle

    digest = open_bundle(folder / "bundle").digest
    [opened] = [d for d in days if d.get("event") == "miner_opened"]
    assert opened["profile"] == "2026-05"
    assert opened["models"] == [{"name": "large", "bundle": digest, "threshold": 0.0}]
    answered = [r for r in records if r.get("status") == 200]
    assert len(answered) == 2
    assert {r["bundle"] for r in answered} == {opened["identity"]}
    assert {stage["name"] for r in answered for stage in r["stages"]} == {f"large@{digest[:12]}"}
    lines = running.said.splitlines()
    assert lines[0] == f"mining under 2026-05, in a rehearsal, as {pair.ss58_address}"
    assert lines[1] == f"listening on the port for validators: http://127.0.0.1:{running.port}"
    private = f"http://127.0.0.1:{running.private}"
    assert lines[2] == f"listening on the port for probes and metrics, yours alone: {private}"
    assert "Traceback" not in running.said
    secret = SEED.removeprefix("0x")
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "keys.json":
            data = path.read_bytes()
            assert secret.encode() not in data, path
            assert secret[:32].encode() not in data, path
