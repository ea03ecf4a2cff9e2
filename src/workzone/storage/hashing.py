"""SHA-256 of bytes, files, trees and JSON values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from workzone.core.errors import ArtifactError


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, read in blocks."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return the one JSON text of `value` as UTF-8: sorted keys, no spaces.

    As in JSON, tuples are lists and keys are strings; 1, 1.0 and true are three values.

    Raises:
        TypeError: `value` is not made of None, bool, int, float, str, list, tuple and dict.
        ValueError: It holds NaN, an infinity, a circle, or text that is not Unicode.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    ).encode()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`."""
    return sha256_bytes(canonical_json(value))


def sha256_tree(path: Path) -> str:
    """Return the SHA-256 over a directory's relative file names and contents (or of a single file).

    Empty directories, times and permissions do not count.

    Raises:
        ArtifactError: There is nothing at `path`, or something in it is a link, a device or the like, whose
            content could change without the hash, or has a name that is not UTF-8.
    """
    if path.is_file():
        return sha256_file(path)
    if not path.is_dir():
        raise ArtifactError(f"'{path}' is missing, or is neither file nor directory.")
    files = []
    for entry in sorted(path.rglob("*")):
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            raise ArtifactError(f"'{entry}' is neither file nor directory; an artifact holds only these.")
        if entry.is_file():
            files.append(entry)
    try:
        return sha256_json([[file.relative_to(path).as_posix(), sha256_file(file)] for file in files])
    except UnicodeEncodeError as error:
        raise ArtifactError(f"A file in '{path}' has a name that is not UTF-8; rename it.") from error
