"""Faults of a whole set, planted in the files of small sets, each beside a twin that has the same variety without it.

What gives the label away is done to the pictures of road work of a set, and in its twin to every second sequence of
either label: the same two kinds of files, which there say nothing. The check must find the first, by the name of what
was planted, and be silent on the second. Knows what was planted; the checks do not.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from benchmarks.planting import Picture, encoded, pixels_of, resized, written
from workzone.core.types import Label, Status
from workzone.data.checks.check import CHECKS, look_at
from workzone.data.schema import NewSample

PER_SET, SPARE = 50, 5
"""Sequences of a set, and those that stand in for copies in the twin of a set with copies."""
MODEL_TAG = 0x0110
"""Of the camera, in EXIF."""
Groups = Sequence[Sequence[Picture]]


@dataclass(frozen=True, slots=True)
class SetFault:
    """One kind of fault of a whole set.

    Attributes:
        check: That must find it.
        status: What it must say.
        told: What its summary must hold.
        pictures: From sequences, the set with the fault (True) or its twin (False).
    """

    check: str
    status: Status
    told: str
    pictures: Callable[[Groups, bool], list[Picture]]


@dataclass(frozen=True, slots=True)
class SetRow:
    """How often one kind was found.

    Attributes:
        fault: What was planted.
        check: That looks for it.
        planted: Sets with it.
        found: Of these, as many as the check named with the status that is due.
        false_alarms: Twins of which the check said anything but PASS.
    """

    fault: str
    check: str
    planted: int
    found: int
    false_alarms: int


def judged_sets(groups: Groups, directory: Path, *, draws: int) -> list[SetRow]:
    """Plant each fault in `draws` sets of other pictures, write them and their twins, and ask the check.

    Args:
        groups: Sequences that nothing was planted in.
        directory: Where the sets go.
        draws: At most; there are as many as the sequences give without using one twice for a fault.

    Raises:
        ValueError: There are too few sequences for one set.
    """
    size = PER_SET + SPARE
    draws = min(draws, len(groups) // size)
    if draws < 1:
        raise ValueError(f"{len(groups)} sequences; a set takes {size}: render more.")
    rows: list[SetRow] = []
    for name, fault in SET_FAULTS.items():
        found = false_alarms = 0
        for draw in range(draws):
            own = groups[draw * size : (draw + 1) * size]
            place = directory / f"{len(rows)}-{draw}"
            with_fault = _asked(fault, fault.pictures(own, True), place / "planted")
            found += with_fault[0] is fault.status and fault.told in with_fault[1]
            false_alarms += _asked(fault, fault.pictures(own, False), place / "twin")[0] is not Status.PASS
        rows.append(SetRow(name, fault.check, draws, found, false_alarms))
    return rows


def _asked(fault: SetFault, pictures: list[Picture], directory: Path) -> tuple[Status, str]:
    dataset, split, _ = written(directory, pictures)
    result = CHECKS[fault.check](look_at(dataset, split=split))
    return result.status, result.summary


def _told_apart(
    marked: Callable[[NewSample], NewSample], plain: Callable[[NewSample], NewSample]
) -> Callable[[Groups, bool], list[Picture]]:
    """Return what changes road work one way and the rest the other; in the twin every second of both labels."""

    def pictures(groups: Groups, planted: bool) -> list[Picture]:
        seen = {Label.ROADWORK: 0, Label.NONE: 0}
        changed = []
        for group in groups[:PER_SET]:
            label = group[0].sample.label
            seen[label] += 1
            mark = label == Label.ROADWORK if planted else seen[label] % 2 == 0
            change = marked if mark else plain
            changed += [replace(picture, sample=change(picture.sample)) for picture in group]
        return changed

    return pictures


def _saved(kind: str = "JPEG", mode: str = "RGB", quality: int = 90) -> Callable[[NewSample], NewSample]:
    return lambda sample: replace(sample, image=encoded(pixels_of(sample), kind, mode, quality))


def _smaller(sample: NewSample) -> NewSample:
    return resized(sample, sample.width_px * 15 // 16, sample.height_px * 15 // 16)


def _with_exif(sample: NewSample) -> NewSample:
    exif = Image.Exif()
    exif[MODEL_TAG] = "Roadcam"
    buffer = io.BytesIO()
    Image.fromarray(pixels_of(sample)).save(buffer, "JPEG", quality=90, exif=exif)
    return replace(sample, image=buffer.getvalue())


def _of_source(source: str) -> Callable[[NewSample], NewSample]:
    return lambda sample: replace(sample, source=source)


def _balanced(share: float) -> Callable[[Groups, bool], list[Picture]]:
    """Return what deals a train of 25 sequences with so much road work; in the twin, half of it."""

    def pictures(groups: Groups, planted: bool) -> list[Picture]:
        wanted = round(25 * (share if planted else 0.5))
        free = {Label.ROADWORK: wanted, Label.NONE: 25 - wanted}
        dealt = []
        for group in groups[:PER_SET]:
            label = group[0].sample.label
            role = "train" if free[label] > 0 else "test"
            free[label] -= 1
            dealt += [replace(picture, role=role) for picture in group]
        return dealt

    return pictures


def _crowded(groups: Groups, planted: bool) -> list[Picture]:
    """Ten copies of one picture in its own sequence, saved anew; in the twin as many pictures of other scenes."""
    base = [replace(picture, role="train") for group in groups[:PER_SET] for picture in group]
    if not planted:
        others = [picture for group in groups[PER_SET:] for picture in group]
        return base + [replace(picture, role="train") for picture in others]
    pixels = pixels_of(base[0].sample).astype(np.int16)
    copies = [
        encoded(np.clip(pixels + i, 0, 255).astype(np.uint8), quality=95 - 2 * i)
        for i in range(1, 2 * SPARE + 1)
    ]
    return base + [replace(base[0], sample=replace(base[0].sample, image=image)) for image in copies]


def _shortcut(
    told: str, marked: Callable[[NewSample], NewSample], plain: Callable[[NewSample], NewSample]
) -> SetFault:
    return SetFault("shortcuts", Status.FAIL, f"{told} alone", _told_apart(marked, plain))


SET_FAULTS: Mapping[str, SetFault] = MappingProxyType(
    {
        "road work saved at JPEG quality 75, the rest at 90": _shortcut(
            "file size", _saved(quality=75), _saved()
        ),
        "road work 15/16 as wide and high": _shortcut(
            "resolution", _smaller, lambda sample: resized(sample, sample.width_px, sample.height_px)
        ),
        "road work with EXIF": _shortcut("metadata", _with_exif, _saved()),
        "road work as PNG, the rest as JPEG": _shortcut("metadata", _saved("PNG"), _saved()),
        "road work in RGBA, the rest in RGB": _shortcut("metadata", _saved("PNG", "RGBA"), _saved("PNG")),
        "road work from another source": _shortcut("source", _of_source("roadcam"), _of_source("stock")),
        "80 % road work in train": SetFault("class_balance", Status.WARN, "80%", _balanced(0.8)),
        "20 % road work in train": SetFault("class_balance", Status.WARN, "20%", _balanced(0.2)),
        "one picture eleven times": SetFault(
            "near_duplicates", Status.FAIL, "The largest cluster holds 1", _crowded
        ),
    }
)
"""What is planted → how, and who must find it."""
