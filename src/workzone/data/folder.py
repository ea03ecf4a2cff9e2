"""A folder of pictures becomes a data set: decoded once to be sure, stored byte for byte.

What cannot be imported is left out, counted, and written down with its reason in `import_log.jsonl`
inside the data set. A wrong label, in contrast, ends the import: nobody should train on a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from workzone.core.errors import ConfigError, DataError
from workzone.core.observer import NullObserver, Observer, track
from workzone.data.dataset import DataSet, open_dataset
from workzone.data.listing import Listed, Listing, Skipped, list_class_directories, list_csv
from workzone.data.ordered import ordered_map
from workzone.data.schema import NewSample
from workzone.data.writer import DataSetWriter, check_free, dataset_writer
from workzone.imaging.decode import DecodeLimits, decode_image
from workzone.imaging.files import read_file
from workzone.storage.hashing import canonical_json

IMPORT_LOG = "import_log.jsonl"


@dataclass(frozen=True, slots=True)
class Import:
    """What came of an import.

    Attributes:
        dataset: The new data set.
        skipped: Files that were left out, and why; also in its `import_log.jsonl`.
        duplicates: Pictures that came more than once, byte for byte.
        unknown_columns: Columns of the CSV that the schema does not know; they were left out.
    """

    dataset: DataSet
    skipped: tuple[Skipped, ...]
    duplicates: int
    unknown_columns: tuple[str, ...]


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
        limits: What one picture may cost to decode.
        workers: Threads that read and decode.
        observer: Told of progress, and of what was left out.

    Raises:
        ConfigError: `out` is taken, or `group_from` is no regular expression with a group.
        DataError: There is no picture, a label or path is wrong, `group_from` does not match a path, or
            identical bytes have conflicting labels or groups. Nothing is left at `out` then.
    """
    observer = observer or NullObserver()
    check_free(out, overwrite=overwrite)
    listing = _list(source, csv, group_from, observer)
    skipped = list(listing.skipped)
    name = name or source.resolve().name
    with dataset_writer(out, name=name, revision=revision, licence=licence, overwrite=overwrite) as writer:
        loaded = _load_all(source, listing, group_from, limits, workers)
        for item in track(loaded, observer, "import pictures", len(listing.listed)):
            if isinstance(item, Skipped):
                skipped.append(item)
            else:
                writer.add(item)
        _report(writer, skipped, source, observer)
    dataset = open_dataset(out)
    if len(set(dataset.samples["group"].to_pylist())) == len(dataset):
        observer.note(
            "Every picture is a group of its own. If some are frames of one video or of one place, import again with "
            "groups named: frames that are counted as independent make a certificate worth nothing."
        )
    return Import(dataset, tuple(skipped), writer.duplicates, listing.unknown_columns)


def _report(writer: DataSetWriter, skipped: list[Skipped], source: Path, observer: Observer) -> None:
    if not len(writer):
        raise DataError(
            f"None of the {len(skipped)} files in '{source}' could be imported; the first, "
            f"'{skipped[0].path}': {skipped[0].reason}"
        )
    log = [canonical_json({"path": item.path, "reason": item.reason}) + b"\n" for item in skipped]
    writer.attach(IMPORT_LOG, b"".join(log))
    if skipped:
        observer.note(
            f"{len(skipped)} files were left out, each with its reason in {IMPORT_LOG}; the first, "
            f"'{skipped[0].path}': {skipped[0].reason}"
        )
    if writer.duplicates:
        observer.note(f"{writer.duplicates} pictures came more than once, byte for byte; each is one sample.")


def _list(source: Path, csv: Path | None, group_from: str | None, observer: Observer) -> Listing:
    if not source.is_dir():
        raise DataError(f"'{source}' is no directory. Name the folder that holds the pictures.")
    listing = list_class_directories(source) if csv is None else list_csv(source, csv)
    if not listing.listed:
        raise DataError(
            f"'{source if csv is None else csv}' has no picture to import. Expected directories named by "
            "label (as 'none' and 'roadwork') with pictures in them, or a CSV with 'file' and 'label'."
        )
    if listing.unknown_columns:
        observer.note(f"Columns that are not known were left out: {', '.join(listing.unknown_columns)}.")
    if group_from is None:
        return listing
    pattern = _pattern(group_from)
    return replace(listing, listed=tuple(_with_group(item, pattern) for item in listing.listed))


def _pattern(group_from: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(group_from)
    except re.error as error:
        raise ConfigError(f"'{group_from}' is no regular expression: {error}.") from error
    if not pattern.groups:
        raise ConfigError(
            f"'{group_from}' captures nothing; put the part that names the group in parentheses."
        )
    return pattern


def _with_group(item: Listed, pattern: re.Pattern[str]) -> Listed:
    match = pattern.search(item.path)
    group = match and match["group" if "group" in pattern.groupindex else 1]
    # Without a match it may still be no picture at all; `_load_all` refuses it where it is one.
    return replace(item, columns={**item.columns, "group": group or None})


def _load_all(
    source: Path, listing: Listing, group_from: str | None, limits: DecodeLimits, workers: int
) -> Iterator[NewSample | Skipped]:
    inside = source.resolve()

    def load(item: Listed) -> NewSample | Skipped:
        path = source / item.path
        if not path.resolve().is_relative_to(inside):
            return Skipped(item.path, "a link that leads out of the folder")
        try:
            image = read_file(path, limits.max_bytes)
            height, width = decode_image(image, limits).shape[:2]
        except DataError as error:
            return Skipped(item.path, str(error))
        if group_from is not None and not item.columns["group"]:
            raise DataError(
                f"'{group_from}' finds no group in '{item.path}'. A picture without its group could end on "
                "the other side of a split from its neighbours: make the expression fit every path."
            )
        return NewSample(
            image, item.label, width, height, origin=f"{item.path} ({item.where})", **item.columns
        )

    with ThreadPoolExecutor(max_workers=workers) as executor:
        yield from ordered_map(executor, load, listing.listed, in_flight=4 * workers)
