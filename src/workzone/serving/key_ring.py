"""The keys in force: looked up by id, compared in constant time, read again when their file changes.

The decision to question: where a changed file cannot be read (broken JSON, loosened permissions, gone) the keys read
last stay in force and the error log says so at each change, because one bad edit must not lock every camera out.
`workzone serve keys revoke` replaces the file in one step, which is never half-read.
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from workzone.core.errors import ConfigError
from workzone.serving.key_file import read_keys
from workzone.serving.keys import Key, token_hash
from workzone.serving.logs import ERRORS

_TOKEN = re.compile(r"wz_([0-9a-f]{8})_[0-9a-f]{64}", re.ASCII)
_NO_HASH = "0" * 64
_LOG = logging.getLogger(ERRORS)


class KeyRing:
    """The keys in force, read again when their file changes. For one thread: the event loop's."""

    def __init__(self, keys: Sequence[Key], path: Path | None = None) -> None:
        self._keys = _by_id(keys)
        self._path = path
        self._seen = _fingerprint(path)

    @classmethod
    def open(cls, path: Path) -> KeyRing:
        """Read the file and follow its changes.

        Raises:
            ConfigError: See `read_keys`; or no key in it works.
        """
        seen = _fingerprint(path)  # before reading: a change in between is then read at the next look
        ring = cls(read_keys(path), path)
        ring._seen = seen
        if not any(key.revoked is None for key in ring._keys.values()):
            raise ConfigError(f"No key in '{path}' works; make one with 'workzone serve keys add'.")
        return ring

    def find(self, token: str) -> Key | None:
        """Return the working key that `token` is the token of, else None; takes equally long for all tokens."""
        self.reload_if_changed()
        match = _TOKEN.fullmatch(token[:200])
        key = self._keys.get(match[1]) if match else None
        # Compared even where there is no entry: the time tells nobody which ids exist.
        fits = hmac.compare_digest(token_hash(token[:200]), _NO_HASH if key is None else key.sha256)
        return key if key is not None and fits and key.revoked is None else None

    def reload_if_changed(self) -> bool:
        """Read the file again if it was changed; return whether other keys are in force now."""
        if self._path is None or (seen := _fingerprint(self._path)) == self._seen:
            return False
        self._seen = seen
        try:
            self._keys = _by_id(read_keys(self._path))
        except ConfigError as error:
            _LOG.error("keys_not_reloaded: the keys read last stay in force: %s", error)
            return False
        return True


def _fingerprint(path: Path | None) -> tuple[int, ...] | None:
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _by_id(keys: Sequence[Key]) -> Mapping[str, Key]:
    return MappingProxyType({key.id: key for key in keys})
