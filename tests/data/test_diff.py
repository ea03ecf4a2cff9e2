"""What a diff says is what was done to the data set, and the hash notices every kind of change."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import DataError
from workzone.core.types import Label
from workzone.data.dataset import DataSet, open_dataset, verify_pictures, write_dataset
from workzone.data.diff import Regrouped, _groups, diff_datasets, differences
from workzone.data.rewrite import stored_samples
from workzone.data.schema import NewBox, NewSample

CONE, DRUM = (NewBox(kind, "roadwork", 1.0, 2.0, 3.0, 4.0, 1.0) for kind in ("cone", "drum"))


@pytest.fixture
def before(tmp_path, sample) -> DataSet:
    """Six pictures in three groups."""
    samples = [
        replace(sample(n, n % 2, f"g{n // 2}", daytime="day"), boxes=(CONE,) * (n % 2)) for n in range(6)
    ]
    return write_dataset(tmp_path / "before", samples, name="kerb")


@pytest.fixture
def changed(before, tmp_path) -> Callable[..., DataSet]:
    """Write the data set again with some samples replaced; None leaves one out."""

    def change(
        edit: Callable[[int, NewSample], NewSample | None], *more: NewSample, **options: str
    ) -> DataSet:
        samples = [
            edited for row, one in enumerate(stored_samples(before)) if (edited := edit(row, one)) is not None
        ]
        return write_dataset(tmp_path / "after", [*samples, *more], **({"name": "kerb"} | options))

    return change


def same(row: int, sample: NewSample) -> NewSample:
    return sample


def test_the_same_content_is_identical_wherever_it_lies(before, changed):
    after = changed(same)
    found = diff_datasets(before, after)
    assert found.identical
    assert found.common == 6
    assert differences(found) == []


def test_a_name_revision_or_licence_is_a_difference_too(before, changed):
    found = diff_datasets(before, changed(same, name="tram", revision="2", licence="MIT"))
    assert not found.identical
    assert [(c.column, c.examples[0].before, c.examples[0].after) for c in found.whole] == [
        ("name", "kerb", "tram"),
        ("revision", "1", "2"),
        ("licence", "unknown", "MIT"),
    ]
    assert "revision: 1 became 2" in differences(found)


def test_added_and_removed_pictures_are_counted_and_named(before, changed, sample):
    ids = before.samples["id"].to_pylist()
    after = changed(lambda row, one: None if row in (1, 4) else one, sample(50), sample(51), sample(52))
    found = diff_datasets(before, after, examples=2)
    assert found.removed.count == 2
    assert found.removed.examples == (ids[1], ids[4])
    assert found.added.count == 3
    assert len(found.added.examples) == 2
    assert set(found.added.examples) <= set(after.samples["id"].to_pylist()) - set(ids)
    assert found.common == 4


def test_changed_values_are_told_by_column(before, changed):
    ids = before.samples["id"].to_pylist()

    def edit(row: int, one: NewSample) -> NewSample:
        if row == 2:
            return replace(one, label=Label.UNKNOWN, weather="rain")
        return replace(one, daytime=None) if row in (0, 3, 5) else one

    found = diff_datasets(before, changed(edit), examples=2)
    columns = {change.column: change for change in found.columns}
    assert list(columns) == ["label", "daytime", "weather"]
    assert [columns[name].count for name in columns] == [1, 3, 1]
    assert columns["label"].examples[0].sample_id == ids[2]
    assert columns["label"].examples[0].after == -1
    assert [change.sample_id for change in columns["daytime"].examples] == [ids[0], ids[3]]
    assert (columns["weather"].examples[0].before, columns["weather"].examples[0].after) == (None, "rain")


def test_groups_that_were_split_merged_and_renamed_are_told_apart(tmp_path, sample):
    old = {0: "a", 1: "a", 2: "b", 3: "c", 4: "d", 5: "e", 6: "e"}
    new = {0: "a", 1: "a2", 2: "m", 3: "m", 4: "dd", 5: "e", 6: "e"}
    one, other = (
        write_dataset(tmp_path / name, [sample(n, 0, group) for n, group in groups.items()], name="k")
        for name, groups in (("one", old), ("other", new))
    )
    groups = diff_datasets(one, other).groups
    assert groups.splits == (Regrouped("a", ("a", "a2")),)
    assert groups.merges == (Regrouped("m", ("b", "c")),)
    assert (groups.n_split, groups.n_merged, groups.renamed) == (1, 1, 1)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")), min_size=1, max_size=12))
def test_splits_and_merges_mirror_each_other(pairs):
    before, after = (np.array(column, dtype=np.str_) for column in zip(*pairs, strict=True))
    there, back = _groups(before, after, 99), _groups(after, before, 99)
    assert (there.splits, there.merges, there.renamed) == (back.merges, back.splits, back.renamed)
    for regrouped in there.splits:
        assert set(regrouped.others) == {new for old, new in pairs if old == regrouped.group}


def test_objects_that_moved_came_or_went(before, changed):
    moved = replace(CONE, x_px=9.0)

    def edit(row: int, one: NewSample) -> NewSample:
        if one.label is Label.ROADWORK and row in road_work[:2]:
            return replace(one, boxes=(moved,) if row == road_work[0] else (CONE, DRUM))
        return replace(one, boxes=None) if row == none[0] else one

    labels = before.samples["label"].to_pylist()
    road_work = [row for row, label in enumerate(labels) if label == 1]
    none = [row for row, label in enumerate(labels) if label == 0]
    found = diff_datasets(before, changed(edit)).boxes
    assert (found.samples, found.learned, found.forgotten) == (2, 0, 1)
    assert found.added == (("cone", 1), ("drum", 1))
    assert found.removed == (("cone", 1),)


def test_objects_that_nobody_knew_are_learned_not_added(before, changed, tmp_path):
    blank = write_dataset(
        tmp_path / "blank", [replace(one, boxes=None) for one in stored_samples(before)], name="kerb"
    )
    found = diff_datasets(blank, before)
    assert (found.boxes.learned, found.boxes.samples, found.boxes.added) == (6, 0, ())
    assert found.columns == ()
    assert diff_datasets(before, blank).boxes.forgotten == 6


def test_the_other_way_round_it_is_the_opposite(before, changed, sample):
    after = changed(lambda row, one: None if row == 0 else replace(one, camera="c"), sample(60))
    there, back = diff_datasets(before, after), diff_datasets(after, before)
    assert (there.added, there.removed) == (back.removed, back.added)
    assert [(c.column, c.count) for c in there.columns] == [(c.column, c.count) for c in back.columns]
    assert {(c.examples[0].before, c.examples[0].after) for c in there.columns} == {
        (c.examples[0].after, c.examples[0].before) for c in back.columns
    }


def test_data_sets_without_a_common_picture(before, tmp_path, sample):
    other = write_dataset(tmp_path / "other", [sample(70), sample(71)], name="tram")
    found = diff_datasets(before, other)
    assert (found.common, found.added.count, found.removed.count, found.columns) == (0, 2, 6, ())


# A data set's hash covers rows and bytes: broken one by one.


def edits() -> dict[str, Callable[[NewSample], NewSample]]:
    return {
        "a label": lambda one: replace(one, label=Label.UNKNOWN),
        "a group": lambda one: replace(one, group="other"),
        "a tag": lambda one: replace(one, weather="fog"),
        "a licence": lambda one: replace(one, licence="MIT"),
        "whether it is ambiguous": lambda one: replace(one, ambiguous=True),
        "a box moved by a pixel": lambda one: replace(one, boxes=(replace(CONE, x_px=2.0),)),
        "a box more": lambda one: replace(one, boxes=(*(one.boxes or ()), DRUM)),
        "objects no longer known": lambda one: replace(one, boxes=None),
        "a byte of a picture": lambda one: replace(one, image=one.image + b"\0"),
    }


@pytest.mark.parametrize("what", edits())
def test_any_change_gives_another_hash(before, changed, what):
    after = changed(lambda row, one: edits()[what](one) if row == 3 else one)
    assert after.sha256 != before.sha256
    found = diff_datasets(before, after)
    assert not found.identical
    assert differences(found), "and the diff says what it was"


def test_a_byte_changed_on_disk_is_found_by_reading_the_pictures(before, tmp_path):
    copy = Path(shutil.copytree(before.root, tmp_path / "copy"))
    path = open_dataset(copy).paths()[2]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    touched = open_dataset(copy)
    assert diff_datasets(before, touched).identical, "the tables are what they were"
    with pytest.raises(DataError, match=r"1 of 6 pictures .* were changed"):
        verify_pictures(touched)
    verify_pictures(before)


@pytest.mark.parametrize("file", ["samples.parquet", "boxes.parquet"])
def test_a_table_changed_on_disk_is_found_on_opening(before, changed, tmp_path, file):
    after = changed(lambda row, one: replace(one, label=Label.UNKNOWN, boxes=(DRUM,)))
    copy = Path(shutil.copytree(before.root, tmp_path / "copy"))
    shutil.copyfile(after.root / file, copy / file)
    with pytest.raises(DataError, match="was changed"):
        open_dataset(copy)
