"""The address a miner announces on the chain, and how it finds its own.

Knows addresses; does not know the chain or any server. An address that validators cannot reach (private, reserved) is
taken with a warning, not refused: rehearsals on one machine announce nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from workzone.core.errors import ConfigError
from workzone.serving.axon.keys.time_limit import call_within

FIRST_PORT, LAST_PORT = 1025, 65534
"""The SDK asserts 1024 < port < 65535."""
LOOKUP_S = 30.0
"""How long the look-up of the own address may take."""
_LONGEST_IP = 64
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


@dataclass(frozen=True, slots=True)
class Address:
    """Where validators reach the miner.

    Attributes:
        ip: IPv4 or IPv6 address in its canonical writing.
        port: 1025 to 65534.

    Raises:
        ConfigError: `ip` is no address that can be called, or `port` is none the SDK takes.
    """

    ip: str
    port: int

    def __post_init__(self) -> None:
        """Check, and bring the address into its canonical writing."""
        object.__setattr__(self, "ip", _callable_ip(self.ip))
        if type(self.port) is not int or not FIRST_PORT <= self.port <= LAST_PORT:
            raise ConfigError(
                f"{self.port!r} is no port for a miner: the SDK takes {FIRST_PORT} to {LAST_PORT}. Choose another with "
                "--port, or --external-port where a router forwards one."
            )

    @property
    def warning(self) -> str | None:
        """Why validators elsewhere cannot reach this address; None where nothing speaks against it."""
        found = ipaddress.ip_address(self.ip)
        if found.is_global and not found.is_multicast:
            return None
        kind = "the loopback" if found.is_loopback else "a private or reserved"
        return (
            f"{self.ip} is {kind} address: validators on the Internet cannot reach it. Give the public one with "
            "--external-ip."
        )

    def __str__(self) -> str:
        """Return IP:PORT, with brackets around IPv6."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `IP:PORT`, an IPv6 address in brackets.

    >>> str(parse_address("[::1]:8091"))
    '[::1]:8091'

    Raises:
        ConfigError: It is no such address.
    """
    ip, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise ConfigError(f"{text!r:.60} is no address of a miner; expected IP:PORT, as 203.0.113.7:8091.")
    return Address(ip[1:-1] if ip.startswith("[") and ip.endswith("]") else ip, int(port))


def public_address(
    port: int, lookup: Callable[[], str] | None = None, timeout_s: float = LOOKUP_S
) -> Address:
    """Ask services on the Internet which address this machine is seen with.

    Args:
        port: Where the miner listens, as validators see it.
        lookup: Returns the address; None: the SDK's look-up, which asks several services, some over plain HTTP.
        timeout_s: Wait no longer, seconds: the SDK's look-up has no limit of its own.

    Raises:
        ConfigError: Nothing answered in time, or not with a public address.
        MissingExtraError: The extra `axon` is not installed.
    """
    found: object = None
    try:
        found = call_within(timeout_s, lookup or _sdk_lookup())
        why = "no service gave a public one"
    except TimeoutError:
        why = f"no service answered within {timeout_s:g} s"
    except Exception as error:  # noqa: BLE001 - whatever stopped the look-up, the way on is the same
        why = f"the look-up failed ({type(error).__name__})"
    address: Address | None = None
    if isinstance(found, str) and len(found) <= _LONGEST_IP:
        with suppress(ConfigError):
            address = Address(found.strip(), port)
    if address is None or address.warning is not None:
        Address("192.0.2.1", port)  # where it is the port that is wrong, that is said
        raise ConfigError(
            f"The public address of this machine is unknown: {why}. Give it with --external-ip; validators call it at "
            f"port {port}."
        )
    return address


def _sdk_lookup() -> Callable[[], str]:
    from workzone.serving.axon.sdk import bittensor  # the SDK takes seconds to import

    lookup: Callable[[], str] = bittensor().utils.networking.get_external_ip
    return lookup


def _callable_ip(text: object) -> str:
    try:
        found = ipaddress.ip_address(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if found is None or getattr(found, "scope_id", None):
        raise ConfigError(
            f"{text!r:.60} is no IP address; expected is one like 203.0.113.7, not a name: the chain stores numbers."
        )
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if found.is_unspecified or found.is_multicast or found == _BROADCAST:
        raise ConfigError(
            f"{found} is no address that can be called: it means any or many. Give the one validators reach with "
            "--external-ip."
        )
    return str(found)
