"""A slice says what the same pictures alone would say, or that they are too few."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.core.errors import DataError
from workzone.evaluation.records import SliceColumn
from workzone.evaluation.slices import MEASURES


def test_a_slice_is_the_evaluation_of_its_pictures(draw, measured):
    scores = draw()
    values = np.array(["day", "night", "dusk"])[np.arange(120) // 2 % 3]
    (table,) = measured(scores, slices=[SliceColumn.of("daytime", values)]).slices
    assert [s.value for s in table.slices] == ["day", "dusk", "night"]
    for found in table.slices:
        alone = measured(scores.take(values == found.value))
        assert (found.n, found.n_groups, found.n_positives) == (alone.n, alone.n_groups, alone.n_positives)
        for measure in found.measures:
            assert measure.estimate == pytest.approx(alone.measure(measure.name).estimate)
            assert measure.low <= measure.estimate <= measure.high
        assert [m.name for m in found.measures] == list(MEASURES)


def test_too_few_pictures_or_groups_get_a_sentence(draw, measured):
    scores = draw(n_groups=40, per_group=4)
    values = np.array(["many"] * 132 + ["few groups"] * 16 + ["few"] * 8 + ["", "", "", ""])
    (table,) = measured(scores, slices=[SliceColumn.of("weather", values)]).slices
    found = {s.value: s.measures[0] for s in table.slices}
    assert found["many"].estimate is not None
    assert found["few groups"].reason == "too few: 16 pictures from 4 groups"
    assert found["few"].estimate is None
    assert found["not stated"].n == 4


def test_a_picture_may_have_several_values_or_none(draw, measured):
    scores = draw()
    members = np.zeros((3, 120), dtype=np.bool_)
    members[0, :60] = members[1, 30:90] = True
    column = SliceColumn("objects", ("cone", "barrier", "excavator"), members)
    (table,) = measured(scores, slices=[column]).slices
    assert [(s.value, s.n) for s in table.slices] == [("cone", 60), ("barrier", 60)]


def test_values_and_members_must_match():
    with pytest.raises(DataError, match="2 values"):
        SliceColumn("weather", ("a", "b"), np.zeros((3, 4), dtype=np.bool_))


def test_pictures_of_one_label_have_no_mcc_and_keep_the_rest(draw, measured):
    scores = draw()
    values = np.where(scores.labels == 1, "shows an object", "shows none")
    (table,) = measured(scores, slices=[SliceColumn.of("object", values)]).slices
    found = {s.value: {m.name: m for m in s.measures} for s in table.slices}
    assert found["shows an object"]["mcc"].estimate is None
    assert found["shows an object"]["mcc"].reason == "all show road work"
    assert found["shows none"]["mcc"].reason == "all show no road work"
    assert found["shows an object"]["coverage"].estimate is not None
