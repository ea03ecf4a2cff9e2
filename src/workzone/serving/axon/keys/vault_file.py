"""The small file that says where Vault keeps the miner's keys; it holds no secret itself.

Knows YAML and the fields of `VaultSecret`: `url` and `path` are needed, the rest has defaults. A relative file name in
it counts from the file's own directory.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from workzone.core.errors import ConfigError, nearest
from workzone.serving.axon.keys.vault import VaultSecret

MAX_BYTES = 1 << 16
_FILES = ("token_file", "role_id_file", "secret_id_file", "ca_file")


def read_vault_file(path: Path) -> VaultSecret:
    """Read where the secret lies.

    Raises:
        ConfigError: The file is missing or too large, is no mapping of known keys to texts and numbers, or what it says
            cannot be used; quotes no value, since a token may have been pasted into it.
    """
    known = {field.name for field in fields(VaultSecret)}
    said = _mapping(path)
    for key in said:
        if key not in known:
            raise ConfigError(
                f"'{path}' has the unknown key {str(key)[:60]!r}.{nearest(str(key)[:60], known)}"
            )
    missing = [name for name in ("url", "path") if name not in said]
    if missing:
        raise ConfigError(f"'{path}' lacks '{missing[0]}'; expected at least url and path.")
    values: dict[str, Any] = {}
    for key, value in said.items():
        number = key == "timeout_s"
        if isinstance(value, bool) or not isinstance(value, int | float if number else str):
            raise ConfigError(f"'{path}': '{key}' is no {'number' if number else 'text'}.")
        values[key] = path.parent / Path(str(value)).expanduser() if key in _FILES else value
    return VaultSecret(**values)


def _mapping(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"The file '{path}' for Vault cannot be read: {error.strerror}.") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"'{path}' has more than {MAX_BYTES} bytes; expected a few lines of YAML.")
    try:
        said = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not said:
        raise ConfigError(
            f"'{path}' is no YAML mapping; expected lines such as 'url: https://vault.example:8200' and 'path: miner'."
        )
    return said
