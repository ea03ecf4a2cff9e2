"""Wait for a call that knows no time limit of its own, and no longer than is said.

Knows threads; does not know what is called. The thread of a call that is late is left behind (it is a daemon, and
nothing can end it), so this is for the few calls at the start, not for requests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def call_within(seconds: float, function: Callable[[], T]) -> T:
    """Return what `function` returns, or raise what it raises, if it does so within `seconds`.

    Raises:
        TimeoutError: It did not end in time.
    """
    values: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            values.append(function())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=call, name="call-within", daemon=True)
    thread.start()
    thread.join(seconds)
    if values:
        return values[0]
    if errors:
        raise errors[0]
    raise TimeoutError(f"not within {seconds:g} s")
