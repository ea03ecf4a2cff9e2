"""One HTTP request to a server that may be slow, broken or hostile: bounded in time and in size, never redirected.

Knows HTTP by `http.client`; knows nothing of what is said. The decision a reader would question: no HTTP library. A
POST and some GETs need none; redirects, which could carry a signed request elsewhere, do not exist here; and the
connection is ended from outside when its time is up, however slowly a server drips. A proxy is not used.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from urllib.parse import SplitResult

from workzone.core.errors import ArtifactError
from workzone.subnet.publishing.remote import redacted

MAX_ANSWER_BYTES = 64 << 10


class TryLaterError(Exception):
    """A server's error or a broken connection: the same may work later."""


class NotSentError(TryLaterError):
    """No connection came about, so that nothing of the request was sent."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered: its HTTP status and its body, at most `MAX_ANSWER_BYTES`."""

    status: int
    body: bytes


def ask(base: SplitResult, method: str, path: str, body: bytes | None, limit_s: float) -> Reply:
    """Send one request of JSON, or with `body` None one without a body, and return the answer.

    Args:
        base: The server, as `remote.check_server` lets it through.
        method: GET or POST.
        path: Appended to the path of `base`.
        body: JSON.
        limit_s: The most that it may take from connecting to the last byte; looking up the name is not counted.

    Raises:
        ArtifactError: The answer is larger than an answer can be.
        NotSentError: The server cannot be reached; nothing was sent.
        TryLaterError: It broke off, or took too long.
    """
    begun = time.monotonic()
    connection = _connection(base, limit_s)
    late, connected = threading.Event(), False
    try:
        connection.connect()  # the name's look-up and TLS included
        connected = True
        ended = threading.Timer(max(0.0, limit_s - (time.monotonic() - begun)), _end, (connection.sock, late))
        ended.daemon = True
        ended.start()
        try:
            reply, whole = _exchange(connection, method, base.path + path, body)
        finally:
            ended.cancel()
    except (OSError, http.client.HTTPException) as error:
        reason = f"no whole answer within {limit_s:g} s" if late.is_set() else redacted(error) or "no answer"
        kind = TryLaterError if connected else NotSentError
        raise kind(f"{type(error).__name__}: {reason}") from error
    finally:
        connection.close()
    if late.is_set():
        raise TryLaterError(f"no whole answer within {limit_s:g} s")
    if len(reply.body) > MAX_ANSWER_BYTES:
        raise ArtifactError(
            f"'{base.hostname}' answered with more than {MAX_ANSWER_BYTES} bytes; expected a few lines of JSON. Is "
            "the address right?"
        )
    if not whole:
        raise TryLaterError("an answer that was cut off")
    return reply


def _connection(base: SplitResult, limit_s: float) -> http.client.HTTPConnection:
    host = str(base.hostname)
    if base.scheme == "https":
        return http.client.HTTPSConnection(
            host, base.port, timeout=limit_s, context=ssl.create_default_context()
        )
    return http.client.HTTPConnection(host, base.port, timeout=limit_s)


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None
) -> tuple[Reply, bool]:
    """Return the answer, and whether it is as long as it says it is."""
    headers = {"Accept": "application/json", "User-Agent": "workzone"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    data = answer.read(MAX_ANSWER_BYTES + 1)
    return Reply(answer.status, data), answer.length in (None, 0) or len(data) > MAX_ANSWER_BYTES


def _end(sock: socket.socket, late: threading.Event) -> None:
    """End a connection from another thread, whatever it waits for."""
    late.set()
    try:
        # Of the plain socket below TLS: an orderly goodbye would wait as well.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return
