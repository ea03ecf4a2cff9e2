"""Which files a bundle may hold and how large each may be; reading them within those bounds.

Knows directories and sizes; does not know what the files mean. Nothing is read before its size is known, and
nothing through a link: what was verified must be what is served.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from workzone.core.errors import BundleError

MAX_BYTES: Mapping[str, int] = MappingProxyType(
    {
        "bundle.json": 1 << 20,
        "model*.onnx": 4 << 30,
        "model.safetensors": 4 << 30,
        "policy.json": 16 << 20,
        "golden.npz": 64 << 20,
        "seen.npz": 256 << 20,
        "metrics.json": 64 << 20,
        "CARD.md": 4 << 20,
    }
)
"""Name (or pattern) of a file → the most bytes it may have."""

REQUIRED = frozenset(MAX_BYTES) - {"model*.onnx"} | {"model.onnx"}
"""The files that every bundle of this schema version has."""


def size_limit(name: str) -> int | None:
    """Return the most bytes a file of this name may have; None: a bundle holds no such file."""
    return next((limit for pattern, limit in MAX_BYTES.items() if fnmatchcase(name, pattern)), None)


def list_files(bundle: Path) -> dict[str, int]:
    """Return name → size of a bundle's files.

    Whether all are there is `require_files`'s to say, once the schema version is known.

    Raises:
        BundleError: It is no directory, or holds something that no bundle holds.
    """
    if not bundle.is_dir():
        raise BundleError(f"'{bundle}' is not a bundle: {_what(bundle)}, expected a directory.")
    if not (bundle / "bundle.json").is_file():
        known = {"dataset.json": "a data set", "cascade.json": "a cascade, which this does not take"}
        what = next(
            (w for f, w in known.items() if (bundle / f).is_file()), "a directory without bundle.json"
        )
        raise BundleError(f"'{bundle}' is not a bundle: it is {what}. Name the directory that `pack` wrote.")
    sizes: dict[str, int] = {}
    with os.scandir(bundle) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise BundleError(
                    f"'{bundle}' holds '{entry.name}', which is a link, a directory or a device; a bundle "
                    "holds plain files only. Copy the bundle with its files' content."
                )
            limit = size_limit(entry.name)
            if limit is None:
                raise BundleError(f"'{bundle}' holds '{entry.name}', which no bundle holds. Remove it.")
            if status.st_size > limit:
                raise BundleError(
                    f"'{bundle / entry.name}' has {status.st_size} bytes; at most {limit} are read from it."
                )
            sizes[entry.name] = status.st_size
    return sizes


def require_files(bundle: Path, found: Collection[str], required: Iterable[str] = REQUIRED) -> None:
    """Check that the files of a bundle are there.

    Raises:
        BundleError: One is not; names it.
    """
    if missing := sorted(set(required) - set(found)):
        raise BundleError(f"'{bundle}' lacks '{missing[0]}'. Get the bundle again from where it came from.")


def read_file(path: Path) -> bytes:
    """Return a small file's content, at most as many bytes as its name allows.

    Raises:
        BundleError: It cannot be read, or grew beyond its bound.
    """
    return read_bounded(path, size_limit(path.name) or 0)


def read_bounded(path: Path, limit: int) -> bytes:
    """Return a file's content, at most `limit` bytes.

    Raises:
        BundleError: It cannot be read, or is larger.
    """
    try:
        with path.open("rb") as handle:
            data = handle.read(limit + 1)
    except OSError as error:
        raise BundleError(f"'{path}' cannot be read: {error.strerror}.") from error
    if len(data) > limit:
        raise BundleError(f"'{path}' has more than the {limit} bytes that are read from it.")
    return data


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file of any size.

    Raises:
        BundleError: It cannot be read.
    """
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"'{path}' cannot be read: {error.strerror}.") from error


def _what(path: Path) -> str:
    return "it is a file" if path.exists() else "there is nothing"
