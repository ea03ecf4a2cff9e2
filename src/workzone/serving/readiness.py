"""The four states of a service, and which way they may change.

Knows states only; does not know what makes a service ready. A reader may ask why a draining service still answers: a
load balancer needs seconds to hear of it, and what it sends until then would fail for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from workzone.core.errors import ModelUnavailable


class State(StrEnum):
    """What the service can do."""

    STARTING = "starting"
    """It loads and warms up."""
    READY = "ready"
    """It answers."""
    DRAINING = "draining"
    """It was told to stop: it answers what still comes, and asks to be sent nothing more."""
    FAILED = "failed"
    """Its model is broken for good: it answers nothing and must be restarted."""


_NEXT: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.STARTING: frozenset({State.READY, State.DRAINING, State.FAILED}),
        State.READY: frozenset({State.DRAINING, State.FAILED}),
        State.DRAINING: frozenset({State.FAILED}),
        State.FAILED: frozenset(),
    }
)


class Readiness:
    """The state, which only moves forward, and two things to wait for."""

    def __init__(self) -> None:
        self.state = State.STARTING
        self.reason = "The model is being loaded."
        self.started = False
        """Whether it was ever ready."""
        self._failed = asyncio.Event()

    def become(self, state: State, reason: str) -> bool:
        """Move to `state` if that is a step forward; return whether it was."""
        if state not in _NEXT[self.state]:
            return False
        self.state, self.reason = state, reason
        self.started = self.started or state is State.READY
        if state is State.FAILED:
            self._failed.set()
        return True

    async def failed(self) -> None:
        """Wait until the service has failed."""
        await self._failed.wait()

    def require_answering(self) -> None:
        """Pass if the state lets requests be answered.

        Raises:
            ModelUnavailable: It is starting or has failed.
        """
        if self.state in (State.STARTING, State.FAILED):
            raise ModelUnavailable(f"The service is {self.state}: {self.reason}")
