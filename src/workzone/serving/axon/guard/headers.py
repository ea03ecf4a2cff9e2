"""What a caller says of itself in a request's head: checked for its form, and written anew for the SDK.

Knows the signed headers of the SDK's protocol; does not know who is registered, or whether a signature is right.

The decision to question: the SDK never sees the caller's headers. It makes an object of every `bt_header_…` it finds,
decodes some of them, and answers what it does not understand with an exception; so it gets a head of our writing, from
values that passed. `timeout` and `version` are not signed, and widen or lift the SDK's limit on a request's age: so
the limit here takes neither at its word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workzone.serving.axon.guard.refusals import Refusal, RefusedRequest
from workzone.serving.axon.sdk import BODY_HASH, MIN_VERSION

Headers = Iterable[tuple[bytes, bytes]]

MAX_HEADERS = 64
"""The SDK's client sends 19."""
MAX_HEADERS_BYTES = 16 * 1024
MAX_TIMEOUT_S = 3600.0
STALE_AFTER_S = 4.0
"""The SDK's patience with a request's way here, on top of the time that its sender waits."""
LONGEST_WAIT_S = 12.0
"""Of the stated timeout, what counts towards a request's age: the SDK's default."""
AHEAD_S = 60.0
"""How far ahead of ours a caller's clock may be; the SDK does not ask. What was taken is known only until the miner's
next start, and what is signed for later can be sent again then; clocks that are kept are not off by a minute."""
_NS = 1_000_000_000

_HOTKEY = re.compile(r"[1-9A-HJ-NP-Za-km-z]{40,64}", re.ASCII)
_UUID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
_NONCE = re.compile(r"[0-9]{1,19}", re.ASCII)
_VERSION = re.compile(r"[0-9]{1,9}", re.ASCII)
_SIGNATURE = re.compile(r"0x[0-9a-fA-F]{128}", re.ASCII)
_TIMEOUT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,20})?", re.ASCII)
_LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)

HOTKEY = "bt_header_dendrite_hotkey"
UUID = "bt_header_dendrite_uuid"
NONCE = "bt_header_dendrite_nonce"
VERSION = "bt_header_dendrite_version"
SIGNATURE = "bt_header_dendrite_signature"
RECEIVER = "bt_header_axon_hotkey"
HASH = "computed_body_hash"
TIMEOUT = "timeout"
_READ = frozenset(
    {HOTKEY, UUID, NONCE, VERSION, SIGNATURE, RECEIVER, HASH, TIMEOUT, "content-length", "content-encoding",
     "transfer-encoding"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
    """What a caller says of itself; true only once the signature is verified, and of the last two not even then.

    Attributes:
        hotkey: SS58 address it signs with.
        receiver: SS58 address it means to ask.
        uuid: Its sender's name among those of the hotkey.
        nonce: When it was signed, by its clock, in ns since 1970.
        signature: 64 bytes in hexadecimal, after 0x.
        version: Of its SDK, as one number.
        timeout_s: How long it waits, in [0, 3600]; None: it does not say.
    """

    hotkey: str
    receiver: str
    uuid: str
    nonce: int
    signature: str
    version: int
    timeout_s: float | None


def read_head(headers: Headers) -> dict[str, str]:
    """Return the headers that matter, by name.

    Raises:
        RefusedRequest: 400: too many, too large, not ASCII, one twice, or a body whose end is ambiguous.
    """
    found: dict[str, str] = {}
    count = size = 0
    for raw_name, raw_value in headers:
        count, size = count + 1, size + len(raw_name) + len(raw_value)
        if count > MAX_HEADERS or size > MAX_HEADERS_BYTES:
            raise _bad(
                f"The request has more than {MAX_HEADERS} headers or {MAX_HEADERS_BYTES} bytes of them."
            )
        name = raw_name.decode("latin-1").lower()
        if name not in _READ:
            continue
        if name in found:
            raise _bad(f"The header {name} occurs twice.")
        if not raw_value.isascii():
            raise _bad(f"The header {name} is not ASCII.")
        found[name] = raw_value.decode("ascii").strip()
    if "transfer-encoding" in found and "content-length" in found:
        # RFC 9112, section 6.3, item 3: a proxy in front may see the body's end elsewhere
        raise _bad("The request has both Content-Length and Transfer-Encoding; send one.")
    return found


def read_hotkey(head: dict[str, str]) -> str:
    """Return the hotkey that the caller says is its own.

    Raises:
        RefusedRequest: 401: there is none; 400: it is no SS58 address.
    """
    if not head.get(HOTKEY):
        raise RefusedRequest(Refusal.NO_HOTKEY, f"The header {HOTKEY} is missing: who asks?")
    return _matched(head, HOTKEY, _HOTKEY, "an SS58 address")


def read_claim(head: dict[str, str], our_hotkey: str) -> Claim:
    """Return all that the caller says of itself.

    Args:
        head: From `read_head`.
        our_hotkey: SS58 address that must have been meant.

    Raises:
        RefusedRequest: 401: another receiver is meant, or what a signature needs is missing; 400: a value is not of
            its form, the body's hash is not that of no fields, or the SDK is older than 7.2.
    """
    hotkey = read_hotkey(head)
    if head.get(RECEIVER) != our_hotkey:  # the SDK signs its replies over this: nothing else may get there
        raise RefusedRequest(Refusal.OTHER_RECEIVER, f"The header {RECEIVER} is not this miner's hotkey.")
    for name in (SIGNATURE, NONCE, UUID):
        if not head.get(name):
            raise RefusedRequest(
                Refusal.UNSIGNED, f"The header {name} is missing: the request is not signed."
            )
    nonce = int(_matched(head, NONCE, _NONCE, "a time in nanoseconds"))
    if _matched(head, HASH, _HASH, "64 hexadecimal digits") != BODY_HASH:
        raise _bad(f"The header {HASH} is not the hash of no fields, {BODY_HASH}.")
    version = int(_matched(head, VERSION, _VERSION, "a whole number"))
    if version < MIN_VERSION:
        raise _bad(f"The header {VERSION} is below {MIN_VERSION}: such nonces are no times.")
    return Claim(
        hotkey=hotkey,
        receiver=our_hotkey,
        uuid=_matched(head, UUID, _UUID, "up to 64 letters, digits and hyphens"),
        nonce=nonce,
        signature=_matched(head, SIGNATURE, _SIGNATURE, "0x and 128 hexadecimal digits"),
        version=version,
        timeout_s=_timeout(head),
    )


def check_fresh(claim: Claim, now_ns: int) -> float:
    """Return a request's age in seconds by our clock; refuse what was signed too long ago, or far in the future.

    Raises:
        RefusedRequest: 401. Its message tells the difference, from which a wrong clock is known.
    """
    age_s = (now_ns - claim.nonce) / _NS
    allowed_s = STALE_AFTER_S + min(claim.timeout_s or 0.0, LONGEST_WAIT_S)
    if not -AHEAD_S <= age_s < allowed_s:
        when = f"{age_s:.1f} s ago" if age_s >= 0 else f"{-age_s:.1f} s in the future"
        raise RefusedRequest(
            Refusal.STALE_NONCE if age_s >= 0 else Refusal.FUTURE_NONCE,
            f"By this machine's clock the request was signed {when}; at most {allowed_s:g} s ago and "
            f"{AHEAD_S:g} s ahead are taken. Is one of the clocks wrong?",
        )
    return age_s


def check_length(head: dict[str, str], max_bytes: int) -> None:
    """Refuse a body by what its head says of it.

    Raises:
        RefusedRequest: 413: it is larger than allowed; 415: it is compressed.
    """
    if head.get("content-encoding", "identity").lower() != "identity":
        raise RefusedRequest(Refusal.ENCODED, "A compressed body is not read; send it as it is.")
    if "content-length" in head:
        declared = head["content-length"]
        if not declared.isdigit():
            raise _bad("The header content-length is no whole number.")
        if _LENGTH.fullmatch(declared) is None or int(declared) > max_bytes:
            raise too_large(max_bytes)


def too_large(max_bytes: int) -> RefusedRequest:
    """Return the refusal of a body above `max_bytes`."""
    return RefusedRequest(
        Refusal.TOO_LARGE, f"The body is larger than {max_bytes} bytes, the most that is read."
    )


def head_for_sdk(claim: Claim, body: bytes) -> Sequence[tuple[bytes, bytes]]:
    """Return the head that the SDK is given: the claim's values in our writing, and nothing else."""
    said = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        HASH: BODY_HASH,
        RECEIVER: claim.receiver,
        HOTKEY: claim.hotkey,
        UUID: claim.uuid,
        NONCE: str(claim.nonce),
        VERSION: str(claim.version),
        SIGNATURE: claim.signature,
    }
    if claim.timeout_s is not None:
        said[TIMEOUT] = repr(claim.timeout_s)
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in said.items()]


def _timeout(head: dict[str, str]) -> float | None:
    if TIMEOUT not in head:
        return None
    seconds = float(_matched(head, TIMEOUT, _TIMEOUT, "a number of seconds"))
    if seconds > MAX_TIMEOUT_S:
        raise _bad(f"The header {TIMEOUT} is above {MAX_TIMEOUT_S:g} s.")
    return seconds


def _matched(head: dict[str, str], name: str, form: re.Pattern[str], what: str) -> str:
    value = head.get(name, "")
    if form.fullmatch(value) is None:
        raise _bad(f"The header {name} is not {what}.")
    return value


def _bad(message: str) -> RefusedRequest:
    return RefusedRequest(Refusal.BAD_HEADERS, message)
