"""Secrets planted in every source of keys, every failure provoked, and everything written searched for them.

The logs are searched twice: as the service writes them, and raw, before anything was taken out: nothing secret may
reach a logger in the first place.
"""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workzone.core.errors import WorkzoneError
from workzone.serving.axon.keys.keyfile import parse_object
from workzone.serving.axon.keys.keys import keys_from_file, keys_from_wallet
from workzone.serving.axon.keys.vault import VaultSecret, keys_from_vault
from workzone.serving.logs import JsonLines, operational_logs
from workzone.serving.redaction import Redaction

pytest.importorskip("hvac")

TOKEN = "hvs.CAESIJ3f9QhZk2vT7nXw8rLmYc4dBpGsAaEe"
HUGGING_FACE = "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"
ROLE_ID = "5b1f3e0a-7c55-4a2e-9d0e-6f1c2b3a4d5e"
SECRET_ID = "c0ffee11-2233-4455-6677-8899aabbccdd"
PASSWORD = "correct-horse-7731-battery"


class Witness:
    """Does what may fail, and keeps every text that comes of it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.refusals = 0
        self.maimed: list[str] = []
        """Refusals that would not be read whole in the logs."""

    def sees(self, call: Callable[[], object]) -> None:
        try:
            found = call()
        except WorkzoneError as error:
            self.refusals += 1
            self.maimed += [str(error)] * (Redaction().text(str(error)) != str(error))
            frames = error.__traceback__
            while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
                frames = frames.tb_next  # the test's own variables hold what it planted
            assert frames is not None
            with_locals = traceback.TracebackException(type(error), error, frames, capture_locals=True)
            self.texts += [str(error), repr(error), *traceback.format_exception(error), *with_locals.format()]
            self.texts.append(repr((error.__cause__, error.__context__, error.args, vars(error))))
            logging.getLogger("workzone.test").exception("not read")
            logging.getLogger("workzone.test").warning("not read: %s", error)
        else:
            self.texts += [repr(found), str(found), repr(getattr(found, "warnings", ""))]
            logging.getLogger("workzone.test").info("read %s", found, extra={"keys": found})


@contextmanager
def everything_logged(directory: Path, witness: Witness) -> Iterator[None]:
    """Keep what the service's logs hold, and what any logger was given, at the level DEBUG."""
    raw, lines, console = io.StringIO(), io.StringIO(), io.StringIO()
    unredacted, as_served = logging.StreamHandler(raw), logging.StreamHandler(lines)
    as_served.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    with operational_logs(directory, stream=console):
        root.setLevel(logging.DEBUG)
        root.handlers.insert(0, unredacted)  # the filters of the others change the record itself
        as_served.addFilter(Redaction())
        root.addHandler(as_served)
        try:
            yield
        finally:
            root.removeHandler(unredacted)
            root.removeHandler(as_served)
            root.setLevel(level)
    assert "GET /v1/secret/data" in raw.getvalue(), "the libraries below were heard too"
    witness.texts += [raw.getvalue(), lines.getvalue(), console.getvalue()]
    witness.texts += [path.read_text() for path in sorted(directory.iterdir())]


def halves(secret: str) -> list[str]:
    """Either half of a secret, in letters or in words."""
    words = secret.split()
    if len(words) > 1:
        return [" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])]
    return [secret[: len(secret) // 2], secret[len(secret) // 2 :]]


def spoilt(wallet) -> Iterator[bytes]:
    """Hotkey files with the real secrets in them, each broken in its way."""
    fields = wallet.fields
    text = json.dumps(fields)
    yield text.encode()
    yield text.encode()[:-1]
    yield b"[" + text.encode() + b"]"
    yield f"{text} {HUGGING_FACE}".encode()
    yield fields["secretPhrase"].encode()
    yield fields["secretSeed"].encode()
    yield json.dumps({fields["secretSeed"]: fields["secretPhrase"]}).encode()
    yield json.dumps({**fields, "ss58Address": fields["secretSeed"]}).encode()
    yield json.dumps({**fields, "ss58Address": wallet.coldkeypub["ss58Address"]}).encode()
    yield json.dumps({**fields, "publicKey": fields["secretSeed"]}).encode()
    yield json.dumps({**fields, "cryptoType": fields["privateKey"]}).encode()
    yield json.dumps({**fields, "secretSeed": fields["privateKey"]}).encode()
    yield json.dumps({**fields, "secretSeed": None, "secretPhrase": fields["privateKey"]}).encode()
    yield json.dumps({**fields, "secretSeed": None, "secretPhrase": f"{fields['secretPhrase']} zoo"}).encode()
    yield json.dumps(
        {**fields, "secretSeed": None, "secretPhrase": None, "privateKey": fields["secretPhrase"]}
    ).encode()
    yield b"$NACL" + text.encode()[:30]
    yield b"$ANSIBLE_VAULT;1.1;AES256\n" + text.encode()
    yield text.encode() * 200
    yield text.encode() + b"\xff"


def ask_wallet(wallet, witness: Witness, password_file: Path) -> None:
    def read(password: Path | None = None, hotkey: str = wallet.hotkey) -> object:
        return keys_from_wallet(wallet.path, wallet.name, hotkey, password)

    from bittensor_wallet import keyfile

    locked = bytes(keyfile.legacy_encrypt_keyfile_data(json.dumps(wallet.fields).encode(), PASSWORD))
    for data in (locked, *spoilt(wallet)):
        wallet.put(data)
        witness.sees(read)
        witness.sees(lambda: read(password_file))
    wallet.put(locked)
    wrong = password_file.with_name("wrong")
    wrong.write_text(f"{PASSWORD}-{HUGGING_FACE}")
    wrong.chmod(0o600)
    witness.sees(lambda: read(wrong))
    wrong.chmod(0o644)
    witness.sees(lambda: read(wrong))
    wallet.rewrite()
    wallet.hotkey_path.chmod(0o644)
    witness.sees(read)
    wallet.rewrite()
    witness.sees(lambda: read(hotkey="other"))
    wallet.coldkeypub_path.write_text(json.dumps(wallet.fields))
    witness.sees(read)
    wallet.coldkeypub_path.write_text(wallet.fields["secretPhrase"])
    witness.sees(read)
    wallet.coldkeypub_path.unlink()
    witness.sees(read)
    wallet.coldkeypub_path.write_text(json.dumps(wallet.coldkeypub))


def ask_file(wallet, witness: Witness, private_file: Callable[..., Path]) -> None:
    both = wallet.both()
    values: list[object] = [
        both,
        {**both, "coldkey": wallet.fields},
        {**both, wallet.fields["secretPhrase"]: TOKEN},
    ]
    values += [{**both, "coldkeypub": wallet.fields}, {**both, "coldkeypub": wallet.fields["secretSeed"]}]
    values += [{**both, "hotkey": data.decode("latin-1")} for data in spoilt(wallet)]
    for value in values:
        path = private_file("both.json", json.dumps(value))
        witness.sees(lambda path=path: keys_from_file(path))
    path.write_text(json.dumps(both)[:-1])
    witness.sees(lambda: keys_from_file(path))
    path.chmod(0o640)
    witness.sees(lambda: keys_from_file(path))


def ask_vault(wallet, vault, witness: Witness, private_file: Callable[..., Path], monkeypatch) -> None:
    token, role, secret_id = (
        private_file(name, text)
        for name, text in (("token", TOKEN), ("role", ROLE_ID), ("secret-id", SECRET_ID))
    )

    def read(**options: object) -> None:
        known = {"url": vault.url, "path": "subnet72/miner", "token_file": token, **options}
        witness.sees(lambda: keys_from_vault(VaultSecret(**known)))

    read()
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    read(token_file=None)
    monkeypatch.setenv("VAULT_TOKEN", f"{TOKEN}\n{TOKEN}")
    read(token_file=None)
    read(token_file=None, role_id_file=role, secret_id_file=secret_id)
    read(token_file=None, role_id_file=secret_id, secret_id_file=role)
    read(path="none")
    read(mount="none")
    read(url="http://127.0.0.1:1")
    read(url=vault.url.replace("http:", "https:"))
    everything = json.dumps(
        {"errors": [TOKEN, *wallet.secrets.values()], "data": wallet.both(), "auth": TOKEN}
    ).encode()
    header = {"Content-Type": "application/json", "Location": f"{vault.url}/?{TOKEN}", "X-Note": PASSWORD}
    for status in (200, 204, 307, 400, 403, 404, 429, 500, 503):
        vault.lie = lambda _, status=status: (status, header, everything)
        read()
        read(token_file=None, role_id_file=role, secret_id_file=secret_id)
    for fields in (
        {"hotkey": data.decode("latin-1"), "coldkeypub": wallet.coldkeypub} for data in spoilt(wallet)
    ):
        answer = json.dumps({"data": {"data": fields, "metadata": {}}}).encode()
        vault.lie = lambda _, answer=answer: (200, header, answer)
        read()
    for fields in (
        {**wallet.both(), TOKEN: TOKEN},
        {**wallet.both(), "coldkeypub": wallet.fields},
        [TOKEN],
        TOKEN,
    ):
        answer = json.dumps({"data": {"data": fields, "metadata": {}}}).encode()
        vault.lie = lambda _, answer=answer: (200, header, answer)
        read()
    for auth in (5, {"client_token": f"{TOKEN}\n"}, {"client_token": [TOKEN]}):
        answer = json.dumps({"auth": auth}).encode()
        vault.lie = lambda _, answer=answer: (200, header, answer)
        read(token_file=None, role_id_file=role, secret_id_file=secret_id)
    private_file("token", f"{TOKEN} {PASSWORD}")
    read()
    token.chmod(0o666)
    read()


def test_no_failure_and_no_log_shows_a_secret_or_half_of_one(
    wallet, vault, private_file, tmp_path, monkeypatch, capfd
) -> None:
    witness = Witness()
    with everything_logged(tmp_path / "logs", witness):
        ask_wallet(wallet, witness, private_file("password", PASSWORD))
        ask_file(wallet, witness, private_file)
        ask_vault(wallet, vault, witness, private_file, monkeypatch)
    out, err = capfd.readouterr()
    witness.texts += [out, err]
    assert witness.refusals > 100
    assert witness.maimed == []
    assert any("not read" in text for text in witness.texts)
    secrets = {**wallet.secrets, "token": TOKEN, "hugging face": HUGGING_FACE, "password": PASSWORD,
               "secret id": SECRET_ID, "role id": ROLE_ID, "of the role": "hvs.fromAppRole0123456789abcd"}  # fmt: skip
    for name, secret in secrets.items():
        for half in halves(secret):
            found = [text for text in witness.texts if half.lower() in text.lower()]
            assert not found, f"half of the {name} is in: {found[0][:600]}"


def test_the_search_finds_what_is_there() -> None:
    """Read below the functions that forget their frames, the secret is among their variables."""
    witness = Witness()
    witness.sees(lambda: parse_object(TOKEN.encode(), "it"))
    assert witness.refusals == 1
    assert [half for half in halves(TOKEN) if not any(half in text for text in witness.texts)] == []
    assert halves("one two three four") == ["one two", "three four"]


def test_a_secret_that_a_library_logs_is_taken_out_of_the_services_logs(wallet, tmp_path) -> None:
    """The second net, for what others may log one day."""
    log = logging.getLogger("somebody.else")
    fields = wallet.fields
    with operational_logs(tmp_path / "logs", stream=io.StringIO()):
        for secret in (
            json.dumps(fields), repr(fields), TOKEN, HUGGING_FACE, *(fields[name] for name in wallet.secrets),
        ):  # fmt: skip
            log.warning("a keyfile: %s", secret)
            log.error("a keyfile", extra={"content": secret, "more": [secret], secret: 1})
            log.error("it failed", exc_info=ValueError(secret))
    written = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert written.count("a keyfile") == 14
    for secret in (*wallet.secrets.values(), TOKEN, HUGGING_FACE):
        for half in halves(secret):
            assert half not in written
    assert wallet.fields["ss58Address"] in written
