"""Sheets show what they were given, where they were told to."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from workzone.core.errors import ConfigError
from workzone.data.schema import NewBox
from workzone.data.sheet import contact_sheet, dataset_sheet


def _solid(colour, height=50, width=100):
    return np.full((height, width, 3), colour, dtype=np.uint8)


def test_pictures_and_boxes_are_in_their_cells(tmp_path):
    pictures = [
        (_solid((200, 0, 0)), "red"),
        (_solid((0, 200, 0)), "green"),
        (_solid((0, 0, 200)), "x" * 900),
    ]
    boxes = [[], [NewBox("cone", "roadwork", 20, 10, 40, 20, 1.0)], []]
    contact_sheet(pictures, 2, 200, tmp_path / "s.png", boxes)
    with Image.open(tmp_path / "s.png") as image:
        sheet = np.asarray(image)
    assert sheet.shape == (2 * 120, 2 * 204 + 4, 3)  # each row: a gap, a picture of 200 × 100, a caption
    assert sheet[54, 104].tolist() == [200, 0, 0]
    assert sheet[54, 308].tolist() == [0, 200, 0]
    assert sheet[174, 104].tolist() == [0, 0, 200]
    assert sheet[4 + 2 * 10, 208 + 2 * 40].tolist() == [255, 80, 0]  # the box, at twice its size
    assert (sheet[104:120, 4:204] > 200).any()  # the caption
    assert (sheet[224:240, 204:] == 24).all()  # cut before the gap


def test_data_set_sheet_shows_both_labels_and_is_repeatable(dataset, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        dataset_sheet(dataset, tmp_path / name, count=12, columns=4, cell_px=64)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()
    dataset_sheet(dataset, tmp_path / "c.jpg", count=12, columns=4, cell_px=64, seed=1)
    assert (tmp_path / "c.jpg").read_bytes() != (tmp_path / "a.jpg").read_bytes()


def test_choice_takes_labels_in_turn_and_groups_once(dataset):
    from workzone.data.sheet import _choose

    rows = _choose(dataset, 12, 0)
    assert dataset.samples["label"].take(rows).to_pylist() == [1, 0, -1] * 4
    groups = dataset.samples["group"].take(rows).to_pylist()
    assert len(set(groups)) == 12


@pytest.mark.parametrize(("count", "name"), [(0, "s.png"), (1, "s.gif"), (60_000, "s.png")])
def test_wrong_sheets_are_refused(tmp_path, count, name):
    with pytest.raises(ConfigError):
        contact_sheet([(_solid((1, 2, 3)), "")] * count, 8, 192, tmp_path / name)
    assert not list(tmp_path.iterdir())
