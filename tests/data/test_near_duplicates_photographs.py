"""The default limits on photographs that nobody rendered, where they are beside the project."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from workzone.data.measures import measure, perceptual_hashes
from workzone.data.near_duplicates import find_near_duplicates
from workzone.imaging.decode import decode_image

PHOTOGRAPHS = Path(__file__).parents[3] / "shared" / "realset"
EVERY = 9


def saved_anew(image: Image.Image, kind: str) -> bytes:
    width, height = image.size
    cut = (round(0.015 * width), round(0.015 * height))
    changed = {
        "JPEG of quality 50": lambda: image,
        "70 % of its size": lambda: image.resize((round(0.7 * width), round(0.7 * height))),
        "brighter": lambda: ImageEnhance.Brightness(image).enhance(1.15),
        "darker": lambda: ImageEnhance.Brightness(image).enhance(0.85),
        "cropped": lambda: image.crop((*cut, width - cut[0], height - cut[1])),
    }[kind]()
    buffer = io.BytesIO()
    changed.save(buffer, "JPEG", quality=50 if "50" in kind else 92)
    return buffer.getvalue()


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs are not published")
def test_a_photograph_saved_anew_is_found_and_those_of_another_group_are_not():
    kinds = ("JPEG of quality 50", "70 % of its size", "brighter", "darker", "cropped")
    with (PHOTOGRAPHS / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::EVERY]
    measured, picture, group = [], [], []
    for number, row in enumerate(rows):
        pixels = decode_image(PHOTOGRAPHS / row["file"])
        image = Image.fromarray(pixels)
        versions = [pixels, *(decode_image(saved_anew(image, kind)) for kind in kinds)]
        measured += [measure(version) for version in versions]
        picture += [number] * len(versions)
        group += [row["group"]] * len(versions)
    found = find_near_duplicates(
        perceptual_hashes(np.stack([m.hash_luma for m in measured])),
        np.stack([m.descriptor for m in measured]),
    )
    first = np.searchsorted(picture, picture)
    same = np.mean(found.cluster == found.cluster[first])
    assert same > 0.99
    groups = np.array(group)
    assert (groups[found.pairs[:, 0]] == groups[found.pairs[:, 1]]).all()
