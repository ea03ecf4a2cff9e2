"""Pictures kept by choice, named by their content, until their time is over or somebody has them erased.

Which pictures are kept is the service's decision; here they are only private, whole and removable. The time
counts from the last time a picture was kept, and is the file's modification time: there is no index that
could disagree with the directory, so a picture that is erased is gone and nothing remembers it.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from workzone.core.errors import ArtifactError, ConfigError
from workzone.storage.atomic import TEMPORARY_PREFIX, sync_directory
from workzone.storage.hashing import sha256_bytes
from workzone.storage.private import private_directory

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DAY_S = 86_400


def _utc_now() -> datetime:
    return datetime.now(UTC)


class KeptPictures:
    """A directory of pictures by SHA-256. Threads and processes may share it."""

    def __init__(
        self, directory: Path, *, retain_days: int, clock: Callable[[], datetime] = _utc_now
    ) -> None:
        """Make the directory, mode 0700.

        Args:
            directory: Its own directory.
            retain_days: How long a picture is kept after it was last given.
            clock: Tells the time, with its zone.

        Raises:
            ConfigError: `retain_days` is not positive.
            ArtifactError: The directory cannot be made, or others may enter it.
        """
        if retain_days < 1:
            raise ConfigError(
                f"retain_days is {retain_days}; pictures are kept for at least one day, or not."
            )
        private_directory(directory)
        self.directory = directory
        self._retain_s = retain_days * _DAY_S
        self._clock = clock

    def keep(self, sha256: str, picture: bytes) -> None:
        """Keep a picture, mode 0600; whole or not at all. One that is there already begins its time anew.

        Args:
            sha256: Of `picture`, in lower-case hexadecimal.
            picture: The bytes as they came.

        Raises:
            ConfigError: `sha256` is not the hash of `picture`.
            ArtifactError: The disk did not take it.
        """
        path = self._path(sha256)
        if sha256_bytes(picture) != sha256:
            raise ConfigError(f"The picture's hash is not '{sha256}'; it would never be found to be erased.")
        now = self._clock().timestamp()
        try:
            there = path.lstat()
            if stat.S_ISREG(there.st_mode) and there.st_size == len(picture):
                os.utime(path, (now, now))
                return
        except FileNotFoundError:
            pass  # it is new, or erased since
        except OSError as error:
            raise self._failure(error) from error
        self._write(path, picture, now)

    def erase(self, sha256: str) -> bool:
        """Remove a picture; return whether it was there.

        Raises:
            ConfigError: `sha256` is no SHA-256 in lower-case hexadecimal.
            ArtifactError: It cannot be removed.
        """
        path = self._path(sha256)
        try:
            path.unlink()
            sync_directory(self.directory)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._failure(error) from error
        return True

    def expire(self) -> int:
        """Remove every picture whose time is over, and what killed writers left a day ago; return how many.

        Raises:
            ArtifactError: One cannot be removed; the others still are.
        """
        now = self._clock().timestamp()
        removed, failure = 0, None
        try:
            for path in sorted(self.directory.iterdir()):
                try:
                    if self._is_over(path, now):
                        path.unlink()
                        removed += 1
                except FileNotFoundError:
                    continue  # erased meanwhile
                except OSError as error:
                    failure = error
            if removed:
                sync_directory(self.directory)
        except OSError as error:
            failure = error
        if failure is not None:
            raise self._failure(failure) from failure
        return removed

    def _is_over(self, path: Path, now: float) -> bool:
        age_s = now - path.lstat().st_mtime
        if _SHA256.fullmatch(path.name):
            return age_s > self._retain_s
        return path.name.startswith(TEMPORARY_PREFIX) and age_s > _DAY_S

    def _path(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise ConfigError(f"{sha256[:80]!r} is no SHA-256: 64 hexadecimal digits in lower case.")
        return self.directory / sha256

    def _write(self, path: Path, picture: bytes, now: float) -> None:
        # A name of its own for each writer, unlike `atomic_path`: two may keep one picture at a time.
        name: str | None = None
        try:
            handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=self.directory)  # mode 0600
            with os.fdopen(handle, "wb") as file:
                file.write(picture)
                file.flush()
                os.utime(handle, (now, now))
                os.fsync(handle)
            Path(name).replace(path)
            sync_directory(self.directory)
        except OSError as error:
            if name is not None:
                Path(name).unlink(missing_ok=True)
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> ArtifactError:
        return ArtifactError(
            f"The kept pictures in '{self.directory}' cannot be changed: {error.strerror or error}."
        )
