"""Registering a miner's model with NATIX: one signed request, then asking until it is done.

Knows the request, the answers and how long to wait; does not know wallets: the signature comes from a callable. Source:
natixnetwork/streetvision-subnet, register.sh: all fields are texts, the UID too, and the signature of the message (a
Unix time) is hexadecimal without 0x, as `btcli wallet sign` prints it.

The decision a reader would question: a 404 of the question for the status means "not yet". The server takes a request
and works on it later; what it does not know yet it cannot list.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import SplitResult, urlsplit

from workzone.core.errors import ArtifactError, ConfigError
from workzone.core.observer import NullObserver, Observer
from workzone.subnet.publishing.card import check_hotkey, check_repo
from workzone.subnet.publishing.http_request import NotSentError, Reply, TryLaterError, ask
from workzone.subnet.publishing.remote import check_server, redacted

SERVER = "https://hydra.natix.network/participants"
"""`/register` and `/registration-status/UID` below it. An older script of the subnet says `/participant`."""
MAX_UID = 2**16 - 1
_SLOWEST_WAIT_S = 15.0
STALE_S = 30.0
"""An outcome that the server stated before the request, word for word, is not taken for the new one for so long."""
_LEAST_S = 1.0
"""For the first request, however long the question before it took."""


class Status(StrEnum):
    """What the server says of a registration."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


_WORDS = {
    **dict.fromkeys(("succeeded", "success"), Status.SUCCEEDED),
    **dict.fromkeys(("failed", "error"), Status.FAILED),
    **dict.fromkeys(("pending", "queued", "processing", ""), Status.PENDING),
}


@dataclass(frozen=True, slots=True)
class Registration:
    """The signed request, its fields named and typed as they are sent."""

    uid: str
    message: str
    natix_public_key: str
    natix_signature: str
    type: str
    model_repo: str

    def to_json(self) -> bytes:
        """Return the body of the request."""
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a registration may take.

    Attributes:
        attempts: How often the request is sent where the server fails.
        request_s: The most that one request may take, from connecting to the last byte.
        first_wait_s: Before asking a second time; then half as long again each time, to 15 s.
        total_s: The most that all of it may take, from the first question on; looking up names is not cut short.
        sleep: Waits so many seconds.
        clock: Seconds that only grow.
    """

    attempts: int = 4
    request_s: float = 20.0
    first_wait_s: float = 3.0
    total_s: float = 180.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Registered:
    """That the server says a registration has succeeded.

    Attributes:
        uid: Of the miner.
        said: What else it said, bounded, as one line.
        as_before: It said the very same before the request: it may speak of an earlier registration.
    """

    uid: int
    said: str
    as_before: bool = False


def sign_registration(
    uid: int, repo: str, hotkey: str, sign: Callable[[bytes], bytes], now: int
) -> Registration:
    """Make and sign the request.

    Args:
        uid: Of the miner on the subnet, 0 to 65535.
        repo: owner/name of the published model.
        hotkey: SS58 address of the hotkey that signs.
        sign: The hotkey's signature of a message, 64 bytes.
        now: Unix time in seconds; the message that is signed.

    Raises:
        ConfigError: UID, repository or address are none.
    """
    if not 0 <= uid <= MAX_UID:
        raise ConfigError(f"{uid} is no UID; expected 0 to {MAX_UID}, as `btcli subnet show` lists it.")
    message = str(now)
    signature = sign(message.encode())
    if len(signature) != 64:
        raise ConfigError(
            f"The signature has {len(signature)} bytes; a hotkey's has 64. Is it an sr25519 key?"
        )
    return Registration(str(uid), message, check_hotkey(hotkey), signature.hex(), "miner", check_repo(repo))


def register(
    registration: Registration,
    *,
    server: str = SERVER,
    patience: Patience | None = None,
    observer: Observer | None = None,
) -> Registered:
    """Send the request and ask until the server says that it has succeeded or failed.

    Args:
        registration: What `sign_registration` made.
        server: Base address; https, or http on this machine.
        patience: How long it may take.
        observer: Told of the seconds waited.

    Raises:
        ArtifactError: The server refused, failed, said that the registration failed, or did not say in time how it
            ended; says which, and whether sending it again does harm.
        ConfigError: The address is none.
    """
    base = urlsplit(check_server(server, "the registration server"))
    patience, observer = patience or Patience(), observer or NullObserver()
    uid = int(registration.uid)
    ends = patience.clock() + patience.total_s
    before = _stated_before(base, uid, patience)
    _send(base, registration, patience, ends, observer)
    return _poll(base, uid, before, patience, ends, observer)


def _status_path(uid: int) -> str:
    return f"/registration-status/{uid}"


def _stated_before(base: SplitResult, uid: int, patience: Patience) -> bytes | None:
    """Return what the server says of the UID before it is asked anything; None where it does not say."""
    try:
        # A server that does not say leaves most of the time to the request itself.
        reply = ask(base, "GET", _status_path(uid), None, min(patience.request_s, patience.total_s / 4))
    except TryLaterError:
        return None
    return reply.body if reply.status == 200 else None


def _send(
    base: SplitResult, registration: Registration, patience: Patience, ends: float, observer: Observer
) -> None:
    reply = _sent(base, registration, patience, ends, observer)
    said = _said(reply.body, registration.natix_signature)
    if not 200 <= reply.status < 300:
        old = (
            " Older scripts of the subnet ask below /participant: see --server."
            if reply.status == 404
            else ""
        )
        raise ArtifactError(
            f"The registration server refused UID {registration.uid} with HTTP {reply.status}: {said}. Mend what it "
            f"says before sending it again.{old}"
        )
    observer.note(f"The registration server took the request: {said}")


def _sent(
    base: SplitResult, registration: Registration, patience: Patience, ends: float, observer: Observer
) -> Reply:
    """Send the request until the server answers with anything but a failure of its own, or until `ends`."""
    wait, may_have_it = patience.first_wait_s, False
    for attempt in range(1, patience.attempts + 1):
        limit_s = min(patience.request_s, max(_LEAST_S, ends - patience.clock()))
        try:
            reply = ask(base, "POST", "/register", registration.to_json(), limit_s)
        except TryLaterError as error:
            failure = str(error)
            may_have_it |= not isinstance(error, NotSentError)
        else:
            may_have_it = True
            if reply.status < 500:
                return reply
            failure = f"HTTP {reply.status}: {_said(reply.body, registration.natix_signature)}"
        if attempt == patience.attempts or patience.clock() + wait >= ends:
            break
        observer.note(f"The registration server failed ({failure}); trying again in {wait:.0f} s.")
        patience.sleep(wait)
        wait *= 2
    often = "once" if attempt == 1 else f"{attempt} times"
    if not may_have_it:
        raise ArtifactError(
            f"The registration server at '{base.hostname}' could not be reached, tried {often}, last with {failure}. "
            "The request was not sent, so nothing was registered. Look at the network and at --server, and give the "
            "same command again."
        )
    raise ArtifactError(
        f"The registration server failed {often}, last with {failure}. Whether it took the request is not known; "
        "sending the same again later does no harm."
    )


def _poll(
    base: SplitResult,
    uid: int,
    before: bytes | None,
    patience: Patience,
    ends: float,
    observer: Observer,
) -> Registered:
    sent, wait, said, noted = patience.clock(), patience.first_wait_s, "nothing", ""
    while (left := ends - (now := patience.clock())) > 0:
        observer.progress("registration", int(patience.total_s - left), int(patience.total_s))
        as_before = False
        try:
            reply = ask(base, "GET", _status_path(uid), None, min(patience.request_s, left))
        except TryLaterError as error:
            found, said = Status.PENDING, str(error)
        else:
            found, said = _judge(reply, uid)
            as_before = reply.body == before
        if as_before and now - sent < STALE_S:
            found, said = Status.PENDING, f"what it said before the request: {said}"
        if found is Status.SUCCEEDED:
            observer.progress("registration", int(patience.total_s), int(patience.total_s))
            return Registered(uid, said, as_before)
        if found is Status.FAILED:
            raise ArtifactError(f"The registration of UID {uid} has failed; the server says: {said}.")
        if said != noted:
            noted = said
            observer.note(f"The registration is not done yet: {said}")
        patience.sleep(min(wait, max(0.0, ends - patience.clock())))
        wait = min(_SLOWEST_WAIT_S, wait * 1.5)
    raise ArtifactError(
        f"The registration of UID {uid} was not confirmed within {patience.total_s:.0f} s; the server said last: "
        f"{said}. Look at {base.geturl()}{_status_path(uid)} later; sending it again does no harm."
    )


def _judge(reply: Reply, uid: int) -> tuple[Status, str]:
    """Return what an answer to the question for the status means; what cannot be understood is not yet done.

    Raises:
        ArtifactError: The server refuses to say, or speaks of another UID.
    """
    said = _said(reply.body)
    if reply.status >= 500 or reply.status in (404, 408, 429):
        return Status.PENDING, f"HTTP {reply.status}: {said}"
    if reply.status != 200:
        raise ArtifactError(
            f"The registration server does not say how UID {uid} stands: HTTP {reply.status}: {said}."
        )
    answer = _json(reply.body)
    if answer is None:
        return Status.PENDING, f"an answer that is no JSON object: {said}"
    other = answer.get("uid")
    if other is not None and str(other) != str(uid):
        raise ArtifactError(
            f"The registration server was asked about UID {uid} and answered about {redacted(other, longest=40)}: "
            "its answer is worth nothing. Look at the registration by another way."
        )
    word = answer.get("status") or ""
    known = _WORDS.get(word.lower()) if isinstance(word, str) else None
    if known is None:
        return Status.PENDING, f"an unknown status: {said}"
    reason = answer.get("error_message")
    return known, redacted(reason) if known is Status.FAILED and reason else said


def _said(body: bytes, *secrets: str) -> str:
    """Return what a server answered as one bounded line, signatures left out."""
    answer = _json(body)
    if answer is not None:
        hidden = {key: "[redacted]" for key in answer if "signature" in key.lower()}
        return redacted(json.dumps(answer | hidden, ensure_ascii=False), secrets)
    return redacted(body[: 4 << 10].decode("utf-8", "replace"), secrets) or "nothing"


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
