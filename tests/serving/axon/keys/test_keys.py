"""Keys from a wallet and from a file, the SDK as the truth; what is wrong with them is said, and quotes nothing."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import os
import pickle
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workzone.core.errors import ConfigError
from workzone.serving.axon.keys.keyfile import _made, _nothing_printed, forgetting_frames
from workzone.serving.axon.keys.keys import MinerKeys, keys_from_fields, keys_from_file, keys_from_wallet

PASSWORD = "correct-horse-7731-battery"
ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
"""Substrate's development account."""


def read(wallet, password_file=None) -> MinerKeys:
    return keys_from_wallet(wallet.path, wallet.name, wallet.hotkey, password_file)


def refused(wallet, *words: str, password_file=None) -> str:
    """Expect a refusal with these words, and none of the keyfile's secrets."""
    with pytest.raises(ConfigError) as caught:
        read(wallet, password_file)
    message = str(caught.value)
    for word in words:
        assert word in message
    for secret in wallet.secrets.values():
        assert secret[: len(secret) // 2] not in message
    return message


def test_a_wallets_keys_are_those_the_sdk_reads(wallet) -> None:
    from bittensor_wallet import Keypair, Wallet

    keys = read(wallet)
    theirs = Wallet(wallet.name, wallet.hotkey, str(wallet.path))
    assert keys.hotkey_address == theirs.hotkey.ss58_address == wallet.fields["ss58Address"]
    assert keys.coldkey_address == theirs.coldkeypub.ss58_address == wallet.coldkeypub["ss58Address"]
    assert Keypair(ss58_address=keys.hotkey_address).verify(b"m", keys.hotkey.sign(b"m"))
    assert keys.warnings == ()
    assert keys.unlock_hotkey() is keys.hotkey


@pytest.mark.parametrize("crypto_type", [0, 1])
@pytest.mark.parametrize("field", ["secretSeed", "secretPhrase", "privateKey"])
def test_any_private_field_alone_suffices(make, tmp_path, field: str, crypto_type: int) -> None:
    wallet = make(tmp_path / "w", crypto_type=crypto_type)
    others = {"secretSeed", "secretPhrase", "privateKey"} - {field}
    wallet.rewrite(**dict.fromkeys(others))
    assert read(wallet).hotkey_address == wallet.fields["ss58Address"]
    wallet.put(json.dumps({**wallet.fields, **dict.fromkeys(others)}).encode())  # null, as some tools write
    assert read(wallet).hotkey_address == wallet.fields["ss58Address"]


def test_24_words_work_too(make, tmp_path) -> None:
    wallet = make(tmp_path / "w", n_words=24)
    assert len(wallet.fields["secretPhrase"].split()) == 24
    wallet.rewrite(secretSeed=None, privateKey=None)
    assert read(wallet).hotkey_address == wallet.fields["ss58Address"]


def test_missing_things_are_named_with_the_path_tried_and_the_command(wallet) -> None:
    with pytest.raises(ConfigError) as caught:
        keys_from_wallet(wallet.path, "stret", "miner")
    assert str(wallet.path / "stret") in str(caught.value)
    assert "Did you mean 'street'?" in str(caught.value)
    message, place = str(caught.value), f"--wallet.path {wallet.path}"
    public = f"btcli wallet regen-coldkeypub --wallet.name stret --ss58-address ADDRESS {place};"
    assert message.index(public) < message.index(
        f"btcli wallet new-hotkey --wallet.name stret --wallet.hotkey miner {place} "
    )
    assert message.count("bittensor-cli") == 1
    with pytest.raises(
        ConfigError, match=r"has no hotkey 'mine'.*hotkeys/mine.*Did you mean 'miner'.*new-hotkey"
    ):
        keys_from_wallet(wallet.path, wallet.name, "mine")
    wallet.coldkeypub_path.unlink()
    refused(wallet, "no public coldkey", str(wallet.coldkeypub_path), "regen-coldkeypub", place)


def test_wallets_that_are_nowhere_are_said_to_be_and_their_commands_can_be_pasted(wallet) -> None:
    nowhere = wallet.path / "no where"
    with pytest.raises(ConfigError) as caught:
        keys_from_wallet(nowhere, "my street", "miner")
    message = str(caught.value)
    assert (
        f"The directory of the wallets '{nowhere}' does not exist. Name another with --wallet-path" in message
    )
    assert message.count("--wallet.name 'my street'") == message.count(f"--wallet.path '{nowhere}'") == 2


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../street", "a\x00b", "a\nb", "x" * 256, "/etc"])
def test_a_name_stays_in_its_directory(wallet, name: str) -> None:
    for args in ((name, "miner"), (wallet.name, name)):
        with pytest.raises(ConfigError, match="one name, without"):
            keys_from_wallet(wallet.path, *args)


def test_the_home_is_found(wallet, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(wallet.path.parent))
    assert keys_from_wallet(Path("~/wallets"), wallet.name, wallet.hotkey).hotkey_address


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_hotkey_that_others_may_read_is_refused(wallet, mode: int) -> None:
    wallet.hotkey_path.chmod(mode)
    refused(wallet, f"mode {mode:04o}", f"chmod 600 '{wallet.hotkey_path}'")


def test_a_coldkeypub_may_be_read_by_others_but_not_changed(wallet) -> None:
    wallet.coldkeypub_path.chmod(0o644)
    assert read(wallet)
    wallet.coldkeypub_path.chmod(0o664)
    refused(wallet, "mode 0664", "chmod go-w")


def test_links_are_followed_and_what_they_lead_to_is_checked(wallet, tmp_path) -> None:
    kept = tmp_path / "kept"
    wallet.hotkey_path.rename(kept)
    wallet.hotkey_path.symlink_to(kept)
    assert read(wallet)
    kept.chmod(0o644)
    refused(wallet, "mode 0644")
    kept.unlink()
    refused(wallet, "has no hotkey")


def test_what_is_no_regular_file_is_refused(wallet) -> None:
    wallet.hotkey_path.unlink()
    os.mkfifo(wallet.hotkey_path, 0o600)
    refused(wallet, "not a regular file")
    wallet.hotkey_path.unlink()
    wallet.hotkey_path.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="is not a regular file"):
        read(wallet)


def test_a_keyfile_of_another_user_is_refused(wallet, monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: wallet.hotkey_path.stat().st_uid + 1)
    if wallet.hotkey_path.stat().st_uid == 0:
        os.chown(wallet.hotkey_path, 1234, -1)
    refused(wallet, "belongs to user")


def test_a_private_coldkey_on_the_machine_is_warned_of(wallet) -> None:
    (wallet.path / wallet.name / "coldkey").symlink_to("/nonexistent")
    (warning,) = read(wallet).warnings
    assert "does not belong on a miner" in warning


def test_a_hotkey_that_is_the_coldkey_is_warned_of(wallet) -> None:
    public = {k: wallet.fields[k] for k in ("ss58Address", "publicKey")}
    wallet.coldkeypub_path.write_text(json.dumps(public))
    (warning,) = read(wallet).warnings
    assert "The hotkey is the coldkey" in warning


def test_content_that_is_no_keyfile_is_refused_without_being_quoted(wallet) -> None:
    for data in (
        b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 5000, wallet.fields["secretPhrase"].encode(),
        wallet.fields["secretSeed"].encode(), json.dumps([wallet.fields]).encode(),
        json.dumps(wallet.fields).encode()[:-1],
        b'{"%s": 1, "%s": 2}' % ((wallet.fields["secretSeed"].encode(),) * 2),  # the parser quotes a key found twice
    ):  # fmt: skip
        wallet.put(data)
        refused(wallet, "not a JSON object", "regen-hotkey")
    wallet.put(b" " * (64 << 10) + b"{}")
    refused(wallet, "larger than 65536 bytes")


@pytest.mark.parametrize(("changes", "words"), [
    ({"ss58Address": ALICE}, ("its key belongs to", ALICE, "regen-hotkey")),
    ({"ss58Address": None}, ("'ss58Address' is missing",)),
    ({"ss58Address": 5}, ("'ss58Address' is missing or no valid",)),
    ({"ss58Address": ALICE[:-1] + "Z"}, ("no valid address",)),
    ({"ss58Address": "12xtAYsRUrmbniiWQqJtECiBQrMn8AypQcXhnQAc6RB6XkLW"}, ("no valid address",)),  # Polkadot's
    ({"publicKey": "0x" + "ab" * 32}, ("'publicKey' is not that of",)),
    ({"publicKey": 7}, ("'publicKey' is not that of",)),
    ({"cryptoType": 2}, ("'cryptoType' is neither",)),
    ({"cryptoType": True}, ("'cryptoType' is neither",)),
    ({"cryptoType": "1"}, ("'cryptoType' is neither",)),
    ({"cryptoType": 0}, ("its key belongs to",)),
    ({"secretSeed": "0x12"}, ("'secretSeed' is not what",)),
    ({"secretSeed": 12}, ("'secretSeed' is not what",)),
    ({"secretSeed": ["0x" + "ab" * 32]}, ("'secretSeed' is not what",)),
    ({"secretSeed": "0x" + "ab" * 32}, ("its key belongs to",)),
    ({"secretSeed": None, "secretPhrase": "zoo " * 11 + "zoo"}, ("no key can be made of its 'secretPhrase'",)),
    ({"secretSeed": None, "secretPhrase": "two words"}, ("'secretPhrase' is not what",)),
    ({"secretSeed": None, "secretPhrase": None, "privateKey": "0x" + "ff" * 64}, ("no key can be made",)),
    ({"secretSeed": None, "secretPhrase": None, "privateKey": None}, ("no private half", "public key")),
])  # fmt: skip
def test_a_changed_keyfile_is_refused(wallet, changes: dict, words: tuple[str, ...]) -> None:
    wallet.rewrite(**changes)
    refused(wallet, *words)


def test_a_coldkeypub_is_an_address_or_its_keyfile_and_nothing_private(wallet) -> None:
    address = wallet.coldkeypub["ss58Address"]
    for good in (f"{address}\n", json.dumps({"ss58Address": address}), json.dumps(wallet.coldkeypub)):
        wallet.coldkeypub_path.write_text(good)
        assert read(wallet).coldkey_address == address
    for bad, word in (
        ("", "not a JSON object"), ("x" * 48, "no valid address"), ("{}", "'ss58Address' is missing"),
        (json.dumps({**wallet.coldkeypub, "publicKey": "0x" + "00" * 32}), "'publicKey' is not"),
        (json.dumps(wallet.fields), "holds a private key ('secretSeed', 'secretPhrase', 'privateKey')"),
        ("five hundred", "not a JSON object"), ("x" * 70_000, "larger than"),
    ):  # fmt: skip
        wallet.coldkeypub_path.write_text(bad)
        refused(wallet, word)


def encrypted(wallet, how: str) -> bytes:
    from bittensor_wallet import keyfile

    make = keyfile.encrypt_keyfile_data if how == "nacl" else keyfile.legacy_encrypt_keyfile_data
    return bytes(make(json.dumps(wallet.fields).encode(), PASSWORD))


@pytest.mark.parametrize("how", [pytest.param("nacl", marks=pytest.mark.slow), "ansible"])  # 4 s a password
def test_an_encrypted_hotkey_opens_with_its_password_only(wallet, private_file, how: str) -> None:
    wallet.put(encrypted(wallet, how))
    refused(wallet, "is encrypted", "--hotkey-password-file", "decrypt()")
    message = refused(wallet, "the password is wrong", password_file=private_file("wrong", f"{PASSWORD}x\n"))
    assert PASSWORD not in message
    assert read(wallet, private_file("right", f"{PASSWORD}\n")).hotkey_address == wallet.fields["ss58Address"]


def test_every_way_of_the_sdk_to_encrypt_is_known_as_such(wallet) -> None:
    for mark in (b"$NACL" + bytes(600), b"$ANSIBLE_VAULT;1.1;AES256\n3264", b"gAAAAABnabc"):
        wallet.put(mark)
        refused(wallet, "is encrypted", "--hotkey-password-file")


def test_the_passwords_file_is_private_and_not_empty(wallet, private_file) -> None:
    wallet.put(encrypted(wallet, "ansible"))
    password = private_file("password", PASSWORD)
    password.chmod(0o644)
    refused(wallet, "mode 0644", password_file=password)
    refused(wallet, "holds no password", password_file=private_file("empty", "\n"))
    refused(wallet, "cannot be read", password_file=password.with_name("none"))
    refused(wallet, "not a regular file", password_file=wallet.path)
    wallet.rewrite()
    assert read(wallet, password.with_name("none")), "a password that is not needed is not read"


def test_an_encrypted_keyfile_that_is_cut_short_does_not_take_the_process_down(wallet, private_file) -> None:
    password = private_file("password", PASSWORD)
    for data in (b"$NACL", b"$NACLx", b"$NACL" + b"x" * 39):
        wallet.put(data)
        refused(wallet, "cut short", password_file=password)
    whole = encrypted(wallet, "ansible")
    for data in (b"$ANSIBLE_VAULT", b"$ANSIBLE_VAULT;1.1;AES256\n61", whole[:-40]):
        wallet.put(data)
        refused(wallet, "does not open", password_file=password)


@pytest.mark.parametrize("right", [True, False])
def test_nothing_is_printed_while_a_keyfile_is_opened(wallet, private_file, capfd, right: bool) -> None:
    wallet.put(encrypted(wallet, "ansible"))
    capfd.readouterr()  # the SDK says that it encrypts
    password = private_file("password", PASSWORD if right else "wrong")
    if right:
        read(wallet, password)
    else:
        refused(wallet, "the password is wrong", password_file=password)
    assert capfd.readouterr() == ("", "")
    sys.stdout.write("python\n")
    sys.stdout.flush()
    os.write(1, b"descriptor")
    assert capfd.readouterr().out == "python\ndescriptor"


def test_what_a_library_writes_to_the_descriptor_is_kept_away_too(capfd) -> None:
    def speak() -> None:
        sys.stdout.write("by Python")
        os.write(1, b"by Rust")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), _nothing_printed():
        speak()
    os.write(1, b"after")
    assert capfd.readouterr().out == "after"


def test_an_encrypted_keyfile_stands_in_a_file_as_base64(wallet, private_file) -> None:
    password = private_file("password", PASSWORD)
    for data in (encrypted(wallet, "ansible"), json.dumps(wallet.fields).encode()):
        for text in (base64.b64encode(data), base64.encodebytes(data)):  # in one line, in lines
            locked = {**wallet.both(), "hotkey": text.decode()}
            keys = keys_from_file(private_file("keys.json", json.dumps(locked)), password)
            assert keys.hotkey_address == wallet.fields["ss58Address"]


def test_the_usual_encryption_is_known_in_base64_and_refused_as_text(wallet, private_file) -> None:
    data = b"$NACL" + bytes(range(256)) * 2
    for text, words in (
        (base64.b64encode(data).decode(), "is encrypted. Give its password"),
        (data.decode("utf-8", "replace"), "base64 -w0 HOTKEYFILE"),
        (base64.b64encode(wallet.fields["secretPhrase"].encode()).decode(), "not a JSON object"),
    ):
        path = private_file("keys.json", json.dumps({**wallet.both(), "hotkey": text}))
        with pytest.raises(ConfigError) as caught:
            keys_from_file(path)
        assert words in str(caught.value)


@pytest.mark.slow  # 8 s: the password's hash
def test_a_key_encrypted_as_usual_opens_from_base64_and_prints_nothing(wallet, private_file, capfd) -> None:
    locked = {**wallet.both(), "hotkey": base64.b64encode(encrypted(wallet, "nacl")).decode()}
    capfd.readouterr()
    keys = keys_from_file(private_file("keys.json", json.dumps(locked)), private_file("password", PASSWORD))
    assert keys.hotkey_address == wallet.fields["ss58Address"]
    assert capfd.readouterr() == ("", "")


def test_keys_come_from_one_file(wallet, private_file) -> None:
    both = wallet.both()
    as_text = {name: json.dumps(value) for name, value in both.items()}
    address = {**both, "coldkeypub": wallet.coldkeypub["ss58Address"]}
    for value in (both, as_text, address):
        keys = keys_from_file(private_file("keys.json", json.dumps(value)))
        assert (keys.hotkey_address, keys.coldkey_address) == (
            wallet.fields["ss58Address"], wallet.coldkeypub["ss58Address"],
        )  # fmt: skip
    locked = {**both, "hotkey": encrypted(wallet, "ansible").decode("ascii")}
    path = private_file("keys.json", json.dumps(locked))
    with pytest.raises(ConfigError, match="is encrypted"):
        keys_from_file(path)
    assert keys_from_file(path, private_file("password", PASSWORD))
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="mode 0640"):
        keys_from_file(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        keys_from_file(path.with_name("none"))


def test_a_file_of_other_content_is_refused(wallet, private_file) -> None:
    both = wallet.both()
    for value, word in (
        ({}, "lacks 'hotkey', 'coldkeypub'"), ({"hotkey": {}}, "lacks 'coldkeypub'"),
        ({**both, "coldkey": wallet.fields}, "has 1 further field;"),
        ({**both, "a": 1, wallet.fields["secretSeed"]: 1}, "has 2 further fields;"),
        ({**both, "hotkey": 5}, "neither the text nor the JSON object"), ({**both, "hotkey": None}, "neither"),
        ({**both, "hotkey": "\ud800"}, "not a JSON object"),
        ({**both, "hotkey": wallet.fields["secretPhrase"]}, "not a JSON object"),
        ({**both, "coldkeypub": 5}, "neither an address nor"), ({**both, "coldkeypub": wallet.fields}, "private key"),
        ({**both, "coldkeypub": "\u0665" * 48}, "not a JSON object"),
    ):  # fmt: skip
        with pytest.raises(ConfigError) as caught:
            keys_from_file(private_file("keys.json", json.dumps(value)))
        assert word in str(caught.value)
        assert wallet.secrets["secretSeed"][:16] not in str(caught.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80)
    | st.sampled_from([ALICE, "0x" + "ab" * 32]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["ss58Address", "secretSeed", "secretPhrase", "privateKey", "publicKey", "cryptoType"]), inner
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(anything, anything)
def test_no_content_makes_anything_but_a_clear_refusal(hotkey: object, coldkeypub: object) -> None:
    try:
        keys = keys_from_fields({"hotkey": hotkey, "coldkeypub": coldkeypub}, "it")
    except ConfigError:
        return
    assert isinstance(hotkey, dict)
    assert keys.hotkey_address == hotkey["ss58Address"]


def test_they_show_addresses_only_and_are_not_copied(wallet) -> None:
    keys = read(wallet)
    shown = f"{keys} {keys!r} {keys.hotkey!r} {keys.hotkey} {[keys]} {keys.source} {dir(keys)}"
    assert keys.hotkey_address in shown
    assert keys.coldkey_address in shown
    for secret in wallet.secrets.values():
        assert secret[: len(secret) // 2] not in shown
    for take in (copy.copy, copy.deepcopy, pickle.dumps, dataclasses.asdict):
        with pytest.raises(TypeError, match="pickle"):
            take(keys)  # type: ignore[operator]
    assert not hasattr(keys, "__dict__")
    assert not hasattr(keys, "coldkey")


def test_who_cannot_sign_is_no_hotkey_and_who_can_is_no_public_coldkey(wallet) -> None:
    from bittensor_wallet import Keypair

    private = _made("secretSeed", wallet.fields["secretSeed"], 1)
    public = Keypair(ss58_address=wallet.fields["ss58Address"])
    with pytest.raises(ConfigError, match="cannot sign"):
        MinerKeys(public, public)
    with pytest.raises(ConfigError, match="came with its private half"):
        MinerKeys(private, private)
    assert MinerKeys(private, public).source == "memory"


def test_a_refusal_carries_none_of_the_frames_that_saw_the_key() -> None:
    @forgetting_frames
    def outer(path: str) -> None:
        secret = "a-key"
        try:
            int(secret)
        except ValueError as error:
            raise ConfigError("no") from error

    with pytest.raises(ConfigError, match="no") as caught:
        outer("x")
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert "outer" not in {entry.name for entry in caught.traceback}
    with pytest.raises(ZeroDivisionError):
        forgetting_frames(lambda: 1 / 0)()
