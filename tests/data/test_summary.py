"""Counts agree with a plain recount."""

from __future__ import annotations

from dataclasses import fields

import pytest

from workzone.core.errors import DataError
from workzone.data.dataset import write_dataset
from workzone.data.schema import NewBox
from workzone.data.split import Fractions, make_split
from workzone.data.summary import summarise


def test_counts_of_a_small_data_set(tmp_path, sample):
    cone = NewBox("cone", "roadwork", 0, 0, 1, 1, 1)
    van = NewBox("orange_van", "hard_negative", 0, 0, 1, 1, 1)
    dataset = write_dataset(
        tmp_path / "d",
        [
            sample(1, 1, "a", daytime="day", boxes=(cone, cone, van)),
            sample(2, 0, "a", daytime="night", boxes=()),
            sample(3, 0, "b", daytime="night", ambiguous=True, boxes=(van,)),
            sample(4, -1, "c", boxes=()),
        ],
        name="n",
    )
    summary = summarise(dataset)
    total = summary.total
    assert (total.pictures, total.groups, total.roadwork, total.none, total.unknown) == (4, 3, 1, 2, 1)
    assert (total.ambiguous, total.roadwork_groups) == (1, 1)
    assert [(t.value, t.pictures, t.groups, t.roadwork) for t in summary.daytime] == [
        ("", 1, 1, 0),
        ("day", 1, 1, 1),
        ("night", 2, 2, 0),
    ]
    assert [(b.category, b.type, b.boxes, b.pictures) for b in summary.boxes] == [
        ("roadwork", "cone", 2, 1),
        ("hard_negative", "orange_van", 2, 2),
    ]
    assert summary.roles == ()
    assert summarise(write_dataset(tmp_path / "e", [sample(1)], name="n")).boxes is None


def test_roles_add_up(dataset, own_dataset):
    split = make_split(dataset, Fractions(), 0)
    summary = summarise(dataset, split)
    assert [tally.value for tally in summary.roles] == ["train", "select", "calib", "test"]
    for field in fields(summary.total):
        if field.name != "value":
            parts = sum(getattr(tally, field.name) for tally in summary.roles)
            assert parts == getattr(summary.total, field.name), field.name
    with pytest.raises(DataError, match="was made for the data set"):
        summarise(own_dataset, split)
