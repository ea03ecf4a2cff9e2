"""What every call to a foreign server keeps to: encrypted, and what it answers is shown bounded and without secrets.

Knows addresses and texts; speaks to nobody itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from workzone.core.errors import ConfigError

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SHOWN = 300
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


def check_server(url: str, what: str) -> str:
    """Return the address of a server without a closing slash; only this machine may be spoken to unencrypted.

    Raises:
        ConfigError: It is no such address.
    """
    try:
        parts = urlsplit(url)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_sound = urlsplit(""), False
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    plain = not (parts.username or parts.password or parts.query or parts.fragment) and url.isprintable()
    if not (secure and plain and port_is_sound and parts.hostname) or " " in url:
        raise ConfigError(
            f"'{redacted(url.rpartition('@')[2], longest=120)}' is no address for {what}: expected "
            "https://host[/path] (plain http only on this machine, and no user, query or fragment)."
        )
    return url.rstrip("/")


def redacted(text: object, secrets: Collection[str] = (), *, longest: int = _SHOWN) -> str:
    """Return what a server said as one line of at most `longest` characters without secrets and control characters.

    >>> redacted("no, s3cr3t-t0ken!\\n\\x1b[2Jbad", ["s3cr3t-t0ken"])
    'no, [redacted]! [2Jbad'
    """
    said = str(text)
    for secret in secrets:
        said = said.replace(secret, "[redacted]")
    said = " ".join(_UNPRINTABLE.sub(" ", said[: 20 * longest]).split())
    return said if len(said) <= longest else said[:longest] + "…"
