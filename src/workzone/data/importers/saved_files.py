"""Which Arrow files belong to a directory that `datasets` saved (`save_to_disk`), by its own record of them.

A directory that was saved to twice may hold files of both times; `state.json` names those that count.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workzone.core.errors import DataError

MAX_RECORD_BYTES = 2**20
_STATE, _SPLITS = "state.json", "dataset_dict.json"


def is_saved_by_datasets(path: Path) -> bool:
    """Return whether a directory is one of `save_to_disk`, with or without splits."""
    return any((path / record).is_file() for record in (_STATE, _SPLITS))


def saved_files(path: Path) -> list[tuple[Path, str]]:
    """Return the Arrow files and their names relative to `path`, split after split.

    Raises:
        DataError: A record is broken, names a file that is not there or lies elsewhere, or rows were selected without
            being written.
    """
    if not (path / _SPLITS).is_file():
        return [(path / name, name) for name in _names(path)]
    splits = _read(path / _SPLITS).get("splits")
    if not isinstance(splits, list) or not splits:
        raise DataError(f"'{path / _SPLITS}' names no splits, expected a list. Save the data set again.")
    names = [_plain_name(path / _SPLITS, split) for split in splits]
    for split in names:
        if not (path / split).resolve().is_relative_to(path.resolve()):
            raise DataError(f"'{path / split}' is a link that leads out of the data set: it is not read.")
    return [(path / split / name, f"{split}/{name}") for split in names for name in _names(path / split)]


def _names(directory: Path) -> list[str]:
    record = directory / _STATE
    state = _read(record)
    if state.get("_indices_data_files"):
        raise DataError(
            f"'{directory}' was saved by an old version of datasets as a selection of rows. Save it again with "
            "save_to_disk."
        )
    files = state.get("_data_files")
    if not isinstance(files, list) or not files:
        raise DataError(f"'{record}' names no data files, expected a list. Save the data set again.")
    names = [_plain_name(record, f.get("filename") if isinstance(f, dict) else None) for f in files]
    for name in names:
        place = directory / name
        if not place.is_file() or not place.resolve().is_relative_to(directory.resolve()):
            raise DataError(f"'{record}' names '{name}', which is no file in there. Save the data set again.")
    return names


def _plain_name(record: Path, name: Any) -> str:
    """A name without a way out of the directory."""
    if not isinstance(name, str) or not name or name in {".", ".."} or any(c in name for c in "/\\\0"):
        raise DataError(
            f"'{record}' names {str(name)[:200]!r}, expected the name of something in that directory."
        )
    return name


def _read(record: Path) -> dict[str, Any]:
    try:
        with record.open("rb") as handle:
            text = handle.read(MAX_RECORD_BYTES + 1)
        value = json.loads(text) if len(text) <= MAX_RECORD_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"'{record}' cannot be read as JSON: {error}. Save the data set again.") from error
    if not isinstance(value, dict):
        raise DataError(f"'{record}' is no JSON object of at most {MAX_RECORD_BYTES:,} bytes. Save it again.")
    return value
