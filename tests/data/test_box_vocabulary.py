"""Published class names mean what the table says in any spelling, and an unknown one is never guessed at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import ConfigError
from workzone.data.box_vocabulary import box_vocabulary, normalised, own_name
from workzone.data.render import render_dataset
from workzone.data.scenes.furniture import SIGNS
from workzone.data.schema import BOX_CATEGORIES

# ROADWork's classes as its own data loader lists them, and what each must become here.
ROADWORK = {
    "Police Officer": ("police_officer", "context"),
    "Police Vehicle": ("police_vehicle", "context"),
    "Sidewalk": ("sidewalk", "context"),
    "Cone": ("cone", "roadwork"),
    "Fence": ("fence", "roadwork"),
    "Drum": ("drum", "roadwork"),
    "Barricade": ("barricade", "roadwork"),
    "Barrier": ("barrier", "roadwork"),
    "Work Vehicle": ("work_vehicle", "roadwork"),
    "Vertical Panel": ("vertical_panel", "roadwork"),
    "Tubular Marker": ("tubular_marker", "roadwork"),
    "Arrow Board": ("arrow_board", "roadwork"),
    "Temporary Traffic Control Message Board": ("message_board", "roadwork"),
    "TTC Message Board": ("message_board", "roadwork"),
    "Road": ("road", "context"),
    "Bike Lane": ("bicycle_lane", "context"),
    "Temporary Traffic Control Sign": ("work_sign", "roadwork"),
    "TTC Sign": ("work_sign", "roadwork"),
    "Temporary Traffic Control Sign: left arrow": ("work_sign", "roadwork"),
    "Temporary Traffic Control Sign: pedestrian: left arrow": ("work_sign", "roadwork"),
    "Temporary Traffic Control Sign: work vehicle": ("work_sign", "roadwork"),
    "Work Equipment": ("work_equipment", "roadwork"),
    "Worker": ("worker", "roadwork"),
    "Other Roadwork Objects": ("other_roadwork", "roadwork"),
}


@pytest.mark.parametrize(("published", "expected"), ROADWORK.items())
def test_the_classes_of_roadwork(published, expected):
    found = box_vocabulary().lookup(published)
    assert (found.name, found.category, found.known) == (*expected, True)


@pytest.mark.parametrize(
    ("published", "name"),
    [
        ("traffic-cone", "cone"),
        ("Traffic_Cones", "cone"),
        ("TRAFFIC CONE", "cone"),
        ("TrafficCone", "cone"),
        ("Safety Cone", "cone"),
        ("construction-barrel", "drum"),
        ("Barricades", "barricade"),
        ("Workmen", "worker"),
        ("machinery", "work_equipment"),
        ("Traffic Drums", "drum"),
        ("buses", "bus"),
        ("work_sign", "work_sign"),
        ("Hardhat", "protective_clothing"),
    ],
)
def test_spellings_of_common_exports(published, name):
    assert box_vocabulary().lookup(published).name == name


@pytest.mark.parametrize(
    "published", ["ice-cream cone", "conehead", "barrelled vault", "objects", "0", "", "NO-Hardhat"]
)
def test_an_unknown_class_keeps_its_own_name_as_context(published):
    found = box_vocabulary().lookup(published)
    assert (found.category, found.qualifies, found.known) == ("context", False, False)
    assert found.name == (published.lower().replace(" ", "_").replace("-", "_") or "unnamed")


def test_what_never_qualifies():
    qualifying = box_vocabulary().qualifying
    lone = {
        "bicycle_lane",
        "police_vehicle",
        "police_officer",
        "work_sign",
        "message_board",
        "fence",
        "barrier",
    }
    assert lone <= box_vocabulary().types.keys()
    assert not qualifying & (lone | {"tubular_marker", "other_roadwork"})
    assert {"cone", "drum", "barricade", "worker", "excavator", "work_vehicle"} <= qualifying
    assert all(box_vocabulary().types[name].category == "roadwork" for name in qualifying)


def test_the_table_is_sound():
    vocabulary = box_vocabulary()
    assert {kind.category for kind in vocabulary.types.values()} == set(BOX_CATEGORIES)
    for known, kind in vocabulary.names.items():
        assert known == normalised(known), "a name in the table that nothing normalises to is never found"
        assert vocabulary.types[kind.name] is kind
    for name in vocabulary.types:
        assert own_name(name) == name
        assert vocabulary.lookup(name).name == name


def test_everything_that_the_renderer_draws_is_in_the_table_with_its_category(tmp_path):
    dataset = render_dataset(tmp_path / "out", sequences=24, frames=1, seed=5, roadwork_share=0.5, workers=1)
    drawn = {(row["type"], row["category"]) for row in dataset.boxes.to_pylist()}
    assert len(drawn) > 20
    types = box_vocabulary().types
    assert {(name, types[name].category) for name, _ in drawn if name in types} == drawn
    assert set(SIGNS) <= box_vocabulary().types.keys()


def test_choosing_by_name():
    assert box_vocabulary().choose("Traffic Cones, work_sign,cone") == {"cone", "work_sign"}
    with pytest.raises(ConfigError, match=r"'barricde' is no object.*Did you mean 'barricade'"):
        box_vocabulary().choose("cone, barricde")
    with pytest.raises(ConfigError, match="No qualifying object"):
        box_vocabulary().choose(" , ")


@given(st.text(max_size=80))
def test_any_name_has_a_meaning_that_holds(text):
    found = box_vocabulary().lookup(text)
    assert 0 < len(found.name) <= 60
    assert found == box_vocabulary().lookup(text.replace(" ", "_"))
    if not found.known:
        assert found.category == "context"
        assert found.name not in box_vocabulary().types
