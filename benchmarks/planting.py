"""Faults to plant in rendered pictures, one function a kind; each names the check that must find it.

A fault takes a sequence (group) of its own, so that what is not touched is clean for certain.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workzone.core.types import Label
from workzone.data.dataset import DataSet, open_dataset
from workzone.data.schema import SPLIT_COLUMNS, NewBox, NewSample
from workzone.data.split import Split, SplitRecipe
from workzone.data.tables import build_table
from workzone.data.writer import dataset_writer
from workzone.imaging.decode import decode_image

U8 = NDArray[np.uint8]


@dataclass(slots=True, eq=False)
class Picture:
    """One picture on its way into the planted set."""

    sample: NewSample
    role: str
    fault: str = ""
    """The check that must find it; "" where there is nothing to find."""
    touched: bool = False
    """Part of a planted fault, as the original of a copy: neither must be found nor is clean."""
    rot: bool = False
    """Its file is changed after the set was written."""


class Field:
    """Sequences that nothing was planted in yet."""

    def __init__(self, groups: list[list[Picture]], rng: np.random.Generator) -> None:
        self.groups = groups
        self._free = list(rng.permutation(len(groups)))
        self.added: list[Picture] = []

    def take(
        self, *, label: Label | None = None, daytime: str | None = None, role: str | None = None
    ) -> list[Picture]:
        """Return a sequence with these properties, all of it touched from now on."""
        for position, at in enumerate(self._free):
            group = self.groups[at]
            first = group[0]
            fits = (
                label in (None, first.sample.label)
                and daytime in (None, first.sample.daytime)
                and role in (None, first.role)
            )
            if fits:
                del self._free[position]
                for picture in group:
                    picture.touched = True
                return group
        raise RuntimeError(f"No free sequence with {label}, {daytime}, {role}: render more.")

    def add(self, sample: NewSample, role: str, fault: str) -> None:
        """Add a picture that is a fault."""
        self.added.append(Picture(sample, role, fault, touched=True))

    def pictures(self) -> list[Picture]:
        """Return all pictures."""
        return [picture for group in self.groups for picture in group] + self.added


def written(directory: Path, pictures: list[Picture]) -> tuple[DataSet, Split, list[str]]:
    """Write pictures, then change the files that rot; return the set, its split, and the id of each picture."""
    with dataset_writer(directory, name="planted", revision="1", licence="Apache-2.0") as writer:
        ids = [writer.add(picture.sample) for picture in pictures]
    dataset = open_dataset(directory)
    path_of = dict(zip(dataset.samples["id"].to_pylist(), dataset.paths(), strict=True))
    for sample_id, picture in zip(ids, pictures, strict=True):
        if picture.rot:
            with path_of[sample_id].open("ab") as file:
                file.write(b"\0")
    role_of = {sample_id: picture.role for sample_id, picture in zip(ids, pictures, strict=True)}
    names = dataset.samples["id"].to_pylist()
    columns = {
        "id": names,
        "group": dataset.samples["group"].to_pylist(),
        "role": [role_of[name] for name in names],
    }
    recipe = SplitRecipe(method="fractions", seed=0, train=0.5, select=0.1, calib=0.2, test=0.2, stratify=[])
    split = Split(build_table(SPLIT_COLUMNS, columns), recipe, dataset.sha256, "0" * 64)
    return dataset, split, ids


def pixels_of(sample: NewSample) -> U8:
    return decode_image(sample.image)


def encoded(pixels: U8, kind: str = "JPEG", mode: str = "RGB", quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": quality} if kind == "JPEG" else {}
    Image.fromarray(pixels).convert(mode).save(buffer, format=kind, **options)
    return buffer.getvalue()


def resized(sample: NewSample, width: int, height: int) -> NewSample:
    """The same picture and boxes at another size."""
    across, down = width / sample.width_px, height / sample.height_px
    boxes = tuple(
        replace(
            box,
            x_px=box.x_px * across,
            width_px=box.width_px * across,
            y_px=box.y_px * down,
            height_px=box.height_px * down,
        )
        for box in sample.boxes or ()
    )
    pixels = cv2.resize(pixels_of(sample), (width, height), interpolation=cv2.INTER_AREA)
    image = encoded(np.asarray(pixels, dtype=np.uint8))
    return replace(sample, image=image, width_px=width, height_px=height, boxes=boxes)


def scaled(sample: NewSample, factor: float, toward: float = 0.0) -> NewSample:
    """The same picture with its brightness moved toward a level."""
    pixels = toward + (pixels_of(sample).astype(np.float32) - toward) * factor
    return replace(sample, image=encoded(pixels.round().clip(0, 255).astype(np.uint8)))


def at_level(sample: NewSample, mean: float) -> NewSample:
    """The same picture at another mean luma (0 to 255), with the contrast that fits there."""
    pixels = pixels_of(sample).astype(np.float32)
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    factor = min(1.0, min(mean, 255 - mean) / 3 / float(luma.std()))
    moved = mean + (pixels - luma.mean()) * factor
    return replace(sample, image=encoded(moved.round().clip(0, 255).astype(np.uint8)))


def plant_decodable(field: Field, i: int) -> None:
    picture = field.take()[0]
    image = picture.sample.image
    cut = [image[: len(image) // 2], image[: len(image) // 9], image[: len(image) // 5] + b"\0" * 400][i % 3]
    picture.sample, picture.fault = replace(picture.sample, image=cut), "decodable"


def plant_unchanged(field: Field, i: int) -> None:
    picture = field.take()[0]
    picture.rot, picture.fault = True, "unchanged"


def plant_format_and_mode(field: Field, i: int) -> None:
    picture = field.take()[0]
    kind, mode = [("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("BMP", "RGB"), ("PNG", "P")][i % 5]
    image = encoded(pixels_of(picture.sample), kind, mode)
    picture.sample, picture.fault = replace(picture.sample, image=image), "format_and_mode"


def plant_declared_size(field: Field, i: int) -> None:
    picture = field.take()[0]
    old = picture.sample
    width, height = [(2 * old.width_px, 2 * old.height_px), (old.height_px, old.width_px)][i % 2]
    picture.sample, picture.fault = replace(old, width_px=width, height_px=height, boxes=()), "declared_size"


def plant_tiny(field: Field, i: int) -> None:
    picture = field.take()[0]
    picture.sample, picture.fault = resized(picture.sample, 48 + i, 36 + i), "tiny"


def plant_size_outliers(field: Field, i: int) -> None:
    picture = field.take(daytime="day")[0]
    old = picture.sample
    width, height = [(3 * old.width_px, 3 * old.height_px), (4 * old.width_px, old.height_px)][i % 2]
    picture.sample, picture.fault = resized(old, width, height), "size_outliers"


def plant_too_dark(field: Field, i: int) -> None:
    """Just below the limit of a day, or nearly black at any time."""
    daytime, level = [("day", 29), ("night", None), ("day", 25), ("dusk", None), ("day", 27), ("day", None)][
        i % 6
    ]
    picture = field.take(daytime=daytime)[0]
    picture.sample = scaled(picture.sample, 0.08) if level is None else at_level(picture.sample, level)
    picture.fault = "too_dark"


def plant_too_bright(field: Field, i: int) -> None:
    """Just above the limit, or nearly white."""
    daytime, level = [("day", 226), ("dusk", None), ("day", 235), ("day", 230), ("day", None)][i % 5]
    picture = field.take(daytime=daytime)[0]
    sample = picture.sample
    picture.sample = scaled(sample, 0.1, toward=252) if level is None else at_level(sample, level)
    picture.fault = "too_bright"


def plant_blank(field: Field, i: int) -> None:
    picture = field.take()[0]
    old = picture.sample
    colour = [(0, 0, 0), (255, 255, 255), (128, 128, 128), (20, 60, 200), (90 + i, 80, 70)][i % 5]
    pixels = np.full((old.height_px, old.width_px, 3), colour, dtype=np.uint8)
    pixels[0, 0] = np.abs(np.array(colour) - i - 1)  # each file its own
    picture.sample, picture.fault = replace(old, image=encoded(pixels)), "blank"


def plant_blurred(field: Field, i: int) -> None:
    picture = field.take()[0]
    pixels = pixels_of(picture.sample)
    if i % 2:
        size = max(9, pixels.shape[1] // 8) | 1
        soft = cv2.blur(cv2.GaussianBlur(pixels, (0, 0), 2.0), (size, max(3, size // 3)))
    else:
        soft = cv2.GaussianBlur(pixels, (0, 0), pixels.shape[1] / 40)
    picture.sample = replace(picture.sample, image=encoded(np.asarray(soft, dtype=np.uint8)))
    picture.fault = "blurred"


def plant_exact_duplicates(field: Field, i: int) -> None:
    picture = field.take()[0]
    copy = replace(picture.sample, image=encoded(pixels_of(picture.sample), ("PNG", "BMP")[0]))
    field.add(copy, picture.role, "exact_duplicates")


def plant_near_duplicates(field: Field, i: int) -> None:
    """A copy saved anew: of train in test, or in its own group under the other label."""
    if i % 2:
        original = field.take(label=Label.ROADWORK)[0]
        copy = replace(original.sample, label=Label.NONE, caption=None)
        role = original.role
    else:
        original = field.take(label=Label.ROADWORK, role="train")[0]
        target = field.take(label=Label.ROADWORK, role="test")[0]
        kept = ("group", "lat", "lon", "captured_at", "camera")
        copy = replace(original.sample, **{name: getattr(target.sample, name) for name in kept})
        role = target.role
    pixels = np.clip(pixels_of(copy).astype(np.int16) + 4, 0, 255).astype(np.uint8)
    field.add(replace(copy, image=encoded(pixels, quality=70)), role, "near_duplicates")


def plant_caption_rule(field: Field, i: int) -> None:
    if i % 2:
        picture = field.take(label=Label.NONE)[0]
        picture.sample = replace(picture.sample, caption="A crew repairs the road behind cones.")
    else:
        picture = field.take(label=Label.ROADWORK)[0]
        picture.sample = replace(picture.sample, caption=None)
    picture.fault = "caption_rule"


def plant_missing_metadata(field: Field, i: int) -> None:
    picture = field.take(daytime="day")[0]
    gone: list[dict[str, Any]] = [
        {"camera": None},
        {"daytime": None},
        {"captured_at": None},
        {"lat": None, "lon": None},
        {"lat": 0.0, "lon": 0.0},
    ]
    picture.sample, picture.fault = replace(picture.sample, **gone[i % 5]), "missing_metadata"


def plant_box_edges(field: Field, i: int) -> None:
    picture = field.take()[0]
    old = picture.sample
    box = [
        NewBox("cone", "context", old.width_px + 20.0, 5.0, 10.0, 10.0, 1.0),
        NewBox("cone", "context", 5.0, 5.0, 0.0, 10.0, 1.0),
        NewBox("cone", "context", old.width_px - 5.0, 5.0, 50.0, 10.0, 1.0),
    ][i % 3]
    picture.sample, picture.fault = replace(old, boxes=(*(old.boxes or ()), box)), "box_edges"


def plant_box_types(field: Field, i: int) -> None:
    picture = field.take()[0]
    box = NewBox(("spaceship", "Ampel", "")[i % 3], "context", 5.0, 5.0, 10.0, 10.0, 1.0)
    picture.sample = replace(picture.sample, boxes=(*(picture.sample.boxes or ()), box))
    picture.fault = "box_types"


def plant_groups_across_roles(field: Field, i: int) -> None:
    """One frame of a train sequence is now in a group of test, as after a correction of groups."""
    label = (Label.NONE, Label.ROADWORK)[i % 2]
    picture = field.take(label=label, role="train")[0]
    target = field.take(label=label, role="test")[0]
    picture.sample, picture.fault = replace(picture.sample, group=target.sample.group), "groups_across_roles"


def plant_places_across_roles(field: Field, i: int) -> None:
    there = field.take(role="train")[0].sample
    assert there.lat is not None
    for picture in field.take(role=("test", "calib")[i % 2]):
        picture.sample = replace(picture.sample, lat=there.lat + 0.0004, lon=there.lon)  # 44 m
        picture.fault = "places_across_roles"


PLANTERS: Mapping[str, Callable[[Field, int], None]] = {
    "decodable": plant_decodable,
    "unchanged": plant_unchanged,
    "format_and_mode": plant_format_and_mode,
    "declared_size": plant_declared_size,
    "tiny": plant_tiny,
    "size_outliers": plant_size_outliers,
    "too_dark": plant_too_dark,
    "too_bright": plant_too_bright,
    "blank": plant_blank,
    "blurred": plant_blurred,
    "exact_duplicates": plant_exact_duplicates,
    "near_duplicates": plant_near_duplicates,
    "caption_rule": plant_caption_rule,
    "missing_metadata": plant_missing_metadata,
    "box_edges": plant_box_edges,
    "box_types": plant_box_types,
    "groups_across_roles": plant_groups_across_roles,
    "places_across_roles": plant_places_across_roles,
}
"""Check → what plants its i-th fault."""
