"""The keys file: read only if nobody else may read or change it, replaced in one step.

Knows the file; does not know tokens in use. What is wrong with it is said by its place, never by quoting: what stands
there may be a secret that was pasted by mistake.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from workzone.core.errors import ArtifactError, ConfigError
from workzone.serving.keys import Key, Role, make_key
from workzone.storage.atomic import atomic_path
from workzone.storage.hashing import canonical_json
from workzone.storage.jsonfile import parse_json
from workzone.storage.private import open_private

_MAX_FILE_BYTES = 1 << 20
_MAX_KEYS = 1000


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    name: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,100}$")]
    role: Role
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime
    revoked: AwareDatetime | None = None


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1]
    keys: Annotated[tuple[_Entry, ...], Field(max_length=_MAX_KEYS)]


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read a keys file that nobody else may read or change.

    Raises:
        ConfigError: It is missing, no regular file, open to others, or another user's; or it is no keys file.
    """
    data = _read_private(path)
    try:
        parsed = _File.model_validate_json(canonical_json(parse_json(data, f"'{path}'")))
    except (ArtifactError, ValidationError, ValueError) as error:
        # What pydantic quotes of the input may be a hash or a token pasted by mistake: say the place only.
        places = (
            "; ".join(".".join(map(str, e["loc"])) or "it" for e in error.errors()[:3])
            if isinstance(error, ValidationError)
            else "it is not strict JSON"
        )
        raise ConfigError(
            f"'{path}' is not a keys file of schema version 1 ({places}); make keys with 'workzone serve keys add'."
        ) from None
    keys = tuple(Key(e.id, e.name, e.role, e.sha256, e.created, e.revoked) for e in parsed.keys)
    if len({key.id for key in keys}) != len(keys):
        raise ConfigError(f"'{path}' holds two keys of one id; revoke one and add another.")
    return keys


def write_keys(path: Path, keys: Sequence[Key]) -> None:
    """Replace the keys file in one step; its mode is 0600 from the first byte.

    Raises:
        ConfigError: There are more than 1000 keys, or the file cannot be written.
    """
    if len(keys) > _MAX_KEYS:
        raise ConfigError(f"A keys file holds at most {_MAX_KEYS} keys; found {len(keys)}.")
    entries = [_Entry.model_validate(_as_values(key)).model_dump(mode="json") for key in keys]
    try:
        with atomic_path(path) as temporary:
            handle = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            with os.fdopen(handle, "wb") as file:
                file.write(canonical_json({"schema_version": 1, "keys": entries}) + b"\n")
    except OSError as error:
        raise ConfigError(f"The keys file '{path}' cannot be written: {error.strerror or error}.") from error


def add_key(path: Path, name: str, role: Role, *, now: datetime) -> tuple[Key, str]:
    """Add a key to the file, which is made if absent; return it and its token.

    Raises:
        ConfigError: The file or the name is not accepted.
    """
    present = read_keys(path) if path.exists() or path.is_symlink() else ()
    key, token = make_key(name, role, now=now)
    while any(other.id == key.id for other in present):
        key, token = make_key(name, role, now=now)
    write_keys(path, (*present, key))
    return key, token


def revoke_key(path: Path, identity: str, *, now: datetime) -> Key:
    """Mark a key as revoked; its entry stays, so that the journal's ids keep their names.

    Raises:
        ConfigError: There is no such key, or it is revoked already.
    """
    present = read_keys(path)
    found = next((key for key in present if key.id == identity), None)
    if found is None or found.revoked is not None:
        known = ", ".join(key.id for key in present if key.revoked is None) or "none"
        raise ConfigError(f"'{path}' has no working key with the id {identity!r:.40}; working ids: {known}.")
    revoked = replace(found, revoked=now)
    write_keys(path, tuple(revoked if key is found else key for key in present))
    return revoked


def read_secret(path: Path, max_bytes: int = 4096) -> str:
    """Return a secret from a file that nobody else may read, without its final line end.

    Raises:
        ConfigError: The file is missing, open to others, too large, or no text.
    """
    try:
        return _read_private(path, max_bytes).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigError(f"'{path}' holds no UTF-8 text.") from None


def check_private(path: Path) -> None:
    """Check that a file with a secret is one that nobody else may read.

    Raises:
        ConfigError: See `read_secret`.
    """
    _read_private(path)


def _read_private(path: Path, max_bytes: int = _MAX_FILE_BYTES) -> bytes:
    """Read a file after checking, on the open descriptor, that it is private."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    try:
        opened = os.fdopen(handle, "rb")
    except OSError:  # a directory
        os.close(handle)
        raise ConfigError(f"'{path}' is not a regular file.") from None
    with opened as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"'{path}' is not a regular file.")
        if found.st_mode & 0o077:
            raise ConfigError(
                f"'{path}' is open to other users (mode {stat.S_IMODE(found.st_mode):04o}); it must be readable by "
                f"its owner only: chmod 600 '{path}'"
            )
        if found.st_uid not in (os.geteuid(), 0):
            raise ConfigError(f"'{path}' belongs to user {found.st_uid}, not to this service's user or root.")
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ConfigError(f"'{path}' is larger than {max_bytes} bytes, the most that is read of such a file.")
    return data


def _as_values(key: Key) -> dict[str, object]:
    return {name: getattr(key, name) for name in Key.__slots__}
