"""Slices from columns and boxes: sizes by the largest road-work object, hard negatives many at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from workzone.core.types import Role
from workzone.data.grants import Samples
from workzone.phases.slicing import NO_OBJECT, slice_columns


def samples() -> Samples:
    ids = np.array(["a", "b", "c", "d"])
    table = pa.table(
        {
            "id": ids,
            "daytime": ["day", "night", None, "day"],
            "weather": ["clear"] * 4,
            "environment": ["urban", "urban", "highway", "urban"],
            "source": ["one"] * 4,
            "height_px": [100, 100, 100, 200],
        }
    )
    rows = [
        ("a", "roadwork", "cone", 5.0),
        ("a", "roadwork", "excavator", 40.0),
        ("b", "roadwork", "cone", 10.0),
        ("b", "hard_negative", "orange_van", 60.0),
        ("d", "roadwork", "cone", 10.0),
        ("c", "hard_negative", "orange_van", 30.0),
        ("c", "hard_negative", "bollard", 30.0),
    ]
    names = ("sample_id", "category", "type", "height_px")
    boxes = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    nothing = np.zeros(4, dtype=np.bool_)
    return Samples(
        Role.TEST, "0" * 64, ids, nothing.astype(np.int8), nothing, ids, [Path("x")] * 4, table, boxes
    )


def test_columns_of_one_value_say_nothing_and_are_left_out() -> None:
    names = [column.name for column in slice_columns(samples())]
    assert names == ["daytime", "environment", "largest road-work object", "hard negative"]


def test_members() -> None:
    columns = {column.name: column for column in slice_columns(samples())}

    def of(name: str, value: str) -> list[int]:
        column = columns[name]
        return np.flatnonzero(column.members[column.values.index(value)]).tolist()

    assert of("daytime", "not stated") == [2]
    size = "largest road-work object"
    assert (of(size, "large"), of(size, "medium"), of(size, "small"), of(size, NO_OBJECT)) == (
        [0],
        [1],
        [3],
        [2],
    )
    assert (of("hard negative", "orange_van"), of("hard negative", "bollard")) == ([1, 2], [2])


def test_sources_are_told_apart_where_there_are_several() -> None:
    made = samples()
    sources = ["one", "two", None, "one"]
    table = made.table.set_column(made.table.column_names.index("source"), "source", pa.array(sources))
    (column,) = (c for c in slice_columns(replace(made, table=table)) if c.name == "source")
    assert column.values == ("not stated", "one", "two")
    assert column.members.tolist() == [
        [value == v for v in ["one", "two", "not stated", "one"]] for value in column.values
    ]
