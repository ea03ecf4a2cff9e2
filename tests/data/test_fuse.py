"""Fused data sets: every sample once, groups apart unless they share a picture, and nothing forgotten of the origin."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Label
from workzone.data.dataset import DataSet, boxes_known, open_dataset, verify_pictures, write_dataset
from workzone.data.fuse import FUSION_LOG, fuse_datasets
from workzone.data.fusion_plan import SHOWN, _merged_groups, distinct_names, plan_fusion
from workzone.data.known_overlaps import find_overlaps, known_overlaps
from workzone.data.schema import SAMPLE_COLUMNS, NewBox

CONE = NewBox("cone", "roadwork", 1.0, 2.0, 3.0, 4.0, 1.0)


@pytest.fixture
def made(tmp_path, sample):
    """Write a small data set: (number, label, group, columns) for each picture."""

    def make(name: str, *rows: tuple, **options: str) -> DataSet:
        samples = []
        for number, label, group, *columns in rows:
            given_columns = dict(*columns)
            boxes = given_columns.pop("boxes", None)
            samples.append(replace(sample(number, label, group, **given_columns), boxes=boxes))
        return write_dataset(tmp_path / name, samples, name=name, **options)

    return make


def by_origin(dataset: DataSet) -> dict[str, dict]:
    return {row["id"]: row for row in dataset.samples.to_pylist()}


def ids(dataset: DataSet) -> list[str]:
    return dataset.samples["id"].to_pylist()


def test_every_sample_is_there_once_with_its_values(made, tmp_path, observer):
    a = made("kerb", (1, 1, "g1", {"daytime": "day", "caption": "c"}), (2, 0, "g2"), licence="MIT")
    b = made(
        "tram", (3, 0, "g1"), (4, 1, None, {"licence": "CC0", "published_split": "test"}), licence="ODbL"
    )
    fusion = fuse_datasets([a, b], tmp_path / "new", observer=observer)
    fused = by_origin(fusion.dataset)
    assert set(fused) == set(ids(a)) | set(ids(b))
    own = {"group", "source", "licence", "path"}
    for old, name in ((a, "kerb"), (b, "tram")):
        for sample_id, before in by_origin(old).items():
            after = fused[sample_id]
            assert {k: v for k, v in after.items() if k not in own} == {
                k: v for k, v in before.items() if k not in own
            }
            assert after["group"] == f"{name}/{before['group']}"
            assert after["source"] == name
            assert after["licence"] == before["licence"] or before["licence"] is None
    assert {row["licence"] for row in fused.values()} == {"MIT", "ODbL", "CC0"}
    assert fusion.dataset.licence == "kerb: MIT; tram: ODbL"
    assert fusion.dataset.name == "kerb+tram"
    assert (fusion.n_shared, fusion.n_merged_groups, fusion.dropped) == (0, 0, ())
    verify_pictures(fusion.dataset)
    assert ("fuse pictures", 4, 4) in observer.steps


def test_groups_of_one_name_stay_apart_and_sources_of_one_name_are_told_apart(made, tmp_path):
    a = made("kerb", (1, 1, "clip-1", {"source": "dashcam"}), (2, 0, "clip-1", {"source": "phone"}))
    b = made("tram", (3, 0, "clip-1", {"source": "dashcam"}), (4, 1, "clip-2"))
    fusion = fuse_datasets([a, b], tmp_path / "new")
    rows = fusion.dataset.samples.to_pylist()
    assert {row["group"] for row in rows} == {"kerb/clip-1", "tram/clip-1", "tram/clip-2"}
    assert {row["source"] for row in rows} == {"kerb/dashcam", "phone", "tram/dashcam", "tram"}
    assert fusion.prefixed_sources == ("dashcam",)


def test_shared_pictures_are_one_sample_and_tie_their_groups_together(made, tmp_path, observer):
    a = made("kerb", (1, 1, "a1"), (2, 1, "a1"), (3, 0, "a2"))
    b = made("tram", (2, 1, "b1"), (4, 1, "b1"), (5, 0, "b2"))
    c = made("quay", (4, 1, "c1"), (6, 1, "c1"))
    fusion = fuse_datasets([a, b, c], tmp_path / "new", observer=observer)
    rows = fusion.dataset.samples.to_pylist()
    groups = {}
    for row in rows:
        groups.setdefault(row["group"], set()).add(row["source"])
    # a1, b1 and c1 hang together through two pictures: one scene, which no split may cut.
    assert groups == {"kerb/a1": {"kerb", "tram", "quay"}, "kerb/a2": {"kerb"}, "tram/b2": {"tram"}}
    assert len(rows) == 6
    assert (fusion.n_shared, fusion.n_merged_groups) == (2, 2)
    assert [item.kept for item in fusion.inputs] == [3, 2, 1]
    assert any("2 pictures are in more than one data set" in note for note in observer.notes)


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abcd")), min_size=2, max_size=3)))
def test_groups_are_merged_exactly_where_a_chain_of_pictures_joins_them(together):
    """Against the textbook: repeated relabelling until nothing changes."""
    label = {group: number for number, group in enumerate(sorted({g for gs in together for g in gs}))}
    for _ in label:
        for groups in together:
            least = min(label[g] for g in groups)
            label.update({g: min(label[g], least) for g in groups})
    merged = _merged_groups(together)
    for one in label:
        for other in label:
            same = merged.get(one, one) == merged.get(other, other)
            assert same == (label[one] == label[other])


def test_conflicting_labels_are_listed_and_refused_or_left_out(made, tmp_path, observer):
    rows = [(n, n % 2, f"g{n}") for n in range(SHOWN + 3)]
    a = made("kerb", *rows, (90, 1, "x"))
    b = made("tram", *((n, 1 - label, group) for n, label, group in rows), (91, 1, "y"))
    with pytest.raises(DataError, match=f"{len(rows)} pictures .*; and 3 more.*--drop-conflicts") as error:
        fuse_datasets([a, b], tmp_path / "new")
    shared = sorted(set(ids(a)) & set(ids(b)))
    for sample_id in shared[:SHOWN]:
        assert sample_id[:12] in str(error.value)
    assert "road work in kerb and none in tram" in str(error.value)
    assert not (tmp_path / "new").exists()

    fusion = fuse_datasets([a, b], tmp_path / "new", drop_conflicts=True, observer=observer)
    assert sorted(fusion.dropped) == shared
    assert set(ids(fusion.dataset)) == (set(ids(a)) | set(ids(b))) - set(shared)
    log = json.loads((tmp_path / "new" / FUSION_LOG).read_text())
    assert sorted(entry["sample_id"] for entry in log["dropped"]) == shared
    assert [entry["sha256"] for entry in log["inputs"]] == [a.sha256, b.sha256]


def test_doubt_about_a_label_is_a_conflict_and_an_unknown_label_is_none(made, tmp_path):
    a = made("kerb", (1, 1, "g", {"ambiguous": True}), (2, -1, "h", {"boxes": (CONE,)}), (3, -1, "h"))
    b = made("tram", (1, 1, "g"), (9, 0, "k"))
    with pytest.raises(DataError, match=r"road work \(ambiguous\) in kerb and road work in tram"):
        fuse_datasets([a, b], tmp_path / "new")
    c = made("quay", (2, 1, "h2"), (3, -1, "h3", {"boxes": ()}), (8, 0, "k"))
    fused = by_origin(fuse_datasets([a, c], tmp_path / "new").dataset)
    labels = [fused[i]["label"] for i in sorted(set(ids(a)) & set(ids(c)))]
    assert sorted(labels) == [-1, 1], "the label that is known is kept"
    kept = {row["id"]: row["source"] for row in fused.values()}
    third = next(i for i in set(ids(a)) & set(ids(c)) if fused[i]["label"] == -1)
    assert kept[third] == "quay", "of two unknown labels, the copy whose objects are known"


def test_objects_are_kept_where_they_are_known_and_get_one_vocabulary(made, tmp_path, observer):
    theirs = NewBox("Traffic Cones", "context", 0.0, 0.0, 1.0, 1.0, 1.0)
    odd = NewBox("zeppelin", "context", 0.0, 0.0, 1.0, 1.0, 1.0)
    a = made("kerb", (1, 1, "g", {"boxes": (CONE,)}), (2, 0, "g", {"boxes": ()}))
    b = made("tram", (3, 1, "g", {"boxes": (theirs, odd)}))
    c = made("quay", (4, 0, "g"))
    fusion = fuse_datasets([a, b, c], tmp_path / "new", observer=observer)
    boxes = fusion.dataset.boxes.to_pylist()
    assert sorted((box["type"], box["category"]) for box in boxes) == [
        ("cone", "roadwork"),
        ("cone", "roadwork"),
        ("zeppelin", "context"),
    ]
    assert fusion.renamed_boxes == 1
    known = dict(zip(ids(fusion.dataset), boxes_known(fusion.dataset).tolist(), strict=True))
    assert [known[i] for i in (*ids(a), *ids(b), *ids(c))] == [True, True, True, False]


def test_the_same_inputs_give_the_same_data_set_and_any_change_another(made, tmp_path):
    a, b = made("kerb", (1, 1, "g"), (2, 0, "h")), made("tram", (3, 0, "g"))
    first = fuse_datasets([a, b], tmp_path / "one").dataset
    assert fuse_datasets([a, b], tmp_path / "two").dataset.sha256 == first.sha256
    assert first.revision.startswith("fused-")
    c = made("tram-2", (3, 1, "g"))
    renamed = replace(c, name="tram")
    other = fuse_datasets([a, renamed], tmp_path / "three").dataset
    assert (other.name, other.revision == first.revision) == (first.name, False)
    named = fuse_datasets([a, b], tmp_path / "four", name="mine", revision="7").dataset
    assert (named.name, named.revision) == ("mine", "7")


def test_a_changed_picture_is_not_taken_on_trust(made, tmp_path, picture):
    a, b = made("kerb", (1, 1, "g"), (2, 0, "h")), made("tram", (3, 0, "g"))
    a.paths()[1].write_bytes(picture(77))
    with pytest.raises(DataError, match="was changed: its bytes are not those of the sample"):
        fuse_datasets([a, b], tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_is_taken_or_too_few_or_twice_is_refused(made, tmp_path):
    a, b = made("kerb", (1, 1, "g")), made("tram", (2, 0, "g"))
    with pytest.raises(ConfigError, match="holds a data set already"):
        fuse_datasets([a, b], tmp_path / "kerb")
    with pytest.raises(ConfigError, match="expected at least two"):
        fuse_datasets([a], tmp_path / "new")
    with pytest.raises(ConfigError, match="'kerb' is given more than once"):
        fuse_datasets([a, b, open_dataset(tmp_path / "kerb")], tmp_path / "new")


def test_data_sets_of_one_name_are_told_apart(made):
    a, b, c = made("a", (1, 1, "g")), made("b", (2, 0, "g")), made("c", (3, 0, "g"))
    assert distinct_names([a, b]) == ("a", "b")
    same = [replace(d, name="city of/Ghent") for d in (a, b, c)]
    dated = [replace(d, revision=r) for d, r in zip(same, "123", strict=True)]
    assert distinct_names(dated) == ("city-of-Ghent@1", "city-of-Ghent@2", "city-of-Ghent@3")
    assert distinct_names(same) == tuple(f"city-of-Ghent@{d.sha256[:12]}" for d in same)
    assert distinct_names([replace(a, name="../.."), b]) == ("data", "b")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"name": "natix-2026"}, {"name": "ROADWork"}),
        ({"name": "natix-network-org/roadwork"}, {"name": "my_roadwork_v2"}),
        ({"name": "mine", "source": "NATIX"}, {"name": "yours", "source": "ROADWork dataset"}),
        ({"name": "cmu", "licence": "ODC-BY 1.0"}, {"name": "natix"}),
    ],
)
def test_natix_and_roadwork_are_not_fused_unless_forced(made, tmp_path, first, second):
    def make(name: str, number: int, described: dict[str, str]) -> DataSet:
        columns = {"source": described["source"]} if "source" in described else {}
        dataset = made(name, (number, 1, "g", columns), licence=described.get("licence", "unknown"))
        return replace(dataset, name=described["name"])

    a, b = make("a", 1, first), make("b", 2, second)
    with pytest.raises(DataError, match=r"NATIX roadwork .*very likely it is ROADWork.*not fused.*--force"):
        fuse_datasets([a, b], tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert len(fuse_datasets([a, b], tmp_path / "new", force=True).dataset) == 2


def test_other_pairs_are_not_suspected(made):
    a, b = made("a", (1, 1, "g")), made("b", (2, 0, "g"))
    for one, other in (
        ("natix-train", "natix-test"),
        ("roadwork", "roadwork-2"),
        ("natix", "brickwork"),
        ("x", "y"),
    ):
        assert find_overlaps([replace(a, name=one), replace(b, name=other)]) == ()


def test_the_table_of_overlaps_names_collections_that_it_has():
    collections, overlaps = known_overlaps()
    assert overlaps
    for overlap in overlaps:
        assert overlap.between <= set(collections)
        assert len(overlap.reason) > 40


def test_published_splits_are_kept_and_disagreement_is_told(made, tmp_path, observer):
    a = made("kerb", (1, 1, "g", {"published_split": "train"}), (2, 0, "h", {"published_split": "test"}))
    b = made("tram", (1, 1, "g", {"published_split": "test"}), (3, 0, "h"))
    fused = by_origin(fuse_datasets([a, b], tmp_path / "new", observer=observer).dataset)
    assert sorted(str(row["published_split"]) for row in fused.values()) == ["None", "test", "train"]
    assert any("1 of these have different published splits" in note for note in observer.notes)


def test_the_plan_reads_no_picture(made):
    a, b = made("kerb", (1, 1, "g"), (2, 1, "g")), made("tram", (2, 1, "h"))
    for path in (*a.paths(), *b.paths()):
        path.unlink()
    plan = plan_fusion([a, b])
    assert [len(rows) for rows in plan.rows] == [2, 0]
    assert (plan.group(0, "g"), plan.group(1, "h")) == ("kerb/g", "kerb/g")


def test_every_column_of_the_schema_survives(tmp_path, sample):
    """A column that is added later must not be forgotten here."""
    full = sample(
        1, 1, "g", source="s", lat=1.5, lon=2.5, camera="c", published_split="p", daytime="d", weather="w",
        environment="e", caption="t", synthetic=True, licence="l", ambiguous=True,
    )  # fmt: skip
    full = replace(full, captured_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    a = write_dataset(tmp_path / "a", [full], name="a")
    b = write_dataset(tmp_path / "b", [sample(2)], name="b")
    before = a.samples.to_pylist()[0]
    assert None not in before.values()
    after = by_origin(fuse_datasets([a, b], tmp_path / "new").dataset)[before["id"]]
    assert after == before | {"group": "a/g"}
    assert set(after) == {column.name for column in SAMPLE_COLUMNS}


def test_a_stream_holds_one_picture_at_a_time(made, tmp_path, monkeypatch):
    """The next picture is read only once the one before is written."""
    a, b = made("kerb", *((n, 0, f"g{n}") for n in range(5))), made("tram", (9, 1, "g"))
    events = []
    read, write = Path.read_bytes, Path.write_bytes

    def reading(path: Path) -> bytes:
        if "images" in path.parts:
            events.append("read")
        return read(path)

    def writing(path: Path, data: bytes) -> int:
        if "images" in path.parts:
            events.append("write")
        return write(path, data)

    monkeypatch.setattr(Path, "read_bytes", reading)
    monkeypatch.setattr(Path, "write_bytes", writing)
    fuse_datasets([a, b], tmp_path / "new")
    assert events == ["read", "write"] * 6


def test_labels_stay_what_they_were(made, tmp_path):
    a = made("kerb", *((n, n % 3 - 1, f"g{n}") for n in range(9)))
    b = made("tram", (20, int(Label.NONE), "g"))
    fused = by_origin(fuse_datasets([a, b], tmp_path / "new").dataset)
    assert {i: row["label"] for i, row in by_origin(a).items()} == {i: fused[i]["label"] for i in ids(a)}
