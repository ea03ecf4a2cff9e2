"""Looking at pictures: what is found, what is broken, what a cache may and may not keep."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workzone.core.errors import ArtifactError
from workzone.core.types import Label
from workzone.data import facts as facts_module
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.facts import PictureFacts, measure_dataset
from workzone.data.schema import NewSample
from workzone.imaging.decode import DecodeLimits
from workzone.storage.lock import writer_lock


def encoded(
    kind: str, mode: str = "RGB", size: tuple[int, int] = (40, 30), seed: int = 0, **options
) -> bytes:
    channels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(channels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def with_orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def dataset_of(path: Path, pictures: list[bytes]) -> DataSet:
    samples = [NewSample(data, Label(i % 2), 40, 30, group=f"g{i}") for i, data in enumerate(pictures)]
    return write_dataset(path, samples, name="facts")


def rows_of(dataset: DataSet, pictures: list[bytes]) -> list[int]:
    ids = dataset.samples["id"].to_pylist()
    return [ids.index(hashlib.sha256(data).hexdigest()) for data in pictures]


def equal(one: PictureFacts, other: PictureFacts) -> bool:
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(PictureFacts)
    )


@pytest.fixture
def noise(tmp_path: Path) -> DataSet:
    return dataset_of(tmp_path / "set", [encoded("JPEG", seed=i) for i in range(20)])


def test_formats_modes_sizes_and_exif_are_those_of_the_files(tmp_path):
    pictures = [
        encoded("JPEG"),
        encoded("JPEG", "L"),
        encoded("JPEG", "CMYK"),
        encoded("JPEG", exif=with_orientation(6)),
        encoded("PNG", "P"),
        encoded("PNG", "RGBA", exif=with_orientation(1)),
        encoded("WEBP", exif=with_orientation(1)),
        encoded("BMP"),
        encoded("TIFF"),
        encoded("GIF"),
    ]
    dataset = dataset_of(tmp_path / "set", pictures)
    found = measure_dataset(dataset).take(rows_of(dataset, pictures))
    assert found.decoded.all()
    assert set(found.problem) == {""}
    assert found.file_format.tolist() == ["JPEG"] * 4 + ["PNG", "PNG", "WEBP", "BMP", "TIFF", "GIF"]
    assert found.mode.tolist() == ["RGB", "L", "CMYK", "RGB", "P", "RGBA", "RGB", "RGB", "RGB", "P"]
    assert found.has_exif.tolist() == [False, False, False, True, False, True, True, False, False, False]
    assert found.n_bytes.tolist() == [len(data) for data in pictures]
    assert not found.bytes_changed.any()
    upright = [(40, 30)] * 10
    upright[3] = (30, 40)
    assert list(zip(found.width_px.tolist(), found.height_px.tolist(), strict=True)) == upright


def test_pixels_have_one_hash_whatever_the_file(tmp_path):
    pictures = [encoded("PNG"), encoded("BMP"), encoded("PNG", compress_level=1), encoded("PNG", seed=1)]
    turned = Image.open(io.BytesIO(pictures[0])).rotate(90, expand=True)
    buffer = io.BytesIO()
    turned.save(buffer, "PNG", exif=with_orientation(6))  # stored a quarter turn to the left, shown upright
    pictures.append(buffer.getvalue())
    dataset = dataset_of(tmp_path / "set", pictures)
    hashes = measure_dataset(dataset).take(rows_of(dataset, pictures)).pixels_sha256.tolist()
    assert hashes[0] == hashes[1] == hashes[2] == hashes[4] != hashes[3]


def test_pixels_of_another_shape_have_another_hash(tmp_path):
    buffers = [io.BytesIO(), io.BytesIO()]
    for buffer, size in zip(buffers, [(20, 30), (30, 20)], strict=True):
        Image.new("RGB", size, (1, 2, 3)).save(buffer, "PNG")
    dataset = dataset_of(tmp_path / "set", [b.getvalue() for b in buffers])
    assert len(set(measure_dataset(dataset).pixels_sha256.tolist())) == 2


def test_a_broken_picture_is_a_row_that_says_why(noise):
    paths = noise.paths()
    paths[2].write_bytes(paths[2].read_bytes()[:200])
    paths[5].write_bytes(b"no picture")
    paths[7].unlink()
    paths[9].write_bytes(encoded("JPEG", seed=99))
    found = measure_dataset(noise)
    assert np.flatnonzero(~found.decoded).tolist() == [2, 5, 7]
    assert np.flatnonzero(found.bytes_changed).tolist() == [2, 5, 7, 9]
    assert "truncated" in found.problem[2]
    assert "signature" in found.problem[5]
    assert "does not exist" in found.problem[7]
    assert found.file_format[[2, 5, 7]].tolist() == ["JPEG", "", ""]
    assert found.n_bytes[[2, 5, 7]].tolist() == [200, 10, 0]
    assert not found.descriptor[[2, 5, 7]].any()
    assert not found.perceptual_hash[[2, 5, 7]].any()
    assert found.pixels_sha256[[2, 5, 7]].tolist() == [""] * 3
    assert found.descriptor[found.decoded].any(axis=1).all()


def test_a_picture_beyond_the_limits_is_not_decoded(noise):
    found = measure_dataset(noise, limits=DecodeLimits(max_pixels=1000))
    assert not found.decoded.any()
    assert all("at most 1000 pixels" in problem for problem in found.problem)
    assert not found.bytes_changed.any()


def test_threads_and_chunks_change_nothing(noise, monkeypatch):
    one = measure_dataset(noise, workers=1)
    monkeypatch.setattr(facts_module, "CHUNK_ROWS", 3)
    assert equal(one, measure_dataset(noise, workers=4))
    assert one.descriptor.dtype == one.brightness.dtype == np.float32
    assert one.perceptual_hash.dtype == np.uint64


def test_progress_counts_pictures(noise, observer, monkeypatch, tmp_path):
    monkeypatch.setattr(facts_module, "CHUNK_ROWS", 8)
    measure_dataset(noise, cache=tmp_path / "cache", observer=observer)
    assert [step[1:] for step in observer.steps] == [(0, 20), (8, 20), (16, 20), (20, 20)]
    measure_dataset(noise, cache=tmp_path / "cache", observer=observer)
    assert observer.steps[-1][1:] == (20, 20)
    assert len(observer.steps) == 5


@pytest.fixture
def looks(monkeypatch) -> list[str]:
    """The ids of pictures that were really looked at."""
    seen: list[str] = []
    look = facts_module._look

    def counted(picture, limits):
        seen.append(picture[0])
        return look(picture, limits)

    monkeypatch.setattr(facts_module, "_look", counted)
    return seen


def test_a_second_look_and_a_grown_data_set_read_only_what_is_new(noise, looks, tmp_path):
    cache = tmp_path / "cache"
    first = measure_dataset(noise, cache=cache)
    assert len(looks) == 20
    assert equal(first, measure_dataset(noise, cache=cache))
    assert len(looks) == 20
    new = [encoded("JPEG", seed=100 + i) for i in range(3)]
    grown = dataset_of(tmp_path / "grown", [encoded("JPEG", seed=i) for i in range(5, 20)] + new)
    found = measure_dataset(grown, cache=cache)
    assert sorted(looks[20:]) == sorted(hashlib.sha256(data).hexdigest() for data in new)
    assert equal(found, measure_dataset(grown))


def test_a_kill_costs_the_chunk_in_hand_and_no_other(noise, looks, tmp_path, monkeypatch):
    monkeypatch.setattr(facts_module, "CHUNK_ROWS", 4)
    assemble, calls = facts_module._facts, []

    def killed(rows):
        calls.append(len(rows))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return assemble(rows)

    cache = tmp_path / "cache"
    monkeypatch.setattr(facts_module, "_facts", killed)
    with pytest.raises(KeyboardInterrupt):
        measure_dataset(noise, cache=cache)
    monkeypatch.setattr(facts_module, "_facts", assemble)
    looks.clear()
    found = measure_dataset(noise, cache=cache)
    assert len(looks) == 20 - 3 * 4
    assert equal(found, measure_dataset(noise))


def test_what_is_not_what_its_id_names_is_not_kept(noise, looks, tmp_path):
    cache = tmp_path / "cache"
    path, id_ = noise.paths()[4], noise.samples["id"].to_pylist()[4]
    original = path.read_bytes()
    path.write_bytes(original[:300])
    assert not measure_dataset(noise, cache=cache).decoded[4]
    looks.clear()
    path.write_bytes(original)
    assert measure_dataset(noise, cache=cache).decoded[4]
    assert looks == [id_]
    looks.clear()
    path.write_bytes(original[:300])  # a kept row counts only for a file of the size that was measured
    assert not measure_dataset(noise, cache=cache).decoded[4]
    assert looks == [id_]


def test_broken_pictures_with_their_own_bytes_are_kept(tmp_path, looks):
    data = encoded("JPEG")[:400]
    dataset = dataset_of(tmp_path / "set", [data, encoded("PNG")])
    for _ in range(2):
        found = measure_dataset(dataset, cache=tmp_path / "cache")
        assert sorted(found.decoded.tolist()) == [False, True]
    assert len(looks) == 2


def test_other_limits_and_other_versions_look_again(noise, looks, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    measure_dataset(noise, cache=cache)
    assert not measure_dataset(noise, cache=cache, limits=DecodeLimits(max_pixels=1000)).decoded.any()
    assert len(looks) == 40
    monkeypatch.setattr("workzone.data.facts_cache.VERSION", 0)
    measure_dataset(noise, cache=cache)
    assert len(looks) == 60


def test_a_broken_chunk_costs_a_look_not_an_error(noise, looks, tmp_path, observer, monkeypatch):
    monkeypatch.setattr(facts_module, "CHUNK_ROWS", 5)
    cache = tmp_path / "cache"
    first = measure_dataset(noise, cache=cache)
    chunks = sorted(cache.rglob("*.npz"))
    assert len(chunks) == 4
    chunks[0].write_bytes(chunks[0].read_bytes()[:500])
    with np.load(chunks[1]) as arrays:
        columns = dict(arrays)
    columns["descriptor"] = columns["descriptor"][:, :7]
    np.savez(chunks[1], **columns)
    looks.clear()
    assert equal(first, measure_dataset(noise, cache=cache, observer=observer))
    assert len(looks) == 10
    assert len(observer.notes) == 2
    assert all("measured again" in note for note in observer.notes)


def test_one_process_at_a_time_writes_a_cache(noise, tmp_path):
    cache = tmp_path / "cache"
    measure_dataset(noise, cache=cache)
    (directory,) = cache.iterdir()
    with writer_lock(directory), pytest.raises(ArtifactError, match="is being written"):
        measure_dataset(noise, cache=cache)
