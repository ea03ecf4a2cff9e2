"""Annotations in COCO's format are read as they are written, by hand-made expectations; hostile ones are refused."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workzone.cli.app import run
from workzone.core.errors import ConfigError, DataError
from workzone.data.dataset import DataSet
from workzone.data.importers.coco import CocoSource
from workzone.data.importers.importing import Import, import_source
from workzone.data.importers.label_rule import LabelRule
from workzone.data.split import Fractions, read_split
from workzone.data.split_methods import published_split

CATEGORIES = [  # ROADWork's, with its sparse numbers; signs have subtypes from 19
    {"id": 3, "name": "Police Officer", "supercategory": ""},
    {"id": 4, "name": "Police Vehicle", "supercategory": ""},
    {"id": 5, "name": "Cone", "supercategory": ""},
    {"id": 7, "name": "Drum", "supercategory": ""},
    {"id": 13, "name": "Bike Lane", "supercategory": ""},
    {"id": 15, "name": "Worker", "supercategory": ""},
    {"id": 17, "name": "Temporary Traffic Control Sign", "supercategory": ""},
    {"id": 19, "name": "Temporary Traffic Control Sign: left arrow", "supercategory": ""},
]
EXHAUSTIVE = LabelRule(boxes_exhaustive=True)


def entry(number: int, name: str, **fields: Any) -> dict[str, Any]:
    """An entry of `images` with ROADWork's fields, in the order in which ROADWork has them."""
    return {
        "id": number,
        "width": 60,
        "height": 40,
        "file_name": name,
        "license": 0,
        "flickr_url": None,
        "coco_url": None,
        "date_captured": 0,
        "gps": [40.44, -79.99],
        "city_name": "pittsburgh",
        "video_info": {"vid_id": "ab12", "seq_id": 4, "frame_id": "00010.jpg"},
        "scene_level_tags": {
            "travel_alteration": ["Partially Blocked"],
            "weather": ["Cloudy", "Rain"],
            "daytime": "Dark",
            "scene_environment": "Urban",
        },
        "scene_description": "Cones along the right lane.",
        **fields,
    }


def box(number: int, image: Any, kind: int, corners: Any, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": kind,
        "bbox": corners,
        "area": 1.0,
        "segmentation": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]],
        "iscrowd": 0,
        "attributes": {"occluded": False},
        **fields,
    }


class Folder:
    """A data set as ROADWork is unpacked: `annotations/` and `images/`."""

    def __init__(self, root: Path, picture: Any) -> None:
        self.root = root / "scene"
        self._picture = picture
        (self.root / "annotations").mkdir(parents=True)
        (self.root / "images").mkdir()

    def add_picture(self, number: int, path: str, width: int = 60, height: int = 40) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self._picture(number, width=width, height=height))

    def write(self, name: str, images: Any, annotations: Any, categories: Any = CATEGORIES) -> None:
        value = {"info": {"year": 2024}, "licenses": [], "categories": categories}
        value |= {"images": images, "annotations": annotations}
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(value), encoding="utf-8")

    def imported(self, out: str = "out", **options: Any) -> Import:
        return import_source(CocoSource(self.root, **options), self.root.parent / out, workers=1)


@pytest.fixture
def folder(tmp_path, picture) -> Folder:
    return Folder(tmp_path, picture)


def rows(imported: Import) -> dict[str, dict[str, Any]]:
    """Samples by group."""
    return {row["group"]: row for row in imported.dataset.samples.to_pylist()}


def objects(imported: Import) -> list[tuple[Any, ...]]:
    assert imported.dataset.boxes is not None
    names = ("type", "category", "x_px", "y_px", "width_px", "height_px")
    return sorted(tuple(row[name] for name in names) for row in imported.dataset.boxes.to_pylist())


def test_roadwork_s_dialect_and_its_published_split(folder):
    videos = [{"vid_id": vid, "seq_id": 4, "frame_id": "1.jpg"} for vid in ("a", "b", "c")]
    for number, name in enumerate(["a.jpg", "b.jpg", "c.jpg"]):
        folder.add_picture(number, f"images/{name}")
    folder.write(
        "annotations/instances_train_gps_split.json",
        [entry(1, "a.jpg", video_info=videos[0]), entry(2, "b.jpg", video_info=videos[1])],
        [
            box(1, 1, 5, [10, 5, 8, 20.5]),
            box(2, 1, 19, [30.25, 1, 4, 4], segmentation={"counts": [1, 2], "size": [40, 60]}, iscrowd=1),
            box(3, 2, 13, [0, 30, 60, 10]),
        ],
    )
    tags = {
        "travel_alteration": "None",
        "weather": "['Sunny']",
        "daytime": ["Light"],
        "scene_environment": "Suburban",
    }
    folder.write(
        "annotations/instances_val_gps_split.json",
        [entry(1, "c.jpg", video_info=videos[2], scene_level_tags=tags, gps=None, scene_description="")],
        [box(1, 1, 17, [1, 1, 5, 5]), box(2, 1, 4, [20, 20, 10, 10])],
    )
    imported = folder.imported()
    found = rows(imported)
    assert set(found) == {"roadwork/pittsburgh/a/4", "roadwork/pittsburgh/b/4", "roadwork/pittsburgh/c/4"}
    first, second, third = (found[f"roadwork/pittsburgh/{name}/4"] for name in "abc")
    assert (first["label"], second["label"], third["label"]) == (1, -1, -1)
    assert (first["published_split"], second["published_split"], third["published_split"]) == (
        "train",
        "train",
        "val",
    )
    assert (first["daytime"], first["weather"], first["environment"]) == ("night", "rain", "urban")
    assert (third["daytime"], third["weather"], third["environment"]) == ("day", "clear", "residential")
    assert (first["lat"], first["lon"], third["lat"]) == (40.44, -79.99, None)
    assert (first["caption"], third["caption"]) == ("Cones along the right lane.", None)
    assert (first["captured_at"], first["source"]) == (None, "roadwork")
    assert objects(imported) == [
        ("bicycle_lane", "context", 0.0, 30.0, 60.0, 10.0),
        ("cone", "roadwork", 10.0, 5.0, 8.0, 20.5),
        ("police_vehicle", "context", 20.0, 20.0, 10.0, 10.0),
        ("work_sign", "roadwork", 1.0, 1.0, 5.0, 5.0),
        ("work_sign", "roadwork", 30.25, 1.0, 4.0, 4.0),
    ]
    assert imported.dataset.name == "scene"
    assert (imported.skipped, imported.duplicates) == ((), 0)


def test_exhaustive_boxes_make_none_and_a_lone_sign_ambiguous(folder):
    for number, name in enumerate(["pgh01_0001.jpg", "pgh02_0001.jpg", "pgh03_0001.jpg"]):
        folder.add_picture(number, f"images/{name}")
    plain = [
        {
            "id": at,
            "file_name": f"pgh0{at}_0001.jpg",
            "width": 60,
            "height": 40,
            "date_captured": "2013-11-14 17:02:52",
        }
        for at in (1, 2, 3)
    ]
    folder.write(
        "annotations/instances_train2017.json",
        plain,
        [box(1, 2, 17, [1, 1, 5, 5]), box(2, 3, 7, [1, 1, 5, 5])],
    )
    found = rows(folder.imported(rule=EXHAUSTIVE))
    assert [(found[f"pgh0{at}"]["label"], found[f"pgh0{at}"]["ambiguous"]) for at in (1, 2, 3)] == [
        (0, False),
        (0, True),
        (1, False),
    ]
    assert found["pgh01"]["captured_at"].isoformat() == "2013-11-14T17:02:52+00:00"
    assert (found["pgh01"]["published_split"], found["pgh01"]["source"]) == ("train", "scene")
    assert [row["label"] for row in rows(folder.imported("again")).values()].count(-1) == 2


def test_a_picture_said_to_be_altered_without_road_work_is_noted(folder):
    folder.add_picture(0, "images/a.jpg")
    folder.write("annotations/instances_val.json", [entry(1, "a.jpg")], [])
    imported = folder.imported(rule=EXHAUSTIVE)
    assert any("1 pictures labelled 'none' say that travel is altered" in note for note in imported.notes)


def test_roboflow_s_export(folder):
    hashes = ("0a1b2c3d4e5f60718293a4b5c6d7e8f9", "ffffffffffffffffffffffffffffffff")
    names = [f"street_mp4-{at}_jpg.rf.{rf}.jpg" for at, rf in zip((3, 4), hashes, strict=True)]
    classes = [
        {"id": 0, "name": "objects", "supercategory": "none"},
        {"id": 1, "name": "traffic-cone", "supercategory": "objects"},
        {"id": 2, "name": "unicorn", "supercategory": "objects"},
    ]
    for number, (part, name) in enumerate(zip(("train", "valid"), names, strict=True)):
        folder.add_picture(number, f"{part}/{name}")
        image = {"id": 0, "license": 1, "file_name": name, "height": 40, "width": 60}
        image |= {"date_captured": "2023-05-23T10:30:00+00:00", "extra": {"name": "street_mp4-3.jpg"}}
        annotations = [box(0, 0, 1, [10, 5, 8, 20]), box(1, 0, 2, [1, 1, 2, 2])]
        folder.write(f"{part}/_annotations.coco.json", [image], annotations[: 2 - number], classes)
    imported = folder.imported()
    samples = imported.dataset.samples.to_pylist()
    assert {row["group"] for row in samples} == {"street"}
    assert sorted(row["published_split"] for row in samples) == ["train", "val"]
    assert {row["captured_at"] for row in samples} == {None}, "Roboflow writes when a picture was uploaded"
    assert ("unicorn", "context", 1.0, 1.0, 2.0, 2.0) in objects(imported)
    assert any(
        "does not know" in note and "unicorn" in note and "objects" not in note for note in imported.notes
    )


def _several_splits(folder: Folder) -> None:
    folder.add_picture(0, "images/a.jpg")
    folder.add_picture(1, "images/b.jpg")
    folder.write("annotations/instances_train_gps_split.json", [entry(1, "a.jpg"), entry(2, "b.jpg")], [])
    folder.write("annotations/instances_geographic_da_pretrain.json", [entry(1, "b.jpg")], [])
    folder.write("annotations/instances_geographic_da_unsupervised_with_gt.json", [entry(1, "a.jpg")], [])
    folder.write("annotations/instances_geographic_da_test.json", [entry(1, "a.jpg")], [])


def test_which_of_several_published_splits_is_meant_must_be_said(folder):
    _several_splits(folder)
    with pytest.raises(DataError, match=r"of 2 published splits.*Name those of one"):
        folder.imported()
    with pytest.raises(DataError, match=r"No file .*'annotations/x\*'.*There are: annotations/instances_geo"):
        folder.imported(annotations=["annotations/x*"])
    imported = folder.imported(
        annotations=["annotations/instances_geographic_da_*.json"], group_from=r"(\w)\.jpg"
    )
    assert {name: row["published_split"] for name, row in rows(imported).items()} == {
        "a": "test",
        "b": "pretrain",
    }
    assert [(s.path, "and belongs to 'test'" in s.reason) for s in imported.skipped] == [
        ("images/a.jpg", True)
    ]


def _roadwork(folder: Folder, **parts: int) -> None:
    """ROADWork as it is published: a file a part, and videos in one part only."""
    number = 0
    for part, count in parts.items():
        images = []
        for _ in range(count):
            number += 1
            folder.add_picture(number, f"images/{number}.jpg")
            video = {"vid_id": f"{part}{number}", "seq_id": 0, "frame_id": "1.jpg"}
            images.append(entry(number, f"{number}.jpg", video_info=video))
        boxes = [box(image["id"], image["id"], 5, [1, 2, 9, 9]) for image in images[::2]]
        folder.write(f"annotations/instances_{part}.json", images, boxes)


def _published_roles(dataset: DataSet) -> set[tuple[str, str]]:
    """Where pictures were published, and what role they have by that."""
    split = published_split(dataset, Fractions(0.4, 0.2, 0.2, 0.2), 0)
    role_of = dict(zip(split.table["id"].to_pylist(), split.table["role"].to_pylist(), strict=True))
    return {(row["published_split"], role_of[row["id"]]) for row in dataset.samples.to_pylist()}


def test_the_splits_that_roadwork_publishes_are_honoured(folder, tmp_path):
    _roadwork(folder, train_gps_split=8, val_gps_split=4)
    assert _published_roles(folder.imported().dataset) == {
        ("train", "train"),
        ("train", "select"),
        ("train", "calib"),
        ("val", "test"),
    }
    out = tmp_path / "split"
    assert run(f"data split {tmp_path / 'out'} --by published --out {out}".split()) == 0
    counts = Counter(read_split(out).table["role"].to_pylist())
    assert (counts["test"], counts.total()) == (4, 12)


def test_the_parts_of_geographic_da_are_honoured(folder):
    _roadwork(
        folder,
        geographic_da_pretrain=8,
        geographic_da_unsupervised_with_gt=8,
        geographic_da_test=4,
    )
    found = _published_roles(folder.imported().dataset)
    assert {published for published, role in found if role == "test"} == {"test"}
    assert {published for published, role in found if role != "test"} == {"pretrain", "unsupervised"}
    assert {role for _, role in found} == {"train", "select", "calib", "test"}


def test_a_picture_of_a_train_and_a_val_is_of_the_val(folder):
    folder.add_picture(0, "images/a.jpg")
    for part in ("train", "val"):
        folder.write(f"annotations/instances_{part}.json", [entry(1, "a.jpg")], [])
    imported = folder.imported()
    assert [row["published_split"] for row in imported.dataset.samples.to_pylist()] == ["val"]
    assert "named by images[0] of 'instances_val.json' too" in imported.skipped[0].reason


def test_boxes_find_their_pictures_in_whatever_order_they_come(folder):
    for number in range(3):
        folder.add_picture(number, f"images/{number}.jpg", 60 + number)
    images = [entry(at, f"{at}.jpg", width=60 + at, video_info={"vid_id": str(at)}) for at in range(3)]
    annotations = [box(at, 2 - at % 3, 5 if at < 3 else 7, [at, 2, 3, 4]) for at in range(6)]
    folder.write("annotations/a.json", images, annotations)
    imported = folder.imported()
    number_of = {row["id"]: row["width_px"] - 60 for row in imported.dataset.samples.to_pylist()}
    assert imported.dataset.boxes is not None
    found = {
        (number_of[row["sample_id"]], row["type"], row["x_px"]) for row in imported.dataset.boxes.to_pylist()
    }
    assert found == {(2 - at % 3, "cone" if at < 3 else "drum", float(at)) for at in range(6)}


def test_scaled_and_turned_pictures(folder):
    folder.add_picture(0, "images/half.jpg", 30, 20)
    folder.add_picture(1, "images/turned.jpg", 40, 60)
    folder.write(
        "annotations/a.json",
        [entry(1, "half.jpg"), entry(2, "turned.jpg")],
        [box(1, 1, 5, [10, 8, 20, 40.5]), box(2, 2, 5, [10, 10, 5, 5])],
    )
    imported = folder.imported()
    assert objects(imported) == [("cone", "roadwork", 5.0, 4.0, 10.0, 20.25)]
    assert [s.path for s in imported.skipped] == ["images/turned.jpg"]
    assert "boxes are for 60 × 40 pixels, and it has 40 × 60" in imported.skipped[0].reason
    assert any("1 pictures have another size" in note for note in imported.notes)


def test_absurd_boxes_are_left_out_and_their_picture_is_never_none(folder):
    for number in range(3):
        folder.add_picture(number, f"images/{number}.jpg")
    absurd = [
        [1, 1, -5, 5],
        [float("nan"), 1, 5, 5],
        [500, 5, 5, 5],
        [0, 0, 10**400, 5],
        [1, 1, float("inf"), 1],
    ]
    folder.write(
        "annotations/a.json",
        [entry(at, f"{at}.jpg", video_info={"vid_id": str(at)}) for at in range(3)],
        [box(at, 0, 3, corners) for at, corners in enumerate(absurd)]
        + [box(10, 1, 3, None), box(11, 1, 3, []), box(12, 77, 5, [1, 1, 5, 5])],
    )
    imported = folder.imported(rule=EXHAUSTIVE)
    labels = {row["group"]: row["label"] for row in imported.dataset.samples.to_pylist()}
    assert labels == {
        "roadwork/pittsburgh/0/-": -1,
        "roadwork/pittsburgh/1/-": -1,
        "roadwork/pittsburgh/2/-": 0,
    }
    assert objects(imported) == []
    notes = " ".join(imported.notes)
    assert "5 boxes cannot be meant" in notes
    assert "2 annotations have no box" in notes
    assert "1 boxes are of pictures that the annotation file does not list" in notes


def test_boxes_are_judged_by_the_picture_where_the_file_gives_no_size(folder):
    folder.add_picture(0, "images/a.jpg")
    bare = {"id": "a", "file_name": "a.jpg"}
    folder.write("annotations/a.json", [bare], [box(1, "a", 5, [500, 5, 5, 5]), box(2, "a", 5, [1, 1, 5, 5])])
    imported = folder.imported()
    assert objects(imported) == [("cone", "roadwork", 1.0, 1.0, 5.0, 5.0)]
    assert any("1 boxes cannot be meant" in note for note in imported.notes)


def test_missing_pictures_broken_ones_and_links_out_are_left_out(folder, tmp_path):
    folder.add_picture(0, "images/a.jpg")
    (folder.root / "images/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (tmp_path / "secret.jpg").write_bytes((folder.root / "images/a.jpg").read_bytes()[::-1])
    (folder.root / "images/out.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder.root / "images/nowhere.jpg").symlink_to(tmp_path / "absent.jpg")
    (folder.root / "images/inside.jpg").symlink_to("a.jpg")
    os.mkfifo(folder.root / "images/pipe.jpg")
    names = ["a", "broken", "out", "nowhere", "inside", "pipe", "absent"]
    images = [entry(at, f"{name}.jpg") for at, name in enumerate(names)]
    folder.write("annotations/a.json", images, [])
    imported = folder.imported()
    reasons = {s.path: s.reason for s in imported.skipped}
    assert set(reasons) == {f"images/{name}.jpg" for name in ("broken", "out", "nowhere", "pipe", "absent")}
    assert reasons["images/out.jpg"] == "a link that leads out of the data set"
    assert "leads nowhere" in reasons["images/nowhere.jpg"]
    assert reasons["images/absent.jpg"] == reasons["images/pipe.jpg"] == "there is no such file"
    assert (len(imported.dataset), imported.duplicates) == (1, 1)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.jpg",
        "/etc/passwd",
        "a/../../b.jpg",
        "",
        ".",
        "a\\b.jpg",
        "a\x00.jpg",
        "\ud800.jpg",
        "x" * 5000,
    ],
)
def test_names_that_lead_out_end_the_import(folder, tmp_path, name):
    folder.add_picture(0, "images/a.jpg")
    (tmp_path / "secret.jpg").write_bytes((folder.root / "images/a.jpg").read_bytes())
    folder.write("annotations/a.json", [entry(1, "a.jpg"), entry(2, name)], [])
    with pytest.raises(
        DataError, match=r"'file_name' of images\[1\] of 'a.json' is .*no path inside the data set"
    ):
        folder.imported()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene", "secret.jpg"]


def test_annotations_that_are_a_link_out_are_not_read(folder, tmp_path):
    folder.add_picture(0, "images/a.jpg")
    folder.write("annotations/a.json", [entry(1, "a.jpg")], [])
    (folder.root / "annotations/a.json").rename(tmp_path / "elsewhere.json")
    (folder.root / "annotations/a.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(DataError, match="leads out of the data set"):
        folder.imported()


IMAGE, BOX = entry(1, "a.jpg"), box(1, 1, 5, [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 3}, "'images' of .* is a number, expected a list"),
        ({"images": {"1": IMAGE}}, "'images' of .* is an object, expected a list"),
        ({"images": []}, "lists no picture"),
        ({"annotations": None}, "'annotations' of .* is missing or null"),
        ({"images": [IMAGE, 7]}, r"images\[1\] of 'a.json' is a number, expected an object"),
        ({"images": [IMAGE | {"id": None}]}, r"'id' of images\[0\].*missing or null"),
        ({"images": [IMAGE | {"id": 1.5}]}, r"'id' of images\[0\].*a number"),
        ({"images": [IMAGE | {"id": True}]}, r"'id' of images\[0\].*true or false"),
        ({"images": [IMAGE, IMAGE | {"file_name": "b.jpg"}]}, "the id 1, as another picture"),
        ({"images": [IMAGE | {"file_name": 3}]}, r"'file_name' of images\[0\] of 'a.json' is int"),
        ({"images": [IMAGE | {"width": "60"}]}, r"'width' of images\[0\].*'60'"),
        ({"images": [IMAGE | {"height": 0}]}, r"'height' of images\[0\]"),
        ({"images": [IMAGE | {"height": 10**9}]}, r"'height' of images\[0\]"),
        (
            {"images": [IMAGE | {"scene_level_tags": ["Dark"]}]},
            "'scene_level_tags' of images.*expected an object",
        ),
        ({"images": [IMAGE | {"video_info": {"vid_id": [1]}}]}, "'vid_id' in 'video_info' of images"),
        (
            {"images": [IMAGE | {"scene_description": {"a": 1}}]},
            "'scene_description' of images.*expected text",
        ),
        ({"images": [IMAGE | {"city_name": 7}]}, "'city_name' of images.*expected text"),
        ({"categories": [{"id": 5}]}, r"'name' of categories\[0\].*missing or null"),
        ({"categories": [*CATEGORIES, CATEGORIES[0]]}, "the id 3, as another class"),
        ({"categories": []}, r"'category_id' of annotations\[0\] .*5, which 'categories' does not define"),
        ({"annotations": [BOX | {"category_id": 99}]}, r"annotations\[0\].*99.*Known: 3, 4, 5"),
        ({"annotations": [BOX | {"category_id": [5]}]}, r"'category_id' of annotations\[0\].*a list"),
        ({"annotations": [BOX, BOX | {"bbox": [1, 2, 3]}]}, r"'bbox' of annotations\[1\].*four numbers"),
        ({"annotations": [BOX | {"bbox": ["1", 2, 3, 4]}]}, r"'bbox' of annotations\[0\]"),
        ({"annotations": [BOX | {"bbox": "1 2 3 4"}]}, r"'bbox' of annotations\[0\]"),
        ({"annotations": [BOX | {"bbox": {"x": 1}}]}, r"'bbox' of annotations\[0\]"),
    ],
)
def test_wrong_types_are_refused_with_their_place(folder, change, message):
    folder.add_picture(0, "images/a.jpg")
    value = {"categories": CATEGORIES, "images": [IMAGE], "annotations": [BOX]} | change
    (folder.root / "annotations/a.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        folder.imported()
    assert not (folder.root.parent / "out").exists()


@pytest.mark.parametrize("missing", ["images", "annotations", "categories"])
def test_a_file_without_one_of_its_lists_is_no_coco_file(folder, missing):
    value = {"categories": CATEGORIES, "images": [IMAGE], "annotations": [BOX]}
    del value[missing]
    (folder.root / "annotations/a.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(DataError, match=f"has no '{missing}': it is no COCO file"):
        folder.imported()


def test_boxes_before_their_pictures_and_classes_and_names_twice(folder):
    folder.add_picture(0, "images/a.jpg")
    twice = [entry(9, "a.jpg"), entry("b", "a.jpg")]
    text = json.dumps({"annotations": [box(1, "b", 5, [1, 2, 3, 4]), box(2, 9, 7, [5, 6, 7, 8])]})[:-1]
    text += f', "images": {json.dumps(twice)}, "categories": {json.dumps(CATEGORIES)}}}'
    (folder.root / "annotations/a.json").write_text("\ufeff" + text, encoding="utf-8")
    imported = folder.imported()
    assert objects(imported) == [
        ("cone", "roadwork", 1.0, 2.0, 3.0, 4.0),
        ("drum", "roadwork", 5.0, 6.0, 7.0, 8.0),
    ]
    assert any("1 pictures are named twice" in note for note in imported.notes)


def test_odd_values_of_the_dialect_are_noted(folder):
    folder.add_picture(0, "images/a.jpg")
    odd = entry(1, "a.jpg", gps=[400, 3], date_captured="yesterday", scene_description="half \ud83d a pair")
    odd["scene_level_tags"] = {"weather": ["Plague of frogs"], "daytime": None}
    odd["video_info"] = None
    folder.write("annotations/a.json", [odd], [])
    imported = folder.imported()
    row = imported.dataset.samples.to_pylist()[0]
    assert (row["lat"], row["captured_at"], row["weather"], row["daytime"]) == (None, None, None, None)
    assert (row["caption"], row["group"]) == ("half ? a pair", "a")
    notes = " ".join(imported.notes)
    assert "'gps' that is no place" in notes
    assert "'date_captured' that is no time" in notes
    assert "Plague of frogs" in notes


def test_pictures_elsewhere_and_nowhere(folder):
    folder.add_picture(0, "frames/deep/a.jpg")
    folder.write("annotations/instances_val.json", [entry(1, "a.jpg")], [])
    with pytest.raises(DataError, match=r"None of the 1 pictures .* 'a.jpg', was found in 'annotations/'"):
        folder.imported()
    assert len(folder.imported(images="frames/deep/").dataset) == 1
    with pytest.raises(DataError, match="None of the 1 pictures"):
        folder.imported("other", images="../..")


def test_groups_by_an_expression(folder):
    folder.add_picture(0, "images/a.jpg")
    folder.write("annotations/a.json", [entry(1, "a.jpg")], [])
    with pytest.raises(DataError, match=r"finds no group in 'images/a.jpg'"):
        folder.imported(group_from=r"(\d)")
    with pytest.raises(ConfigError, match="captures nothing"):
        folder.imported(group_from=r"\d")
    assert set(rows(folder.imported(group_from=r"/(\w)\."))) == {"a"}


def test_no_annotations_and_no_directory(folder, tmp_path):
    with pytest.raises(DataError, match=r"has no annotations: expected '_annotations.coco.json'"):
        folder.imported()
    with pytest.raises(DataError, match="is no directory"):
        CocoSource(tmp_path / "absent")


def test_what_another_attempt_may_not_go_on_with(folder):
    folder.add_picture(0, "images/a.jpg")
    folder.write("annotations/a.json", [entry(1, "a.jpg")], [])
    first = CocoSource(folder.root).identity()
    assert json.loads(json.dumps(first)) == CocoSource(folder.root).identity()
    assert CocoSource(folder.root, rule=EXHAUSTIVE).identity() != first
    folder.write("annotations/a.json", [entry(1, "a.jpg", city_name="boston")], [])
    assert CocoSource(folder.root).identity() != first


def test_pictures_that_are_done_are_not_loaded_again(folder):
    for number in range(3):
        folder.add_picture(number, f"images/{number}.jpg")
    folder.write("annotations/a.json", [entry(at, f"{at}.jpg") for at in range(4)], [])
    source = CocoSource(folder.root)
    assert source.total() == 4
    assert [p.key for p in source.items(())] == [f"images/{at}.jpg" for at in range(4)]
    assert [p.key for p in source.items({"images/1.jpg", "images/3.jpg"})] == ["images/0.jpg", "images/2.jpg"]


def test_one_listing_serves_a_directory_of_any_size(folder, monkeypatch):
    """No look at the disk for each picture: 100,000 in one directory cost one listing."""
    names = [f"{at:06d}.jpg" for at in range(1000)]
    for name in names:
        (folder.root / "images" / name).touch()
    folder.write("annotations/a.json", [entry(at, name) for at, name in enumerate(names)], [])
    looks = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda *a, **k: looks.append(a) or stat(*a, **k))
    assert CocoSource(folder.root).total() == 1000
    assert len(looks) < 100


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(where=st.sampled_from(["images", "annotations", "categories"]), data=st.data())
def test_any_value_in_any_place_is_read_or_refused(folder, where, data):
    value = {
        "images": [dict(IMAGE)],
        "annotations": [dict(BOX)],
        "categories": [dict(entry) for entry in CATEGORIES],
    }
    target = value[where][0]
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(junk)
    if not (folder.root / "images/a.jpg").exists():
        folder.add_picture(0, "images/a.jpg")
    text = json.dumps(value)
    (folder.root / "annotations/a.json").write_text(text, encoding="utf-8")
    try:
        source = CocoSource(folder.root)
    except DataError:
        return
    json.dumps(source.identity())
    for pending in source.items(()):
        pending.load()
