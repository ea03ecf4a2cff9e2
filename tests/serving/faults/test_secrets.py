"""Secrets planted wherever a caller or an operator may put one, and a search of everything the service wrote."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess

import pytest

PASSWORD = "tls-pass-7f3a91c2"
VARIABLE = "env-tok-52d8be04"
PASTED = "pasted-5ec2e7d0aa"
"""What a caller pastes into a place that is not for it; no pattern tells that it is a secret."""


@pytest.fixture
def tls(tmp_path):
    """A certificate for 127.0.0.1, its encrypted key, and the file with the key's password."""
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl")
    certificate, key, password = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o600)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "1",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-passout", f"file:{password}",
         "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True,
    )  # fmt: skip
    key.chmod(0o600)
    return certificate, key, password


def add(path, name, role):
    from workzone.serving.key_file import add_key
    from workzone.serving.keys import Role, utc_now

    return add_key(path, name, Role(role), now=utc_now())[1]


def form(*parts: tuple[str, bytes]) -> bytes:
    fields = [
        b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (n.encode(), d) for n, d in parts
    ]
    return b"".join(fields) + b"--b--\r\n"


def ask_with_everything(service, wire, predict: str, unknown: str) -> list:
    """Send each secret in each place; return the replies."""
    good = {"Authorization": f"Bearer {predict}"}
    jpeg, as_json = {"Content-Type": "image/png"}, {"Content-Type": "application/json"}
    multipart = {"Content-Type": "multipart/form-data; boundary=b"}
    picture, found = wire.png(1), []

    def post(path: str, headers: dict[str, str], body: bytes) -> None:
        found.append(service.ask("POST", path, body=body, headers=headers))

    post("/v1/predict", {**jpeg, **good}, picture)
    for secret in (predict, unknown, PASTED):
        for header in ("Authorization", "Cookie", "X-Api-Key", "X-Request-Id", "X-Deadline-Ms", "Content-Type",
                       "Origin", "User-Agent", "Content-Encoding"):  # fmt: skip
            post("/v1/predict", {**jpeg, **good, header: secret}, picture)
        post("/v1/predict", {**jpeg, "Authorization": f"Basic {secret}"}, picture)
        for query in (f"?api_key={secret}", f"?{secret}=1", f"?lat={secret}", f"?captured_at={secret}"):
            post(f"/v1/predict{query}", {**jpeg, **good}, picture)
        for parts in (
            [("image", picture), (secret, b"x")], [("image", picture), ("details", f'{{"{secret}": 1}}'.encode())],
            [("image", picture), ("lat", secret.encode())], [(secret, b"\xff\xfe")], [(secret, b"x" * 70_000)],
            [("image", picture), ("details", f'[{{"{secret}": 1}}]'.encode())],
        ):  # fmt: skip
            post("/v1/predict", {**multipart, **good}, form(*parts))
        for value in (
            {secret: "x"}, {"image": secret}, {"image": "AAAA", secret: 1}, {"image": "AAAA", "lat": secret}, [secret],
            secret, {"pictures": secret}, {"pictures": [{"image": "/9j/", secret: 1}]},
        ):  # fmt: skip
            post("/v1/predict", {**as_json, **good}, json.dumps(value).encode())
        post("/v1/predict", {**as_json, **good}, f'{{"a": {secret}}}'.encode())
        post("/v1/predict", {**jpeg, **good}, b"\xff\xd8\xff" + secret.encode())
        found.append(service.ask("GET", f"/v1/{secret}", headers=good))
        found.append(service.ask("DELETE", f"/v1/pictures/{secret}", headers=good))
        found.append(
            service.ask(
                "PUT", "/v1/model", body=json.dumps({secret: 1}).encode(), headers={**as_json, **good}
            )
        )
    for secret in (predict, unknown):  # a key as a picture's own name would stay in the journal for 400 days
        post("/v1/predict", {**as_json, **good}, json.dumps({"image": "/9j/", "id": secret}).encode())
        post(f"/v1/predict?camera={secret}", {**jpeg, **good}, picture)
    found += [
        service.ask("GET", path, headers=good) for path in ("/", "/v1/model", "/openapi.json", "/readyz")
    ]
    return found


def test_no_secret_is_in_anything_that_was_written(wire, colour_bundle, tls, tmp_path) -> None:
    from workzone.serving.keys import Role, make_key, utc_now

    certificate, key, password = tls
    keys = tmp_path / "keys.json"
    predict, admin = add(keys, "caller", "predict"), add(keys, "operator", "admin")
    unknown = make_key("nobody", Role.ADMIN, now=utc_now())[1]
    run = tmp_path / "run"
    options = ("--keys", keys, "--tls-certificate", certificate, "--tls-key", key, "--tls-password-file", password,
               "--journal", "journal", "--logs", "logs", "--pictures", "pictures", "--bundle-root",
               colour_bundle.parent, "--rate", 1e6, "--burst", 10_000)  # fmt: skip
    trust = ssl.create_default_context(cafile=str(certificate))
    environment = {"WORKZONE_TOKEN": VARIABLE, "AWS_SECRET_ACCESS_KEY": VARIABLE}
    with wire.command(run, colour_bundle, *options, tls=trust, environment=environment) as service:
        replies = ask_with_everything(service, wire, predict, unknown)
        bearer = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
        for name in (
            "../x",
            "/etc",
            "a\x00b",
            "..",
            ".",
            "",
            "a/b",
            unknown,
            PASTED,
            "x" * 101,
            "\u00e9",
            colour_bundle.name,
        ):
            body = json.dumps({"bundle": name}).encode()
            replies.append(service.ask("PUT", "/v1/model", body=body, headers=bearer))
            assert replies[-1].status in ((200,) if name == colour_bundle.name else (404, 422)), name
        keys.write_text('{"schema_version": 1, "keys": ["' + unknown + '"]}')  # a reload that fails is logged
        assert service.predict(wire.png(2), Authorization=f"Bearer {predict}").status == 200
        metrics = wire.ask(service.metrics, path="/metrics").body
        with wire.connected(service.address) as plain:  # plain text where TLS is spoken
            plain.sendall(wire.predict_bytes(wire.png(1), ("Authorization", f"Bearer {predict}")))
            wire.rest(plain)
        assert service.end() == 0
    assert (
        {200, 400, 401, 404, 415, 422}
        <= {reply.status for reply in replies}
        <= {200, 400, 401, 403, 404, 413, 415, 422}
    )
    written = {str(path): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    assert any(data for path, data in written.items() if "journal" in path)
    assert any(data for path, data in written.items() if "errors" in path)
    written["metrics"] = metrics
    for number, reply in enumerate(replies):
        written[f"reply {number}"] = reply.body + repr(reply.headers).encode()
    for token in (predict, admin, unknown):
        secret = token.rsplit("_", 1)[1]
        found = [where for where, data in written.items() if secret[:16].encode() in data]
        assert found == [], f"a key's secret, or a part of it, is in {found}"
    for secret in (PASSWORD, VARIABLE):
        assert [where for where, data in written.items() if secret.encode() in data] == []
    # As a request id, which the caller chose to have echoed and logged, it may be anywhere; else nowhere.
    chosen = f'"request_id":"{PASTED}"'.encode()
    for where, data in written.items():
        rest = data.replace(chosen, b"").replace(f"'x-request-id': '{PASTED}'".encode(), b"")
        assert PASTED.encode() not in rest, where


def test_what_it_writes_is_the_owners_alone(wire, colour_bundle, tmp_path) -> None:
    """Also under the loosest umask."""
    run = tmp_path / "run"
    options = (
        "--journal",
        "journal",
        "--logs",
        "logs",
        "--pictures",
        "pictures",
        "--keep-pictures",
        "sample=1",
    )
    with wire.command(run, colour_bundle, *options, before="import os; os.umask(0)") as service:
        assert service.predict(wire.png(3)).status == 200
        assert service.end() == 0
    found = {}
    for name in ("journal", "logs", "pictures"):
        for path in (run / name, *(run / name).rglob("*")):
            found[str(path.relative_to(run))] = path.stat().st_mode & 0o777
    assert len(found) > 6
    assert {path: oct(mode) for path, mode in found.items() if mode & 0o077} == {}
