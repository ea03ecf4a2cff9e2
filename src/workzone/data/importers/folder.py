"""A folder of pictures: class directories, or a CSV that lists them.

Which pictures and with what label is `listing`'s; reading them, within the folder and within bounds, is here.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from workzone.core.errors import ConfigError, DataError
from workzone.core.observer import Observer
from workzone.data.importers.importing import Import, Pending, Skipped, import_source, loaded_sample
from workzone.data.importers.listing import Listed, Listing, list_class_directories, list_csv
from workzone.data.schema import NewSample
from workzone.data.writer import check_free
from workzone.imaging.decode import DecodeLimits
from workzone.imaging.files import read_file


def import_folder(
    source: Path,
    out: Path,
    *,
    csv: Path | None = None,
    group_from: str | None = None,
    name: str | None = None,
    revision: str = "1",
    licence: str = "unknown",
    overwrite: bool = False,
    drop_conflicts: bool = False,
    limits: DecodeLimits = DecodeLimits(),  # noqa: B008 - frozen
    workers: int = 2,
    observer: Observer | None = None,
) -> Import:
    """Import pictures from class directories, or as a CSV lists them.

    Args:
        source: The folder; its directories are named by label (`schema.LABEL_NAMES`), or `csv` is given.
        out: Where the data set goes.
        csv: Names the pictures, relative to `source`, in a column `file` or `path`, with `label` and any
            further column of the schema.
        group_from: A regular expression searched in each relative path: the group named `group`, else the
            first, is the picture's group. Overrules a column `group`.
        name: Of the data set; by default the folder's.
        revision: Of the data set.
        licence: Of the whole; a column `licence` says it for a picture.
        overwrite: Replace a data set at `out`.
        drop_conflicts: Leave out identical bytes with conflicting labels or groups.
        limits: What one picture may cost to decode.
        workers: Threads that read and decode.
        observer: Told of progress, and of what was left out.

    Raises:
        ConfigError: `out` is taken, or `group_from` is no regular expression with a group.
        DataError: There is no picture, a label or path is wrong, `group_from` does not match a path, or
            identical bytes have conflicting labels or groups. Nothing is left at `out` then.
    """
    check_free(out, overwrite=overwrite)  # before a large folder is listed
    return import_source(
        FolderSource(source, csv, group_from, limits),
        out,
        name=name,
        revision=revision,
        licence=licence,
        overwrite=overwrite,
        drop_conflicts=drop_conflicts,
        workers=workers,
        observer=observer,
    )


class FolderSource:
    """The pictures of a folder; lists them when it is made.

    Raises:
        ConfigError, DataError: As `import_folder`.
    """

    def __init__(
        self,
        folder: Path,
        csv: Path | None = None,
        group_from: str | None = None,
        limits: DecodeLimits = DecodeLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._folder = folder
        self._inside = folder.resolve()
        self._group_from = group_from
        self._limits = limits
        pattern = None if group_from is None else group_pattern(group_from)
        listing = _list(folder, csv)
        self._skipped = listing.skipped
        self._listed = tuple(_with_group(item, pattern) for item in listing.listed)
        self.name = self._inside.name
        self.root: Path | None = folder
        self.notes = (
            [f"Columns that are not known were left out: {', '.join(listing.unknown_columns)}."]
            if listing.unknown_columns
            else []
        )

    def identity(self) -> Mapping[str, Any]:
        """Return what is listed, with each file's size and time."""
        return {
            "importer": "folder",
            "group_from": self._group_from,
            "limits": [self._limits.max_bytes, self._limits.max_pixels, self._limits.max_side_px],
            "listed": [[item.path, int(item.label), _plain(item.columns)] for item in self._listed],
            "files": [_size_and_time(self._folder / item.path) for item in self._listed],
        }

    def total(self) -> int:
        """Return how many files there are."""
        return len(self._listed) + len(self._skipped)

    def items(self, done: Container[str]) -> Iterator[Pending]:
        """Yield what is listed, then what is left out without a look at it."""
        for item in self._listed:
            if item.path not in done:
                yield Pending(item.path, lambda item=item: self._load(item))  # type: ignore[misc]
        for skipped in self._skipped:
            if skipped.path not in done:
                yield Pending(skipped.path, lambda skipped=skipped: skipped)  # type: ignore[misc]

    def _load(self, item: Listed) -> NewSample | Skipped:
        path = self._folder / item.path
        if not path.resolve().is_relative_to(self._inside):
            return Skipped(item.path, "a link that leads out of the folder")
        try:
            image = read_file(path, self._limits.max_bytes)
        except DataError as error:
            return Skipped(item.path, str(error))
        origin = f"{item.path} ({item.where})"
        loaded = loaded_sample(image, item.label, origin=origin, limits=self._limits, **item.columns)
        if isinstance(loaded, Skipped):
            return Skipped(item.path, loaded.reason)
        if self._group_from is not None and not item.columns["group"]:
            raise DataError(
                f"'{self._group_from}' finds no group in '{item.path}'. A picture without its group could end "
                "on the other side of a split from its neighbours: make the expression fit every path."
            )
        return loaded


def group_pattern(group_from: str) -> re.Pattern[str]:
    """Return the compiled expression.

    Raises:
        ConfigError: It is no regular expression, or captures nothing.
    """
    try:
        pattern = re.compile(group_from)
    except re.error as error:
        raise ConfigError(f"'{group_from}' is no regular expression: {error}.") from error
    if not pattern.groups:
        raise ConfigError(
            f"'{group_from}' captures nothing; put the part that names the group in parentheses."
        )
    return pattern


def group_in(pattern: re.Pattern[str], path: str) -> str | None:
    """Return the group that the pattern finds in a path: its group named `group`, else its first."""
    match = pattern.search(path)
    found = match and match["group" if "group" in pattern.groupindex else 1]
    return found or None


def _list(folder: Path, csv: Path | None) -> Listing:
    if not folder.is_dir():
        raise DataError(f"'{folder}' is no directory. Name the folder that holds the pictures.")
    listing = list_class_directories(folder) if csv is None else list_csv(folder, csv)
    if not listing.listed:
        raise DataError(
            f"'{folder if csv is None else csv}' has no picture to import. Expected directories named by "
            "label (as 'none' and 'roadwork') with pictures in them, or a CSV with 'file' and 'label'."
        )
    return listing


def _with_group(item: Listed, pattern: re.Pattern[str] | None) -> Listed:
    if pattern is None:
        return item
    # Without a match it may still be no picture at all; `_load` refuses it where it is one.
    return replace(item, columns={**item.columns, "group": group_in(pattern, item.path)})


def _plain(columns: Mapping[str, Any]) -> Mapping[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in columns.items()}


def _size_and_time(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None  # loading says why
    return [found.st_size, found.st_mtime_ns]
