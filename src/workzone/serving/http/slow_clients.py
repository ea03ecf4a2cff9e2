"""Bounds on callers who are slow at what the application never sees: the head of a request, the reading of a reply.

Knows connections and timers; does not know requests. uvicorn (0.54) bounds only the pause between two requests, and any
byte ends that bound: a caller who sends a head a byte a minute, or asks and never reads, keeps a connection for ever. A
thousand of those keep everyone else out (the "slowloris" attack, Hansen 2009; CWE-400). `body.read_body` bounds bodies.

The decision to question: the time counts from the connection's start, or from the last reply, and no byte renews it. A
bound on silence, which is what most servers have, is met by whoever sends one byte in time.

It also tells the application when a request's first byte came (see `arrival`).
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from workzone.serving.http.arrival import ARRIVED_S

__all__ = ["BoundedH11Protocol"]


class BoundedH11Protocol(H11Protocol):
    """uvicorn's HTTP/1.1 with an end to waiting for a caller: pass it as `uvicorn.Config(http=...)`.

    Attributes:
        head_timeout_s: From the connection's start, or the end of the last reply, until the next request's head is
            whole; in (0, inf). Also for the rest of a body that was refused unread.
        write_timeout_s: For a caller to take what was sent, once buffers are full; in (0, inf).
        close_timeout_s: For a caller to take the end of the last reply; in (0, inf).
    """

    head_timeout_s: ClassVar[float] = 10.0
    write_timeout_s: ClassVar[float] = 30.0
    close_timeout_s: ClassVar[float] = 5.0

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _data_s: float = 0.0
    """When the newest data came."""
    _begun_s: float | None = None
    """When the first byte came of the request whose head is awaited; None: none came yet."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head; where far too many wait already, hang up.

        From `limit_concurrency` connections on uvicorn answers 503, but keeps them. A quarter more are kept to be told
        so; more would use up the descriptors that the journal needs for its next file.
        """
        super().connection_made(transport)
        self._await_head()
        limit = self.limit_concurrency
        if limit is not None and len(self.connections) > limit + max(1, limit // 4):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        _stop(self._head_timer)
        _stop(self._write_timer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note when a request begins."""
        self._data_s = self.loop.time()
        self._note_beginning()
        super().data_received(data)

    def handle_events(self) -> None:
        """Stop waiting for a head if one became whole."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            _stop(self._head_timer)
            # The application has not begun: its task runs once this has returned.
            self.scope["state"][ARRIVED_S] = self._data_s if self._begun_s is None else self._begun_s
            self._begun_s = None
        # What is left over is of the next request, sent before this one's reply.
        if self._begun_s is None and self.conn.trailing_data[0]:
            self._note_beginning()

    def on_response_complete(self) -> None:
        """Begin to wait for the next head; first, because a request that waits already is taken up at once."""
        self._await_head()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to wait for the caller to read."""
        super().pause_writing()
        _stop(self._write_timer)
        self._write_timer = self.loop.call_later(self.write_timeout_s, self._abort)

    def resume_writing(self) -> None:
        """The caller has read."""
        _stop(self._write_timer)
        super().resume_writing()

    def _note_beginning(self) -> None:
        """Take the newest data for a request's first, unless one is being received."""
        if self._begun_s is None and self.conn.their_state is not h11.SEND_BODY:
            self._begun_s = self._data_s

    def _await_head(self) -> None:
        _stop(self._head_timer)
        self._head_timer = self.loop.call_later(self.head_timeout_s, self._hang_up)

    def _hang_up(self) -> None:
        """Close, and do not wait for long until what was sent is taken."""
        self._head_timer = self.loop.call_later(self.close_timeout_s, self._abort)
        self.transport.close()

    def _abort(self) -> None:
        self.transport.abort()


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
