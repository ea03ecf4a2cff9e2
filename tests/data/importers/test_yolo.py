"""YOLO exports are read as Ultralytics and Roboflow write them; nothing outside the data set is ever read."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import DataError
from workzone.data.dataset import boxes_known
from workzone.data.importers.importing import Import, import_source
from workzone.data.importers.label_rule import LabelRule
from workzone.data.importers.yolo import YoloSource
from workzone.data.importers.yolo_rows import Row, parse_rows

HASHES = [
    "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "ffffffffffffffffffffffffffffffff",
    "00000000000000000000000000000001",
]
ROBOFLOW = """train: ../train/images
val: ../valid/images
test: ../test/images

nc: 3
names: ['traffic-cone', 'Bike Lane', 'unicorn']

roboflow:
  workspace: streets
  project: cones-and-more
  version: 2
  license: CC BY 4.0
  url: https://universe.roboflow.com/streets/cones-and-more/dataset/2
"""


class Export:
    """A directory as Roboflow's archive unpacks."""

    def __init__(self, root: Path, picture: Any, config: str = ROBOFLOW) -> None:
        self.root = root / "cones-2"
        self.root.mkdir()
        self._picture = picture
        self._count = 0
        self.configure(config)

    def configure(self, config: str) -> None:
        (self.root / "data.yaml").write_text(config, encoding="utf-8")

    def add(self, path: str, labels: str | None, width: int = 60, height: int = 40) -> None:
        """A picture "train/images/x.jpg", and its labels beside it as "train/labels/x.txt"."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self._picture(self._count, width=width, height=height))
        self._count += 1
        if labels is not None:
            beside = self.root / Path(path.replace("images", "labels")).with_suffix(".txt")
            beside.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(labels, encoding="utf-8")

    def imported(self, out: str = "out", **options: Any) -> Import:
        return import_source(YoloSource(self.root, **options), self.root.parent / out, workers=1)


@pytest.fixture
def export(tmp_path, picture) -> Export:
    return Export(tmp_path, picture)


def labels(imported: Import) -> dict[str, int]:
    return {row["group"]: row["label"] for row in imported.dataset.samples.to_pylist()}


def objects(imported: Import) -> list[tuple[Any, ...]]:
    assert imported.dataset.boxes is not None
    names = ("type", "x_px", "y_px", "width_px", "height_px")
    return sorted(tuple(row[name] for name in names) for row in imported.dataset.boxes.to_pylist())


def test_a_roboflow_export(export):
    first, copy, other = (
        f"street_mp4-{at}_jpg.rf.{rf}.jpg" for at, rf in zip((3, 3, 9), HASHES, strict=True)
    )
    export.add(f"train/images/{first}", "0 0.5 0.5 0.2 0.5\n2 0.1 0.1 0.1 0.1\n")
    export.add(f"train/images/{copy}", "0 0.4 0.5 0.2 0.5\n")
    export.add(f"valid/images/{other}", "1 0.5 0.75 1 0.5\n")
    export.add("valid/images/empty_mov-1_jpg.rf.aaaaaa1.jpg", "")
    export.add("test/images/missing_mov-1_jpg.rf.aaaaaa2.jpg", None)
    imported = export.imported()
    samples = imported.dataset.samples.to_pylist()
    by_group: dict[str, list[tuple[int, str]]] = {}
    for row in samples:
        by_group.setdefault(row["group"], []).append((row["label"], row["published_split"]))
    assert {name: sorted(found) for name, found in by_group.items()} == {
        "street": [(-1, "val"), (1, "train"), (1, "train")],
        "empty": [(0, "val")],
        "missing": [(-1, "test")],
    }
    known = dict(zip([row["group"] for row in samples], boxes_known(imported.dataset).tolist(), strict=True))
    assert known == {"street": True, "empty": True, "missing": False}
    assert objects(imported) == [
        ("bicycle_lane", 0.0, 20.0, 60.0, 20.0),
        ("cone", pytest.approx(18.0), pytest.approx(10.0), pytest.approx(12.0), pytest.approx(20.0)),
        ("cone", pytest.approx(24.0), pytest.approx(10.0), pytest.approx(12.0), pytest.approx(20.0)),
        ("unicorn", pytest.approx(3.0), pytest.approx(2.0), pytest.approx(6.0), pytest.approx(4.0)),
    ]
    notes = " ".join(imported.notes)
    assert "1 of 5 pictures have no label file" in notes
    assert "under their own names" in notes
    assert "unicorn" in notes
    assert (imported.dataset.name, imported.skipped) == ("cones-2", ())


def test_exhaustive_boxes(export):
    export.add("train/images/lane.jpg", "1 0.5 0.5 0.5 0.5\n")
    export.add("train/images/cone.jpg", "0 0.5 0.5 0.5 0.5\n")
    export.add("train/images/missing.jpg", None)
    assert labels(export.imported()) == {"lane": -1, "cone": 1, "missing": -1}
    exhaustive = LabelRule(boxes_exhaustive=True)
    assert labels(export.imported("b", rule=exhaustive)) == {"lane": 0, "cone": 1, "missing": -1}


@pytest.mark.parametrize(
    "config",
    [
        "names: [a, cone]\nnc: 2\ntrain: images/train\nval: images/val\n",
        "names: {0: a, 1: cone}\npath: .\ntrain: ./images/train\nval: [images/val]\n",
        "names: {'1': cone, '0': a}\npath: ../datasets/cones-2\ntrain: images/train\nvalid: images/val/\n",
        "names:\n- a\n- cone\npath: /content/cones-2\ntrain: images/train\nval: images/val\ntest: images/val\n",
        "names: [a, cone]\npath: images\ntrain: train\nval: val\ntest:\n",
    ],
)
def test_the_ways_to_write_a_config(export, config):
    export.configure(config)
    export.add("images/train/x.jpg", "1 0.5 0.5 0.5 0.5\n")
    export.add("images/val/deep/y.jpg", "0 0.5 0.5 0.5 0.5\n")
    imported = export.imported()
    found = {
        row["group"]: (row["label"], row["published_split"]) for row in imported.dataset.samples.to_pylist()
    }
    assert found == {"x": (1, "train"), "y": (-1, "test" if "test: images" in config else "val")}


def test_labels_beside_their_pictures_and_outlines(export):
    export.configure("names: [cone]\ntrain: pictures\n")
    export.add("pictures/a.jpg", None)
    (export.root / "pictures/a.txt").write_text(
        "0 0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.6\n0 0 0 1 0 0.5 1\n", encoding="utf-8"
    )
    (export.root / "pictures/notes.heic").write_text("?", encoding="utf-8")
    (export.root / "pictures/lonely.txt").write_text("0 0.5 0.5 1 1\n", encoding="utf-8")
    (export.root / "pictures/classes.txt").write_text("cone\n", encoding="utf-8")
    imported = export.imported()
    assert objects(imported) == [
        ("cone", 0.0, 0.0, 60.0, 40.0),
        ("cone", pytest.approx(6.0), pytest.approx(8.0), pytest.approx(24.0), pytest.approx(16.0)),
    ]
    assert {s.path: s.reason for s in imported.skipped} == {
        "pictures/lonely.txt": "labels of a picture that is not there",
        "pictures/notes.heic": "not named like a picture",
    }


def test_keypoints_are_not_taken_for_an_outline(export):
    export.configure("names: [worker]\ntrain: images\nkpt_shape: [2, 3]\n")
    export.add("images/a.jpg", "0 0.5 0.5 0.5 0.5 0.1 0.1 2 0.9 0.9 2\n")
    assert objects(export.imported()) == [("worker", 15.0, 10.0, 30.0, 20.0)]


def test_absurd_boxes_are_counted_and_their_picture_is_never_none(export):
    export.add(
        "train/images/pixels.jpg",
        "1 320 240 50 50\n1 0.5 0.5 -0.1 0.1\n1 nan 0.5 0.1 0.1\n1 0.5 0.5 1e999 0.1\n",
    )
    export.add("train/images/over.jpg", "0 0.95 0.5 0.101 0.5\n0 0.95 0.5 0.4 0.5\n")
    imported = export.imported(rule=LabelRule(boxes_exhaustive=True))
    assert labels(imported) == {"pixels": -1, "over": 1}
    assert any("4 boxes cannot be meant" in note and "pixels.jpg" in note for note in imported.notes)
    right = [x + width for _, x, _, width, _ in objects(imported)]
    assert right == [pytest.approx(69.0), pytest.approx(60.0)], (
        "rounding is cut; what truly stands out is kept"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.5\n", "line 1 has 4 values"),
        ("0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5 0.9\n", "line 2 has 6 values"),
        ("cone 0.5 0.5 0.5 0.5\n", "line 1 has .*'cone', expected numbers"),
        ("7 0.5 0.5 0.5 0.5\n", "line 1 has the class 7, expected 0 to 2"),
        ("-1 0.5 0.5 0.5 0.5\n", "class -1"),
        ("0.5 0.5 0.5 0.5 0.5\n", "class 0.5"),
        ("nan 0.5 0.5 0.5 0.5\n", "class nan"),
        ("0 0.1 0.1 0.2 0.2\n\n0 0,5 0.5 0.5 0.5\n", "line 3 has"),
    ],
)
def test_a_row_that_means_nothing_leaves_its_picture_out(export, text, message):
    export.add("train/images/bad.jpg", text)
    export.add("train/images/good.jpg", "0.0 0.5 0.5 0.5 0.5\n")
    imported = export.imported()
    assert labels(imported) == {"good": 1}
    assert [s.path for s in imported.skipped] == ["train/images/bad.jpg"]
    with pytest.raises(DataError, match=message):
        parse_rows(text.encode(), 3)


def test_labels_that_are_no_text_too_large_or_a_link_out(export, tmp_path, monkeypatch):
    for name in ("binary", "large", "link", "good"):
        export.add(f"train/images/{name}.jpg", "0 0.5 0.5 0.5 0.5\n")
    (export.root / "train/labels/binary.txt").write_bytes(b"\xff\xfe\x00")
    (export.root / "train/labels/large.txt").write_text("0 0.5 0.5 0.5 0.5\n" * 100, encoding="utf-8")
    (export.root / "train/labels/link.txt").rename(tmp_path / "outside.txt")
    (export.root / "train/labels/link.txt").symlink_to(tmp_path / "outside.txt")
    monkeypatch.setattr("workzone.data.importers.yolo.MAX_LABEL_BYTES", 1000)
    imported = export.imported()
    assert labels(imported) == {"good": 1}
    reasons = {Path(s.path).stem: s.reason for s in imported.skipped}
    assert "no text" in reasons["binary"]
    assert "larger than 1000 bytes" in reasons["large"]
    assert "leads out of the data set" in reasons["link"]


@pytest.mark.parametrize(
    "value",
    [
        "../../outside/images",
        "/etc",
        "/content/cones-2/train/images",
        "train/../../outside",
        "~/pictures",
        "C:\\pictures",
        "a\\..\\..\\b",
        "..//etc",
        "..",
    ],
)
def test_directories_that_lead_out_are_refused(export, tmp_path, value):
    export.add("train/images/a.jpg", "0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b.jpg").write_bytes((export.root / "train/images/a.jpg").read_bytes())
    export.configure(f"names: [cone]\ntrain: {json.dumps(value)}\n")
    with pytest.raises(DataError, match="leads out of the data set; nothing outside it is read"):
        export.imported()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cones-2", "outside"]


def test_a_base_that_leads_out_is_refused(export):
    export.add("train/images/a.jpg", "0 0.5 0.5 0.5 0.5\n")
    export.configure("names: [cone]\npath: ../elsewhere\ntrain: train/images\n")
    with pytest.raises(DataError, match=r"'path' is '../elsewhere', which leads out"):
        export.imported()


def test_the_directory_above_is_never_looked_at(export, tmp_path):
    """Roboflow's "../train/images" means "train/images"; what is really there is another data set's."""
    (tmp_path / "train/images").mkdir(parents=True)
    export.add("valid/images/a.jpg", "0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "train/images/other.jpg").write_bytes((export.root / "valid/images/a.jpg").read_bytes()[:-1])
    imported = export.imported()
    assert labels(imported) == {"a": 1}
    assert any("'train/images' of the part 'train' is not there" in note for note in imported.notes)


def test_linked_directories_and_pictures(export, tmp_path):
    export.add("real/images/a.jpg", "0 0.5 0.5 0.5 0.5\n")
    (export.root / "real/images/out.jpg").symlink_to(tmp_path / "secret.jpg")
    (tmp_path / "secret.jpg").write_bytes((export.root / "real/images/a.jpg").read_bytes())
    (export.root / "train").symlink_to("real")
    imported = export.imported()
    assert labels(imported) == {"a": 1}
    assert [(s.path, s.reason) for s in imported.skipped] == [
        ("real/images/out.jpg", "a link that leads out of the data set")
    ]
    (tmp_path / "elsewhere/images").mkdir(parents=True)
    (export.root / "valid").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="leads out of the data set"):
        export.imported("b")


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)
MERGE = "a: &a {x: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [*{a}, *{a}]}}\n" for a, b in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "holds NoneType, expected 'names'"),
        ("- a\n- b\n", "holds list"),
        ("names: [cone\n", "is no YAML"),
        ("a: 2021-99-99\n", "is no YAML"),
        ("? [a, b]\n: c\n", "is no YAML"),
        ("x: !!python/object/apply:os.system ['true']\n", "is no YAML"),
        ("[" * 3000, "is no YAML"),
        (MERGE + "names: [cone]\ntrain: images\n", "is no YAML"),
        (BOMB + "names: *m\ntrain: images\n", "the name of class 0 is list"),
        (BOMB + "names: [cone]\nnc: *m\ntrain: images\n", "'nc' is list"),
        (BOMB + "names: [cone]\ntrain: *m\n", "'train' is list, expected a directory"),
        ("train: images\n", "'names' is NoneType"),
        ("names: []\ntrain: images\n", "0 classes"),
        ("names: {1: cone}\ntrain: images\n", "a class 1 and no class 0"),
        ("names: {a: cone}\ntrain: images\n", "the key 'a'"),
        ("names: {0.5: cone}\ntrain: images\n", "the key 0.5"),
        ("names: {99999999: cone}\ntrain: images\n", "'names' has 1 classes"),
        ("names: [cone]\nnc: 2\ntrain: images\n", "'nc' is 2, but 'names' has 1"),
        ("names: [cone]\n", "names no directory of pictures"),
        ("names: [cone]\ntrain: 3\n", "'train' is 3, expected a directory"),
        ("names: [cone]\ntrain: train.txt\n", "Lists of pictures in a text file are not read"),
        ("names: [cone]\npath: [a]\ntrain: images\n", "'path' is list"),
        ("names: [cone]\ntrain: absent\n", "has no picture in 'absent'"),
        ("#" * 300_000, "has more than the 262,144 bytes"),
    ],
)
def test_configs_that_are_refused(export, config, message):
    export.add("images/a.jpg", "0 0.5 0.5 0.5 0.5\n")
    export.configure(config)
    with pytest.raises(DataError, match=message):
        export.imported()


def test_no_config(tmp_path):
    with pytest.raises(DataError, match=r"has no data.yaml"):
        YoloSource(tmp_path)


def test_a_group_that_holds_nearly_everything_is_pointed_out(export):
    for at in range(25):
        export.add(f"train/images/road-{at:04d}.jpg", None)
    assert any("The group 'road' holds 25 of 25 pictures" in note for note in YoloSource(export.root).notes)
    assert not any("group" in note for note in YoloSource(export.root, group_from=r"(road-\d+)").notes)


def test_what_another_attempt_may_not_go_on_with(export):
    export.add("train/images/a.jpg", "")
    first = YoloSource(export.root).identity()
    assert json.loads(json.dumps(first)) == YoloSource(export.root).identity()
    assert YoloSource(export.root, group_from="(a)").identity() != first
    export.add("train/images/b.jpg", "")
    assert YoloSource(export.root).identity() != first
    source = YoloSource(export.root)
    assert source.total() == 2
    assert [p.key for p in source.items({"train/images/a.jpg"})] == ["train/images/b.jpg"]


@pytest.mark.parametrize("edited", ["0 0.5 0.5 0.25 0.25\n", "0 0.5 0.5 0.2 0.2\n"], ids=["size", "time"])
def test_labels_that_are_edited_between_attempts_count_for_all(export, monkeypatch, edited):
    import workzone.data.importers.yolo as module

    for at in range(8):
        export.add(f"train/images/{'abcdefgh'[at]}.jpg", "1 0.5 0.5 0.2 0.2\n")
    real, loaded = module.loaded_sample, []

    def stopping(*arguments, origin, **columns):
        if stop and origin.endswith("g.jpg"):
            raise KeyboardInterrupt
        loaded.append(origin)
        return real(*arguments, origin=origin, **columns)

    monkeypatch.setattr(module, "loaded_sample", stopping)
    stop = True
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            export.imported()
    assert len(loaded) < 12, "what nobody touched goes on"
    label = export.root / "train/labels/a.txt"
    before = label.stat()
    label.write_text(edited, encoding="utf-8")
    os.utime(label, ns=(before.st_atime_ns, before.st_mtime_ns + (len(edited) == before.st_size)))
    stop = False
    assert labels(export.imported()) == {"a": 1} | dict.fromkeys("bcdefgh", -1)


def test_a_label_that_is_a_link_to_nothing_has_no_stamp(export):
    export.add("train/images/a.jpg", "")
    export.add("train/images/b.jpg", "")
    (export.root / "train/labels/b.txt").unlink()
    (export.root / "train/labels/b.txt").symlink_to("gone.txt")
    assert YoloSource(export.root).identity() == YoloSource(export.root).identity()
    assert [skipped.path for skipped in export.imported().skipped] == ["train/images/b.jpg"]


def test_rows_by_hand():
    assert parse_rows(b"\xef\xbb\xbf 1 0.5 0.25 0.5 0.5 \r\n\r\n", 2) == [Row(1, 0.25, 0.0, 0.5, 0.5)]
    assert parse_rows(b"0 0.25 0.5 0.75 0.5 0.5 1", 1) == [Row(0, 0.25, 0.5, 0.5, 0.5)]
    assert parse_rows(b"", 1) == []
    assert math.isnan(parse_rows(b"0 0 0 1 nan 1 1", 1)[0].x)


share = st.floats(0, 1)


@given(st.lists(st.tuples(st.integers(0, 4), share, share, share, share), max_size=6))
def test_rows_written_as_ultralytics_writes_them_come_back(rows):
    text = "".join(f"{kind} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for kind, x, y, w, h in rows)
    for (kind, x, y, w, h), row in zip(rows, parse_rows(text.encode(), 5), strict=True):
        assert row.kind == kind
        found = (row.x + row.width / 2, row.y + row.height / 2, row.width, row.height)
        assert found == pytest.approx((x, y, w, h), abs=1e-6)


@given(st.integers(0, 4), st.lists(st.tuples(share, share), min_size=3, max_size=12))
def test_the_box_of_an_outline_touches_it_on_all_sides(kind, corners):
    text = f"{kind} " + " ".join(f"{x!r} {y!r}" for x, y in corners)
    (row,) = parse_rows(text.encode(), 5)
    assert (row.x, row.y) == (min(x for x, _ in corners), min(y for _, y in corners))
    assert row.x + row.width == pytest.approx(max(x for x, _ in corners))
    assert row.y + row.height == pytest.approx(max(y for _, y in corners))


@given(
    st.binary(max_size=60)
    | st.text(alphabet="0123456789.-+e \n\tnaif_", max_size=80).map(str.encode)
    | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_rows_or_refused(data):
    try:
        rows = parse_rows(data, 3)
    except DataError:
        return
    assert all(0 <= row.kind < 3 for row in rows)
