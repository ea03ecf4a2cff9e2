"""The `data.yaml` of a YOLO data set: names of classes, and the directories of its published parts.

Directories are looked for inside the data set and nowhere else. Roboflow writes `../train/images` where it means
`train/images`: a leading "../" is dropped, as Ultralytics does where the path does not exist. Everything else that
leads out ends the import, whether it exists or not.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from workzone.core.errors import DataError
from workzone.data.importers.published_splits import part_named

FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
MAX_YAML_BYTES = 256 * 1024
MAX_CLASSES = 10_000
_PARTS = ("train", "val", "valid", "test")


@dataclass(frozen=True, slots=True)
class YoloConfig:
    """What a data.yaml says.

    Attributes:
        names: Of the classes, by number.
        directories: Of each part, as ("train", "train/images"): relative to the data set, not looked at yet.
        keypoints: Whether rows go on with the points of a skeleton.
    """

    names: tuple[str, ...]
    directories: tuple[tuple[str, str], ...]
    keypoints: bool


class _PlainLoader(yaml.SafeLoader):
    """A SafeLoader without merge keys ("<<"), by which a few lines can fill any memory."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave them as they are: no value can be made of one, which is an error."""


def find_config(folder: Path) -> Path:
    """Return the file of a data set that says what it holds.

    Raises:
        DataError: There is none.
    """
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    raise DataError(
        f"'{folder}' has no {FILES[0]}. Name the directory of a YOLO data set, where that file is."
    )


def read_config(path: Path, root: Path) -> YoloConfig:
    """Read it.

    Args:
        path: The file.
        root: The data set's directory, resolved; relative paths start from the file's own directory.

    Raises:
        DataError: It is too large, no YAML, lacks names or parts, or names a path outside `root`.
    """
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_YAML_BYTES + 1)
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    if len(data) > MAX_YAML_BYTES:
        raise DataError(f"'{path}' has more than the {MAX_YAML_BYTES:,} bytes that are read of such a file.")
    try:
        config = yaml.load(data, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"'{path}' is no YAML: {reason}.") from error
    if not isinstance(config, dict):
        raise DataError(f"'{path}' holds {type(config).__name__}, expected 'names', 'train' and 'val'.")
    base = _base(config.get("path"), path, root)
    return YoloConfig(
        _names(config, path), tuple(_directories(config, path, base)), config.get("kpt_shape") is not None
    )


def _names(config: Mapping[Any, Any], path: Path) -> tuple[str, ...]:
    found = config.get("names")
    if isinstance(found, list):
        by_number = dict(enumerate(found))
    elif isinstance(found, dict):
        by_number = {_number(key, path): name for key, name in found.items()}
    else:
        raise DataError(f"'{path}': 'names' is {type(found).__name__}, expected the names of the classes.")
    if not by_number or len(by_number) > MAX_CLASSES or max(by_number) >= MAX_CLASSES:
        raise DataError(f"'{path}': 'names' has {len(by_number):,} classes, expected 1 to {MAX_CLASSES:,}.")
    for number, name in by_number.items():
        if not isinstance(name, str | int | float | bool):
            raise DataError(f"'{path}': the name of class {number} is {type(name).__name__}, expected text.")
    missing = sorted(set(range(max(by_number) + 1)) - set(by_number))
    if missing:
        raise DataError(f"'{path}': 'names' has a class {max(by_number)} and no class {missing[0]}.")
    count = config.get("nc")
    if count is not None and count != len(by_number):
        raise DataError(f"'{path}': 'nc' is {_shown(count)}, but 'names' has {len(by_number)} classes.")
    return tuple(str(by_number[number]) for number in range(len(by_number)))


def _number(key: Any, path: Path) -> int:
    if isinstance(key, str) and key.isascii() and key.isdecimal() and len(key) < 10:
        key = int(key)
    if isinstance(key, bool) or not isinstance(key, int) or key < 0:
        raise DataError(
            f"'{path}': 'names' has the key {_shown(key)}, expected the number of a class, from 0."
        )
    return key


def _base(value: Any, path: Path, root: Path) -> str:
    """Where the parts' paths start, relative to `root`; a `path` that ends in the data set's own name is the root."""
    here = path.resolve().parent.relative_to(root).as_posix()
    if value is None or value == "":
        return here
    if not isinstance(value, str):
        raise DataError(f"'{path}': 'path' is {type(value).__name__}, expected a directory.")
    inside = _inside(here, value)
    if inside is not None:
        return inside
    if PurePosixPath(value).name == root.name:
        return "."
    raise DataError(_outside(path, "path", value))


def _directories(config: Mapping[Any, Any], path: Path, base: str) -> list[tuple[str, str]]:
    found = []
    for key in _PARTS:
        value = config.get(key)
        if value is None or value == "":
            continue
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str) or not text or text.endswith(".txt"):
                raise DataError(
                    f"'{path}': '{key}' is {_shown(text)}, expected a directory of pictures. Lists of pictures in a "
                    "text file are not read."
                )
            inside = _inside(base, text)
            if inside is None and text.startswith("../"):
                inside = _inside(base, text[3:])
            if inside is None:
                raise DataError(_outside(path, key, text))
            found.append((part_named(key) or key, inside))
    if not found:
        raise DataError(f"'{path}' names no directory of pictures: expected 'train', 'val' or 'test'.")
    return found


def _inside(base: str, text: str) -> str | None:
    """Return a path relative to the data set, or None where it leads out."""
    if text.startswith(("/", "~")) or "\\" in text or ":" in text or any(ord(c) < 32 for c in text):
        return None
    joined = posixpath.normpath(posixpath.join(base, text))
    return None if joined == ".." or joined.startswith("../") else joined


def _shown(value: Any) -> str:
    """A value for a message; what holds others is named by its type alone, for it may unfold without end."""
    return repr(value)[:80] if isinstance(value, str | int | float) else type(value).__name__


def _outside(path: Path, key: str, value: str) -> str:
    return (
        f"'{path}': '{key}' is {value[:200]!r}, which leads out of the data set; nothing outside it is read. Write a "
        "path relative to that file."
    )
