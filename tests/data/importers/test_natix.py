"""Files with the exact columns of natix-network-org/roadwork become samples: values, groups, refusals, resumption."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import workzone.data.importers.natix as module
from workzone.core.errors import DataError
from workzone.data.importers.importing import IMPORT_LOG, import_source
from workzone.data.importers.natix import CELLS, PICTURE, UNREAD, NatixSource

VIDEO = "9ed0f726ba84457084db85d84fb358ea"
TYPES = {
    "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    "id": pa.int64(),
    "width": pa.int64(),
    "height": pa.int64(),
    "license": pa.int64(),
    "flickr_url": pa.float64(),
    "coco_url": pa.float64(),
    "date_captured": pa.int64(),
    "gps": pa.string(),
    "city_name": pa.string(),
    "scene_description": pa.string(),
    "video_info.frame_id": pa.string(),
    "video_info.seq_id": pa.int64(),
    "video_info.vid_id": pa.string(),
    "scene_level_tags.daytime": pa.string(),
    "scene_level_tags.scene_environment": pa.string(),
    "scene_level_tags.travel_alteration": pa.string(),
    "scene_level_tags.weather": pa.string(),
    "label": pa.int64(),
}
"""As the data set's card names them."""


def natix_row(image: object, number: int, **changes: object) -> dict[str, object]:
    """A row as published, of frame `number`; two frames a sequence, every third without road work."""
    row = dict.fromkeys(TYPES) | {
        "image": {"bytes": image, "path": f"{number:05d}.jpg"},
        "id": number,
        "width": 1920,
        "height": 1080,
        "license": 0,
        "date_captured": 0,
        "gps": "[39.77160604, -86.18823935]",
        "city_name": "indianapolis",
        "scene_description": "Work zone behind fence along the road.",
        "video_info.frame_id": f"{number:05d}.jpg",
        "video_info.seq_id": number // 2,
        "video_info.vid_id": VIDEO,
        "scene_level_tags.daytime": "Light",
        "scene_level_tags.scene_environment": "Urban",
        "scene_level_tags.travel_alteration": "['Partially Blocked']",
        "scene_level_tags.weather": "['Sunny']",
        "label": 1,
    }
    if number % 3 == 2:
        row |= {"scene_description": None, "scene_level_tags.travel_alteration": "['None']", "label": 0}
    return row | changes


def write_natix(path, rows, row_group_size=4, **types):
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema(list((TYPES | types).items()))
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=row_group_size)


def _by(result, column):
    return sorted(row[column] or "" for row in result.dataset.samples.to_pylist())


@pytest.fixture
def made(tmp_path, picture):
    """Twelve rows in two files, as on the hub."""
    rows = [natix_row(picture(i), i) for i in range(12)]
    write_natix(tmp_path / "set/data/train-00000-of-00001.parquet", rows[:8])
    write_natix(tmp_path / "set/data/test-00000-of-00001.parquet", rows[8:])
    return tmp_path / "set"


def _one(tmp_path, picture, **changes):
    """Import one row with changed values; "__" in a name stands for its dot."""
    columns = {name.replace("__", "."): value for name, value in changes.items()}
    row = natix_row(picture(0), 0, **columns)
    write_natix(tmp_path / "one.parquet", [row])
    result = import_source(NatixSource(tmp_path / "one.parquet"), tmp_path / "out")
    return result.dataset.samples.to_pylist()[0], result.notes


def test_the_exact_columns():
    assert set(TYPES) == {PICTURE, *CELLS} | UNREAD


def test_published_rows_become_samples(made, tmp_path, picture, observer):
    result = import_source(NatixSource(made), tmp_path / "out", observer=observer)
    samples = result.dataset.samples.to_pylist()
    assert (len(samples), result.skipped, result.dataset.name) == (12, (), "natix")
    assert {path.read_bytes() for path in result.dataset.paths()} == {picture(i) for i in range(12)}
    assert _by(result, "published_split") == ["test"] * 4 + ["train"] * 8
    assert {row["group"] for row in samples} == {f"natix/indianapolis/{VIDEO}/{i}" for i in range(6)}
    for row in samples:
        assert (row["lat"], row["lon"]) == (39.77160604, -86.18823935)
        assert (row["daytime"], row["weather"], row["environment"]) == ("day", "clear", "urban")
        assert (row["source"], row["captured_at"], row["licence"]) == ("natix", None, None)
        assert (row["width_px"], row["height_px"]) == (12, 8)  # as decoded, not as the table says
        assert row["caption"] == ("Work zone behind fence along the road." if row["label"] == 1 else None)
    assert sorted(row["label"] for row in samples) == [0] * 4 + [1] * 8
    assert result.notes == (
        "12 of 12 rows do not say when they were taken (a date of 0 says nothing): a split by time is not possible "
        "with them.",
    )
    assert ("import pictures", 12, 12) in observer.steps


@pytest.mark.parametrize(
    ("kind", "encode"),
    [
        (pa.binary(), lambda image: image),
        (pa.large_binary(), lambda image: image),
        (pa.string(), lambda image: base64.b64encode(image).decode()),
        (
            pa.struct({"bytes": pa.string(), "path": pa.string()}),
            lambda image: {"bytes": base64.b64encode(image).decode(), "path": None},
        ),
    ],
    ids=["bytes", "large bytes", "base64", "base64 in a record"],
)
def test_every_encoding_of_pictures_gives_the_same_data_set(made, tmp_path, picture, kind, encode):
    rows = [natix_row(picture(i), i) | {"image": encode(picture(i))} for i in range(12)]
    write_natix(tmp_path / "other/data/train-00000-of-00001.parquet", rows[:8], image=kind)
    write_natix(tmp_path / "other/data/test-00000-of-00001.parquet", rows[8:], image=kind)
    a = import_source(NatixSource(made), tmp_path / "a").dataset
    b = import_source(NatixSource(tmp_path / "other"), tmp_path / "b").dataset
    assert a.sha256 == b.sha256


def test_tags_may_be_lists_and_places_records(made, tmp_path, picture):
    lists = pa.list_(pa.string())
    types = {f"scene_level_tags.{name}": lists for name in ("travel_alteration", "weather")}
    types["gps"] = pa.struct({"lat": pa.float64(), "lon": pa.float64()})
    rows = []
    for i in range(12):
        row = natix_row(picture(i), i)
        altered = row["scene_level_tags.travel_alteration"].strip("[]'")
        row |= {"scene_level_tags.travel_alteration": [altered], "scene_level_tags.weather": ["Sunny"]}
        rows.append(row | {"gps": {"lat": 39.77160604, "lon": -86.18823935}})
    write_natix(tmp_path / "other/data/train-0.parquet", rows[:8], **types)
    write_natix(tmp_path / "other/data/test-0.parquet", rows[8:], **types)
    a = import_source(NatixSource(made), tmp_path / "a").dataset
    b = import_source(NatixSource(tmp_path / "other"), tmp_path / "b").dataset
    assert a.sha256 == b.sha256


@pytest.mark.parametrize(("value", "label"), [(0, 0), (1, 1), (2, -1), (-1, -1), (None, -1)])
def test_any_label_but_0_and_1_is_unknown_and_noted(tmp_path, picture, value, label):
    row, notes = _one(tmp_path, picture, label=value)
    assert row["label"] == label
    said = [note for note in notes if note.startswith("Labels other than 0 and 1 became unknown: ")]
    assert len(said) == (label == -1)


@pytest.mark.parametrize(
    ("value", "expected", "noted"),
    [
        (0, None, "do not say when"),
        (None, None, "do not say when"),
        (1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), None),
        (-7, None, "is no time"),
    ],
)
def test_dates(tmp_path, picture, value, expected, noted):
    row, notes = _one(tmp_path, picture, date_captured=value)
    assert row["captured_at"] == expected
    assert [noted in note for note in notes] == ([True] if noted else [])


@pytest.mark.parametrize("value", ["", "['", "north of the bridge", "[139.7, -86.1]"])
def test_a_bad_place_is_null_and_counted(tmp_path, picture, value):
    row, notes = _one(tmp_path, picture, gps=value)
    assert (row["lat"], row["lon"]) == (None, None)
    assert any("1 rows have a 'gps' that is no place" in note for note in notes) == bool(value)


@pytest.mark.parametrize(
    ("changes", "group"),
    [
        ({}, f"natix/indianapolis/{VIDEO}/0"),
        ({"city_name": None}, f"natix/-/{VIDEO}/0"),
        (
            {"video_info__vid_id": None, "city_name": "pittsburgh", "video_info__seq_id": 12},
            "natix/pittsburgh/-/12",
        ),
        ({"video_info__seq_id": None}, f"natix/indianapolis/{VIDEO}/-"),
    ],
)
def test_groups(tmp_path, picture, changes, group):
    assert _one(tmp_path, picture, **changes)[0]["group"] == group


def test_a_row_without_video_and_sequence_is_a_group_of_its_own_and_noted(tmp_path, picture):
    row, notes = _one(tmp_path, picture, video_info__vid_id="", video_info__seq_id=None)
    assert row["group"] == row["id"]
    assert any("1 rows name neither a video nor a sequence" in note for note in notes)


def test_two_data_sets_keep_their_groups_apart(made, tmp_path):
    result = import_source(NatixSource(made, source="fleet"), tmp_path / "out")
    assert {row["source"] for row in result.dataset.samples.to_pylist()} == {"fleet"}
    assert all(group.startswith("fleet/indianapolis/") for group in _by(result, "group"))


def test_unmapped_tags_are_null_and_noted(tmp_path, picture):
    row, notes = _one(
        tmp_path, picture, scene_level_tags__weather="['Hail']", scene_level_tags__daytime="Noon"
    )
    assert (row["weather"], row["daytime"], row["environment"]) == (None, None, "urban")
    assert any("'Hail' (1)" in note for note in notes)
    assert any("'Noon' (1)" in note for note in notes)


def test_a_none_whose_traffic_is_altered_is_noted(tmp_path, picture):
    _, notes = _one(tmp_path, picture, label=0, scene_level_tags__travel_alteration="['Lane Shift']")
    assert any("1 pictures labelled 'none' say that travel is altered" in note for note in notes)


def test_a_licence_by_name_is_kept(tmp_path, picture):
    row = natix_row(picture(0), 0) | {"license": " ODC-BY "}
    write_natix(tmp_path / "a.parquet", [row], license=pa.string())
    result = import_source(NatixSource(tmp_path / "a.parquet"), tmp_path / "out", licence="MIT")
    assert result.dataset.samples["licence"].to_pylist() == ["ODC-BY"]
    assert result.dataset.licence == "MIT"


def test_columns_that_are_not_known_are_left_out_and_noted(tmp_path, picture):
    row = natix_row(picture(0), 0) | {"speed": 3.5}
    write_natix(tmp_path / "a.parquet", [row], speed=pa.float64())
    result = import_source(NatixSource(tmp_path / "a.parquet"), tmp_path / "out")
    assert "Columns that are not known were left out: speed." in result.notes


def test_pictures_that_cannot_be_had_are_skipped_with_their_reason(tmp_path, picture, monkeypatch):
    rows = [natix_row(picture(i), i) for i in range(6)]
    rows[1]["image"] = {"bytes": None, "path": "/etc/passwd"}
    rows[2]["image"] = None
    rows[3]["image"]["bytes"] = picture(3)[:-40]
    rows[4]["image"]["bytes"] = picture(4) + bytes(2**20)
    write_natix(tmp_path / "a.parquet", rows)
    limits = module.DecodeLimits(max_bytes=2**19)
    result = import_source(NatixSource(tmp_path / "a.parquet", limits=limits), tmp_path / "out")
    assert len(result.dataset) == 2
    reasons = {skipped.path: skipped.reason for skipped in result.skipped}
    assert list(reasons) == [f"a.parquet#{i}" for i in (1, 2, 3, 4)]
    for row, reason in enumerate(
        ["only the path '/etc/passwd'", "no picture in this row", "truncated", "more than the"]
    ):
        assert reason in reasons[f"a.parquet#{row + 1}"]
    log = [json.loads(line) for line in (tmp_path / "out" / IMPORT_LOG).read_text().splitlines()]
    assert {entry["path"]: entry["reason"] for entry in log} == reasons


def test_the_same_picture_with_two_labels_ends_the_import_or_is_dropped(made, tmp_path, picture):
    rows = [natix_row(picture(0), 0), natix_row(picture(1), 1), natix_row(picture(0), 0, label=0)]
    write_natix(tmp_path / "a.parquet", rows)
    with pytest.raises(
        DataError, match=r"'a\.parquet#0' and 'a\.parquet#2' have identical bytes, but label 1 and 0"
    ):
        import_source(NatixSource(tmp_path / "a.parquet"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    result = import_source(NatixSource(tmp_path / "a.parquet"), tmp_path / "out", drop_conflicts=True)
    assert len(result.dataset) == 1
    assert len(result.skipped) == 2


@pytest.mark.parametrize("column", [PICTURE, *CELLS])
def test_a_missing_column_is_named_with_the_nearest(tmp_path, picture, column):
    schema = pa.schema([(f"{name}s" if name == column else name, kind) for name, kind in TYPES.items()])
    rows = [{f"{k}s" if k == column else k: v for k, v in natix_row(picture(0), 0).items()}]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match=rf"'a\.parquet' lacks the column '{column}'. Is it misspelt as '{column}s'\?"
    ):
        NatixSource(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [
        ("label", pa.list_(pa.int64()), [1]),
        ("image", pa.list_(pa.binary()), [b"x"]),
        ("image", pa.struct({"data": pa.binary()}), {"data": b"x"}),
        ("scene_description", pa.int64(), 4),
        ("gps", pa.float64(), 4.0),
        ("date_captured", pa.list_(pa.int64()), [0]),
        ("city_name", pa.binary(), b"x"),
    ],
)
def test_a_mistyped_column_is_named_with_what_was_expected(tmp_path, picture, column, kind, value):
    write_natix(tmp_path / "a.parquet", [natix_row(picture(0), 0) | {column: value}], **{column: kind})
    with pytest.raises(DataError, match=f"the column '{column}' has the type .*, expected one of: "):
        NatixSource(tmp_path / "a.parquet")


def test_a_truncated_file_is_refused_before_anything_is_written(made, tmp_path):
    path = made / "data/train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cannot be read as Parquet.*cut off"):
        NatixSource(made)
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


def _loaded_pictures(monkeypatch):
    """Count the pictures that are loaded, by key."""
    loaded = []
    real = module.load_picture

    def counted(cell, key, *arguments, **columns):
        loaded.append(key)
        return real(cell, key, *arguments, **columns)

    monkeypatch.setattr(module, "load_picture", counted)
    return loaded


def test_an_interrupted_import_goes_on_and_counts_everything(made, tmp_path, monkeypatch):
    whole = import_source(NatixSource(made), tmp_path / "whole", workers=1)
    real = module.load_picture

    def stops(cell, key, *arguments, **columns):
        if key == "data/train-00000-of-00001.parquet#5":
            raise KeyboardInterrupt
        return real(cell, key, *arguments, **columns)

    with monkeypatch.context() as patch:
        patch.setattr(module, "load_picture", stops)
        with pytest.raises(KeyboardInterrupt):
            import_source(NatixSource(made), tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()
    loaded = _loaded_pictures(monkeypatch)
    resumed = import_source(NatixSource(made), tmp_path / "out", workers=1)
    assert resumed.dataset.sha256 == whole.dataset.sha256
    assert resumed.notes == whole.notes  # the rows that were done are counted too
    assert not {f"data/test-00000-of-00001.parquet#{i}" for i in range(4)} & set(loaded)
    assert "data/train-00000-of-00001.parquet#5" in loaded


def test_changed_files_or_settings_do_not_go_on_with_unfinished_work(made):
    identity = NatixSource(made).identity()
    assert json.loads(json.dumps(identity)) == identity
    assert NatixSource(made).identity() == identity
    assert NatixSource(made, source="other").identity() != identity
    assert NatixSource(made, limits=module.DecodeLimits(max_pixels=1)).identity() != identity
    path = made / "data/test-00000-of-00001.parquet"
    os.utime(path, ns=(0, 1))
    assert NatixSource(made).identity() != identity


CHILD = """
    import sys, time
    from pathlib import Path
    import workzone.data.importers.natix as natix
    from workzone.data.importers.importing import import_source

    real = natix.load_picture
    def slow(*arguments, **columns):
        time.sleep(0.05)
        return real(*arguments, **columns)
    natix.load_picture = slow
    import_source(natix.NatixSource(Path(sys.argv[1])), Path(sys.argv[2]), workers=1)
"""


def test_a_killed_import_goes_on(tmp_path, picture, monkeypatch):
    write_natix(
        tmp_path / "train-0.parquet", [natix_row(picture(i), i) for i in range(200)], row_group_size=10
    )
    source = tmp_path / "train-0.parquet"
    whole = import_source(NatixSource(source), tmp_path / "whole")
    command = [sys.executable, "-c", textwrap.dedent(CHILD), str(source), str(tmp_path / "out")]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    progress = tmp_path / ".partial-out" / "notes" / "progress.jsonl"
    try:
        while not progress.is_file() or progress.read_bytes().count(b"\n") < 25:
            assert child.poll() is None, "the child ended before it was killed"
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not (tmp_path / "out").exists()
    loaded = _loaded_pictures(monkeypatch)
    resumed = import_source(NatixSource(source), tmp_path / "out")
    assert resumed.dataset.sha256 == whole.dataset.sha256
    assert len(loaded) <= 200 - 25
    assert not any(entry.name.startswith(".partial") for entry in tmp_path.iterdir())


def test_pictures_that_wait_are_few(tmp_path, picture, monkeypatch):
    """The largest batch, times what is in flight, is all that is held; the row group is ten times that."""
    import workzone.data.importers.row_files as row_files

    monkeypatch.setattr(row_files, "BATCH_BYTES", 2**20)
    padding = os.urandom(100_000)
    write_natix(
        tmp_path / "a.parquet", [natix_row(picture(i) + padding, i) for i in range(150)], row_group_size=150
    )
    sizes = []
    real = row_files.row_batch

    def measured(*arguments):
        batch = real(*arguments)
        sizes.append(batch.pictures.nbytes)
        return batch

    monkeypatch.setattr(row_files, "row_batch", measured)
    result = import_source(NatixSource(tmp_path / "a.parquet"), tmp_path / "out")
    assert len(result.dataset) == 150
    assert sum(sizes) > 14e6
    assert max(sizes) < 1.3 * 2**20


MEASURED = """
    import os, sys
    from pathlib import Path

    os.fsync = lambda handle: None  # memory is measured, and 100,000 of these take ten minutes on a slow disk
    from workzone.data.importers.importing import import_source
    from workzone.data.importers.natix import NatixSource

    def peak():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))

    before = peak()
    done = import_source(NatixSource(Path(sys.argv[1])), Path(sys.argv[2]))
    print(len(done.dataset), before, peak())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_row_group(tmp_path, picture):
    """A hundred pictures of 2 MB in one row group: taken at once they grow it by 726 MiB, in batches by 186."""
    noise = os.urandom(2_200_000)
    rows = [natix_row(picture(i) + noise[i : i + 2_000_000], i) for i in range(100)]
    write_natix(tmp_path / "train-0.parquet", rows, row_group_size=100)
    assert pq.ParquetFile(tmp_path / "train-0.parquet").num_row_groups == 1
    assert (tmp_path / "train-0.parquet").stat().st_size > 190 * 2**20
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(MEASURED),
        str(tmp_path / "train-0.parquet"),
        str(tmp_path / "out"),
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pictures, before_mib, peak_mib = map(int, said.split())
    assert pictures == 100
    assert peak_mib - before_mib < 250, f"{peak_mib} MiB, {before_mib} MiB of it before the import"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_row_group_of_a_thousand_pictures_of_two_megabytes_stays_under_a_gigabyte(tmp_path, picture):
    """Real JPEGs, padded behind their end with noise that does not compress."""
    noise = os.urandom(2_200_000)
    rows = [natix_row(picture(i) + noise[i : i + 2_000_000], i) for i in range(1000)]
    write_natix(tmp_path / "train-0.parquet", rows, row_group_size=1000)
    del rows
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(MEASURED),
        str(tmp_path / "train-0.parquet"),
        str(tmp_path / "out"),
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pictures, before_mib, peak_mib = map(int, said.split())
    assert pictures == 1000
    assert peak_mib < 1000, f"{peak_mib} MiB, {before_mib} MiB of it before the import"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_hundred_thousand_rows_stay_under_a_gigabyte(tmp_path, picture):
    header = picture(0)
    with pq.ParquetWriter(tmp_path / "train-0.parquet", pa.schema(list(TYPES.items()))) as writer:
        for start in range(0, 100_000, 1000):
            rows = [natix_row(header + i.to_bytes(4, "big"), i) for i in range(start, start + 1000)]
            writer.write_table(pa.Table.from_pylist(rows, schema=writer.schema))
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(MEASURED),
        str(tmp_path / "train-0.parquet"),
        str(tmp_path / "out"),
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pictures, before_mib, peak_mib = map(int, said.split())
    assert pictures == 100_000
    assert peak_mib < 1000, f"{peak_mib} MiB, {before_mib} MiB of it before the import"
