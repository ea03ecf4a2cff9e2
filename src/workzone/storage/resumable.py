"""A directory that is built over hours: what is finished survives a kill, and the next attempt goes on.

Beside `atomic`, which throws away what an interrupted writer left. The work lies in `.partial-NAME` beside its
target, with the key of what it is made from: another key starts anew. Knows directories; what is finished in
there, and how far it got, is its user's to write down in `notes`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workzone.core.errors import WorkzoneError
from workzone.storage.atomic import publish_directory
from workzone.storage.lock import writer_lock

_KEY = "key"
_CONTENT = "content"
_NOTES = "notes"


@dataclass(frozen=True, slots=True)
class Staging:
    """Where unfinished work lies.

    Attributes:
        content: What becomes the target.
        notes: A directory for how far it got; gone once the target is there.
        resumed: Something of an earlier attempt may be in both.
    """

    content: Path
    notes: Path
    resumed: bool


@contextmanager
def resumable_directory(path: Path, key: str) -> Iterator[Staging]:
    """Yield a place to work in; when the block ends well, its content becomes `path`.

    A kill, an interrupt or a full disk leaves the work where it is, and the next call with the same key goes on. An
    error of what is worked on (`WorkzoneError`) removes it: the next attempt would end the same way.

    Args:
        path: The target; replaced if it is there.
        key: Of everything that the result follows from.

    Raises:
        ArtifactError: Another process works on the same target.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    root = path.with_name(f".partial-{path.name}")
    with writer_lock(root):
        resumed = _is_of(root, key)
        if not resumed:
            _begin(root, key)
        try:
            yield Staging(root / _CONTENT, root / _NOTES, resumed)
            publish_directory(root / _CONTENT, path)
        except WorkzoneError:
            shutil.rmtree(root, ignore_errors=True)
            raise
        shutil.rmtree(root)


def _is_of(root: Path, key: str) -> bool:
    file = root / _KEY
    return file.is_file() and file.read_bytes() == key.encode() and (root / _CONTENT).is_dir()


def _begin(root: Path, key: str) -> None:
    (root / _KEY).unlink(missing_ok=True)  # first: half of an old attempt must not pass for the new one
    for name in (_CONTENT, _NOTES):
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir()
    (root / _KEY).write_bytes(key.encode())
