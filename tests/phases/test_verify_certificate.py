"""A bundle's calibration pictures are found again among others, all of them or none."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from workzone.bundle.seen import SeenPictures
from workzone.core.errors import DataError
from workzone.core.types import Label
from workzone.data.dataset import write_dataset
from workzone.data.render import encode_jpeg
from workzone.data.schema import NewSample
from workzone.phases.verify_certificate import find_calibration


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    pictures = [np.full((8, 8, 3), shade, dtype=np.uint8) for shade in range(0, 200, 10)]
    samples = [NewSample(encode_jpeg(p), Label(n % 2), 8, 8, group=f"g{n}") for n, p in enumerate(pictures)]
    return write_dataset(tmp_path_factory.mktemp("found") / "data", samples, name="found")


def bundle(**ids):
    """All that is asked of a bundle here."""
    return SimpleNamespace(seen=SeenPictures.from_ids(**ids), digest="d" * 64)


def test_select_and_calib_are_found_among_the_rest(dataset):
    ids = np.array(dataset.samples["id"].to_pylist())
    order = np.random.default_rng(3).permutation(len(ids))
    parts = {"train": ids[order[:8]], "select": ids[order[8:11]], "calib": ids[order[11:16]]}
    select, calib = find_calibration(bundle(**parts), dataset)
    assert select.tolist() == sorted(order[8:11].tolist())
    assert calib.tolist() == sorted(order[11:16].tolist())


def test_a_list_without_pictures_finds_none(dataset):
    select, calib = find_calibration(bundle(train=["0" * 64]), dataset)
    assert select.shape == calib.shape == (0,)


@pytest.mark.parametrize("stranger", ["0" * 64, "f" * 64])
def test_what_is_missing_is_counted(dataset, stranger):
    ids = dataset.samples["id"].to_pylist()
    parts = {"train": ["1" * 64], "select": ids[:3], "calib": [*ids[3:7], stranger]}
    with pytest.raises(DataError, match=r"'found' lacks.*0 of 3 of 'select' and 1 of 5 of 'calib'"):
        find_calibration(bundle(**parts), dataset)


def test_another_encoding_is_another_picture(dataset, tmp_path):
    first = dataset.paths()[0]
    with Image.open(first) as image:
        again = np.asarray(image)
    copy = write_dataset(
        tmp_path / "copy", [NewSample(encode_jpeg(again, 50), Label.NONE, 8, 8)], name="copy"
    )
    with pytest.raises(DataError, match=r"1 of 1 of 'calib'.*byte for byte"):
        find_calibration(bundle(calib=dataset.samples["id"].to_pylist()[:1]), copy)
