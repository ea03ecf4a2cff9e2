"""Keys: made, read, compared, revoked, and refused where others could have read them."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import stat
from datetime import UTC, datetime

import pytest

from workzone.core.errors import ConfigError
from workzone.serving.key_file import add_key, check_private, read_keys, read_secret, revoke_key, write_keys
from workzone.serving.key_ring import KeyRing
from workzone.serving.keys import Role, check_binding, is_loopback, make_key

NOW = datetime(2026, 5, 4, tzinfo=UTC)


def test_a_key_is_256_random_bits_and_only_its_hash_is_kept(tmp_path) -> None:
    path = tmp_path / "keys.json"
    key, token = add_key(path, "cameras", Role.PREDICT, now=NOW)
    prefix, identity, secret = token.split("_")
    assert (prefix, identity, len(bytes.fromhex(secret))) == ("wz", key.id, 32)
    assert key.sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_keys(path) == (key,)
    assert make_key("a", Role.ADMIN, now=NOW)[1] != make_key("a", Role.ADMIN, now=NOW)[1]


def test_the_file_is_private_while_it_is_written_too(tmp_path, monkeypatch) -> None:
    modes = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (modes.append(stat.S_IMODE(os.fstat(fd).st_mode)), real(fd))[1]
    )
    old = os.umask(0)
    try:
        add_key(tmp_path / "keys.json", "a", Role.PREDICT, now=NOW)
    finally:
        os.umask(old)
    assert modes[0] == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o644, 0o777])
def test_a_file_that_others_may_read_or_change_is_refused(tmp_path, mode) -> None:
    path = tmp_path / "keys.json"
    add_key(path, "a", Role.PREDICT, now=NOW)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=r"open to other users \(mode 0\d+\).*chmod 600"):
        read_keys(path)
    with pytest.raises(ConfigError, match="chmod 600"):
        check_private(path)


def test_what_is_no_regular_file_of_bounded_size_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_keys(tmp_path / "none")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(ConfigError, match="regular"):
        read_keys(pipe)
    large = tmp_path / "large"
    large.touch(0o600)
    large.write_bytes(b" " * (1 << 20) + b"{}")
    with pytest.raises(ConfigError, match="larger than"):
        read_keys(large)


ENTRY = {
    "id": "0123abcd",
    "name": "a",
    "role": "predict",
    "sha256": "0" * 64,
    "created": "2026-05-04T00:00:00Z",
}


@pytest.mark.parametrize("value", [
    b"", b"{", b"[]", b"{}", b"\xff", b"[" * 5000, {"schema_version": 2, "keys": []},
    {"schema_version": 1, "keys": [{**ENTRY, "token": "wz_s3cret"}]},
    {"schema_version": 1, "keys": [{**ENTRY, "sha256": "s3cret"}]},
    {"schema_version": 1, "keys": [{**ENTRY, "role": "root"}]},
    {"schema_version": 1, "keys": [{**ENTRY, "id": "s3cret"}]},
    {"schema_version": 1, "keys": [{**ENTRY, "name": "a\nb"}]},
    {"schema_version": 1, "keys": [{**ENTRY, "created": "2026-05-04T00:00:00"}]},
    {"schema_version": 1, "keys": [ENTRY, ENTRY]},
    {"schema_version": 1, "keys": [ENTRY] * 1001},
])  # fmt: skip
def test_what_is_no_keys_file_is_refused_without_quoting_it(tmp_path, value) -> None:
    path = tmp_path / "keys.json"
    path.touch(0o600)
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    with pytest.raises(ConfigError) as caught:
        read_keys(path)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None, "a traceback would print what pydantic quotes"


def test_a_token_is_found_and_near_misses_are_not(tmp_path) -> None:
    path = tmp_path / "keys.json"
    key, token = add_key(path, "cameras", Role.PREDICT, now=NOW)
    other, _ = add_key(path, "office", Role.ADMIN, now=NOW)
    ring = KeyRing.open(path)
    assert ring.find(token) == key
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
    other_digits = "wz_٠٠٠٠٠٠٠٠_" + "0" * 64
    for miss in ("", "wz_", wrong, token.upper(), token + "0", token + "\n", f" {token}", token[:-1],
                 token.replace(key.id, other.id), "x" * 100_000, "\ud800", key.sha256, other_digits):  # fmt: skip
        assert ring.find(miss) is None


def test_every_look_up_compares_once_in_constant_time(tmp_path, monkeypatch) -> None:
    path = tmp_path / "keys.json"
    _, token = add_key(path, "cameras", Role.PREDICT, now=NOW)
    ring = KeyRing.open(path)
    seen: list[tuple[str, str]] = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: (seen.append((a, b)), real(a, b))[1])
    for asked in (token, "wz_ffffffff_" + "0" * 64, "", token[:-1]):
        ring.find(asked)
    assert len(seen) == 4
    assert {len(side) for pair in seen for side in pair} == {64}


def test_revoking_works_at_once_and_keeps_the_name(tmp_path) -> None:
    path = tmp_path / "keys.json"
    key, token = add_key(path, "cameras", Role.PREDICT, now=NOW)
    add_key(path, "office", Role.ADMIN, now=NOW)
    ring = KeyRing.open(path)
    assert ring.find(token) is not None
    revoke_key(path, key.id, now=NOW)
    assert ring.find(token) is None
    assert [(k.name, k.revoked) for k in read_keys(path)] == [("cameras", NOW), ("office", None)]
    with pytest.raises(ConfigError, match="no working key"):
        revoke_key(path, key.id, now=NOW)


def test_a_new_key_works_without_a_restart(tmp_path) -> None:
    path = tmp_path / "keys.json"
    add_key(path, "cameras", Role.PREDICT, now=NOW)
    ring = KeyRing.open(path)
    key, token = add_key(path, "late", Role.PREDICT, now=NOW)
    assert ring.find(token) == key


def test_a_file_that_cannot_be_read_leaves_the_last_keys_in_force_and_is_said(tmp_path, caplog) -> None:
    path = tmp_path / "keys.json"
    key, token = add_key(path, "cameras", Role.PREDICT, now=NOW)
    ring = KeyRing.open(path)
    path.write_text("{ broken")
    with caplog.at_level(logging.ERROR):
        assert ring.find(token) == key
        assert ring.find(token) == key
    assert caplog.text.count("keys_not_reloaded") == 1, "once for each change"
    assert token not in caplog.text
    path.unlink()
    assert ring.find(token) == key
    write_keys(path, ())
    assert ring.find(token) is None


def test_a_ring_without_a_working_key_is_refused(tmp_path) -> None:
    path = tmp_path / "keys.json"
    key, _ = add_key(path, "a", Role.PREDICT, now=NOW)
    revoke_key(path, key.id, now=NOW)
    with pytest.raises(ConfigError, match="No key"):
        KeyRing.open(path)


@pytest.mark.parametrize("name", ["", "a" * 101, "a\nb", "\x7f"])
def test_a_name_is_one_printable_line(tmp_path, name) -> None:
    with pytest.raises(ConfigError, match="name"):
        add_key(tmp_path / "keys.json", name, Role.PREDICT, now=NOW)
    assert not (tmp_path / "keys.json").exists()


def test_admin_includes_predict_and_not_the_reverse() -> None:
    assert Role.ADMIN.may(Role.PREDICT)
    assert Role.ADMIN.may(Role.ADMIN)
    assert Role.PREDICT.may(Role.PREDICT)
    assert not Role.PREDICT.may(Role.ADMIN)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.2", "example.org", "127.0.0.1.example.org",
                                  "localhost.example.org", "2130706433"])  # fmt: skip
def test_without_keys_only_the_loopback_interface(host) -> None:
    with pytest.raises(ConfigError, match="--keys"):
        check_binding(host, has_keys=False)
    check_binding(host, has_keys=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback_addresses(host) -> None:
    assert is_loopback(host)
    check_binding(host, has_keys=False)


def test_a_secret_comes_from_a_private_file(tmp_path) -> None:
    path = tmp_path / "password"
    path.touch(0o600)
    path.write_text("geheim\n")
    assert read_secret(path) == "geheim"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_secret(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_secret(path)
