"""Keys from Vault: the real hvac against a server that speaks as Vault does, breaks, or lies."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workzone.core.errors import ConfigError
from workzone.serving.axon.keys.vault import VaultSecret, keys_from_vault
from workzone.serving.axon.keys.vault_transport import MAX_ANSWER_BYTES

pytest.importorskip("hvac")

TOKEN = "hvs.CAESIJ3f9QhZk2vT7nXw8rLmYc4dBpGsAaEe"
ROLE_ID = "5b1f3e0a-7c55-4a2e-9d0e-6f1c2b3a4d5e"
SECRET_ID = "c0ffee11-2233-4455-6677-8899aabbccdd"
AS_JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch, tmp_path) -> None:
    """A home with a token and settings that lead astray: none of them may be used."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".vault-token").write_text("hvs.ofSomebodyElse0123456789")
    (tmp_path / "home" / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")


@pytest.fixture
def token_file(private_file):
    return private_file("token", f"{TOKEN}\n")


def refused(secret: VaultSecret, *words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        keys_from_vault(secret)
    message = str(caught.value)
    for word in words:
        assert word in message, message
    for private in (TOKEN, SECRET_ID, "hvs."):
        assert private not in message
    return message


def test_the_keys_are_those_of_the_wallet(vault, wallet, token_file) -> None:
    keys = keys_from_vault(VaultSecret(vault.url, "subnet72/miner", token_file=token_file))
    assert (keys.hotkey_address, keys.coldkey_address) == (
        wallet.fields["ss58Address"], wallet.coldkeypub["ss58Address"],
    )  # fmt: skip
    assert str(keys.source) == f"Vault's secret 'secret/subnet72/miner' at {vault.url}"
    ((method, path, headers),) = vault.asked
    assert (method, path) == ("GET", "/v1/secret/data/subnet72/miner")
    assert headers["X-Vault-Token"] == TOKEN
    assert "X-Vault-Namespace" not in headers
    assert "Authorization" not in headers, "nothing of ~/.netrc"


def test_fields_may_be_objects_and_a_namespace_is_sent(vault, wallet, token_file) -> None:
    vault.secrets["subnet72/miner"] = {**wallet.both(), "coldkeypub": wallet.coldkeypub["ss58Address"]}
    secret = VaultSecret(f"{vault.url}/", "subnet72/miner", token_file=token_file, namespace="team/a")
    assert keys_from_vault(secret).hotkey_address == wallet.fields["ss58Address"]
    assert vault.asked[0][2]["X-Vault-Namespace"] == "team/a"


def test_the_token_may_come_from_the_variable_or_an_approle(vault, wallet, private_file, monkeypatch) -> None:
    plain = VaultSecret(vault.url, "subnet72/miner")
    refused(plain, "Nothing lets into Vault", "token_file", "VAULT_TOKEN")
    assert vault.asked == [], "nothing is sent without a token, not even that of ~/.vault-token"
    monkeypatch.setenv("VAULT_TOKEN", "two words")
    refused(plain, "is not set or no token")
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    assert keys_from_vault(plain)
    monkeypatch.setenv("VAULT_TOKEN", "hvs.notThatOfTheRole000000000")
    role, secret_id = private_file("role", ROLE_ID), private_file("secret-id", f"{SECRET_ID}\n")
    approle = VaultSecret(vault.url, "subnet72/miner", role_id_file=role, secret_id_file=secret_id)
    assert keys_from_vault(approle)
    assert [path for _, path, _ in vault.asked[-2:]] == [
        "/v1/auth/approle/login",
        "/v1/secret/data/subnet72/miner",
    ]
    assert "X-Vault-Token" not in vault.asked[-2][2]
    role.write_text("another")
    refused(approle, "status 400", "AppRole")
    for answer in (b"{}", b"[]", b'{"auth": null}', b'{"auth": {"client_token": 5}}', b'{"auth": {"client_token": ""}}',
                   b'{"auth": {"client_token": "a\\r\\nX-Evil: 1"}}', b"<html>", b""):  # fmt: skip
        vault.lie = lambda _, answer=answer: (200, AS_JSON, answer)
        refused(approle, "gave no token", "approle")


def test_files_with_secrets_are_private_and_hold_one_word(vault, private_file, token_file) -> None:
    secret = VaultSecret(vault.url, "subnet72/miner", token_file=token_file)
    token_file.chmod(0o644)
    refused(secret, "mode 0644", "chmod 600")
    private_file("token", f"{TOKEN} {TOKEN}")
    refused(secret, "does not hold what lets into Vault")
    private_file("token", "")
    refused(secret, "does not hold what lets into Vault")
    private_file("token", b"\xff\xfe")
    refused(secret, "no UTF-8 text")
    private_file("token", "x" * 9000)
    refused(secret, "larger than 8192 bytes")
    token_file.unlink()
    refused(secret, "cannot be read: No such file")
    assert vault.asked == []


def test_what_is_given_is_checked_before_anything_is_asked(tmp_path) -> None:
    for url in ("", "vault.example.org", "ftp://host", "https://", "https://user:hunter2@host", "https://host/v1?a=b",
                "https://host/x", "https://host#a", "https://host:99999", "https://host:0", "https://[::1",
                "https://ho st", "https://host\r\nX: 1"):  # fmt: skip
        with pytest.raises(ConfigError, match=r"The address of Vault is wrong") as caught:
            VaultSecret(url, "a")
        assert "hunter2" not in str(caught.value)
    for url in ("http://vault.example.org:8200", "http://10.0.0.1:8200", "http://127.0.0.1.example.org"):
        with pytest.raises(ConfigError, match=r"in the clear"):
            VaultSecret(url, "a")
    for url in (
        "http://127.0.0.1:8200",
        "http://[::1]:8200",
        "http://localhost:8200/",
        "https://vault.example.org",
    ):
        assert VaultSecret(url, "a")
    for name in ("path", "mount", "namespace", "approle_mount"):
        for text in (
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/..",
            "a?b",
            "a#b",
            "a b",
            "a%2fb",
            "a\nb",
            "\u00e9",
            "a" * 201,
        ):
            with pytest.raises(ConfigError, match=r"is no .* of Vault"):
                VaultSecret(**{"url": "https://host", "path": "a", name: text})
    with pytest.raises(ConfigError, match=r"two ids"):
        VaultSecret("https://host", "a", role_id_file=tmp_path)
    with pytest.raises(ConfigError, match=r"not both"):
        VaultSecret("https://host", "a", token_file=tmp_path, role_id_file=tmp_path, secret_id_file=tmp_path)
    with pytest.raises(ConfigError, match=r"certificates"):
        VaultSecret("https://host", "a", ca_file=tmp_path / "none.pem")
    for seconds in (0, -1, 601, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=r"time limit"):
            VaultSecret("https://host", "a", timeout_s=seconds)


def test_a_vault_that_refuses_says_why(vault, token_file) -> None:
    secret = VaultSecret(vault.url, "subnet72/miner", token_file=token_file)
    vault.sealed = True
    refused(secret, "status 503", "sealed")
    vault.sealed = False
    vault.tokens.clear()
    refused(secret, "status 403", "policy")
    vault.tokens.add(TOKEN)
    refused(VaultSecret(vault.url, "subnet72/none", token_file=token_file), "status 404", "version 1")
    refused(VaultSecret(vault.url, "a", mount="kv", token_file=token_file), "status 404", "'kv/a'")
    deleted = {
        "data": {"data": None, "metadata": {"deletion_time": "2026-05-01T00:00:00Z", "destroyed": False}}
    }
    vault.lie = lambda _: (404, AS_JSON, json.dumps(deleted).encode())
    refused(secret, "status 404", "deleted")


def test_a_vault_that_is_not_there_is_named(token_file) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    refused(VaultSecret(f"http://127.0.0.1:{port}", "a", token_file=token_file), "nobody answers there")


def test_a_redirect_is_not_followed(vault, another_server, token_file) -> None:
    for status in (301, 302, 303, 307, 308):
        location = {"Location": f"{another_server.url}/v1/secret/data/subnet72/miner"}
        vault.lie = lambda _, status=status, location=location: (status, location, b"")
        refused(
            VaultSecret(vault.url, "subnet72/miner", token_file=token_file),
            f"status {status}",
            "not followed",
        )
    assert another_server.asked == [], "the token stays"


@pytest.mark.parametrize("status", [201, 204, 400, 401, 418, 429, 472, 473, 500, 501, 502, 599])
@pytest.mark.parametrize("body", [b"", b"[]", b'{"errors": 5}', b'{"errors": [1, null]}', b'{"errors": {"a": 1}}',
                                  f'{{"errors": ["{TOKEN}"]}}'.encode(), b"\xff" * 100], ids=range(7))  # fmt: skip
def test_an_error_of_any_form_is_a_refusal_that_quotes_nothing(
    vault, token_file, status: int, body: bytes
) -> None:
    vault.lie = lambda _: (status, AS_JSON, body)
    message = refused(VaultSecret(vault.url, "a", token_file=token_file), "was not read")
    assert status < 300 or f"status {status}:" in message


def lies(wallet) -> list[tuple[object, str]]:
    good = {"hotkey": json.dumps(wallet.fields), "coldkeypub": json.dumps(wallet.coldkeypub)}
    seed = {**wallet.fields, "secretSeed": "0x" + "ab" * 32}
    v2 = {"created_time": "", "version": 1}

    def of(fields: object) -> dict:
        return {"data": {"data": fields, "metadata": v2}}

    return [
        ({}, "does not speak as Vault does"), ([], "does not speak"), (None, "does not speak"),
        ({"data": []}, "does not speak"),
        ({"data": good}, "KV engine of version 2"), ({"data": {"data": good}}, "version 2"),
        ({"data": {"data": good, "metadata": 5}}, "version 2"), (of(None), "version 2"), (of([good]), "version 2"),
        (of({}), "lacks 'hotkey', 'coldkeypub'"), (of({"hotkey": good["hotkey"]}), "lacks 'coldkeypub'"),
        (of({**good, "coldkey": "x"}), "1 further field"), (of({**good, "hotkey": 7}), "neither"),
        (of({**good, "hotkey": None}), "neither"), (of({**good, "coldkeypub": ["x"]}), "neither"),
        (of({**good, "hotkey": json.dumps(seed)}), "its key belongs to"),
        (of({**good, "hotkey": seed}), "its key belongs to"),
        (of({**good, "hotkey": wallet.fields["secretPhrase"]}), "not a JSON object"),
        (of({**good, "hotkey": good["coldkeypub"]}), "no private half"),
        (of({**good, "coldkeypub": good["hotkey"]}), "holds a private key"),
        (of({**good, "coldkeypub": "x" * 48}), "no valid address"),
        (of({**good, "hotkey": "x" * 70_000}), "larger than"),
        (of({**good, "hotkey": "$ANSIBLE_VAULT;1.1;AES256\n61"}), "is encrypted"),
    ]  # fmt: skip


def test_a_vault_that_lies_is_not_believed_and_not_quoted(vault, wallet, token_file) -> None:
    secret = VaultSecret(vault.url, "subnet72/miner", token_file=token_file)
    for value, word in lies(wallet):
        vault.lie = lambda _, value=value: (200, AS_JSON, json.dumps(value).encode())
        message = refused(secret, word)
        for private in wallet.secrets.values():
            assert private[: len(private) // 2] not in message
    for body in (b"", b"{", b"<html>", b"\xff\xfe", b'{"data": NaN}', b"9" * 5000, b"null"):
        vault.lie = lambda _, body=body: (200, AS_JSON, body)
        refused(secret, "does not speak as Vault does")
    vault.lie = lambda _: (200, AS_JSON, b"[" * 100_000)
    refused(secret, "was not read")


def test_a_huge_answer_is_not_read(vault, token_file) -> None:
    secret = VaultSecret(vault.url, "a", token_file=token_file)
    vault.lie = lambda _: (200, AS_JSON, b" " * (MAX_ANSWER_BYTES + 1))
    refused(secret, f"more than {MAX_ANSWER_BYTES} bytes")
    sent = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(4000):  # 256 MB, if all of it were taken
            handler.wfile.write(b" " * 65536)
            sent.append(1)

    vault.lie = endless
    refused(secret, f"more than {MAX_ANSWER_BYTES} bytes")
    assert len(sent) < 400
    bomb = b"\x1f\x8b" + b"\x00" * 100
    vault.lie = lambda _: (200, {**AS_JSON, "Content-Encoding": "gzip"}, bomb)
    refused(secret, "was not read")


def test_a_slow_answer_ends_in_time_however_it_drips(vault, token_file) -> None:
    end = threading.Event()

    def silent(_: BaseHTTPRequestHandler) -> None:
        end.wait(20)

    def dripping(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        while not end.wait(0.05):
            handler.wfile.write(b" ")

    def dripping_headers(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not end.wait(0.05):
            handler.wfile.write(b"x")

    try:
        for vault.lie in (silent, dripping, dripping_headers):
            start = time.monotonic()
            refused(VaultSecret(vault.url, "a", token_file=token_file, timeout_s=0.4), "within 0.4 s")
            assert time.monotonic() - start < 15
    finally:
        end.set()


@pytest.mark.parametrize("answer", [
    b"", b"\x00\xff garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n{}", b"HTTP/1.1 999 \r\n\r\n", b"220 mail.example.org ESMTP\r\n",
], ids=range(8))  # fmt: skip
def test_what_does_not_speak_http_is_a_refusal(vault, token_file, answer: bytes) -> None:
    def raw(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(answer)
        handler.close_connection = True

    vault.lie = raw
    refused(VaultSecret(vault.url, "a", token_file=token_file, timeout_s=10), "was not read")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "metadata", "hotkey", "coldkeypub", "errors", "auth"]), inner
        )
    ),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(json_values, st.sampled_from([200, 400, 404]))
def test_no_answer_makes_anything_but_a_clear_refusal(vault, token_file, value: object, status: int) -> None:
    vault.lie = lambda _: (status, AS_JSON, json.dumps(value).encode())
    refused(VaultSecret(vault.url, "a", token_file=token_file), "Vault's secret 'secret/a'")


def test_its_certificate_is_checked(vault, token_file, tmp_path, wallet) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "1", "-nodes",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out",
         str(certificate)], check=True, capture_output=True,
    )  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, value = vault.answer("GET", self.path, dict(self.headers.items()), b"")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        url = f"https://127.0.0.1:{server.server_port}"
        refused(VaultSecret(url, "subnet72/miner", token_file=token_file), "certificate", "ca_file")
        trusted = VaultSecret(url, "subnet72/miner", token_file=token_file, ca_file=certificate)
        assert keys_from_vault(trusted).hotkey_address == wallet.fields["ss58Address"]
        refused(VaultSecret(url, "subnet72/miner", token_file=token_file, ca_file=key), "was not read")
        other_name = url.replace("127.0.0.1", "localhost")
        refused(VaultSecret(other_name, "a", token_file=token_file, ca_file=certificate), "certificate")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
