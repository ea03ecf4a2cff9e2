"""Boxes in YOLO's format become a data set: exports of Roboflow and Ultralytics, with their `data.yaml`.

A label file that is there and empty says that somebody looked and found nothing: the picture is "none", with no
objects. One that is missing says nothing: the picture is unknown, and so are its objects. A label file that cannot
be read, or has a row that means nothing, leaves its picture out: a label that is half understood would be a guess.

A picture that two parts name, as where `val` and `test` are one directory, belongs to the more protected one.
Copies that Roboflow made by augmentation share their group with the original, in whatever part they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from workzone.core.errors import DataError
from workzone.core.types import Label
from workzone.data.box_vocabulary import box_vocabulary
from workzone.data.importers.boxes import Groups, note_groups, note_unknown, place_boxes
from workzone.data.importers.importing import Pending, Skipped, loaded_sample
from workzone.data.importers.label_rule import LabelRule
from workzone.data.importers.published_splits import protected_first
from workzone.data.importers.tally import Tally
from workzone.data.importers.tree import scan, stamp
from workzone.data.importers.yolo_config import find_config, read_config
from workzone.data.importers.yolo_rows import MAX_LABEL_BYTES, Row, parse_rows
from workzone.data.schema import NewSample
from workzone.imaging.decode import DecodeLimits
from workzone.storage.hashing import canonical_json

_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
_LABELS = ".txt"
_NOTES = frozenset({_LABELS, ".cache", ".yaml", ".yml", ".json", ".xml", ".csv", ".md", ".npy", ".zip"})
"""Files that come beside pictures and are none."""
_NO_LABELS = frozenset({"classes.txt", "labels.txt", "obj.names", "train.txt", "val.txt", "test.txt"})


@dataclass(frozen=True, slots=True)
class _Listed:
    """A picture of a part, with the path of its labels where they are there."""

    path: str
    part: str
    labels: str | None
    group: str


class YoloSource:
    """The pictures of a YOLO data set; lists them when it is made, and reads labels with their pictures.

    Args:
        folder: The data set, with `data.yaml` in it.
        rule: When a picture counts as road work.
        group_from: A regular expression searched in each picture's path: the group named `group`, else the first, is
            the picture's group. Without it, the clip by the picture's name (`clips`).
        limits: What one picture may cost to decode.

    Raises:
        ConfigError: `group_from` is no regular expression with a group.
        DataError: There is no `data.yaml`, it is wrong or leads out of the data set, or there is no picture.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rule: LabelRule | None = None,
        group_from: str | None = None,
        limits: DecodeLimits = DecodeLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._rule = rule or LabelRule()
        self._limits = limits
        self._tally = Tally()
        self.notes = self._tally.notes
        groups = Groups(group_from)
        self._tree = scan(folder)
        self.name = self._tree.root.name
        self.root: Path | None = self._tree.root
        config_file = find_config(self._tree.root)
        self._tree.must_be_inside(config_file.name)
        self._config = read_config(config_file, self._tree.root)
        self._types = [box_vocabulary().lookup(name) for name in self._config.names]
        note_unknown(zip(self._config.names, self._types, strict=True), self._tally)
        self._settings: dict[str, Any] = {
            "importer": "yolo",
            "rule": self._rule.settings(),
            "group_from": group_from,
            "limits": [limits.max_bytes, limits.max_pixels, limits.max_side_px],
            "config": stamp(config_file),
            "directories": [list(entry) for entry in self._tree.directories],
        }
        self._listed: dict[str, _Listed] = {}
        self._skipped: dict[str, Skipped] = {}
        self._list(self._parts(), groups)
        self._settings["labels"] = self._stamp_of_labels()
        self._note_listed()

    def identity(self) -> Mapping[str, Any]:
        """Return the settings, `data.yaml` and the directories by time of change, and a hash of the labels' stamps.

        A label file that is edited in place does not change its directory, so each one is asked for.
        """
        return self._settings

    def total(self) -> int:
        """Return how many pictures there are, with what is left out."""
        return len(self._listed) + len(self._skipped)

    def items(self, done: Container[str]) -> Iterator[Pending]:
        """Yield the pictures in the order of their paths, then what is left out without a look at it."""
        for path in sorted(self._listed):
            if path not in done:
                yield Pending(path, lambda item=self._listed[path]: self._load(item))  # type: ignore[misc]
        for skipped in self._skipped.values():
            if skipped.path not in done:
                yield Pending(skipped.path, lambda skipped=skipped: skipped)  # type: ignore[misc]

    def _parts(self) -> list[tuple[str, str]]:
        """The parts and their directories as they are in the tree, a test before a train."""
        found = []
        for part, directory in self._config.directories:
            at = self._tree.root / directory
            if not at.is_dir():
                self._tally.add(f"'{directory}' of the part '{part}' is not there.")
                continue
            self._tree.must_be_inside(directory)
            inside = at.resolve().relative_to(self._tree.root).as_posix()
            found.append((part, inside))
        return sorted(found, key=lambda entry: protected_first(entry[0]))

    def _list(self, parts: list[tuple[str, str]], groups: Groups) -> None:
        files = sorted(self._tree.files)
        for part, directory in parts:
            below = "" if directory == "." else f"{directory}/"
            for path in files:
                if not path.startswith(below):
                    continue
                suffix = PurePosixPath(path).suffix.lower()
                if suffix in _PICTURES:
                    self._take(path, part, groups)
                elif suffix not in _NOTES:
                    self._skipped[path] = Skipped(path, "not named like a picture")
        if not self._listed:
            where = ", ".join(f"'{directory}'" for _, directory in self._config.directories)
            raise DataError(
                f"'{self._tree.root}' has no picture in {where}. Name the directory of the data set as it was unpacked."
            )
        self._skip_lonely_labels()

    def _take(self, path: str, part: str, groups: Groups) -> None:
        before = self._listed.get(path)
        if before is None:
            places = _label_places(path)
            labels = next((place for place in places if place in self._tree.files), None)
            self._listed[path] = _Listed(path, part, labels, groups.of(path))
        elif before.part != part:
            self._tally.add(
                "{n} pictures are in two parts of the published split; each is kept in the more protected.",
                path,
            )

    def _skip_lonely_labels(self) -> None:
        """Label files whose picture is not there are left out by name."""
        used = {item.labels for item in self._listed.values()}
        homes = {
            str(PurePosixPath(place).parent) for path in self._listed for place in _label_places(path)[:1]
        }
        for path in sorted(self._tree.files):
            file = PurePosixPath(path)
            is_label = file.suffix == _LABELS and str(file.parent) in homes and file.name not in _NO_LABELS
            if is_label and path not in used:
                self._skipped[path] = Skipped(path, "labels of a picture that is not there")

    def _stamp_of_labels(self) -> str:
        """A hash over path, size and time of every label file that is used: one look at the disk for each."""
        used = sorted(item.labels for item in self._listed.values() if item.labels is not None)
        digest = hashlib.sha256()
        for path in used:
            try:
                found = (self._tree.root / path).stat()
                digest.update(canonical_json([path, found.st_size, found.st_mtime_ns]))
            except OSError:  # a link to nothing: its picture is left out
                digest.update(canonical_json([path]))
        return digest.hexdigest()

    def _note_listed(self) -> None:
        missing = sum(item.labels is None for item in self._listed.values())
        if missing:
            self._tally.add(
                f"{missing:,} of {len(self._listed):,} pictures have no label file: label and objects are unknown."
            )
        note_groups([item.group for item in self._listed.values()], self._tally)

    def _load(self, item: _Listed) -> NewSample | Skipped:
        image = self._tree.read(item.path, self._limits.max_bytes)
        if isinstance(image, Skipped):
            return image
        try:
            rows = self._rows(item)
        except DataError as error:
            return Skipped(item.path, f"its labels '{item.labels}' cannot be used: {error}")
        loaded = loaded_sample(
            image,
            Label.UNKNOWN,
            origin=item.path,
            limits=self._limits,
            group=item.group,
            published_split=item.part,
            source=self.name,
        )
        if isinstance(loaded, Skipped) or rows is None:
            return loaded
        if not rows:
            return replace(loaded, label=Label.NONE, boxes=())
        wide, high = loaded.width_px, loaded.height_px
        found = (
            (self._types[row.kind], (row.x * wide, row.y * high, row.width * wide, row.height * high))
            for row in rows
        )
        return place_boxes(loaded, found, self._rule, self._tally)

    def _rows(self, item: _Listed) -> list[Row] | None:
        """The rows of a picture's label file, or None where there is no such file.

        Raises:
            DataError: It cannot be read, or has a row that means nothing.
        """
        if item.labels is None:
            return None
        data = self._tree.read(item.labels, MAX_LABEL_BYTES)
        if isinstance(data, Skipped):
            raise DataError(data.reason)
        return parse_rows(data, len(self._types), keypoints=self._config.keypoints)


def _label_places(path: str) -> list[str]:
    """Where the labels of a picture may be: in `labels` beside the last `images` of its path, or beside itself."""
    file = PurePosixPath(path).with_suffix(_LABELS)
    parts = list(file.parts)
    places = [file.as_posix()]
    directories = parts[:-1]
    if "images" in directories:
        at = len(directories) - 1 - directories[::-1].index("images")
        places.insert(0, "/".join([*parts[:at], "labels", *parts[at + 1 :]]))
    return places
