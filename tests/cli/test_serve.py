"""`workzone serve`: what is refused before anything listens, and keys from the command line."""

from __future__ import annotations

import json
import stat

import pytest


def test_keys_are_added_listed_and_revoked(invoke, tmp_path) -> None:
    path = tmp_path / "keys.json"
    said = invoke("serve", "keys", "add", "cameras", "--keys", path)
    assert said.code == 0
    token = said.out.strip()
    assert token.startswith("wz_")
    assert token not in said.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = json.loads(
        invoke("serve", "keys", "add", "office", "--role", "admin", "--keys", path, "--json").out
    )
    assert made["role"] == "admin"
    assert made["token"].split("_")[1] == made["id"]
    listed = invoke("serve", "keys", "list", "--keys", path)
    assert "cameras" in listed.out
    assert token.split("_")[2] not in listed.out
    assert "sha256" not in invoke("serve", "keys", "list", "--keys", path, "--json").out
    assert invoke("serve", "keys", "revoke", made["id"], "--keys", path).code == 0
    assert "revoked" in invoke("serve", "keys", "list", "--keys", path).out


def test_a_wrong_key_command_is_a_usage_error(invoke, tmp_path) -> None:
    path = tmp_path / "keys.json"
    said = invoke("serve", "keys", "add", "a", "--role", "rot", "--keys", path)
    assert said.code == 2
    said.sentence("There is no role 'rot'")
    assert invoke("serve", "keys", "revoke", "0123abcd", "--keys", path).code == 2
    invoke("serve", "keys", "add", "a", "--keys", path)
    path.chmod(0o644)
    said = invoke("serve", "keys", "list", "--keys", path)
    assert said.code == 2
    said.sentence("chmod 600")


@pytest.mark.parametrize(("arguments", "fragment"), [
    (["--host", "0.0.0.0"], "--keys"), (["--tls-key", "key.pem"], "--tls-certificate"),
    (["--keep-pictures", "all"], "--keep-pictures"), (["--keep-pictures", "deferred"], "--pictures"),
    (["--burst", "5"], "--burst"), (["--keys", "absent.json"], "cannot be read"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_before_anything_listens(
    invoke, tmp_path, monkeypatch, arguments, fragment
):
    pytest.importorskip("fastapi")
    monkeypatch.chdir(tmp_path)
    said = invoke("serve", "bundle", *arguments)
    assert said.code == 2
    said.sentence(fragment)


def test_an_unready_key_of_tls_is_refused(invoke, tmp_path) -> None:
    pytest.importorskip("fastapi")
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    certificate.write_text("no certificate")
    key.write_text("no key")
    key.chmod(0o644)
    files = ("--tls-certificate", certificate, "--tls-key", key)
    invoke("serve", "run", "bundle", *files).sentence("chmod 600")
    key.chmod(0o600)
    said = invoke("serve", "run", "bundle", *files)
    assert said.code == 2
    said.sentence("TLS cannot be set up")


def test_help_names_both_ways(invoke) -> None:
    assert "keys" in invoke("serve", "--help").out
    assert "--drain-s" in invoke("serve", "run", "--help").out


def test_while_serving_only_the_redacting_logs_see_anything(tmp_path, capsys) -> None:
    import logging

    from workzone.cli.service import only_operational_logs
    from workzone.serving.logs import ERRORS, operational_logs

    root = logging.getLogger()
    handler, level = logging.StreamHandler(), root.level
    root.addHandler(handler)
    root.setLevel(logging.CRITICAL)  # as the root command leaves it
    token = "wz_0123abcd_" + "5ec2e7" * 10 + "beef"
    try:
        with only_operational_logs(), operational_logs(tmp_path / "logs"):
            logging.getLogger(ERRORS).error("unexpected: %s", token)
        assert handler in root.handlers
        assert root.level == logging.CRITICAL
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    text = (tmp_path / "logs" / "errors.jsonl").read_text()
    assert "unexpected" in text
    assert token not in text
    assert token not in capsys.readouterr().err
