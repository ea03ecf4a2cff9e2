"""What is read back and written again is the same data set."""

from __future__ import annotations

from dataclasses import replace

from workzone.core.types import Label
from workzone.data.dataset import boxes_known, write_dataset
from workzone.data.rewrite import stored_samples
from workzone.data.schema import NewBox


def test_written_again_it_has_the_same_hash(dataset, tmp_path):
    again = write_dataset(tmp_path / "again", stored_samples(dataset), name=dataset.name)
    assert again.sha256 == dataset.sha256


def test_rows_are_chosen_in_order(own_dataset):
    ids = own_dataset.samples["id"].to_pylist()
    chosen = list(stored_samples(own_dataset, [5, 0]))
    assert [sample.origin.rsplit("/", 1)[1].split(".")[0] for sample in chosen] == [ids[5], ids[0]]


def test_objects_known_for_some_only(sample, tmp_path):
    box = NewBox("cone", "roadwork", 1, 2, 3, 4, 1.0)
    given = [
        replace(sample(0), boxes=(box,), label=Label.ROADWORK),
        replace(sample(1), boxes=()),
        replace(sample(2), boxes=None),
    ]
    made = write_dataset(tmp_path / "mixed", given, name="mixed")
    assert "boxes_known" in made.samples.column_names
    assert sorted(boxes_known(made).tolist()) == [False, True, True]
    back = {s.image: s.boxes for s in stored_samples(made)}
    assert back == {s.image: s.boxes for s in given}
    again = write_dataset(tmp_path / "again", stored_samples(made), name="mixed")
    assert again.sha256 == made.sha256

    known = write_dataset(tmp_path / "known", given[:2], name="known")
    assert "boxes_known" not in known.samples.column_names
    assert boxes_known(known).all()
    unknown = write_dataset(tmp_path / "unknown", given[2:], name="unknown")
    assert unknown.boxes is None
    assert not boxes_known(unknown).any()
