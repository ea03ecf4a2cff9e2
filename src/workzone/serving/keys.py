"""Who may ask: random keys, of which only the hashes are kept.

Knows tokens and roles; does not know HTTP or the keys file. A token is `wz_<id>_<secret>`: the id finds the entry,
the secret has 256 random bits. So a plain SHA-256 of the token is as hard to invert as the token is to guess, and a
slow password hash, which one would expect here, would only slow the service.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from workzone.core.errors import ConfigError

SECRET_BYTES = 32


class Role(StrEnum):
    """What a key may do."""

    PREDICT = "predict"
    """Ask for answers and read the model's description."""
    ADMIN = "admin"
    """All of that, exchange the model and erase kept pictures."""

    def may(self, needed: Role) -> bool:
        """Whether this role includes `needed`."""
        return self is Role.ADMIN or self is needed


@dataclass(frozen=True, slots=True)
class Key:
    """One entry: everything about a key but its secret.

    Attributes:
        id: Eight hexadecimal digits; names the key in the journal and in logs.
        name: Whose it is, for people.
        role: What it may do.
        sha256: Of the whole token's text.
        created: When it was made.
        revoked: When it ceased to work; None: it works.
    """

    id: str
    name: str
    role: Role
    sha256: str
    created: datetime
    revoked: datetime | None = None


def make_key(name: str, role: Role, *, now: datetime) -> tuple[Key, str]:
    """Return a new key and its token, which is shown once and kept nowhere.

    Raises:
        ConfigError: The name is empty, longer than 100 characters, or holds control characters.
    """
    if not re.fullmatch(r"[^\x00-\x1f\x7f]{1,100}", name):
        raise ConfigError(
            f"A key's name is 1 to 100 printable characters, such as 'cameras'; found {name!r:.120}."
        )
    identity = secrets.token_hex(4)
    token = f"wz_{identity}_{secrets.token_hex(SECRET_BYTES)}"
    return Key(identity, name, role, token_hash(token), now), token


def check_binding(host: str, *, has_keys: bool) -> None:
    """Check that a service without keys is reachable from its own machine only.

    Raises:
        ConfigError: `host` is not a loopback address and there are no keys.
    """
    if not has_keys and not is_loopback(host):
        raise ConfigError(
            f"Without keys the service listens on this machine only (127.0.0.1), not on '{host:.100}'. "
            "Make a key with 'workzone serve keys add' and give the file with --keys."
        )


def is_loopback(host: str) -> bool:
    """Whether a host is `localhost` or a loopback address, in brackets or not.

    >>> is_loopback("[::1]"), is_loopback("0.0.0.0"), is_loopback("127.0.0.1.example.org")
    (True, False, False)
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if bare.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def utc_now() -> datetime:
    """The time of day, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def token_hash(token: str) -> str:
    """Return what is kept of a token: its SHA-256."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
