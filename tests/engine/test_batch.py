"""Directories of pictures: three formats, resumed after kills at every byte, one bundle per file."""

from __future__ import annotations

import csv
import dataclasses
import fcntl
import json
import os

import pyarrow.parquet as pq
import pytest

from workzone.bundle.writer import write_bundle
from workzone.core.errors import ArtifactError, ConfigError, DataError
from workzone.engine.batch import find_pictures, predict_to_file
from workzone.engine.predictor import open_predictor
from workzone.engine.results import COLUMNS, ResultFormat, result_format


@pytest.fixture
def folder(tmp_path, factory):
    root = tmp_path / "pictures"
    colours = [factory.ORANGE, factory.GREY, factory.BLUE]
    for i in range(9):
        path = root / f"camera-{i % 2}" / f"{i:02d}.{'PNG' if i % 3 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(factory.encoded(factory.plain(colours[i % 3]), "JPEG" if i % 3 == 0 else "PNG"))
    (root / "camera-0" / "broken.jpg").write_bytes(b"no picture")
    (root / "notes.txt").write_text("not a picture")
    (root / ".hidden.jpg").write_bytes(b"x")
    (root / ".cache").mkdir()
    (root / ".cache" / "x.jpg").write_bytes(b"x")
    return root


@pytest.fixture
def predictor(bundle_path):
    return open_predictor(bundle_path)


def read_lines(out):
    return [json.loads(line) for line in out.read_text().splitlines()]


def without_latency(rows):
    return [{k: v for k, v in row.items() if k != "latency_ms"} for row in rows]


def test_directories_are_searched_in_a_fixed_order(folder):
    found = find_pictures([folder])
    assert found == sorted(found)
    assert len(found) == 10
    assert find_pictures([folder / "camera-1", folder]) == sorted(
        found, key=lambda p: "camera-1" not in str(p)
    )
    assert find_pictures([folder / "notes.txt"]) == [folder / "notes.txt"]


def test_nothing_to_find_is_a_data_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"No pictures in .*empty"):
        find_pictures([tmp_path / "empty"])
    with pytest.raises(DataError, match="missing"):
        find_pictures([tmp_path / "missing"])


def test_one_line_per_picture_in_order(predictor, folder, tmp_path):
    pictures = find_pictures([folder])
    summary = predict_to_file(predictor, pictures, tmp_path / "out.jsonl", ResultFormat.JSONL)
    rows = read_lines(tmp_path / "out.jsonl")
    assert (summary.pictures, summary.failed, summary.resumed) == (10, 1, 0)
    assert [row["image"] for row in rows] == [str(p) for p in pictures]
    assert all(tuple(row) == COLUMNS for row in rows)
    by_name = {row["image"].rsplit("/", 1)[1]: row for row in rows}
    assert [by_name[f"{i:02d}.{'PNG' if i % 3 else 'jpg'}"]["verdict"] for i in range(9)] == [
        "roadwork",
        "defer",
        "none",
    ] * 3
    assert "broken.jpg" in by_name["broken.jpg"]["error"]
    assert by_name["broken.jpg"]["verdict"] is by_name["broken.jpg"]["probability"] is None
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("out")) == ["out.jsonl"]


def test_the_three_formats_say_the_same(predictor, folder, tmp_path):
    pictures = find_pictures([folder])
    for form in ResultFormat:
        predict_to_file(predictor, pictures, tmp_path / f"out.{form}", form)
    lines = without_latency(read_lines(tmp_path / "out.jsonl"))
    assert without_latency(pq.read_table(tmp_path / "out.parquet").to_pylist()) == lines
    with (tmp_path / "out.csv").open(newline="") as handle:
        table = without_latency(csv.DictReader(handle))
    for row, line in zip(table, lines, strict=True):
        assert row == {
            k: "" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for k, v in line.items()
        }


class _Killed(BaseException):
    pass


def kill_after(predictor, n):
    """Make the predictor die after n answers, as a kill would: nothing runs that cleans up on purpose."""
    original = predictor.predict_many

    def some(sources, batch=None):
        for i, answer in enumerate(original(sources, batch)):
            if i == n:
                raise _Killed
            yield answer

    predictor.predict_many = some


def interrupted(bundle_path, pictures, out, n, form=ResultFormat.JSONL):
    dying = open_predictor(bundle_path)
    kill_after(dying, n)
    with pytest.raises(_Killed):
        predict_to_file(dying, pictures, out, form, batch=2)


@pytest.mark.parametrize("form", ResultFormat)
def test_a_killed_run_goes_on_where_it_was(bundle_path, predictor, folder, tmp_path, form):
    pictures = find_pictures([folder])
    out, whole = tmp_path / f"out.{form}", tmp_path / f"whole.{form}"
    interrupted(bundle_path, pictures, out, 5, form)
    assert not out.exists()
    summary = predict_to_file(predictor, pictures, out, form)
    assert summary.resumed == 4
    assert summary.failed == 1
    predict_to_file(predictor, pictures, whole, form)
    if form is ResultFormat.JSONL:
        assert without_latency(read_lines(out)) == without_latency(read_lines(whole))
    assert not out.with_name(f"{out.name}.partial").exists()


def test_a_partial_file_torn_at_any_byte_gives_the_same_result(bundle_path, predictor, folder, tmp_path):
    pictures = find_pictures([folder])
    out = tmp_path / "out.jsonl"
    interrupted(bundle_path, pictures, out, 5)
    partial = tmp_path / "out.jsonl.partial"
    data = partial.read_bytes()
    assert data.count(b"\n") == 5  # the header and two batches of two
    predict_to_file(predictor, pictures, out, ResultFormat.JSONL)
    whole = without_latency(read_lines(out))
    for cut in range(0, len(data), 17):
        partial.write_bytes(data[:cut])
        summary = predict_to_file(predictor, pictures, out, ResultFormat.JSONL)
        assert summary.resumed == max(0, data[:cut].count(b"\n") - 1)
        assert without_latency(read_lines(out)) == whole


def test_zeros_after_a_power_cut_are_answered_again(bundle_path, predictor, folder, tmp_path):
    pictures = find_pictures([folder])
    out = tmp_path / "out.jsonl"
    interrupted(bundle_path, pictures, out, 5)
    partial = tmp_path / "out.jsonl.partial"
    lines = partial.read_bytes().splitlines(keepends=True)
    partial.write_bytes(b"".join(lines[:3]) + b"\x00" * 100 + b"\n" + lines[4])
    assert predict_to_file(predictor, pictures, out, ResultFormat.JSONL).resumed == 2
    assert [row["image"] for row in read_lines(out)] == [str(p) for p in pictures]


def test_another_bundle_does_not_go_on(bundle_path, parts, factory, folder, tmp_path):
    pictures = find_pictures([folder])
    out = tmp_path / "out.jsonl"
    interrupted(bundle_path, pictures, out, 5)
    before = (tmp_path / "out.jsonl.partial").read_bytes()
    write_bundle(tmp_path / "other", dataclasses.replace(parts, name="other"))
    other = open_predictor(tmp_path / "other")
    with pytest.raises(ArtifactError, match="begun with bundle"):
        predict_to_file(other, pictures, out, ResultFormat.JSONL)
    assert (tmp_path / "out.jsonl.partial").read_bytes() == before
    assert predict_to_file(other, pictures, out, ResultFormat.JSONL, restart=True).resumed == 0
    assert len(read_lines(out)) == 10


def test_pictures_that_came_or_went_in_between(bundle_path, predictor, folder, tmp_path):
    pictures = find_pictures([folder])
    out = tmp_path / "out.jsonl"
    interrupted(bundle_path, pictures[1:], out, 5)
    assert predict_to_file(predictor, pictures[:-1][::-1], out, ResultFormat.JSONL).resumed == 4
    assert [row["image"] for row in read_lines(out)] == [str(p) for p in pictures[:-1][::-1]]


def test_a_file_that_is_no_partial_run_is_left_alone(predictor, folder, tmp_path):
    partial = tmp_path / "out.jsonl.partial"
    partial.write_text("someone else's notes\n")
    with pytest.raises(ArtifactError, match="no interrupted run"):
        predict_to_file(predictor, find_pictures([folder]), tmp_path / "out.jsonl", ResultFormat.JSONL)
    assert partial.read_text() == "someone else's notes\n"


def test_two_processes_do_not_write_one_file(predictor, folder, tmp_path):
    partial = tmp_path / "out.jsonl.partial"
    with partial.open("wb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(ArtifactError, match="another process"):
            predict_to_file(predictor, find_pictures([folder]), tmp_path / "out.jsonl", ResultFormat.JSONL)


@pytest.mark.parametrize("form", ResultFormat)
def test_a_name_that_is_not_text(predictor, factory, tmp_path, form):
    path = os.fsdecode(os.fsencode(tmp_path) + b'/stra\xdfe, "1".png')
    with open(path, "wb") as handle:
        handle.write(factory.encoded(factory.plain(factory.ORANGE)))
    predict_to_file(predictor, find_pictures([tmp_path]), tmp_path / "out", form)
    assert b"roadwork" in (tmp_path / "out").read_bytes()


def test_the_format_is_that_of_the_suffix(tmp_path):
    assert result_format(tmp_path / "x.CSV") is ResultFormat.CSV
    assert result_format(tmp_path / "x", "parquet") is ResultFormat.PARQUET
    with pytest.raises(ConfigError, match="xlsx"):
        result_format(tmp_path / "x.xlsx")


def test_a_directory_is_not_written_to(predictor, folder, tmp_path):
    with pytest.raises(ConfigError, match="directory"):
        predict_to_file(predictor, find_pictures([folder]), tmp_path, ResultFormat.JSONL)
