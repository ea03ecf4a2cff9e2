"""Rows are streamed in batches of bounded size, whole row groups that are done stay unread, broken files are named."""

from __future__ import annotations

import contextlib
import os
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import workzone.data.importers.arrow_rows as arrow_rows
import workzone.data.importers.row_files as module
from workzone.core.errors import DataError
from workzone.data.importers.arrow_rows import ArrowRows
from workzone.data.importers.row_files import (
    ParquetRows,
    batch_rows,
    parquet_files,
    plain_rows,
    published_split,
)


@pytest.fixture
def table(picture):
    pictures = [picture(i) for i in range(50)]
    image = [{"bytes": data, "path": f"{i}.jpg"} for i, data in enumerate(pictures)]
    return pa.table({"n": list(range(50)), "image": image, "other": ["x"] * 50})


@pytest.fixture
def files(table, tmp_path):
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=8)
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=8):
            writer.write_batch(batch)
    return {
        "parquet": ParquetRows(tmp_path / "a.parquet", "a"),
        "arrow": ArrowRows(tmp_path / "a.arrow", "a"),
    }


@pytest.fixture(params=["parquet", "arrow"])
def file(request, files):
    return files[request.param]


def _read(file, done=()):
    rows, pictures = [], {}
    for batch in file.batches(["n"], "image", set(done)):
        assert batch.cells.column_names == ["n"]
        plain = plain_rows("a", batch)
        assert [row["n"] for row in plain] == list(batch.rows)
        rows += plain
        if batch.pictures is not None:
            cells = batch.pictures.to_pylist()
            cells = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]
            pictures |= dict(zip(batch.rows, cells, strict=True))
    return rows, pictures


def test_every_row_comes_once_in_order(file, table):
    rows, pictures = _read(file)
    assert file.rows == len(rows) == 50
    assert [pictures[i] for i in range(50)] == [image["bytes"] for image in table["image"].to_pylist()]


def test_pictures_of_row_groups_that_are_done_are_not_read_but_their_cells_are(file):
    rows, pictures = _read(file, done={f"a#{row}" for row in (*range(16), 20)})
    assert len(rows) == 50
    assert set(pictures) == set(range(16, 50))


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "record"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False], ids=["dictionary", "plain"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip", "brotli", "lz4"])
def test_large_pages_are_read_as_pyarrow_reads_them(
    tmp_path, monkeypatch, compression, dictionary, version, flat
):
    """Whatever the layout: nulls, empty values, repeated ones, text that compresses and noise that does not."""
    monkeypatch.setattr(module, "LARGE_PAGE_BYTES", 0)
    monkeypatch.setattr(module, "BATCH_BYTES", 10_000)
    noise = os.urandom(300_000)
    values = [noise[7 * i : 7 * i + 500 * (i % 9)] for i in range(300)] + [
        b"abcd" * 40_000,
        noise,
        None,
        b"",
        None,
    ]
    values += values[::-3] + [b"many times"] * 2000
    image = values if flat else [None if v is None else {"bytes": v, "path": None} for v in values]
    kind = pa.binary() if flat else pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({"n": range(len(values)), "image": pa.array(image, kind)})
    pq.write_table(
        table, tmp_path / "a.parquet", compression=compression, use_dictionary=dictionary,
        data_page_version=version, row_group_size=1000, dictionary_pagesize_limit=2**31 - 1,
    )  # fmt: skip
    file = ParquetRows(tmp_path / "a.parquet", "a")
    taken = []
    real = module.read_values
    monkeypatch.setattr(module, "read_values", lambda *args: taken.append(1) or real(*args))
    rows, pictures = _read(file)
    assert len(rows) == len(values)
    assert [pictures[i] or None for i in range(len(values))] == [v or None for v in values]
    assert len(taken) == (0 if compression == "lz4" else 3)  # what pyarrow alone can unpack is left to it
    assert set(_read(file, done={f"a#{i}" for i in range(1000)})[1]) == set(range(1000, len(values)))


def test_a_dictionary_that_was_given_up_halfway(tmp_path, monkeypatch):
    """pyarrow begins with a dictionary and goes on without one when it has grown too large."""
    monkeypatch.setattr(module, "LARGE_PAGE_BYTES", 0)
    values = [os.urandom(3000) for _ in range(3000)]
    pq.write_table(pa.table({"n": range(3000), "image": values}), tmp_path / "a.parquet", row_group_size=3000)
    encodings = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(1).encodings
    assert {"PLAIN", "RLE_DICTIONARY"} <= set(encodings)
    _, pictures = _read(ParquetRows(tmp_path / "a.parquet", "a"))
    assert [pictures[i] for i in range(3000)] == values


@pytest.mark.parametrize("seed", range(40))
def test_damage_to_large_pages_is_an_error_or_changes_a_picture_never_a_crash(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(module, "LARGE_PAGE_BYTES", 0)
    values = [bytes([i]) * 200 + os.urandom(300) for i in range(40)]
    pq.write_table(pa.table({"image": values, "n": range(40)}), tmp_path / "a.parquet", row_group_size=40)
    size = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(0).total_compressed_size
    whole = bytearray((tmp_path / "a.parquet").read_bytes())
    rng = random.Random(seed)
    for _ in range(3):
        at = (
            rng.randrange(4, 60) if seed % 2 else rng.randrange(4, 4 + size)
        )  # headers and levels, or anywhere
        whole[at] = rng.randrange(256)
    (tmp_path / "a.parquet").write_bytes(whole)
    with contextlib.suppress(DataError):
        rows, pictures = _read(ParquetRows(tmp_path / "a.parquet", "a"))
        assert len(rows) == len(pictures) == 40


def test_batches_stay_within_their_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH_BYTES", 2**20)
    image = [bytes([i]) * 100_000 for i in range(100)]
    pq.write_table(
        pa.table({"n": range(100), "image": image}),
        tmp_path / "a.parquet",
        compression="none",
        use_dictionary=False,
    )
    file = ParquetRows(tmp_path / "a.parquet", "a")
    sizes = [batch.pictures.nbytes for batch in file.batches(["n"], "image", ())]
    assert sum(sizes) > 9_900_000
    assert max(sizes) < 1.2 * 2**20
    assert batch_rows(100 * 50_000_000, 100) == 1
    assert batch_rows(0, 0) == module.MAX_BATCH_ROWS


@pytest.mark.parametrize(
    ("keep", "kind"), [(0.5, "parquet"), (0.99, "parquet"), (0.5, "arrow"), (0.99, "arrow")]
)
def test_a_file_that_is_cut_off_is_named_at_once(files, tmp_path, keep, kind):
    path = tmp_path / f"a.{kind}"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(DataError, match=rf"a\.{kind}' .*cut off"):
        {"parquet": ParquetRows, "arrow": ArrowRows}[kind](path, "a")


def test_an_arrow_stream_cut_off_between_two_batches_is_noticed(files, table, tmp_path):
    whole = (tmp_path / "a.arrow").read_bytes()
    assert whole.endswith(arrow_rows._END_OF_STREAM)
    (tmp_path / "a.arrow").write_bytes(whole[: -len(arrow_rows._END_OF_STREAM)])
    assert pa.ipc.open_stream(tmp_path / "a.arrow").read_all().num_rows == 50  # pyarrow alone does not
    with pytest.raises(DataError, match="cut off"):
        ArrowRows(tmp_path / "a.arrow", "a")


def test_damage_inside_a_parquet_file_is_named_when_it_is_reached(files, tmp_path):
    whole = bytearray((tmp_path / "a.parquet").read_bytes())
    whole[200:4000] = b"\xff" * 3800
    (tmp_path / "a.parquet").write_bytes(whole)
    with pytest.raises(DataError, match=r"a\.parquet' cannot be read as Parquet"):
        _read(ParquetRows(tmp_path / "a.parquet", "a"))


def test_text_that_is_not_utf_8_is_named_with_its_rows(tmp_path):
    broken = pa.array([b"fine", b"\xff\xfe"]).view(pa.string())
    pq.write_table(pa.table({"n": broken, "image": [b"1", b"2"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="'a' has a broken value in rows 0 to 1"):
        _read(ParquetRows(tmp_path / "a.parquet", "a"))


def test_absurd_footers_are_refused(files, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 49)
    monkeypatch.setattr(arrow_rows, "MAX_ROWS", 49)
    with pytest.raises(DataError, match="says it has 50 rows"):
        ParquetRows(tmp_path / "a.parquet", "a")
    with pytest.raises(DataError, match="has 50 rows, more than the 49"):
        ArrowRows(tmp_path / "a.arrow", "a")
    monkeypatch.setattr(module, "MAX_ROWS", 50)
    monkeypatch.setattr(module, "MAX_DECODED_BYTES", 1000)
    with pytest.raises(DataError, match="at most 50 rows and 1,000 bytes"):
        ParquetRows(tmp_path / "a.parquet", "a")


def test_files_of_a_directory_by_name_at_any_depth(files, tmp_path):
    (tmp_path / "set" / "data").mkdir(parents=True)
    for name in (
        "data/train-1.parquet",
        "data/train-0.parquet",
        "extra.parquet",
        ".hidden.parquet",
        "readme.md",
    ):
        (tmp_path / "set" / name).write_bytes((tmp_path / "a.parquet").read_bytes())
    found = parquet_files(tmp_path / "set")
    assert [file.name for file in found] == ["data/train-0.parquet", "data/train-1.parquet", "extra.parquet"]
    assert found[0].stamp()[:2] == ["data/train-0.parquet", (tmp_path / "a.parquet").stat().st_size]
    assert [file.name for file in parquet_files(tmp_path / "a.parquet")] == ["a.parquet"]


def test_a_directory_without_a_file_and_no_directory_are_refused(tmp_path):
    with pytest.raises(DataError, match="has no Parquet file"):
        parquet_files(tmp_path)
    with pytest.raises(DataError, match="is no directory"):
        parquet_files(tmp_path / "absent")


def test_links_that_lead_out_are_refused_but_not_those_of_the_hubs_cache(files, tmp_path):
    cache = tmp_path / "datasets--o--n"
    snapshot = cache / "snapshots" / ("0" * 40) / "data"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    (tmp_path / "a.parquet").rename(cache / "blobs" / "123")
    (snapshot / "test-0.parquet").symlink_to("../../../blobs/123")
    assert [file.rows for file in parquet_files(snapshot.parent)] == [50]
    (snapshot / "test-1.parquet").symlink_to("/etc/hostname")
    with pytest.raises(DataError, match=r"test-1\.parquet' is a link that leads out"):
        parquet_files(snapshot.parent)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train-00000-of-00026.parquet", "train"),
        ("data/test-00000-of-00001.parquet", "test"),
        ("validation/0000.parquet", "val"),
        ("default/train/0000.parquet", "train"),
        ("trains.parquet", None),
        ("data/latest.parquet", None),
        ("0000.parquet", None),
    ],
)
def test_published_splits(name, expected):
    assert published_split(name) == expected
