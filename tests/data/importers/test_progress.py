"""The record of an import: a line that did not reach the disk whole costs its own picture, and no more."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workzone.core.types import Label
from workzone.data.importers.importing import Pending, import_source, loaded_sample
from workzone.data.importers.progress import Progress
from workzone.data.schema import NewBox, NewSample
from workzone.data.writer import DataSetWriter
from workzone.storage.hashing import sha256_bytes

BOXES = (
    NewBox("cone", "roadwork", 1.0, 2.0, 3.0, 4.0, 1.0),
    NewBox("drum", "roadwork", 0.0, 0.0, 2.0, 2.0, 0.5),
)
"""Several, so that a line has a "}" where it does not end."""


@pytest.fixture
def samples(picture) -> dict[str, NewSample]:
    return {f"p{i}": NewSample(picture(i), Label(i % 2), 12, 8, boxes=BOXES, origin="ü") for i in range(3)}


class Pictures:
    """A source that stops at `stop_at`."""

    name = "pictures"
    root = None

    def __init__(self, pictures: dict[str, bytes], stop_at: str | None = None) -> None:
        self._pictures, self._stop_at = pictures, stop_at
        self.notes: list[str] = []

    def identity(self):
        return {}

    def total(self):
        return len(self._pictures)

    def items(self, done):
        for key in self._pictures:
            if key not in done:
                yield Pending(key, lambda key=key: self._load(key))

    def _load(self, key):
        if key == self._stop_at:
            raise KeyboardInterrupt
        return loaded_sample(self._pictures[key], Label.NONE, origin=key, boxes=BOXES)


def record(root: Path, samples: dict[str, NewSample]) -> bytes:
    """Store `samples` below `root`; return the record of it."""
    writer, progress = DataSetWriter(root), Progress(root / "progress.jsonl")
    for key, sample in samples.items():
        progress.stored(key, sample, writer.add(sample))
    progress.close()
    return (root / "progress.jsonl").read_bytes()


def resumed(root: Path, samples: dict[str, NewSample]) -> tuple[set[str], str]:
    """Go on with what is below `root`; return the keys that were done, and the hash of the data set."""
    writer, progress = DataSetWriter(root), Progress(root / "progress.jsonl")
    done, _ = progress.restore(writer)
    for key, sample in samples.items():
        if key not in done:
            progress.stored(key, sample, writer.add(sample))
    progress.close()
    writer.seal("name", "1", "none")
    return done, json.loads((root / "dataset.json").read_text())["sha256"]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a full disk, a write gets as far as there is room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Restored:
    """Stands for a writer: what is read back, nothing on disk."""

    def __init__(self, samples: dict[str, NewSample]) -> None:
        self._stored = {sha256_bytes(sample.image): sample.image for sample in samples.values()}
        self.samples: list[NewSample] = []

    def stored_picture(self, sample_id: str) -> bytes | None:
        return self._stored.get(sample_id)

    def add(self, sample: NewSample, *, stored: bool) -> None:
        self.samples.append(sample)


def test_a_line_that_is_cut_at_any_byte_costs_its_own_picture_only(samples, tmp_path):
    whole = record(tmp_path, samples)
    path = tmp_path / "progress.jsonl"
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in range(1, last + 1):
        path.write_bytes(whole[:-cut])
        # Without its line end alone, the line is whole.
        for rest in ("p2",) if cut > 1 else (), ():
            progress, writer = Progress(path), Restored(samples)
            assert progress.restore(writer) == (set(samples) - set(rest), []), cut
            assert writer.samples == [samples[key] for key in samples if key not in rest], cut
            for key in rest:
                progress.stored(key, samples[key], sha256_bytes(samples[key].image))
            progress.close()


def test_a_line_that_is_cut_after_a_brace_changes_nothing_of_the_result(samples, tmp_path):
    whole = record(tmp_path, samples)
    _, sha256 = resumed(tmp_path, samples)
    start = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    after_braces = [at + 1 for at in range(start, len(whole)) if whole[at] == ord("}")]
    assert len(after_braces) >= 4
    for end in after_braces:
        (tmp_path / "progress.jsonl").write_bytes(whole[:end])
        done, found = resumed(tmp_path, samples)
        assert (done, found) == (set(samples) - ({"p2"} if end < len(whole) - 1 else set()), sha256), end


@pytest.mark.parametrize("torn", [b'{"a":{}', b"{}}", b"[]", b"7", b"\x00" * 40, b'"\xff"', b""])
def test_what_is_no_json_object_is_no_line(samples, tmp_path, torn):
    whole = record(tmp_path, samples)
    (tmp_path / "progress.jsonl").write_bytes(torn + b"\n" + whole + torn)
    assert resumed(tmp_path, samples)[0] == set(samples)


def test_a_write_that_is_short_is_an_error_and_costs_its_own_picture_only(samples, tmp_path):
    record(tmp_path, {key: samples[key] for key in ("p0", "p1")})
    path = tmp_path / "progress.jsonl"
    progress = Progress(path)
    with files_of_at_most(path.stat().st_size + 10):
        with pytest.raises(OSError, match=r"Only 10 of \d+ bytes were taken.*Make room"):
            progress.stored("p2", samples["p2"], "0" * 64)
        progress.close()
        with pytest.raises(OSError):  # no room for the end of the torn line either
            Progress(path)
    assert resumed(tmp_path, samples)[0] == {"p0", "p1"}


def test_an_import_to_a_full_disk_keeps_what_is_finished(picture, tmp_path):
    pictures = {f"p{i}": picture(i) for i in range(12)}
    whole = import_source(Pictures(pictures), tmp_path / "whole", workers=1).dataset
    with pytest.raises(KeyboardInterrupt):
        import_source(Pictures(pictures, stop_at="p9"), tmp_path / "out", workers=1)
    path = tmp_path / ".partial-out" / "notes" / "progress.jsonl"
    before = path.read_bytes()
    assert max(map(len, pictures.values())) < len(before), "the record is what does not fit"
    with (
        files_of_at_most(len(before) + 10),
        pytest.raises(OSError, match="the disk is full"),
    ):
        import_source(Pictures(pictures), tmp_path / "out", workers=1)
    assert path.read_bytes()[:-10] == before
    assert import_source(Pictures(pictures), tmp_path / "out", workers=1).dataset.sha256 == whole.sha256
