"""What files a published data set holds, from one pass over its directories, and which of them may be read.

A name from `os.scandir` says whether it is a file, a directory or a link without another look at the disk, so 100,000
pictures in one directory cost one listing. Links to directories are not followed. A link to a file is followed only
where it ends inside the data set; names that others wrote into annotations must stay inside it too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from workzone.core.errors import DataError
from workzone.data.importers.importing import Skipped
from workzone.imaging.files import quoted, read_file

MAX_FILES = 20_000_000
LINK_OUT = "a link that leads out of the data set"


@dataclass(frozen=True, slots=True)
class Tree:
    """The files below a directory.

    Attributes:
        root: The directory, resolved.
        files: By path relative to it with "/": whether it is a link.
        directories: Each directory's entries and time of change, for noticing that they changed.
    """

    root: Path
    files: Mapping[str, bool]
    directories: tuple[tuple[str, int, int], ...]

    def must_be_inside(self, path: str) -> None:
        """Refuse a file or directory that leads out of the root by a link.

        Raises:
            DataError: It does, or leads nowhere.
        """
        try:
            inside = (self.root / path).resolve(strict=True).is_relative_to(self.root)
        except (OSError, RuntimeError) as error:
            raise DataError(f"{quoted(path)} in '{self.root}' is a link that leads nowhere.") from error
        if not inside:
            raise DataError(
                f"{quoted(path)} leads out of the data set '{self.root}' by a link: it is not read."
            )

    def read(self, path: str, max_bytes: int) -> bytes | Skipped:
        """Return the bytes of one of `files`, or why it is left out."""
        if path not in self.files:
            return Skipped(path, "there is no such file")
        target = self.root / path
        try:
            if self.files[path] and not target.resolve(strict=True).is_relative_to(self.root):
                return Skipped(path, LINK_OUT)
            return read_file(target, max_bytes)
        except DataError as error:
            return Skipped(path, str(error))
        except (OSError, RuntimeError) as error:  # a link to nothing, or to itself
            return Skipped(path, f"a link that leads nowhere ({type(error).__name__})")


def scan(root: Path) -> Tree:
    """List every file below `root`; hidden ones, and those whose name is no Unicode, are left out.

    Raises:
        DataError: It is no directory, cannot be read, or holds too much.
    """
    inside = root.resolve()
    if not inside.is_dir():
        raise DataError(f"{quoted(inside)} is no directory. Name the directory of the data set.")
    files: dict[str, bool] = {}
    directories: list[tuple[str, int, int]] = []
    waiting = [""]
    while waiting:
        at = waiting.pop()
        try:
            _list_one(inside, at, files, waiting, directories)
        except OSError as error:
            raise DataError(f"{quoted(inside / at)} cannot be listed: {error.strerror or error}.") from error
        if len(files) > MAX_FILES:
            raise DataError(f"'{inside}' holds more than the {MAX_FILES:,} files that are read.")
    return Tree(inside, files, tuple(sorted(directories)))


def _list_one(
    root: Path, at: str, files: dict[str, bool], waiting: list[str], seen: list[tuple[str, int, int]]
) -> None:
    prefix = f"{at}/" if at else ""
    count = 0
    with os.scandir(root / at) as entries:
        for entry in entries:
            if entry.name.startswith(".") or not _is_text(entry.name):
                continue
            count += 1
            if entry.is_symlink():
                files[prefix + entry.name] = True
            elif entry.is_dir(follow_symlinks=False):
                waiting.append(prefix + entry.name)
            elif entry.is_file(follow_symlinks=False):
                files[prefix + entry.name] = False
    seen.append((at, count, (root / at).stat().st_mtime_ns))


def _is_text(name: str) -> bool:
    """Whether a name is Unicode; one that is not could not be named in any annotation, nor written down in a log."""
    return name.isprintable() or not any(0xD800 <= ord(c) < 0xE000 for c in name)


def named_path(text: Any, where: str) -> str:
    """Return a path that an annotation names, relative and without a way out of the data set.

    Raises:
        DataError: It is no text, empty, absolute, has "..", a backslash or a control character.
    """
    if not isinstance(text, str):
        raise DataError(f"{where} is {type(text).__name__}, expected the name of a picture as text.")
    path = PurePosixPath(text)
    strange = "\\" in text or any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in text) or len(text) > 4096
    if not path.name or path.is_absolute() or ".." in path.parts or strange:
        raise DataError(
            f"{where} is {quoted(text)}, which is no path inside the data set. Expected a relative path with '/'."
        )
    return path.as_posix()


def stamp(path: Path) -> list[Any]:
    """Return name, size and time of a file, by which another attempt knows it again."""
    found = path.stat()
    return [path.name, found.st_size, found.st_mtime_ns]
