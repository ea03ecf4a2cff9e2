"""How any source becomes a data set: streamed, decoded once to be sure, stored byte for byte, resumable.

A source says which pictures there are and how each is loaded; this loads them in threads, hands them to the writer in
their order, and keeps a record of what was left out and why (`import_log.jsonl` in the data set). What cannot be
decoded is left out; a wrong label ends the import: nobody should train on a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from workzone.core.errors import DataError
from workzone.core.observer import NullObserver, Observer
from workzone.core.types import Label
from workzone.data.dataset import DataSet, open_dataset
from workzone.data.importers.progress import Progress
from workzone.data.ordered import ordered_map
from workzone.data.schema import NewSample
from workzone.data.writer import DataSetWriter, check_free, refuse_inside
from workzone.imaging.decode import DecodeLimits, decode_image
from workzone.storage.hashing import canonical_json, sha256_json
from workzone.storage.resumable import resumable_directory

IMPORT_LOG = "import_log.jsonl"
"""What was left out, and why."""
ORIGINS = "origins.jsonl"
"""Where each picture came from: id, and its name in the source."""
_VERSION = 1
"""Of how sources become samples: another version does not go on with this one's unfinished work."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture that was not imported, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pending:
    """A picture that is still to be loaded.

    Attributes:
        key: Names it, the same in every attempt, as "train-00000.parquet#1234".
        load: Reads and decodes it; called in a worker thread. A DataError ends the import.
    """

    key: str
    load: Callable[[], NewSample | Skipped]


class Source(Protocol):
    """Pictures in some format.

    Attributes:
        name: What to call the data set unless told otherwise.
        root: The directory that it reads, where it reads all that is in one: nothing is written into it.
        notes: Sentences that a person should read, complete once `items` is exhausted.
    """

    name: str
    root: Path | None
    notes: list[str]

    def identity(self) -> Mapping[str, Any]:
        """Return, for JSON, all that the samples follow from: settings, and files by name, size and time."""

    def total(self) -> int | None:
        """Return how many pictures there are, where that is known beforehand."""

    def items(self, done: Container[str]) -> Iterator[Pending]:
        """Yield the pictures whose keys are not in `done`, in the order of every attempt."""


@dataclass(frozen=True, slots=True)
class Import:
    """What came of an import.

    Attributes:
        dataset: The new data set.
        skipped: Pictures that were left out, and why; also in its `import_log.jsonl`.
        duplicates: Pictures that came more than once, byte for byte.
        notes: What a person should know, as columns or tags that are not known.
    """

    dataset: DataSet
    skipped: tuple[Skipped, ...]
    duplicates: int
    notes: tuple[str, ...]


def import_source(
    source: Source,
    out: Path,
    *,
    name: str | None = None,
    revision: str = "1",
    licence: str = "unknown",
    overwrite: bool = False,
    drop_conflicts: bool = False,
    workers: int = 2,
    observer: Observer | None = None,
) -> Import:
    """Import everything that a source has; the data set appears whole, or not at all.

    After a kill, the same call goes on where it was.

    Args:
        source: What to import.
        out: Where the data set goes.
        name: Of the data set; by default the source's.
        revision: Of the data set.
        licence: Of the whole; a sample may name its own.
        overwrite: Replace a data set at `out`.
        drop_conflicts: Leave out identical bytes with conflicting labels or groups, all copies; else they end the
            import.
        workers: Threads that read and decode.
        observer: Told of progress, and of what was left out.

    Raises:
        ConfigError: `out` is taken, or lies in what is imported.
        ArtifactError: Another process imports to `out`.
        DataError: There is no picture, a label is wrong, or identical bytes conflict. Nothing is left at `out` then.
    """
    observer = observer or NullObserver()
    if source.root is not None:
        refuse_inside(out, source.root, "directory that is imported")
    check_free(out, overwrite=overwrite)
    name = name or source.name
    settings = [_VERSION, drop_conflicts, dict(source.identity())]
    with resumable_directory(out, sha256_json(settings)) as staging:
        writer = DataSetWriter(staging.content, drop_conflicts=drop_conflicts)
        skipped = _load_all(source, writer, staging.notes / "progress.jsonl", workers, observer)
        skipped += [Skipped(path, reason) for path, reason in writer.dropped()]
        _report(writer, skipped, name, observer)
        writer.seal(name, revision, licence)
    dataset = open_dataset(out)
    notes = tuple(source.notes)
    for note in notes:
        observer.note(note)
    if len(set(dataset.samples["group"].to_pylist())) == len(dataset):
        observer.note(
            "Every picture is a group of its own. If some are frames of one video or of one place, import again with "
            "groups named: frames that are counted as independent make a certificate worth nothing."
        )
    return Import(dataset, tuple(skipped), writer.duplicates, notes)


def loaded_sample(
    image: bytes,
    label: Label,
    *,
    origin: str,
    limits: DecodeLimits = DecodeLimits(),  # noqa: B008 - frozen
    **columns: Any,
) -> NewSample | Skipped:
    """Return a sample whose picture was decoded, for its size and to be sure; a broken one is left out.

    Args:
        image: The bytes of the picture file.
        label: What is known of it.
        origin: What messages call it.
        limits: What it may cost to decode.
        columns: Further fields of `NewSample`.
    """
    try:
        height, width = decode_image(image, limits).shape[:2]
    except DataError as error:
        return Skipped(origin, str(error))
    return NewSample(image, label, width, height, origin=origin, **columns)


def _load_all(
    source: Source, writer: DataSetWriter, progress_file: Path, workers: int, observer: Observer
) -> list[Skipped]:
    progress = Progress(progress_file)
    try:
        done, left_out = progress.restore(writer)
        skipped = [Skipped(path, reason) for path, reason in left_out]
        if done:
            observer.note(f"An import that was interrupted goes on: {len(done)} pictures are there already.")
        total = source.total()
        count = len(done)
        observer.progress("import pictures", count, total)
        with ThreadPoolExecutor(max_workers=workers) as executor:
            loaded = ordered_map(executor, _load, source.items(done), in_flight=4 * workers)
            for key, item in loaded:
                if isinstance(item, Skipped):
                    skipped.append(item)
                    progress.skipped(key, item.path, item.reason)
                else:
                    progress.stored(key, item, writer.add(item))
                count += 1
                observer.progress("import pictures", count, total)
        return skipped
    finally:
        progress.close()


def _load(pending: Pending) -> tuple[str, NewSample | Skipped]:
    return pending.key, pending.load()


def _report(writer: DataSetWriter, skipped: list[Skipped], name: str, observer: Observer) -> None:
    if not len(writer):
        first = f"; the first, '{skipped[0].path}': {skipped[0].reason}" if skipped else ""
        raise DataError(f"None of the {len(skipped)} files of '{name}' could be imported{first}")
    log = [canonical_json({"path": item.path, "reason": item.reason}) + b"\n" for item in skipped]
    writer.attach(IMPORT_LOG, b"".join(log))
    came = [canonical_json({"id": sample_id, "origin": name}) + b"\n" for sample_id, name in writer.origins()]
    writer.attach(ORIGINS, b"".join(came))
    if skipped:
        observer.note(
            f"{len(skipped)} files were left out, each with its reason in {IMPORT_LOG}; the first, "
            f"'{skipped[0].path}': {skipped[0].reason}"
        )
    if writer.duplicates:
        observer.note(f"{writer.duplicates} pictures came more than once, byte for byte; each is one sample.")
