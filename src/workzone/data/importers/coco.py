"""Boxes in COCO's format become a data set: COCO itself, ROADWork's dialect of it, Roboflow's export.

A picture's label follows from its boxes by a `LabelRule`. A name in the annotations that leads out of the data set
ends the import; a link that leads out, a picture that is not there, and one whose boxes were drawn on another shape
of it are left out with the reason. Where two files name one picture it belongs to the more protected part (a test
before a train).
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.observer import Observer
from workzone.core.types import Label
from workzone.data.box_vocabulary import ObjectType
from workzone.data.importers.boxes import Groups, note_groups, note_unknown, place_boxes
from workzone.data.importers.coco_file import MAX_JSON_BYTES, CocoFile, read_coco
from workzone.data.importers.coco_layout import (
    ROBOFLOW_FILE,
    AnnotationFile,
    find_annotations,
    picture_directory,
)
from workzone.data.importers.importing import Pending, Skipped, loaded_sample
from workzone.data.importers.label_rule import LabelRule
from workzone.data.importers.roadwork_fields import SOURCE, FieldsReader, PictureFields
from workzone.data.importers.tally import Tally
from workzone.data.importers.tree import scan, stamp
from workzone.data.schema import NewSample
from workzone.imaging.decode import DecodeLimits

_SHAPE_TOLERANCE = 0.01
"""How far width and height may be scaled apart, before boxes are taken to be of another picture."""


@dataclass(frozen=True, slots=True, eq=False)
class _Listed:
    """A picture that the annotations name."""

    path: str
    where: str
    part: str | None
    annotated: tuple[int | None, int | None]
    fields: PictureFields
    group: str
    types: tuple[ObjectType, ...]
    boxes: NDArray[np.float64]
    complete: bool


class CocoSource:
    """The pictures of a data set in COCO's format; reads the annotations when it is made.

    Args:
        folder: The data set.
        annotations: Which JSON files, as patterns relative to `folder`; none means: find out.
        images: The directory of the pictures, relative to `folder`; None means: find out.
        rule: When a picture counts as road work.
        group_from: A regular expression searched in each picture's path: the group named `group`, else the first, is
            the picture's group. Without it, ROADWork's video, else the clip by the picture's name (`clips`).
        limits: What one picture may cost to decode.
        max_json_bytes: Largest JSON file that is read.
        observer: Told of progress in reading annotations.

    Raises:
        ConfigError: `group_from` is no regular expression with a group.
        DataError: There are no annotations or those of several splits, a value in them is wrong, or no picture is
            found.
    """

    def __init__(
        self,
        folder: Path,
        *,
        annotations: Sequence[str] = (),
        images: str | None = None,
        rule: LabelRule | None = None,
        group_from: str | None = None,
        limits: DecodeLimits = DecodeLimits(),  # noqa: B008 - frozen
        max_json_bytes: int = MAX_JSON_BYTES,
        observer: Observer | None = None,
    ) -> None:
        self._rule = rule or LabelRule()
        self._limits = limits
        self._tally = Tally()
        self.notes = self._tally.notes
        groups = Groups(group_from)
        self._tree = scan(folder)
        self.name = self._tree.root.name
        self.root: Path | None = self._tree.root
        files = find_annotations(self._tree, annotations)
        for file in files:
            self._tree.must_be_inside(file.path)
        self._settings = {
            "importer": "coco",
            "rule": self._rule.settings(),
            "group_from": group_from,
            "limits": [limits.max_bytes, limits.max_pixels, limits.max_side_px],
            "annotations": [[file.path, file.part, *stamp(self._tree.root / file.path)] for file in files],
            "images": images,
            "directories": [list(entry) for entry in self._tree.directories],
        }
        self._listed: dict[str, _Listed] = {}
        self._skipped: dict[str, Skipped] = {}
        for file in files:
            path = self._tree.root / file.path
            fields = FieldsReader(self._tally, with_time=path.name != ROBOFLOW_FILE)
            coco = read_coco(path, self._tally, fields, max_bytes=max_json_bytes, observer=observer)
            fields.finish()
            self._take(file, coco, images, groups)
        note_groups([item.group for item in self._listed.values()], self._tally)

    def identity(self) -> Mapping[str, Any]:
        """Return the settings, the annotation files and the directories, each with its time of change."""
        return self._settings

    def total(self) -> int:
        """Return how many pictures the annotations name."""
        return len(self._listed) + len(self._skipped)

    def items(self, done: Container[str]) -> Iterator[Pending]:
        """Yield the pictures in the order of their paths, then what is left out without a look at it."""
        for path in sorted(self._listed):
            if path not in done:
                yield Pending(path, lambda item=self._listed[path]: self._load(item))  # type: ignore[misc]
        for key, skipped in self._skipped.items():
            if key not in done:
                yield Pending(key, lambda skipped=skipped: skipped)  # type: ignore[misc]

    def _take(self, file: AnnotationFile, coco: CocoFile, images: str | None, groups: Groups) -> None:
        directory = picture_directory(self._tree, file, [p.path for p in coco.pictures], images)
        used = sorted(set(coco.type_of.tolist()))
        note_unknown(((coco.published[at], coco.types[at]) for at in used), self._tally)
        for at, picture in enumerate(coco.pictures):
            path = f"{directory}{picture.path}"
            if path in self._listed:
                before = self._listed[path]
                reason = f"it is named by {before.where} too, and belongs to '{before.part}'"
                self._skipped[f"{file.path}#{picture.path}"] = Skipped(path, reason)
                continue
            boxes = coco.boxes_of(at)
            self._listed[path] = _Listed(
                path,
                picture.where,
                file.part,
                (picture.width_px, picture.height_px),
                picture.fields,
                groups.of(path, picture.fields.group),
                tuple(coco.types[kind] for kind in coco.type_of[boxes].tolist()),
                coco.boxes[boxes],
                complete=picture.complete,
            )

    def _load(self, item: _Listed) -> NewSample | Skipped:
        image = self._tree.read(item.path, self._limits.max_bytes)
        if isinstance(image, Skipped):
            return image
        loaded = loaded_sample(
            image,
            Label.UNKNOWN,
            origin=f"{item.path} ({item.where})",
            limits=self._limits,
            group=item.group,
            published_split=item.part,
            source=SOURCE if item.fields.roadwork else self.name,
            **item.fields.columns(),
        )
        if isinstance(loaded, Skipped):
            return Skipped(item.path, loaded.reason)
        wide, high = item.annotated[0] or loaded.width_px, item.annotated[1] or loaded.height_px
        scale_x, scale_y = loaded.width_px / wide, loaded.height_px / high
        if abs(scale_x / scale_y - 1) > _SHAPE_TOLERANCE:
            return Skipped(
                item.path,
                f"its boxes are for {wide} × {high} pixels, and it has {loaded.width_px} × {loaded.height_px}",
            )
        if (wide, high) != (loaded.width_px, loaded.height_px):
            self._tally.add(
                "{n} pictures have another size than they were annotated at; boxes scaled.", item.path
            )
        scaled = item.boxes * np.array([scale_x, scale_y, scale_x, scale_y])
        sample = place_boxes(
            loaded,
            zip(item.types, scaled.tolist(), strict=True),
            self._rule,
            self._tally,
            complete=item.complete,
        )
        if sample.label is Label.NONE and item.fields.altered:
            self._tally.add(
                "{n} pictures labelled 'none' say that travel is altered: look at them.", item.path
            )
        return sample
