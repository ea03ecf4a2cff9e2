"""Data sets are whole or absent, and every change to one is seen."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Label
from workzone.data.dataset import boxes_known, open_dataset, verify_pictures, write_dataset
from workzone.data.schema import BOX_COLUMNS, SAMPLE_COLUMNS, NewBox, NewSample


def _rewrite(root: Path, column: str, values) -> None:
    path = root / "samples.parquet"
    table = pq.read_table(path)
    position = table.column_names.index(column)
    array = pa.array(values(table[column].to_pylist()), type=table.schema.field(column).type)
    pq.write_table(table.set_column(position, table.schema.field(column), array), path)


def test_round_trip_keeps_bytes_and_columns(tmp_path, sample, picture):
    boxes = (NewBox("cone", "roadwork", 1.5, 2.0, 3.0, 4.0, 0.5),)
    given = [
        sample(1, 1, "a", weather="rain", lat=51.5, lon=-0.1, ambiguous=True, boxes=boxes),
        sample(2, 0, None, boxes=()),
        NewSample(picture(3, "PNG"), Label.UNKNOWN, 12, 8, boxes=()),
    ]
    dataset = write_dataset(tmp_path / "d", given, name="three", licence="CC0-1.0")
    rows = {row["id"]: row for row in dataset.samples.to_pylist()}
    assert dataset.samples.column_names == [c.name for c in SAMPLE_COLUMNS]
    for new in given:
        row = rows[hashlib.sha256(new.image).hexdigest()]
        assert (tmp_path / "d" / row["path"]).read_bytes() == new.image
        assert row["label"] == new.label
        assert row["group"] == (new.group or row["id"])
    first = rows[hashlib.sha256(given[0].image).hexdigest()]
    assert (first["weather"], first["lat"], first["lon"], first["ambiguous"]) == ("rain", 51.5, -0.1, True)
    assert first["daytime"] is None
    assert [p.suffix for p in sorted(dataset.paths(), key=lambda p: p.suffix)] == [".jpg", ".jpg", ".png"]
    assert dataset.boxes.column_names == [c.name for c in BOX_COLUMNS]
    assert dataset.boxes.to_pylist() == [
        {"sample_id": first["id"], "type": "cone", "category": "roadwork", "x_px": 1.5, "y_px": 2.0}
        | {"width_px": 3.0, "height_px": 4.0, "visible": 0.5}
    ]
    verify_pictures(dataset)


def test_hash_is_of_values_not_of_order_or_encoding(tmp_path, group_samples):
    samples = group_samples(10)
    one = write_dataset(tmp_path / "one", samples, name="n")
    two = write_dataset(tmp_path / "two", reversed(samples), name="n")
    assert one.sha256 == two.sha256
    assert one.samples.equals(two.samples)
    for name in ("samples.parquet", "boxes.parquet"):
        table = pq.read_table(tmp_path / "two" / name)
        pq.write_table(table.take(np.arange(len(table))[::-1]), tmp_path / "two" / name, compression="none")
    assert open_dataset(tmp_path / "two").sha256 == one.sha256
    assert write_dataset(tmp_path / "three", samples, name="n", revision="2").sha256 != one.sha256
    assert write_dataset(tmp_path / "four", samples[1:], name="n").sha256 != one.sha256


def test_identical_bytes_are_one_sample_or_a_conflict(tmp_path, sample, observer):
    dataset = write_dataset(tmp_path / "d", [sample(1, 1, "a")] * 3, name="n", observer=observer)
    assert len(dataset) == 1
    assert any("2 pictures came more than once" in note for note in observer.notes)
    for other in (sample(1, 0, "a"), sample(1, 1, "b"), sample(1, 1, "a", ambiguous=True)):
        with pytest.raises(DataError, match="identical bytes, but"):
            write_dataset(tmp_path / "e", [sample(1, 1, "a"), other], name="n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lat": 91.0}, "lat 91"),
        ({"lon": float("nan")}, "lon nan"),
        ({"group": ""}, "empty group"),
        ({"boxes": (NewBox("cone", "roadwork", 0, 0, -1, 1, 1),)}, "box"),
        ({"boxes": (NewBox("cone", "roadwork", 0, 0, 1, 1, 1.5),)}, "visible"),
        ({"boxes": (NewBox("cone", "roadwork", float("inf"), 0, 1, 1, 1),)}, "finite"),
    ],
)
def test_values_out_of_range_are_refused(tmp_path, sample, change, message):
    with pytest.raises(DataError, match=message):
        write_dataset(tmp_path / "d", [sample(1, 0, **change)], name="n")
    assert not list(tmp_path.iterdir())


def test_what_boxes_are_known_is_told_by_the_schema_version(tmp_path, sample):
    made = write_dataset(tmp_path / "none", [sample(1)], name="n")
    assert made.boxes is None
    assert json.loads((made.root / "dataset.json").read_text())["schema_version"] == 1
    mixed = write_dataset(tmp_path / "some", [sample(1), sample(2, boxes=())], name="n")
    assert mixed.boxes is not None
    assert boxes_known(mixed).sum() == 1
    assert json.loads((mixed.root / "dataset.json").read_text())["schema_version"] == 2


def test_nothing_is_left_when_the_source_fails(tmp_path, sample):
    def failing():
        yield sample(1)
        raise RuntimeError("the camera fell off")

    with pytest.raises(RuntimeError):
        write_dataset(tmp_path / "d", failing(), name="n")
    with pytest.raises(DataError, match="would be empty"):
        write_dataset(tmp_path / "d", [], name="n")
    assert not list(tmp_path.iterdir())


def test_pictures_are_written_as_they_come(tmp_path, sample):
    """The writer keeps no picture: each is on disk before the next is asked for."""
    waiting = []

    def source():
        for number in range(4):
            waiting.append(len(list(tmp_path.rglob("*.jpg"))))
            yield sample(number)

    write_dataset(tmp_path / "d", source(), name="n")
    assert waiting == [0, 1, 2, 3]


def test_only_a_data_set_is_written_over_and_only_when_asked(tmp_path, sample):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.txt").write_text("keep me")
    with pytest.raises(ConfigError, match="is no data set"):
        write_dataset(tmp_path / "photos", [sample(1)], name="n", overwrite=True)
    assert (tmp_path / "photos" / "holiday.txt").read_text() == "keep me"
    write_dataset(tmp_path / "d", [sample(1)], name="n")
    with pytest.raises(ConfigError, match="holds a data set already"):
        write_dataset(tmp_path / "d", [sample(2)], name="n")
    assert len(write_dataset(tmp_path / "d", [sample(2), sample(3)], name="n", overwrite=True)) == 2


def test_every_changed_file_is_seen(own_dataset):
    root = own_dataset.root
    for name in ("dataset.json", "samples.parquet", "boxes.parquet"):
        original = (root / name).read_bytes()
        for position in np.linspace(4, len(original) - 5, 60).astype(int):
            changed = bytearray(original)
            changed[position] ^= 1
            (root / name).write_bytes(bytes(changed))
            try:
                opened = open_dataset(root)
            except DataError:
                continue
            assert name != "dataset.json", f"byte {position} was changed unseen"
            assert opened.sha256 == own_dataset.sha256, f"{name} byte {position} was changed unseen"
            assert opened.samples.equals(own_dataset.samples)
            assert opened.boxes.equals(own_dataset.boxes)
        (root / name).write_bytes(original)
    path = own_dataset.paths()[5]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    open_dataset(root)
    with pytest.raises(DataError, match=f"1 of {len(own_dataset)} pictures"):
        verify_pictures(own_dataset)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("label", lambda v: [7, *v[1:]], "label 7"),
        ("id", lambda v: [v[1], *v[1:]], "more than once"),
        ("id", lambda v: ["../x", *v[1:]], "64 hexadecimal"),
        ("lat", lambda v: [float("nan"), *v[1:]], "'lat' has the value nan"),
        ("width_px", lambda v: [0, *v[1:]], "'width_px' has the value 0"),
        ("group", lambda v: ["other", *v[1:]], "was changed"),
    ],
)
def test_edited_tables_are_refused(own_dataset, column, values, message):
    _rewrite(own_dataset.root, column, values)
    with pytest.raises(DataError, match=message):
        open_dataset(own_dataset.root)


def _reseal(root: Path) -> None:
    """Make the hash fit an edited table, as someone malicious would."""
    with pytest.raises(DataError) as caught:
        open_dataset(root)
    found = str(caught.value).split("have the hash ")[1][:12]
    from workzone.data.tables import read_table
    from workzone.data.writer import content_hash

    manifest = json.loads((root / "dataset.json").read_text())
    samples = read_table(root / "samples.parquet", SAMPLE_COLUMNS)
    boxes = read_table(root / "boxes.parquet", BOX_COLUMNS)
    manifest["sha256"] = content_hash(
        manifest["name"], manifest["revision"], manifest["licence"], samples, boxes
    )
    assert manifest["sha256"].startswith(found)
    (root / "dataset.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.jpg", "images/../../secret.jpg", "images\\x.jpg"])
def test_paths_that_leave_the_data_set_are_refused(own_dataset, path):
    (own_dataset.root.parent / "secret.jpg").write_bytes(b"secret")
    _rewrite(own_dataset.root, "path", lambda v: [path, *v[1:]])
    _reseal(own_dataset.root)
    with pytest.raises(DataError, match="not inside the data set"):
        open_dataset(own_dataset.root)


def test_links_that_leave_the_data_set_are_refused(own_dataset):
    secret = own_dataset.root.parent / "secret.jpg"
    secret.write_bytes(b"secret")
    path = own_dataset.paths()[0]
    original = path.read_bytes()
    path.unlink()
    with pytest.raises(DataError, match="does not exist"):
        open_dataset(own_dataset.root)
    path.symlink_to(secret)
    with pytest.raises(DataError, match="leads out of the data set"):
        open_dataset(own_dataset.root)
    path.unlink()
    path.write_bytes(original)
    outside = own_dataset.root.parent / "outside"
    path.parent.rename(outside)
    path.parent.symlink_to(outside)
    with pytest.raises(DataError, match="leads out of the data set"):
        open_dataset(own_dataset.root)


def test_columns_are_strict(own_dataset):
    path = own_dataset.root / "samples.parquet"
    table = pq.read_table(path)
    names = table.column_names
    pq.write_table(table.rename_columns(["wether" if n == "weather" else n for n in names]), path)
    with pytest.raises(DataError, match=r"lacks the column 'weather'.*misspelt as 'wether'"):
        open_dataset(own_dataset.root)
    pq.write_table(table.append_column("camerra", table["camera"]), path)
    with pytest.raises(DataError, match=r"'camerra', which is not known.*'camera'"):
        open_dataset(own_dataset.root)
    wide = table.set_column(names.index("label"), "label", table["label"].cast(pa.int64()))
    pq.write_table(wide, path)
    with pytest.raises(DataError, match="'label' has the type int64, expected int8"):
        open_dataset(own_dataset.root)
    nulls = pa.array([None] * len(table), pa.string())
    pq.write_table(table.set_column(names.index("group"), "group", nulls), path)
    with pytest.raises(DataError, match="'group' lacks a value"):
        open_dataset(own_dataset.root)


def test_sizes_are_bounded(own_dataset, monkeypatch):
    monkeypatch.setattr("workzone.data.tables.MAX_ROWS", 10)
    with pytest.raises(DataError, match="more than the 10 that are read"):
        open_dataset(own_dataset.root)
    monkeypatch.undo()
    monkeypatch.setattr("workzone.data.tables.MAX_FILE_BYTES", 100)
    with pytest.raises(DataError, match="more than the 100"):
        open_dataset(own_dataset.root)


def test_what_is_no_data_set_is_named(tmp_path):
    with pytest.raises(DataError, match=r"is no data set: it has no dataset\.json"):
        open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text('{"name": "x", "licence": "y", "revison": "1"}')
    with pytest.raises(DataError, match="is not valid at"):
        open_dataset(tmp_path)
