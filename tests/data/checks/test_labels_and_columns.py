"""Captions, balance, metadata and boxes."""

from __future__ import annotations

import pytest

from workzone.core.types import Label, Status
from workzone.data.checks.boxes import box_edges, box_types
from workzone.data.checks.labels import caption_rule, class_balance
from workzone.data.checks.metadata import missing_metadata
from workzone.data.schema import NewBox


def test_captions_against_labels(bench, ids_of):
    """Picture 0 is none, picture 2 road work."""
    samples = bench.samples({0: {"caption": "A lane is closed."}, 2: {"caption": "  "}})
    result = caption_rule(bench.look(samples))
    assert result.status is Status.FAIL
    assert set(result.samples) == ids_of(samples[0].image, samples[2].image)
    assert {o.detail for o in result.offenders} == {
        "labelled none, with a caption",
        "labelled road work, without a caption",
    }


@pytest.mark.parametrize("caption", [None, "A street."])
def test_a_source_that_describes_all_or_none_says_nothing(bench, caption):
    result = caption_rule(bench.look(bench.samples({n: {"caption": caption} for n in range(48)})))
    assert (result.status, result.of) == (Status.PASS, 0)


def test_the_caption_rule_is_each_sources_own(bench, ids_of):
    """Half of the set is a source that describes every picture: only the other half is judged."""
    changes = {n: {"source": "described", "caption": "A street."} for n in range(24)}
    changes[26] = {"caption": None}
    samples = bench.samples(changes)
    result = caption_rule(bench.look(samples))
    assert result.of == 24
    assert set(result.samples) == ids_of(samples[26].image)


def test_ambiguous_pictures_may_have_any_caption(bench):
    assert caption_rule(bench.look(bench.samples({2: {"caption": None, "ambiguous": True}}))).count == 0


@pytest.mark.parametrize(("flipped", "status"), [(0, Status.PASS), (4, Status.PASS), (5, Status.WARN)])
def test_class_balance_of_train_alone(bench, split_for, flipped, status):
    """Train has 12 places, half of them road work; calib and test all have, which is no fault of theirs."""
    changes = {}
    train = [n for n in range(48) if n // 4 % 4 < 2]
    for n in range(48):
        if n not in train:
            changes[n] = {"label": Label.ROADWORK, "caption": "Cones."}
    none = [n for n in train if n // 2 % 2 == 0]
    changes.update({n: {"label": Label.ROADWORK, "caption": "Cones."} for n in none[:flipped]})
    dataset = bench.write(bench.samples(changes))
    result = class_balance(bench.look(dataset, split=split_for(dataset)))
    assert result.status is status, result.summary
    assert dict(result.figures)["roadwork_share_test"] == 1.0
    assert dict(result.figures)["roadwork_share_train"] == pytest.approx((12 + flipped) / 24, abs=1e-4)


def test_without_a_split_balance_is_a_figure(bench):
    result = class_balance(bench.look(bench.samples({n: {"label": Label.ROADWORK} for n in range(48)})))
    assert (result.status, result.of) == (Status.PASS, 0)
    assert dict(result.figures) == {"roadwork_share": 1.0}


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({"camera": None}, "camera"),
        ({"daytime": ""}, "daytime"),
        ({"captured_at": None}, "captured_at"),
        ({"lat": None}, "place"),
        ({"lat": 0.0, "lon": 0.0}, "place"),
        ({"group": None}, "group"),
        ({"source": "", "weather": None}, "weather"),
    ],
)
def test_a_picture_that_lacks_what_its_source_has(bench, ids_of, columns, word):
    samples = bench.samples({9: columns})
    result = missing_metadata(bench.look(samples))
    if columns.get("source") == "":
        assert result.status is Status.PASS  # a source of its own, which has nothing
        return
    assert result.status is Status.WARN
    assert set(result.samples) == ids_of(samples[9].image)
    assert result.offenders[0].detail == f"lacks {word}"
    assert dict(result.figures)[f"missing_{word}"] == pytest.approx(1 / 48, abs=1e-4)


def test_a_column_that_nobody_filled_is_no_fault(bench):
    result = missing_metadata(bench.look(bench.samples({n: {"captured_at": None} for n in range(48)})))
    assert result.status is Status.PASS
    assert "Known of none: captured_at" in result.summary


def test_a_set_without_groups_is_warned_of(bench):
    result = missing_metadata(bench.look(bench.samples({n: {"group": None} for n in range(48)})))
    assert (result.status, result.count) == (Status.WARN, 48)
    assert "group of its own" in result.summary
    assert "regroup" in result.advice


def box(x: float, y: float, width: float, height: float, kind: str = "cone") -> NewBox:
    return NewBox(kind, "context", x, y, width, height, 1.0)


@pytest.mark.parametrize(
    ("planted", "status", "word"),
    [
        (box(128, 5, 10, 10), Status.FAIL, "wholly outside"),
        (box(-50, 5, 50, 10), Status.FAIL, "wholly outside"),
        (box(5, 96, 10, 10), Status.FAIL, "wholly outside"),
        (box(5, 5, 0, 10), Status.WARN, "empty"),
        (box(120, 5, 30, 10), Status.WARN, "over the edge"),
        (box(-4, 5, 30, 10), Status.WARN, "over the edge"),
        (box(120, 5, 9, 10), Status.PASS, ""),
        (box(-0.5, -1, 128.5, 97.5), Status.PASS, ""),
    ],
)
def test_boxes_that_leave_the_picture(bench, ids_of, planted, status, word):
    samples = bench.samples({4: {"boxes": (planted,)}})
    result = box_edges(bench.look(samples))
    assert result.status is status
    assert set(result.samples) == (ids_of(samples[4].image) if word else set())
    if word:
        assert f"box {word}" in result.offenders[0].detail


def test_boxes_are_judged_by_the_decoded_size(bench):
    """A row that declares twice the size does not make room for a box outside."""
    change = {"width_px": 256, "height_px": 192, "boxes": (box(200, 150, 20, 20),)}
    assert box_edges(bench.look(bench.samples({4: change}))).status is Status.FAIL


@pytest.mark.parametrize(
    ("kind", "known"), [("cone", True), ("worker", True), ("spaceship", False), ("", False)]
)
def test_types_that_the_vocabulary_knows(bench, ids_of, kind, known):
    samples = bench.samples({4: {"boxes": (box(5, 5, 9, 9, kind),)}})
    result = box_types(bench.look(samples))
    assert result.status is (Status.PASS if known else Status.WARN)
    assert set(result.samples) == (set() if known else ids_of(samples[4].image))


def test_where_objects_are_not_known_boxes_are_not_judged(bench):
    subject = bench.look(bench.samples({n: {"boxes": None} for n in range(48)}))
    for check in (box_edges, box_types):
        assert (check(subject).status, check(subject).of) == (Status.PASS, 0)
