"""What the benchmark of imports feeds its alternatives, and that they do the same work."""

from __future__ import annotations

import hashlib

import pytest
from benchmarks.harness import Result
from benchmarks.importing import OURS, WHOLE, _Children, _note, ours, peer, street_pictures, write_file

from workzone.data.dataset import open_dataset
from workzone.data.importers.natix import CELLS, PICTURE, UNREAD, NatixSource


@pytest.fixture
def pictures(monkeypatch):
    monkeypatch.setattr("benchmarks.importing.WIDTH_PX", 64)
    monkeypatch.setattr("benchmarks.importing.HEIGHT_PX", 64)
    monkeypatch.setattr("benchmarks.importing.SCENES", 2)
    return street_pictures(5)


def test_the_file_has_the_published_columns_and_different_pictures(tmp_path, pictures):
    write_file(tmp_path / "train-0.parquet", pictures)
    assert len(set(pictures)) == 5
    source = NatixSource(tmp_path / "train-0.parquet")
    assert set(source._files[0].schema.names) == {PICTURE, *CELLS} | UNREAD
    assert source.total() == 5


def test_ours_stores_every_picture(tmp_path, pictures):
    write_file(tmp_path / "train-0.parquet", pictures)
    assert ours(tmp_path / "train-0.parquet", tmp_path / "out")() == 5
    stored = {path.read_bytes() for path in open_dataset(tmp_path / "out").paths()}
    assert stored == set(pictures)


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True])
def test_the_loop_with_datasets_stores_every_picture(tmp_path, pictures, streaming):
    pytest.importorskip("datasets")
    write_file(tmp_path / "train-0.parquet", pictures)
    assert peer(tmp_path / "train-0.parquet", tmp_path / "out", streaming=streaming)() == 5
    names = {path.stem for path in (tmp_path / "out" / "images").iterdir()}
    assert names == {hashlib.sha256(data).hexdigest() for data in pictures}


def test_the_note_tells_rates_and_the_largest_peaks(tmp_path):
    children = _Children(tmp_path / "x", tmp_path)
    children.peaks_mib[OURS] += [100.0, 120.0]
    children.peaks_mib[WHOLE] += [480.0, 450.0]
    result = Result("import", OURS, WHOLE, 2.0, 1.9, 2.1, contender_ms=5.0, baseline_ms=10.0, repeats=2)
    note = _note(result, children, 33.4)
    assert "33 MB" in note
    assert "200 against 100 rows a second" in note
    assert "peak memory 120 against 480 MiB" in note
