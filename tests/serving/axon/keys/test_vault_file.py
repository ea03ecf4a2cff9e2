"""The file that says where Vault keeps the keys: what it may say, and that a wrong one is never quoted."""

from __future__ import annotations

from pathlib import Path

import pytest

from workzone.core.errors import ConfigError
from workzone.serving.axon.keys.vault_file import MAX_BYTES, read_vault_file

SECRET = "hvs.5ec2e75ec2e75ec2e75ec2e7"


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "vault.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_files_it_names_count_from_its_own_directory(written, tmp_path):
    (tmp_path / "ca.pem").write_text("-")
    found = read_vault_file(
        written(
            "url: https://vault.example:8200\npath: miner\ntoken_file: t\nca_file: ca.pem\ntimeout_s: 3\n"
        )
    )
    assert (found.url, found.path, found.mount, found.timeout_s) == (
        "https://vault.example:8200", "miner", "secret", 3,
    )  # fmt: skip
    assert (found.token_file, found.ca_file) == (tmp_path / "t", tmp_path / "ca.pem")


def test_an_absolute_file_stays_where_it_is(written, tmp_path):
    found = read_vault_file(written("url: https://v.example\npath: miner\ntoken_file: /run/secrets/token\n"))
    assert found.token_file == Path("/run/secrets/token")


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("url: https://v.example\n", "lacks 'path'"),
        ("path: miner\n", "lacks 'url'"),
        ("url: https://v.example\npath: m\ntokenfile: x\n", "Did you mean 'token_file'?"),
        ("url: https://v.example\npath: [a]\n", "'path' is no text"),
        ("url: https://v.example\npath: m\ntimeout_s: soon\n", "'timeout_s' is no number"),
        ("url: https://v.example\npath: m\ntimeout_s: true\n", "'timeout_s' is no number"),
        ("url: http://v.example\npath: m\n", "https"),
        ("", "no YAML mapping"),
        ("- a\n", "no YAML mapping"),
        ("{" * 2000, "no YAML mapping"),
        ("a: [\n", "no YAML mapping"),
        (b"\xff\xfe\xff", "no YAML mapping"),
        (" " * (MAX_BYTES + 1), "bytes"),
        (SECRET, "no YAML mapping"),
        (f"url: https://v.example\npath: m\nnamespace: ['{SECRET}']\n", "'namespace' is no text"),
        ("!!python/object/apply:os.system ['true']\n", "no YAML mapping"),
    ],
)
def test_what_cannot_be_used_is_said_and_never_quoted(written, text, fragment):
    with pytest.raises(ConfigError) as refused:
        read_vault_file(written(text))
    assert fragment in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.yaml"):
        read_vault_file(tmp_path / "gone.yaml")
