"""Wallets made by the SDK, and a server that speaks as HashiCorp Vault does, or lies."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

bittensor_wallet = pytest.importorskip(
    "bittensor_wallet"
)  # not the SDK: importing it silences every logger there is

TOKEN = "hvs.CAESIJ3f9QhZk2vT7nXw8rLmYc4dBpGsAaEe"
ROLE_ID = "5b1f3e0a-7c55-4a2e-9d0e-6f1c2b3a4d5e"
SECRET_ID = "c0ffee11-2233-4455-6677-8899aabbccdd"
PASSWORD = "correct-horse-7731-battery"
Reply = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class MadeWallet:
    """A wallet as `btcli` leaves it, less the private coldkey."""

    path: Path
    name: str
    hotkey: str
    fields: dict[str, Any]
    coldkeypub: dict[str, Any]

    @property
    def hotkey_path(self) -> Path:
        return self.path / self.name / "hotkeys" / self.hotkey

    @property
    def coldkeypub_path(self) -> Path:
        return self.path / self.name / "coldkeypub.txt"

    @property
    def secrets(self) -> dict[str, str]:
        """Each private field, without its 0x."""
        return {
            name: self.fields[name].removeprefix("0x")
            for name in ("secretSeed", "secretPhrase", "privateKey")
        }

    def rewrite(self, **changes: Any) -> None:
        """Change fields of the hotkey's keyfile; None leaves one out."""
        self.put(json.dumps({k: v for k, v in {**self.fields, **changes}.items() if v is not None}).encode())

    def put(self, data: bytes) -> None:
        self.hotkey_path.write_bytes(data)
        self.hotkey_path.chmod(0o600)

    def both(self) -> dict[str, Any]:
        """What a file or Vault holds."""
        return {"hotkey": self.fields, "coldkeypub": self.coldkeypub}


def make_wallet(path: Path, name: str = "street", hotkey: str = "miner", **options: Any) -> MadeWallet:
    wallet = bittensor_wallet.Wallet(name, hotkey, str(path))
    wallet.create_new_coldkey(use_password=False, overwrite=True, suppress=True)
    wallet.create_new_hotkey(use_password=False, overwrite=True, suppress=True, **options)
    home = path / name
    (home / "coldkey").unlink()
    return MadeWallet(
        path, name, hotkey, json.loads((home / "hotkeys" / hotkey).read_text()),
        json.loads((home / "coldkeypub.txt").read_text()),
    )  # fmt: skip


@pytest.fixture
def wallet(tmp_path: Path) -> MadeWallet:
    return make_wallet(tmp_path / "wallets")


@pytest.fixture
def make() -> Callable[..., MadeWallet]:
    return make_wallet


@pytest.fixture
def private_file(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file of mode 0600."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o600)
        return path

    return write


@dataclass
class VaultDouble:
    """KV version 2 at `secret/`, AppRole at `approle/`; `lie` answers in its place where it is set."""

    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    sealed: bool = False
    lie: Callable[[BaseHTTPRequestHandler], Reply | None] | None = None
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if (method, path) == ("POST", "/v1/auth/approle/login"):
            if json.loads(body) != {"role_id": ROLE_ID, "secret_id": SECRET_ID}:
                return 400, {"errors": ["invalid role or secret ID"]}
            self.tokens.add("hvs.fromAppRole0123456789abcd")
            return 200, {"auth": {"client_token": "hvs.fromAppRole0123456789abcd", "lease_duration": 3600}}
        if headers.get("X-Vault-Token") not in self.tokens:
            return 403, {"errors": ["permission denied"]}
        found = self.secrets.get(path.removeprefix("/v1/secret/data/"))
        if not path.startswith("/v1/secret/data/") or found is None:
            return 404, {"errors": []}
        metadata = {
            "created_time": "2026-05-01T00:00:00Z",
            "deletion_time": "",
            "destroyed": False,
            "version": 1,
        }
        return 200, {"request_id": "1", "lease_id": "", "renewable": False, "lease_duration": 0,
                     "data": {"data": found, "metadata": metadata}, "warnings": None}  # fmt: skip


@contextmanager
def serving(double: VaultDouble) -> Iterator[VaultDouble]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = dict(self.headers.items())
            double.asked.append((self.command, self.path, headers))
            reply = None if double.lie is None else double.lie(self)
            if double.lie is not None and reply is None:
                return  # it wrote by itself
            if reply is None:
                status, value = double.answer(self.command, self.path, headers, body)
                reply = status, {"Content-Type": "application/json"}, json.dumps(value).encode()
            self.send_response(reply[0])
            for name, value in {"Content-Length": str(len(reply[2])), **reply[1]}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply[2])

        do_POST = do_PUT = do_GET

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that hangs up on a lie

    server = Server(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def vault(wallet: MadeWallet) -> Iterator[VaultDouble]:
    """A Vault with the wallet's two files at `secret/subnet72/miner`."""
    secret = {"hotkey": json.dumps(wallet.fields), "coldkeypub": json.dumps(wallet.coldkeypub)}
    with serving(VaultDouble({"subnet72/miner": secret})) as double:
        yield double


@pytest.fixture
def another_server() -> Iterator[VaultDouble]:
    with serving(VaultDouble()) as double:
        yield double
