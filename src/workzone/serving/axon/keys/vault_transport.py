"""How Vault is asked: one connection that reads a bounded answer and refuses everything that is not a success.

Knows HTTP through `requests`, which hvac uses; does not know Vault. It stands below hvac because hvac reads answers
whole, follows redirects by default, and fails over an error whose form is not Vault's.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workzone.core.lazy import require

MAX_ANSWER_BYTES = 256 << 10


class RefusedStatus(Exception):  # noqa: N818 - an answer, not a fault of ours
    """The answer is no success.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class AnswerTooLarge(Exception):  # noqa: N818 - as above
    """The answer is larger than anything expected.

    Attributes:
        most: Bytes that would have been read.
    """

    def __init__(self, most: int) -> None:
        super().__init__(f"more than {most} bytes")
        self.most = most


@contextmanager
def session(verify: bool | str) -> Iterator[Any]:
    """Give a `requests.Session` that uses nothing of the environment, and close it.

    Args:
        verify: True, or the file of the certificates that are trusted.
    """
    requests = require("requests", "axon")

    class Bounded(requests.adapters.HTTPAdapter):  # type: ignore[name-defined]  # known at run time only
        """Reads at most `MAX_ANSWER_BYTES`, of a success."""

        def send(self, request: Any, **settings: Any) -> Any:
            response = super().send(request, **{**settings, "stream": True})
            try:
                if not 200 <= response.status_code < 300:
                    raise RefusedStatus(response.status_code)
                data = response.raw.read(MAX_ANSWER_BYTES + 1, decode_content=False)
                if len(data) > MAX_ANSWER_BYTES:
                    raise AnswerTooLarge(MAX_ANSWER_BYTES)
            finally:
                response.close()
            response.raw = io.BytesIO(data)
            return response

    with requests.Session() as made:
        made.trust_env = False
        made.verify = verify
        made.headers["Accept-Encoding"] = "identity"
        made.mount("https://", Bounded())
        made.mount("http://", Bounded())
        yield made
