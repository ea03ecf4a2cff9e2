"""Publishing files to a public model repository of Hugging Face, all of them in one commit.

Knows the hub through `huggingface_hub`'s public calls; knows nothing of models. The commit is what publishes: large
files are uploaded before it and are in no repository until it names them, so that a kill at any point leaves the
repository as it was, or a new one empty.

Two decisions that a reader would question. Files are handed over as open files, for which `huggingface_hub` uses plain
LFS instead of its Xet client: one protocol, the one our tests speak. And the token is given, never looked up, so that
nobody publishes by another account than the one named; what the hub says is shown without it.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from workzone.core.errors import ConfigError
from workzone.core.lazy import require
from workzone.core.observer import NullObserver, Observer
from workzone.subnet.publishing.card import check_repo
from workzone.subnet.publishing.hub_failures import NotYetThereError, Progress, Retries, sentence
from workzone.subnet.publishing.remote import check_server, redacted

HUB = "https://huggingface.co"
TIMEOUT_S = 60.0
"""Of one read or write; `huggingface_hub` by itself waits for ever."""
_CONNECT_TIMEOUT_S = 15.0
_CHUNK = 1 << 20
_TOKEN = re.compile(r"[\x21-\x7e]{8,500}")
_STEPS = 3


@dataclass(frozen=True, slots=True)
class RepoFile:
    """A file as it will be in the repository.

    Attributes:
        name: Its name there.
        content: Its bytes, or the path of a large one.
        size: In bytes.
        sha256: Of its content.
    """

    name: str
    content: bytes | Path
    size: int
    sha256: str

    @classmethod
    def of(cls, name: str, content: bytes | Path) -> RepoFile:
        """Measure and hash a file.

        Raises:
            OSError: It cannot be read.
        """
        digest, size = hashlib.sha256(), 0
        with _opened(content) as handle:
            while part := handle.read(_CHUNK):
                digest.update(part)
                size += len(part)
        return cls(name, content, size, digest.hexdigest())

    def open(self) -> BinaryIO:
        """Open it for reading."""
        return _opened(self.content)


@dataclass(frozen=True, slots=True)
class Published:
    """What was published.

    Attributes:
        repo: owner/name.
        url: For people.
        commit: The commit that holds all the files.
        created: Whether the repository was made for it.
        deleted: Files of an earlier version that the commit took away.
        foreign: Files of the repository that are none of ours, left as they are.
    """

    repo: str
    url: str
    commit: str
    created: bool
    deleted: tuple[str, ...]
    foreign: tuple[str, ...]


def check_token(token: str) -> str:
    """Return a token of the hub without the white space around it.

    Raises:
        ConfigError: It is none; what it is is not said.
    """
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        raise ConfigError(
            f"The token has {len(token)} characters, or some that no token has; expected one line of 8 to 500 "
            "printable ones, as https://huggingface.co/settings/tokens gives it (with write access)."
        )
    return token


def publish(
    repo: str,
    files: Sequence[RepoFile],
    *,
    token: str,
    message: str,
    ours: Collection[str] = (),
    endpoint: str = HUB,
    observer: Observer | None = None,
    retries: Retries | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Published:
    """Publish `files` to `repo` in one commit, and check as a stranger that they are there.

    A repository that does not exist is made, public. Server errors and broken connections are tried again; what the
    hub refuses is not.

    Args:
        repo: owner/name.
        files: All that the repository shall hold of `ours`.
        token: With write access.
        message: Of the commit.
        ours: Names that an earlier version may have left; those not among `files` are deleted in the same commit.
        endpoint: Of the hub.
        observer: Told of the steps.
        retries: How often a step is tried.
        timeout_s: Of one read or write of the network.

    Raises:
        ArtifactError: It could not be published; says what is known of the repository then.
        ConfigError: The token, the repository's name or its settings do not do.
        MissingExtraError: `huggingface_hub` is not installed.
    """
    check_repo(repo)
    token, endpoint = check_token(token), check_server(endpoint, "a hub")
    hub = require("huggingface_hub", "hub")
    observer, retries, progress = observer or NullObserver(), retries or Retries(), Progress()
    with _quiet(hub, observer, timeout_s) as errors:
        work = _Publication(hub, hub.HfApi(endpoint=endpoint, token=token), repo, files, observer, progress)
        try:
            published = retries.run(lambda: work.commit(message, frozenset(ours)), errors, observer)
            retries.run(lambda: work.check_there(published.commit), errors, observer)
        except errors as error:
            # Without its cause: that quotes what the server said, and the server knows the token.
            raise sentence(error, repo, f"{endpoint}/{repo}", token, progress) from None
    observer.progress("publish", _STEPS, _STEPS)
    return published


@dataclass(frozen=True, slots=True)
class _Publication:
    """One repository being published to."""

    hub: Any
    api: Any
    repo: str
    files: Sequence[RepoFile]
    observer: Observer
    progress: Progress

    def commit(self, message: str, ours: frozenset[str]) -> Published:
        """Make the repository if it is missing, upload, and commit."""
        self.observer.progress("publish", 0, _STEPS)
        info = self._found_or_made()
        present = {sibling.rfilename for sibling in info.siblings or ()}
        names = {file.name for file in self.files}
        stale = sorted((present & ours) - names)
        self.observer.progress("publish", 1, _STEPS)
        with ExitStack() as stack:
            operations: list[Any] = [
                self.hub.CommitOperationAdd(
                    path_in_repo=file.name, path_or_fileobj=stack.enter_context(file.open())
                )
                for file in self.files
            ]
            operations += [self.hub.CommitOperationDelete(path_in_repo=name) for name in stale]
            made = self.api.create_commit(
                self.repo, operations, commit_message=message, parent_commit=info.sha
            )
        self.progress.commit = str(made.oid)
        self.observer.progress("publish", 2, _STEPS)
        foreign = sorted(present - names - ours - {".gitattributes"})
        url = f"{self.api.endpoint}/{self.repo}"
        return Published(self.repo, url, str(made.oid), self.progress.created, tuple(stale), tuple(foreign))

    def _found_or_made(self) -> Any:
        missing = require("huggingface_hub.errors", "hub").RepositoryNotFoundError
        try:
            info = self.api.model_info(self.repo)
        except missing:
            self.api.create_repo(self.repo, repo_type="model", private=False, exist_ok=True)
            self.progress.created = True
            info = self.api.model_info(self.repo)
        if info.private or info.gated or info.disabled:
            state = "private" if info.private else "gated" if info.gated else "disabled"
            raise ConfigError(
                f"The repository '{self.repo}' is {state}; validators read it without an account. Make it public in "
                "its settings, or name another one. Nothing was published."
            )
        return info

    def check_there(self, commit: str) -> None:
        """Ask without a token what the repository holds now, as validators will."""
        missing = require("huggingface_hub.errors", "hub").RepositoryNotFoundError
        taken = f"The hub took commit {commit[:12]} of '{self.repo}'"
        try:
            info = self.api.model_info(self.repo, files_metadata=True, token=False)
        except missing as error:
            raise NotYetThereError(
                f"{taken}, but without an account it cannot be read: is it private? Make it public, then register."
            ) from error
        held = {sibling.rfilename: sibling for sibling in info.siblings or ()}
        if info.sha != commit:
            raise NotYetThereError(
                f"{taken}, but its head is {redacted(info.sha, longest=12)}: someone else commits to it at the same "
                "time, or the hub is not in order. Look at it, and publish again."
            )
        for file in self.files:
            there = held.get(file.name)
            if there is None or not _same(there, file):
                what = "lacks" if there is None else "shows another content of"
                raise NotYetThereError(
                    f"{taken}, but {what} '{file.name}', which was in it ({file.size} bytes). Do not register this "
                    "version; publish again."
                )


def _same(there: Any, file: RepoFile) -> bool:
    if there.size is not None and there.size != file.size:
        return False
    if there.lfs is not None:
        return bool(there.lfs.sha256 == file.sha256)
    if there.blob_id is None:
        return True
    with file.open() as handle:  # git's name of a blob; only small files come here
        blob = hashlib.sha1(b"blob %d\0" % file.size + handle.read(), usedforsecurity=False)
    return bool(there.blob_id == blob.hexdigest())


@contextmanager
def _quiet(hub: Any, observer: Observer, timeout_s: float) -> Iterator[tuple[type[Exception], ...]]:
    """Give the hub's client time limits, keep its bars, logs and warnings off the console, and yield its errors."""
    usual = hub.get_session()
    http = require(type(usual).__module__.partition(".")[0], "hub")
    hooks: Mapping[str, Any] = usual.event_hooks

    def client(limit: Any) -> Any:
        return http.Client(event_hooks=hooks, follow_redirects=True, timeout=limit)

    log, bars = logging.getLogger("huggingface_hub"), require("huggingface_hub.utils", "hub")
    level, were_off = log.level, bars.are_progress_bars_disabled()
    log.setLevel(logging.CRITICAL)
    bars.disable_progress_bars()
    hub.set_client_factory(lambda: client(http.Timeout(timeout_s, connect=_CONNECT_TIMEOUT_S)))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # between the hub's client and its HTTP library
            # Malformed answers come as errors of Python's own.
            yield (http.HTTPError, OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError)
        for warning in caught:
            observer.note(redacted(warning.message))
    finally:
        hub.set_client_factory(lambda: client(None))
        log.setLevel(level)
        if not were_off:
            bars.enable_progress_bars()


def _opened(content: bytes | Path) -> BinaryIO:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
