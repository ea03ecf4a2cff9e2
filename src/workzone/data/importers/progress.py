"""How far an import got: one line a picture, written before the next is asked for.

A kill loses the picture in hand, no other. Pictures of an earlier attempt are read back and their hashes compared:
one that did not reach the disk whole is imported again, and so is one whose line did not. A line is whole if it is a
JSON object: no part that a kill or a full disk leaves of one is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from workzone.core.errors import DataError
from workzone.data.schema import NewSample
from workzone.data.writer import DataSetWriter
from workzone.storage.hashing import canonical_json, sha256_bytes

_SAMPLE = TypeAdapter(NewSample)


class Progress:
    """The record of one import; `close` it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        torn = file.exists() and _is_torn(file)
        self._handle = file.open("ab", buffering=0)  # each line reaches the kernel in one write
        if torn:
            try:
                self._write(b"")
            except OSError:
                self.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self._handle.close()

    def stored(self, key: str, sample: NewSample, sample_id: str) -> None:
        """Write down that a picture is in the data set."""
        row = _SAMPLE.dump_python(sample, mode="json", exclude={"image"})
        self._write(canonical_json({"key": key, "id": sample_id, "sample": row}))

    def skipped(self, key: str, path: str, reason: str) -> None:
        """Write down that a picture was left out."""
        line = {"key": key, "path": path, "reason": reason}
        self._write(canonical_json(line))

    def restore(self, writer: DataSetWriter) -> tuple[set[str], list[tuple[str, str]]]:
        """Add what an earlier attempt finished to `writer`; return the keys, and what was left out: (path, reason)."""
        done: set[str] = set()
        skipped: list[tuple[str, str]] = []
        for line in self._lines():
            if "id" not in line:
                skipped.append((line["path"], line["reason"]))
            elif not _restored(writer, line["id"], line["sample"]):
                continue
            done.add(line["key"])
        return done, skipped

    def _write(self, line: bytes) -> None:
        written = self._handle.write(line + b"\n")
        if written != len(line) + 1:
            raise OSError(
                f"Only {written} of {len(line) + 1} bytes were taken by '{self._file}': the disk is full. Make room, "
                "and import again; what is finished is kept."
            )

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Every whole line; a torn one may be last of any attempt, not of the last alone."""
        with self._file.open("rb") as handle:
            for line in handle:
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if isinstance(found, dict):
                    yield found


def _restored(writer: DataSetWriter, sample_id: str, row: dict[str, Any]) -> bool:
    image = writer.stored_picture(sample_id)
    if image is None or sha256_bytes(image) != sample_id:
        return False
    try:
        sample = _SAMPLE.validate_python({**row, "image": image})
    except ValidationError as error:
        raise DataError(
            f"The record of an unfinished import was edited: {error.errors(include_url=False)[0]['msg']}. "
            "Remove the '.partial-' directory beside the target, and import again."
        ) from error
    writer.add(sample, stored=True)
    return True


def _is_torn(file: Path) -> bool:
    with file.open("rb") as handle:
        size = handle.seek(0, 2)
        if not size:
            return False
        handle.seek(size - 1)
        return handle.read(1) != b"\n"
