"""The label follows from the objects as the rule says, and from nothing else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import ConfigError
from workzone.core.types import Label
from workzone.data.box_vocabulary import box_vocabulary
from workzone.data.importers.label_rule import Judged, LabelRule, cut, is_absurd, label_rule
from workzone.data.schema import NewBox


def box(name: str, x=10.0, y=10.0, width=20.0, height=20.0) -> NewBox:
    return NewBox(name, box_vocabulary().lookup(name).category, x, y, width, height, 1.0)


UNKNOWN, NONE = Judged(Label.UNKNOWN), Judged(Label.NONE)
ROADWORK, DOUBTFUL = Judged(Label.ROADWORK), Judged(Label.NONE, ambiguous=True)


@pytest.mark.parametrize(
    ("objects", "usual", "exhaustive"),
    [
        ([], UNKNOWN, NONE),
        ([box("cone")], ROADWORK, ROADWORK),
        ([box("car"), box("worker")], ROADWORK, ROADWORK),
        ([box("bicycle_lane")], UNKNOWN, NONE),
        ([box("police_vehicle"), box("police_officer")], UNKNOWN, NONE),
        ([box("work_sign")], UNKNOWN, DOUBTFUL),
        ([box("fence"), box("barrier")], UNKNOWN, DOUBTFUL),
        ([box("cone", width=0.0)], UNKNOWN, DOUBTFUL),
        ([box("cone", x=-30.0)], UNKNOWN, DOUBTFUL),
    ],
)
def test_the_usual_rule(objects, usual, exhaustive):
    assert LabelRule().judge(objects, 100, 100) == usual
    assert LabelRule(boxes_exhaustive=True).judge(objects, 100, 100) == exhaustive


def test_a_picture_that_lost_a_box_is_never_none():
    rule = LabelRule(boxes_exhaustive=True)
    assert rule.judge([box("car")], 100, 100, complete=False) == UNKNOWN
    assert rule.judge([box("cone")], 100, 100, complete=False) == ROADWORK


def test_size_counts_only_what_is_inside():
    half_out = box("cone", x=-10.0)  # 10 × 20 pixels inside
    assert LabelRule(min_side_px=10).judge([half_out], 100, 100) == ROADWORK
    assert LabelRule(min_side_px=10.5).judge([half_out], 100, 100) == UNKNOWN
    assert LabelRule(min_area_share=0.02).judge([half_out], 100, 100) == ROADWORK
    assert LabelRule(min_area_share=0.021).judge([half_out], 100, 100) == UNKNOWN


def test_a_rule_from_words():
    rule = label_rule("Traffic Cone,TTC Sign", 3, 0.1, boxes_exhaustive=True)
    assert rule == LabelRule(frozenset({"cone", "work_sign"}), 3, 0.1, boxes_exhaustive=True)
    assert label_rule(None, 0, 0, boxes_exhaustive=False) == LabelRule()
    assert rule.settings()["qualifying"] == ["cone", "work_sign"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"qualifying": frozenset()}, "at least one"),
        ({"qualifying": frozenset({"unicorn"})}, "unicorn"),
        ({"min_side_px": -1.0}, "smallest side"),
        ({"min_side_px": math.nan}, "smallest side"),
        ({"min_area_share": 1.1}, "smallest area"),
        ({"min_area_share": math.nan}, "smallest area"),
    ],
)
def test_a_rule_that_is_none_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        LabelRule(**settings)


@pytest.mark.parametrize(
    ("corners", "absurd"),
    [
        ((0, 0, 100, 50), False),
        ((-20, 0, 100, 50), False),
        ((0, 0, 0, 0), False),
        ((0, 0, -1, 5), True),
        ((math.nan, 0, 1, 1), True),
        ((0, 0, math.inf, 1), True),
        ((101, 0, 5, 5), True),
        ((-6, 0, 5, 5), True),
        ((0, 0, 201, 5), True),
        ((-101, 0, 150, 5), True),
        ((0, 51, 5, 5), True),
    ],
)
def test_boxes_that_cannot_be_meant(corners, absurd):
    assert is_absurd(*corners, 100, 50) is absurd


@given(st.floats(-50, 150), st.floats(0, 200))
def test_only_rounding_is_cut(low, size):
    new_low, new_size = cut(low, size, 100)
    assert new_size >= 0
    if low < -1 or low >= 0:
        assert new_low == low
    else:
        assert new_low == 0
    high, new_high = low + size, new_low + new_size
    assert new_high == pytest.approx(100 if 100 < high <= 101 else max(high, new_low), abs=1e-9)
