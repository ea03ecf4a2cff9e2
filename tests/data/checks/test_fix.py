"""`--fix`: a new data set without the faults, a line for everything that was done, and the old one untouched."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Label
from workzone.data.checks.check import check_dataset
from workzone.data.checks.fix import FIX_LOG, clip, fix_dataset
from workzone.data.dataset import verify_pictures
from workzone.data.near_duplicates import NearDuplicates
from workzone.data.schema import NewBox


def sha(image: bytes) -> str:
    return hashlib.sha256(image).hexdigest()


def tree(root) -> dict[str, str]:
    return {str(p.relative_to(root)): sha(p.read_bytes()) for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture
def faulty(bench, encoded, pixels):
    """The clean set with a fault of each kind that is mended, far from each other."""
    plain = bench.samples()
    shown = np.asarray(Image.open(BytesIO(plain[0].image)))
    brighter = (np.asarray(Image.open(BytesIO(plain[8].image))).astype(np.int16) + 3).clip(0, 255)
    like_8 = encoded(brighter.astype(np.uint8), quality=75)
    beside = (np.asarray(Image.open(BytesIO(plain[20].image))).astype(np.int16) + 3).clip(0, 255)
    changes = {
        1: {"image": encoded(shown, "PNG")},  # the pixels of 0
        2: {"image": plain[2].image[: len(plain[2].image) // 2]},  # cannot be decoded
        6: {"image": encoded(np.full((96, 128, 3), 90, np.uint8))},  # blank
        9: {
            "image": like_8,
            "label": Label(1 - plain[8].label),
            "caption": "x" if plain[8].label == 0 else None,
        },
        12: {"caption": "A lane is closed."},  # none
        24: {"image": encoded(beside.astype(np.uint8), quality=75)},  # like 20, in another group, both none
        14: {
            "boxes": (
                NewBox("cone", "roadwork", 120.0, 5.0, 30.0, 10.0, 1.0),
                NewBox("cone", "roadwork", 5.0, 5.0, 0.0, 10.0, 1.0),
                NewBox("cone", "roadwork", 5.0, 6.0, 7.0, 8.0, 0.5),
            )
        },
        30: {"width_px": 64, "height_px": 48, "boxes": ()},
    }
    return bench.samples(changes)


def test_what_is_removed_and_what_is_changed(bench, faulty, tmp_path):
    dataset = bench.write(faulty)
    rotten = next(p for p in dataset.paths() if p.stem == sha(faulty[40].image))
    rotten.write_bytes(faulty[40].image + b"\0")
    before = tree(dataset.root)
    checked = check_dataset(dataset)
    fixed = fix_dataset(dataset, checked, tmp_path / "new")
    assert tree(dataset.root) == before
    new = fixed.dataset
    verify_pictures(new)
    gone = {sha(faulty[n].image) for n in (2, 6, 8, 9, 12, 40)}
    twins = {sha(faulty[0].image), sha(faulty[1].image)}
    old_ids, new_ids = set(dataset.samples["id"].to_pylist()), set(new.samples["id"].to_pylist())
    assert old_ids - new_ids >= gone
    assert len(new_ids & twins) == 1
    assert len(old_ids - new_ids) == len(gone) + 1
    assert (new.name, new.revision, new.licence) == (dataset.name, "1-fixed", dataset.licence)
    rows = {row["id"]: row for row in new.samples.to_pylist()}
    groups = {rows[sha(faulty[n].image)]["group"] for n in (20, 21, 24, 25)}
    assert groups == {"place10"}
    sized = rows[sha(faulty[30].image)]
    assert (sized["width_px"], sized["height_px"]) == (128, 96)
    kept = [box for box in new.boxes.to_pylist() if box["sample_id"] == sha(faulty[14].image)]
    assert sorted((b["x_px"], b["width_px"], b["height_px"], b["visible"]) for b in kept) == [
        (5.0, 7.0, 8.0, 0.5),
        (120.0, 8.0, 10.0, 1.0),
    ]
    untouched = sha(faulty[33].image)
    old_rows = {row["id"]: row for row in dataset.samples.to_pylist()}
    assert rows[untouched] == old_rows[untouched]


def test_every_removal_and_change_is_a_line(bench, faulty, tmp_path):
    dataset = bench.write(faulty)
    fixed = fix_dataset(dataset, check_dataset(dataset), tmp_path / "new")
    lines = [json.loads(line) for line in (tmp_path / "new" / FIX_LOG).read_text().splitlines()]
    assert len(lines) == len(fixed.log)
    removed = {line["sample_id"]: line["check"] for line in lines if line["action"] == "removed"}
    missing = set(dataset.samples["id"].to_pylist()) - set(fixed.dataset.samples["id"].to_pylist())
    assert set(removed) == missing
    assert removed[sha(faulty[2].image)] == "decodable"
    assert removed[sha(faulty[6].image)] == "blank"
    assert removed[sha(faulty[12].image)] == "caption_rule"
    assert removed[sha(faulty[9].image)] == removed[sha(faulty[8].image)] == "near_duplicates"
    assert sorted(removed.values()).count("exact_duplicates") == 1
    changed = {(line["sample_id"], line["check"]) for line in lines if line["action"] == "changed"}
    assert changed == {
        (sha(faulty[14].image), "box_edges"),
        (sha(faulty[30].image), "declared_size"),
        (sha(faulty[24].image), "near_duplicates"),
        (sha(faulty[25].image), "near_duplicates"),
    }
    assert all(line["reason"] and line["path"].startswith("images/") for line in lines)


def test_what_was_fixed_passes(bench, faulty, tmp_path):
    dataset = bench.write(faulty)
    fixed = fix_dataset(dataset, check_dataset(dataset), tmp_path / "new")
    again = check_dataset(fixed.dataset)
    for name in ("decodable", "unchanged", "blank", "exact_duplicates", "near_duplicates", "caption_rule"):
        assert again.result(name).status == "PASS", again.result(name).summary
    for name in ("box_edges", "declared_size"):
        assert again.result(name).status == "PASS", again.result(name).summary


def test_pixels_with_both_labels_all_go(bench, encoded, tmp_path):
    plain = bench.samples()
    shown = np.asarray(Image.open(BytesIO(plain[0].image)))
    copy = {"image": encoded(shown, "PNG"), "label": Label.ROADWORK, "caption": "Cones."}
    samples = bench.samples({1: copy})
    dataset = bench.write(samples)
    fixed = fix_dataset(dataset, check_dataset(dataset), tmp_path / "new")
    gone = set(dataset.samples["id"].to_pylist()) - set(fixed.dataset.samples["id"].to_pylist())
    assert gone == {sha(samples[0].image), sha(samples[1].image)}


def shown_in(image: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(image)))


def groups_after(dataset, out) -> dict[str, str]:
    """Id → group of what `--fix` keeps."""
    samples = fix_dataset(dataset, check_dataset(dataset), out).dataset.samples
    return dict(zip(samples["id"].to_pylist(), samples["group"].to_pylist(), strict=True))


@pytest.mark.parametrize("twin", ["same pixels", "two labels of the same pixels", "two labels"])
def test_a_pair_that_is_left_out_still_shows_that_two_groups_are_one_scene(bench, encoded, tmp_path, twin):
    """Picture 0 of place 0 is in place 6 too, as picture 12; what is left of both places shows nothing alike."""
    shown = shown_in(bench.samples()[0].image)
    change = {"image": encoded(shown, "PNG")}
    if twin == "two labels":
        brighter = (shown.astype(np.int16) + 3).clip(0, 255).astype(np.uint8)
        change = {"image": encoded(brighter, quality=75)}
    if twin != "same pixels":
        change |= {"label": Label.ROADWORK, "caption": "Cones."}
    samples = bench.samples({12: change})
    groups = groups_after(bench.write(samples), tmp_path / "new")
    kept = {sha(samples[n].image) for n in (0, 12)} & set(groups)
    assert len(kept) == (1 if twin == "same pixels" else 0)
    assert {groups[sha(samples[n].image)] for n in (1, 13)} == {"place00"}
    assert len(set(groups.values())) == 23


@pytest.mark.parametrize("fault", ["blank", "changed"])
def test_what_shows_nothing_or_another_picture_links_no_groups(bench, encoded, tmp_path, fault):
    shown = shown_in(bench.samples()[0].image) if fault == "changed" else np.full((96, 128, 3), 90, np.uint8)
    samples = bench.samples({n: {"image": encoded(shown, kind)} for n, kind in ((0, "PNG"), (12, "BMP"))})
    dataset = bench.write(samples)
    if fault == "changed":
        rotten = next(path for path in dataset.paths() if path.stem == sha(samples[12].image))
        rotten.write_bytes(samples[12].image + b"\0")
    groups = groups_after(dataset, tmp_path / "new")
    assert sha(samples[12].image) not in groups
    assert len(set(groups.values())) == 24


def test_a_group_of_which_nothing_is_kept_gives_no_name(bench, encoded, tmp_path):
    """All of place 0 is like pictures of place 6 with the other label; place 6 goes on under its own name."""
    plain = bench.samples()
    changes = {}
    for n in range(2):
        brighter = (shown_in(plain[n].image).astype(np.int16) + 3).clip(0, 255).astype(np.uint8)
        changes[12 + n] = {
            "image": encoded(brighter, quality=75),
            "label": Label.ROADWORK,
            "caption": "Cones.",
        }
    samples = bench.samples({**changes, 20: {"group": "place06"}})
    groups = groups_after(bench.write(samples), tmp_path / "new")
    assert groups[sha(samples[20].image)] == "place06"
    assert "place00" not in groups.values()


def test_where_not_all_pairs_are_listed_clusters_are_judged_whole(bench, tmp_path):
    """A cluster of four, joined by three pairs through a picture without a label; one conflicting one goes before."""
    dataset = bench.write(bench.samples()[:8])
    checked = check_dataset(dataset)
    subject = checked.subject
    duplicates = NearDuplicates(
        pairs=np.array([[0, 1], [0, 2], [0, 3]]),
        distance=np.zeros(3, np.int64),
        similarity=np.ones(3, np.float32),
        cluster=np.array([0, 0, 0, 0, 4, 5, 6, 7]),
        complete=False,
    )
    labels = np.array([-1, 1, 0, 1, *subject.labels[4:]], np.int8)
    blank = replace(checked.result("blank"), status="FAIL", count=1, samples=(str(subject.ids[1]),))
    results = tuple(blank if result.name == "blank" else result for result in checked.results)
    looked = replace(subject, duplicates=duplicates, labels=labels, decided=labels >= 0)
    fixed = fix_dataset(dataset, replace(checked, subject=looked, results=results), tmp_path / "new")
    removed = {entry.sample_id: entry for entry in fixed.log if entry.action == "removed"}
    assert set(removed) == {str(subject.ids[row]) for row in (1, 2, 3)}
    assert removed[str(subject.ids[2])].reason == (
        f"in one cluster with {subject.ids[3]}, which has the other label"
    )


def test_the_decided_one_of_two_is_kept(bench, encoded, tmp_path):
    plain = bench.samples()
    shown = np.asarray(Image.open(BytesIO(plain[0].image)))
    for undecided in (0, 1):
        changes = {1: {"image": encoded(shown, "PNG")}}
        changes.setdefault(undecided, {})
        changes[undecided] = {**changes[undecided], "label": Label.UNKNOWN}
        samples = bench.samples(changes)
        dataset = bench.write(samples)
        fixed = fix_dataset(dataset, check_dataset(dataset), tmp_path / f"new{undecided}")
        assert sha(samples[1 - undecided].image) in fixed.dataset.samples["id"].to_pylist()
        assert sha(samples[undecided].image) not in fixed.dataset.samples["id"].to_pylist()


def test_a_clean_set_stays_as_it_is(bench, tmp_path):
    dataset = bench.write(bench.samples())
    fixed = fix_dataset(dataset, check_dataset(dataset), tmp_path / "new")
    assert fixed.log == ()
    assert (tmp_path / "new" / FIX_LOG).read_bytes() == b""
    assert fixed.dataset.samples.equals(dataset.samples)
    assert fixed.dataset.boxes.equals(dataset.boxes)


def test_label_suspects_are_listed_never_removed(bench, tmp_path):
    dataset = bench.write(bench.samples()[:8])
    checked = check_dataset(dataset)
    every_id = tuple(dataset.samples["id"].to_pylist())
    suspected = replace(checked.result("label_suspects"), status="WARN", count=8, samples=every_id)
    results = (*(r for r in checked.results if r.name != "label_suspects"), suspected)
    fixed = fix_dataset(dataset, replace(checked, results=results), tmp_path / "new")
    assert fixed.log == ()
    assert len(fixed.dataset) == 8


def test_a_picture_that_changes_between_check_and_fix(bench, tmp_path):
    dataset = bench.write(bench.samples()[:8])
    checked = check_dataset(dataset)
    path = dataset.paths()[3]
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match="was changed while it was fixed"):
        fix_dataset(dataset, checked, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_targets_that_are_refused(bench, tmp_path):
    dataset = bench.write(bench.samples()[:8])
    other = bench.write(bench.samples()[8:16])
    checked = check_dataset(dataset)
    with pytest.raises(ConfigError, match="lies in the data set"):
        fix_dataset(dataset, checked, dataset.root / "fixed")
    with pytest.raises(ConfigError, match="lies in the data set"):
        fix_dataset(dataset, checked, dataset.root)
    with pytest.raises(ConfigError, match="holds a data set already"):
        fix_dataset(dataset, checked, other.root)
    with pytest.raises(ConfigError, match="is of another data set"):
        fix_dataset(other, checked, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_left_is_an_error(bench, encoded, tmp_path):
    blank = {n: {"image": encoded(np.full((96, 128, 3), 40 * n, np.uint8))} for n in range(2)}
    dataset = bench.write(bench.samples(blank)[:2])
    with pytest.raises(DataError, match="would be empty"):
        fix_dataset(dataset, check_dataset(dataset), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_clipping():
    def box(*corner: float) -> NewBox:
        return NewBox("cone", "context", *corner, 1.0)

    inside = box(0.0, 0.0, 100.0, 50.0)
    assert clip(inside, 100, 50) is inside
    assert clip(box(-5, -5, 20, 20), 100, 50) == box(0, 0, 15, 15)
    assert clip(box(90, 40, 20, 20), 100, 50) == box(90, 40, 10, 10)
    assert clip(box(100, 10, 5, 5), 100, 50) is None
    assert clip(box(10, 10, 5, 0), 100, 50) is None
