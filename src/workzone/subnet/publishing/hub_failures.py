"""What went wrong on the hub: whether it may pass, and the sentence that says what is known of the repository now.

Knows errors of `huggingface_hub` and of the HTTP client below it by their form only (a status, a common class's name),
because that client has changed from one major version to the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from workzone.core.errors import ArtifactError, ConfigError, WorkzoneError
from workzone.core.observer import Observer
from workzone.subnet.publishing.remote import redacted

FIRST_WAIT_S = 2.0
T = TypeVar("T")


@dataclass(slots=True)
class Progress:
    """How far a publication has come.

    Attributes:
        created: The repository was made for it.
        commit: The commit that the hub took.
    """

    created: bool = False
    commit: str | None = None


class NotYetThereError(ArtifactError):
    """The hub took a commit and shows another state: its reading may lag behind its writing."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a step is tried, and how waiting is done.

    Attributes:
        attempts: At least 1.
        sleep: Waits so many seconds; twice as long each time.
    """

    attempts: int = 3
    sleep: Callable[[float], None] = time.sleep

    def run(self, step: Callable[[], T], errors: tuple[type[Exception], ...], observer: Observer) -> T:
        """Do `step`, again after server errors and broken connections.

        Raises:
            Exception: The last of `errors`, or the first that will not pass.
        """
        wait = FIRST_WAIT_S
        expected: tuple[type[Exception], ...] = (*errors, NotYetThereError)
        for attempt in range(1, self.attempts):
            try:
                return step()
            except expected as error:
                if not may_pass(error):
                    raise
                observer.note(
                    f"The hub failed ({_kind(error)}); trying again in {wait:.0f} s ({attempt + 1} of {self.attempts})."
                )
            self.sleep(wait)
            wait *= 2
        return step()


def may_pass(error: BaseException) -> bool:
    """Return whether trying again may help: a server's error or a broken connection, never a refusal."""
    if isinstance(error, NotYetThereError):
        return True
    status = status_of(error)
    return _broken_connection(error) if status is None else status >= 500


def status_of(error: BaseException | None) -> int | None:
    """Return the HTTP status behind an error: of itself, or of what it was raised from."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None


def sentence(error: BaseException, repo: str, url: str, token: str, progress: Progress) -> WorkzoneError:
    """Return the error to raise for one of the hub's client, without the token."""
    status = status_of(error)
    after = _left_behind(error, repo, url, progress)
    said = redacted(getattr(error, "server_message", None) or error, (token,))
    if status == 401:
        return ConfigError(
            f"The hub does not take the token for '{repo}': {said} Make one with write access. {after}"
        )
    if status == 403:
        return ConfigError(
            f"The token may not write to '{repo}': {said} Take its owner's, or another name. {after}"
        )
    if status in (409, 412):
        return ArtifactError(f"'{repo}' was changed while it was published to: {said} Run it again. {after}")
    if status is None and _broken_connection(error):
        return ArtifactError(f"The hub cannot be reached, or broke off ({_kind(error)}: {said}). {after}")
    return ArtifactError(f"The hub refused or failed ({_kind(error)}: {said}). {after}")


def _left_behind(error: BaseException, repo: str, url: str, progress: Progress) -> str:
    if progress.commit is not None:
        return (
            f"The hub took the commit {progress.commit[:12]}, but whether others can read it could not be checked: "
            f"see {url} before you register."
        )
    status = status_of(error)
    if (status is None or status >= 500) and _of_the_commit(error):
        return (
            f"Whether the commit arrived is not known: it is there with all its files, or not at all. See {url}; "
            f"running it again does no harm.{' The repository was made for it.' if progress.created else ''}"
        )
    if progress.created:
        return f"The repository '{repo}' was made and is empty: run it again, or delete it."
    return "Nothing was published."


def _of_the_commit(error: BaseException | None) -> bool:
    """Whether the request that failed was the commit itself; of a request that is not known, yes."""
    while error is not None:
        try:
            request: Any = getattr(error, "request", None)
        except RuntimeError:  # httpx's way to say that an error has none
            request = None
        if request is not None:
            return "/commit/" in str(request.url)
        error = error.__cause__
    return True


def _broken_connection(error: BaseException | None) -> bool:
    """Whether the network failed: httpx's and httpx2's errors of transport, by their common class's name."""
    while error is not None:
        if any(kind.__name__ == "TransportError" for kind in type(error).__mro__):
            return True
        error = error.__cause__
    return False


def _kind(error: BaseException) -> str:
    status = status_of(error)
    return type(error).__name__ if status is None else f"HTTP {status}"
