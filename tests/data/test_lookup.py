"""Rows by sample id: each at its place, whatever the order asked in, and -1 for strangers."""

from __future__ import annotations

import numpy as np

from workzone.core.types import Label
from workzone.data.dataset import write_dataset
from workzone.data.lookup import find_rows
from workzone.data.render import encode_jpeg
from workzone.data.schema import NewSample


def test_rows_are_those_of_the_table(tmp_path):
    pictures = [encode_jpeg(np.full((8, 8, 3), shade, dtype=np.uint8)) for shade in range(0, 120, 10)]
    dataset = write_dataset(tmp_path, [NewSample(p, Label.NONE, 8, 8) for p in pictures], name="grey")
    ids = dataset.samples["id"].to_pylist()
    asked = np.random.default_rng(0).permutation([*ids, "0" * 64, "f" * 64, ids[3]])
    expected = [ids.index(i) if i in ids else -1 for i in asked.tolist()]
    assert find_rows(dataset, asked).tolist() == expected
    assert find_rows(dataset, np.empty(0, dtype=np.str_)).shape == (0,)
