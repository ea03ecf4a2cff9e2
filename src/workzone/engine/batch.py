"""Answering a directory: resumable, one bad picture spoils no other, the result appears whole.

Answers are appended batch by batch to `<out>.partial` (JSON lines under a header that names the bundle),
which survives a kill; at the end it is turned into the result. A resumed run goes by the pictures' paths: a
picture that was replaced under its old name in between keeps its old answer.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

from workzone.core.errors import ArtifactError, ConfigError, DataError
from workzone.core.lazy import require
from workzone.core.observer import NullObserver, Observer
from workzone.core.types import Prediction
from workzone.engine.predictor import Failure
from workzone.engine.results import ResultFormat, ResultRow, from_line, to_line, to_row, write_results

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
_HEADER_VERSION = 1


class AnswersMany(Protocol):
    """What answers: a bundle's predictor, or a cascade's."""

    @property
    def identity(self) -> str:
        """Digest of it: a run is resumed with the same only."""

    @property
    def max_batch(self) -> int:
        """The most pictures at once."""

    def predict_many(
        self, sources: Iterable[Path], batch: int | None = None
    ) -> Iterator[Prediction | Failure]:
        """Answer pictures in their order."""


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What came of it."""

    out: Path
    pictures: int
    failed: int
    """Of them, without an answer."""
    resumed: int
    """Of them, answered by an earlier, interrupted run."""


def find_pictures(inputs: Iterable[Path]) -> list[Path]:
    """Return the pictures that are meant: files as they are named, directories with all below them.

    A directory gives the files with a picture's suffix, sorted by path, without hidden ones; a file that is
    named is taken whatever it is called. Each path comes once.

    Raises:
        DataError: A path does not exist, or there is no picture at all.
    """
    given = list(inputs)
    found: dict[Path, None] = {}
    for path in given:
        if path.is_dir():
            found.update(dict.fromkeys(_below(path)))
        elif path.exists():
            found[path] = None
        else:
            raise DataError(f"There is no picture or directory '{path}'; check the path.")
    if not found:
        where = ", ".join(f"'{path}'" for path in given) or "nothing"
        raise DataError(
            f"No pictures in {where}; looked for {' '.join(sorted(PICTURE_SUFFIXES))} in it and all below."
        )
    return list(found)


def _below(directory: Path) -> list[Path]:
    found = []
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(folder) / name
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES
        ]
    return sorted(found)


def predict_to_file(
    predictor: AnswersMany,
    pictures: Sequence[Path],
    out: Path,
    form: ResultFormat,
    *,
    batch: int | None = None,
    restart: bool = False,
    observer: Observer | None = None,
) -> BatchSummary:
    """Answer `pictures` into the file `out`, going on where an interrupted run left off.

    Args:
        predictor: What answers.
        pictures: Their paths, each once, as `find_pictures` gives them.
        out: The file to write; an old one is replaced when all is done.
        form: Its format.
        batch: Pictures at once; by default the bundle's largest batch. Progress is safe after each.
        restart: Forget what an interrupted run did.
        observer: Told of the progress in pictures.

    Raises:
        ArtifactError: Another process is writing `out`, or an interrupted run used another bundle.
        ConfigError: `out` is a directory.
        MissingExtraError: Parquet needs pyarrow; said before the first picture.
    """
    if out.is_dir():
        raise ConfigError(f"'{out}' is a directory; give the name of the file to write.")
    if form is ResultFormat.PARQUET:
        require("pyarrow.parquet", "data")
    observer = observer or NullObserver()
    wanted = {str(path) for path in pictures}
    partial = out.with_name(f"{out.name}.partial")
    with _held(partial) as handle:
        if restart:
            handle.truncate(0)
        rows = [row for row in _resume(handle, partial, predictor.identity) if row.image in wanted]
        resumed = len(rows)
        done = {row.image for row in rows}
        left = [path for path in pictures if str(path) not in done]
        if resumed:
            observer.note(f"{resumed} of {len(pictures)} pictures were answered by an interrupted run.")
        rows += _answer_rest(predictor, left, handle, batch, observer, resumed)
        by_image = {row.image: row for row in rows}
        write_results(out, form, (by_image[str(path)] for path in pictures))
        partial.unlink()
    return BatchSummary(out, len(pictures), sum(row.error is not None for row in by_image.values()), resumed)


def _answer_rest(
    predictor: AnswersMany,
    left: Sequence[Path],
    handle: BinaryIO,
    batch: int | None,
    observer: Observer,
    done: int,
) -> Iterator[ResultRow]:
    """Yield the rows of the pictures that are left, each after its batch is safely on disk."""
    total = done + len(left)
    size = max(1, batch or predictor.max_batch)
    answers = predictor.predict_many(left, size)
    observer.progress("predict", done, total)
    while rows := [to_row(answer) for answer in islice(answers, size)]:
        _append(handle, [to_line(row) for row in rows])
        done += len(rows)
        observer.progress("predict", done, total)
        yield from rows


@contextmanager
def _held(partial: Path) -> Iterator[BinaryIO]:
    """Open the partial file for reading and appending, and hold it for this process."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("a+b") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ArtifactError(
                f"'{partial}' is being written by another process. Wait for it to end, or write another file."
            ) from error
        if not partial.exists() or not os.path.samestat(os.fstat(handle.fileno()), partial.stat()):
            raise ArtifactError(f"Another process has just finished what '{partial}' was for. Try again.")
        yield handle


def _resume(handle: BinaryIO, partial: Path, digest: str) -> list[ResultRow]:
    """Return the rows of an interrupted run and leave the file ready for the next one.

    The file is cut behind its last sound line: what follows was torn by the kill and is answered again.
    """
    handle.seek(0)
    header = handle.readline()
    begun_with = _bundle_of(header)
    if begun_with is None:
        if header.endswith(b"\n"):
            raise ArtifactError(f"'{partial}' is no interrupted run. Move it away, or write another file.")
        handle.truncate(0)
        _append(handle, [json.dumps({"partial": _HEADER_VERSION, "bundle": digest})])
        return []
    if begun_with != digest:
        raise ArtifactError(
            f"'{partial}' was begun with bundle {begun_with[:12]}, this is {digest[:12]}: one file does not "
            "mix answers of two. Go on with that bundle, or restart."
        )
    rows, end = [], handle.tell()
    for line in handle:
        try:
            row = from_line(line) if line.endswith(b"\n") else None
        except ValueError:
            row = None
        if row is None:
            break
        rows.append(row)
        end += len(line)
    handle.truncate(end)
    return rows


def _bundle_of(header: bytes) -> str | None:
    """Return which bundle a header names; None: it is empty, torn or no header."""
    try:
        value = json.loads(header) if header.endswith(b"\n") else None
    except ValueError:
        return None
    if not isinstance(value, dict) or value.get("partial") != _HEADER_VERSION:
        return None
    return str(value.get("bundle"))


def _append(handle: BinaryIO, lines: Sequence[str]) -> None:
    handle.write("".join(f"{line}\n" for line in lines).encode("ascii"))
    handle.flush()
    os.fsync(handle.fileno())
