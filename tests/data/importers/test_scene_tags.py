"""The published table of tags: whole, without contradictions, and what is not in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import workzone.data.importers.scene_tags as module
from workzone.data.importers.scene_tags import SceneTags, tag_table
from workzone.data.scenes.world import Daytime, Environment, Weather

TABLE = Path(module.__file__).with_name("natix_tags.yaml")


def test_no_value_is_in_the_table_twice():
    for meanings in yaml.safe_load(TABLE.read_text()).values():
        values = [value for published in meanings.values() for value in published]
        assert len(values) == len(set(values))
        assert all(isinstance(value, str) and value == value.casefold().strip() for value in values)


@pytest.mark.parametrize(
    ("column", "words"), [("daytime", Daytime), ("weather", Weather), ("environment", Environment)]
)
def test_our_words_are_those_of_the_rendered_data(column, words):
    ours = {value for value in tag_table()[column].values() if value is not None}
    assert set(words) <= ours
    assert ours - set(words) <= {"rural"}


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("daytime", "Light", "day"),
        ("daytime", "Twilight", "dusk"),
        ("daytime", "Dark", "night"),
        ("weather", "['Sunny']", "clear"),
        ("weather", ["Partly Cloudy", "Rain"], "rain"),
        ("weather", "['Rain', 'Snow']", "snow"),
        ("weather", "['Unknown']", None),
        ("weather", "['Wet', 'Cloudy']", "clear"),
        ("environment", "Urban", "urban"),
        ("environment", "Suburban", "residential"),
        ("environment", None, None),
        ("travel_alteration", "['None']", "unaltered"),
        ("travel_alteration", "['Partially Blocked', 'Lane Shift']", "altered"),
    ],
)
def test_published_values(column, cell, expected):
    tags = SceneTags()
    assert tags.ours(column, cell) == expected
    assert tags.notes() == []


def test_values_that_are_not_in_the_table_are_null_and_named_with_their_number():
    tags = SceneTags()
    for _ in range(3):
        assert tags.ours("weather", "['Hail']") is None
    assert tags.ours("weather", ["Ashfall", "Rain"]) == "rain"
    assert tags.ours("daytime", "Noon") is None
    assert tags.notes() == [
        "Values of 'daytime' that natix_tags.yaml does not have are kept as null: 'Noon' (1).",
        "Values of 'weather' that natix_tags.yaml does not have are kept as null: 'Hail' (3), 'Ashfall' (1).",
    ]


def test_a_column_of_free_text_does_not_fill_the_memory():
    tags = SceneTags()
    for number in range(1000):
        tags.ours("weather", f"kind {number}")
    first, second = tags.notes()
    assert first.endswith("and 92 more.")
    assert second.startswith("900 further tags")
