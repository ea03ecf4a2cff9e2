"""When a request's first byte came, from the connection, which knows, to the application, which does not.

Knows a key of the ASGI scope; does not know sockets. An application is called once the head is whole, and a head may
have taken seconds: a time-out that begins at the call is not the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ARRIVED_S = "workzone.arrived_s"
"""In the scope's `state`: when the first byte came, in seconds of the event loop's clock."""


def arrived_s(scope: Mapping[str, Any], now_s: float) -> float:
    """Return when a request's first byte came; `now_s` where the server does not say, or says what cannot be.

    Args:
        scope: ASGI, of HTTP.
        now_s: On the event loop's clock.
    """
    state = scope.get("state")
    said = state.get(ARRIVED_S) if isinstance(state, Mapping) else None
    return said if isinstance(said, float) and 0.0 <= said <= now_s else now_s
