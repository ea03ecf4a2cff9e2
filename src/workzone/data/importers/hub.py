"""A pinned state of a data set on the Hugging Face hub, brought to this machine.

Only a commit is accepted as revision: a branch or a tag names other pictures tomorrow, and a result on it cannot be
repeated. What was fetched stays in the cache of huggingface_hub, which goes on with broken downloads by itself and
checks what it fetched. A token is taken from the environment variable `HF_TOKEN` alone, and appears in no message.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from workzone.core.errors import ConfigError, DataError
from workzone.core.lazy import require
from workzone.core.observer import NullObserver, Observer

TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105 - the name of a variable
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def download_dataset(repository: str, revision: str | None, *, observer: Observer | None = None) -> Path:
    """Fetch the Parquet files of a data set on the hub, as far as they are not in the cache; return their directory.

    Args:
        repository: As "natix-network-org/roadwork".
        revision: The commit, 40 hexadecimal digits.
        observer: Told what is fetched.

    Raises:
        ConfigError: The revision is no commit, or the name is no repository's.
        MissingExtraError: huggingface_hub is not installed.
        DataError: It cannot be fetched: unknown, not open to this token, or no network.
    """
    commit = _commit(repository, revision)
    if not _REPOSITORY.fullmatch(repository):
        raise ConfigError(
            f"'{repository[:200]}' names no data set of the hub; expected OWNER/NAME, as natix-network-org/roadwork."
        )
    hub = require("huggingface_hub", "hub")
    failures = (OSError, ValueError, getattr(require("huggingface_hub.errors", "hub"), "HTTPError", OSError))
    token = os.environ.get(TOKEN_VARIABLE)
    (observer or NullObserver()).note(
        f"The Parquet files of '{repository}' at {commit[:12]} are fetched if need be."
    )
    try:
        directory = hub.snapshot_download(
            repository,
            repo_type="dataset",
            revision=commit,
            allow_patterns=["*.parquet"],
            token=token or False,
        )
    except failures as error:
        raise DataError(
            f"'{repository}' at {commit} cannot be fetched: {_plain(error, token)}. Check the name, the commit and "
            f"the network; for a data set with limited access, set {TOKEN_VARIABLE}."
        ) from None  # the library's error may quote headers of the request
    return Path(directory)


def _commit(repository: str, revision: str | None) -> str:
    if revision is None or not _COMMIT.fullmatch(revision):
        found = "no revision" if revision is None else f"the revision '{revision[:100]}'"
        raise ConfigError(
            f"'{repository[:200]}' is asked for at {found}, expected a commit of 40 hexadecimal digits: a branch or "
            "tag may hold other pictures tomorrow. The commits are listed at "
            f"https://huggingface.co/datasets/{repository[:200]}/commits."
        )
    return revision


def _plain(error: Exception, token: str | None) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return (text.replace(token, "…") if token else text)[:300].rstrip(".")
