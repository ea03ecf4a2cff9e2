"""One COCO JSON file, read within bounds and checked: pictures, classes, boxes.

Knows the fields of COCO (cocodataset.org/#format-data); what goes beyond them is `roadwork_fields`'. Does not know
where the pictures are or what their label is. Outlines (`segmentation`, polygons or run lengths) are not read, a
box of a crowd (`iscrowd`) is one box. A wrong type ends the import with its place; an annotation without a box is
counted and left out, and its picture remembered as incomplete. Whether a box can be meant is judged with its picture.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.observer import Observer
from workzone.data.box_vocabulary import ObjectType, box_vocabulary
from workzone.data.importers.json_arrays import read_arrays
from workzone.data.importers.roadwork_fields import FieldsReader, PictureFields
from workzone.data.importers.tally import Tally
from workzone.data.importers.tree import named_path

MAX_JSON_BYTES = 1024**3
MAX_SIDE_PX = 1_000_000
_NEEDED = ("images", "annotations", "categories")
_Id = int | str


@dataclass(slots=True)
class CocoPicture:
    """An entry of `images`.

    Attributes:
        path: Its `file_name`, relative, with "/".
        where: The entry, for messages, as "images[3] of instances_val.json".
        width_px: As the file says; None where it does not.
        height_px: As the file says.
        fields: What else the entry says.
        complete: Whether every annotation of it has a box.
    """

    path: str
    where: str
    width_px: int | None
    height_px: int | None
    fields: PictureFields
    complete: bool = True


@dataclass(slots=True)
class CocoFile:
    """A file's P pictures and B boxes.

    Attributes:
        pictures: P entries, as they come.
        types: What its classes mean, C of them.
        published: What its classes are called there, C of them.
        picture_of: intp [B], ascending: which picture a box is of.
        type_of: intp [B]: which class it is of.
        boxes: float64 [B, 4]: x, y, width, height in pixels of the annotated size.
    """

    pictures: list[CocoPicture]
    types: list[ObjectType]
    published: list[str]
    picture_of: NDArray[np.intp]
    type_of: NDArray[np.intp]
    boxes: NDArray[np.float64]

    def boxes_of(self, picture: int) -> slice:
        """Return where the boxes of a picture are."""
        low, high = np.searchsorted(self.picture_of, [picture, picture + 1])
        return slice(int(low), int(high))


def read_coco(
    path: Path,
    tally: Tally,
    fields: FieldsReader,
    *,
    max_bytes: int = MAX_JSON_BYTES,
    observer: Observer | None = None,
) -> CocoFile:
    """Read one file.

    Args:
        path: The JSON file.
        tally: Told what was left out.
        fields: Reads what an entry of `images` says beyond COCO.
        max_bytes: Largest file that is read.
        observer: Told of progress.

    Raises:
        DataError: It is no COCO file, or a value in it is not of its type; names the place.
    """
    reading = _Reading(path.name, tally, fields)
    takers = {
        "images": reading.take_picture,
        "annotations": reading.take_box,
        "categories": reading.take_class,
    }
    found = set()
    for key, index, value in read_arrays(path, max_bytes, observer):
        if key not in takers:
            continue
        found.add(key)
        if index is None and value == []:
            continue
        if index is None:
            raise DataError(f"'{key}' of '{path}' is {_kind(value)}, expected a list.")
        where = f"{key}[{index}] of '{path.name}'"
        if not isinstance(value, dict):
            raise DataError(f"{where} is {_kind(value)}, expected an object.")
        takers[key](value, where)
    missing = [key for key in _NEEDED if key not in found]
    if missing:
        raise DataError(
            f"'{path}' has no '{missing[0]}': it is no COCO file with boxes. Expected an object with the lists "
            f"{', '.join(_NEEDED)}."
        )
    if not reading.pictures:
        raise DataError(f"'{path}' lists no picture in 'images'. Name another file.")
    return reading.finish()


@dataclass(slots=True)
class _Reading:
    """What was read so far; boxes may come before their pictures and classes."""

    file: str
    tally: Tally
    fields: FieldsReader
    pictures: list[CocoPicture] = field(default_factory=list)
    slot_of: dict[_Id, int] = field(default_factory=dict)
    """From the id of a picture to its slot, in the order in which ids are first named."""
    at_slot: dict[int, int] = field(default_factory=dict)
    """From a slot to the place in `pictures`."""
    at_path: dict[str, int] = field(default_factory=dict)
    classes: dict[_Id, str] = field(default_factory=dict)
    slots: array[int] = field(default_factory=lambda: array("q"))
    class_slot: dict[_Id, tuple[int, str]] = field(default_factory=dict)
    class_slots: array[int] = field(default_factory=lambda: array("q"))
    corners: array[float] = field(default_factory=lambda: array("d"))
    boxless: set[int] = field(default_factory=set)

    def take_picture(self, entry: dict[str, Any], where: str) -> None:
        slot = self._slot(_id(entry.get("id"), f"'id' of {where}"))
        if slot in self.at_slot:
            raise DataError(f"{where} has the id {entry['id']!r}, as another picture before it.")
        path = named_path(entry.get("file_name"), f"'file_name' of {where}")
        if path in self.at_path:
            self.tally.add(
                "{n} pictures are named twice in an annotation file; their boxes were joined.", where
            )
            self.at_slot[slot] = self.at_path[path]
            return
        self.at_slot[slot] = self.at_path[path] = len(self.pictures)
        wide, high = (_side(entry.get(name), f"'{name}' of {where}") for name in ("width", "height"))
        self.pictures.append(CocoPicture(path, where, wide, high, self.fields.read(entry, where)))

    def take_class(self, entry: dict[str, Any], where: str) -> None:
        key = _id(entry.get("id"), f"'id' of {where}")
        name = entry.get("name")
        if not isinstance(name, str):
            raise DataError(f"'name' of {where} is {_kind(name)}, expected text.")
        if key in self.classes:
            raise DataError(f"{where} has the id {key!r}, as another class before it.")
        self.classes[key] = name

    def take_box(self, entry: dict[str, Any], where: str) -> None:
        picture = _id(entry.get("image_id"), f"'image_id' of {where}")
        kind = _id(entry.get("category_id"), f"'category_id' of {where}")
        corners = _corners(entry.get("bbox"), f"'bbox' of {where}")
        self.slots.append(self._slot(picture))
        self.class_slots.append(self.class_slot.setdefault(kind, (len(self.class_slot), where))[0])
        self.corners.extend(corners or (float("nan"),) * 4)
        if corners is None:
            self.boxless.add(len(self.slots) - 1)
            self.tally.add("{n} annotations have no box and were left out.", where)

    def finish(self) -> CocoFile:
        for key, (_, where) in self.class_slot.items():
            if key not in self.classes:
                known = ", ".join(map(str, list(self.classes)[:30]))
                raise DataError(
                    f"'category_id' of {where} is {key!r}, which 'categories' does not define. Known: {known}."
                )
        names = [self.classes[key] for key in self.class_slot]
        slots = np.array(self.slots, np.int64)
        place = np.full(len(self.slot_of), -1, np.int64)
        place[list(self.at_slot)] = list(self.at_slot.values())
        pictures = place[slots]
        lost = int((pictures < 0).sum())
        if lost:
            self.tally.add(
                "{n} boxes are of pictures that the annotation file does not list; left out.", self.file, lost
            )
        boxes = np.array(self.corners, np.float64).reshape(-1, 4)
        keep = pictures >= 0
        for at in self.boxless:
            if keep[at]:
                self.pictures[int(pictures[at])].complete = False
                keep[at] = False
        kinds = np.array(self.class_slots, np.int64)
        order = np.flatnonzero(keep)[np.argsort(pictures[keep], kind="stable")]
        types = [box_vocabulary().lookup(name) for name in names]
        return CocoFile(
            self.pictures,
            types,
            names,
            pictures[order].astype(np.intp),
            kinds[order].astype(np.intp),
            boxes[order],
        )

    def _slot(self, key: _Id) -> int:
        return self.slot_of.setdefault(key, len(self.slot_of))


def _id(value: Any, where: str) -> _Id:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise DataError(f"{where} is {_kind(value)}, expected a whole number or text.")
    return value


def _side(value: Any, where: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SIDE_PX:
        raise DataError(f"{where} is {str(value)[:40]!r}, expected pixels from 1 to {MAX_SIDE_PX:,}.")
    return value


def _corners(value: Any, where: str) -> tuple[float, ...] | None:
    """Return (x, y, width, height); None where there is no box."""
    if value is None or value == []:
        return None
    numbers = isinstance(value, list) and not any(
        isinstance(v, bool) or not isinstance(v, int | float) for v in value
    )
    if not numbers or len(value) != 4:
        raise DataError(f"{where} is {str(value)[:60]}, expected four numbers: x, y, width, height.")
    return tuple(map(_float, value))


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return float("inf")


def _kind(value: Any) -> str:
    if value is None:
        return "missing or null"
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), type(value).__name__)
