"""Who may ask: what can be told from a request's head, cheapest first, before any of its body.

Knows the order of the checks: route, method, rate, form, the table of neurons, whom it means, age, replay, declared
length. Does not know signatures: what is let in here is still only said to be who it says.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

from starlette.types import Scope

from workzone.core.errors import Overloaded
from workzone.serving.axon.chain.neurons import Neuron, Neurons
from workzone.serving.axon.guard.challenge import GuardSettings
from workzone.serving.axon.guard.headers import (
    Claim,
    check_fresh,
    check_length,
    read_claim,
    read_head,
    read_hotkey,
)
from workzone.serving.axon.guard.nonces import Nonces
from workzone.serving.axon.guard.refusals import Refusal, RefusedRequest
from workzone.serving.limits import RateLimiter
from workzone.subnet.protocol import SYNAPSE

ROUTE = f"/{SYNAPSE}"
_NOT_READY_RETRY_S = 30.0


class Entrance:
    """Lets heads pass that a registered caller may have written to us just now."""

    def __init__(
        self,
        our_hotkey: str,
        neurons: Callable[[], Neurons | None],
        nonces: Nonces,
        settings: GuardSettings,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set the entrance up.

        Args:
            our_hotkey: SS58 address that callers must mean.
            neurons: The table in force; None: there is none yet.
            nonces: What was taken already.
            settings: What is let in.
            clock_ns: ns since 1970, for the age of requests.
            clock: Seconds, for rates.
        """
        self._our_hotkey = our_hotkey
        self._neurons = neurons
        self._nonces = nonces
        self._settings = settings
        self._clock_ns = clock_ns
        self._rate = RateLimiter(settings.rate_per_s, settings.burst, clock=clock)

    def check_caller(self, scope: Scope, address: str) -> tuple[dict[str, str], Neuron]:
        """Return the head and whom it says it is from.

        Args:
            scope: The request's.
            address: Where the connection comes from; a forwarded one is never believed.

        Raises:
            RefusedRequest: 404, 405, 429, 400, 401 (no hotkey), 503 (no table yet), 403 (unknown).
        """
        if scope["path"] != ROUTE:
            raise RefusedRequest(Refusal.NO_ROUTE, f"There is only {ROUTE}.")
        if scope["method"] != "POST":
            raise RefusedRequest(Refusal.METHOD, f"{ROUTE} takes POST only.")
        try:
            self._rate.take(network(address), 1)
        except Overloaded as error:
            message = "This address asks too often; try again later."
            raise RefusedRequest(Refusal.RATE, message, error.retry_after_s) from None
        head = read_head(scope["headers"])
        hotkey = read_hotkey(head)
        table = self._neurons()
        if table is None:
            message = "The miner has not yet read who is registered."
            raise RefusedRequest(Refusal.NOT_READY, message, _NOT_READY_RETRY_S)
        neuron = table.find(hotkey)
        if neuron is None:
            raise RefusedRequest(Refusal.UNKNOWN, "The hotkey is not registered on this subnet.")
        return head, neuron

    def check_claim(self, head: dict[str, str], neuron: Neuron) -> tuple[Claim, float]:
        """Return what the head says, and its age in seconds by our clock.

        Raises:
            RefusedRequest: 403 (no permit), 401 (another receiver, unsigned, stale, replayed), 400, 413, 415.
        """
        if self._settings.require_permit and not neuron.permit:
            raise RefusedRequest(Refusal.NO_PERMIT, "The hotkey has no permit to validate.")
        claim = read_claim(head, self._our_hotkey)
        age_s = check_fresh(claim, self._clock_ns())
        self.check_new(claim)
        check_length(head, self._settings.max_body_bytes)
        return claim, age_s

    def check_new(self, claim: Claim) -> None:
        """Refuse what was taken before.

        Raises:
            RefusedRequest: 401.
        """
        if self._nonces.taken(claim.hotkey, claim.uuid, claim.nonce):
            raise RefusedRequest(
                Refusal.REPLAYED,
                "A request with this nonce was taken, or may have been, or it is older than this miner.",
            )


def network(address: str) -> str:
    """Return what a rate is kept for: an IPv4 address, or an IPv6 /64, of which a caller has all addresses.

    >>> network("192.0.2.7"), network("2001:db8::1:2"), network("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7')
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
