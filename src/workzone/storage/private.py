"""Directories and files that only their owner may read: 0700 and 0600."""

from __future__ import annotations

import os
from pathlib import Path

from workzone.core.errors import ArtifactError


def private_directory(path: Path) -> None:
    """Make `path` with mode 0700, or check that nobody but its owner may enter it.

    An empty directory is tightened, as a fresh volume of a container needs it. One with content is not: it
    may be somebody's else, such as a mistyped `/var/log`.

    Raises:
        ArtifactError: Others may enter it, or it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777
        if not mode & 0o077:
            return
        if any(path.iterdir()):
            raise ArtifactError(
                f"'{path}' may be entered by others than its owner (mode {mode:03o}); what is kept there is "
                f"private. Run `chmod 700 '{path}'`, or name another directory."
            )
        path.chmod(0o700)
    except OSError as error:
        raise ArtifactError(f"'{path}' cannot be used: {error.strerror or error}.") from error


def open_private(path: Path, flags: int) -> int:
    """Open a file with mode 0600, whatever it had, and return its descriptor; links are not followed.

    Raises:
        OSError: As `os.open` says.
    """
    handle = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(handle, 0o600)
    except BaseException:
        os.close(handle)
        raise
    return handle
