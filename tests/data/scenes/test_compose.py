"""Sequences of scenes: repeatable, coherent, labelled by what they show, and not told apart by colour."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from workzone.core.errors import ConfigError
from workzone.core.types import Label
from workzone.data.scenes.compose import MIN_HEIGHT_PX, MIN_VISIBLE, render_sequence
from workzone.data.scenes.world import Category, Daytime, Frame, Shift, Weather, WorldSpec

SPEC = WorldSpec()


@pytest.fixture(scope="module")
def sequences() -> list[tuple[Label, list[Frame]]]:
    """120 sequences of two frames, every other one with road work."""
    labels = [Label(index % 2) for index in range(120)]
    return [(label, render_sequence(3, index, label, 2, SPEC)) for index, label in enumerate(labels)]


def _distance(one: Frame, other: Frame) -> float:
    return float(np.abs(one.image_rgb_u8.astype(int) - other.image_rgb_u8.astype(int)).mean())


@pytest.mark.parametrize("label", [Label.NONE, Label.ROADWORK])
@pytest.mark.parametrize("shift", list(Shift))
def test_same_seed_same_bytes_and_records(label: Label, shift: Shift) -> None:
    spec = WorldSpec(shift=shift)
    first, again = (render_sequence(5, 8, label, 2, spec) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.image_rgb_u8, other.image_rgb_u8)
        assert one.boxes == other.boxes
        assert one.caption == other.caption


def test_another_seed_or_index_is_another_place() -> None:
    here, seed, index = (render_sequence(s, i, Label.NONE, 1, SPEC)[0] for s, i in ((5, 8), (6, 8), (5, 9)))
    assert _distance(here, seed) > 8
    assert _distance(here, index) > 8


def test_a_prefix_of_a_longer_sequence_is_the_shorter_one() -> None:
    longer, shorter = (render_sequence(5, 3, Label.NONE, count, SPEC) for count in (3, 1))
    np.testing.assert_array_equal(longer[0].image_rgb_u8, shorter[0].image_rgb_u8)


def test_frames_of_a_sequence_are_closer_than_frames_of_two(
    sequences: list[tuple[Label, list[Frame]]],
) -> None:
    within = [_distance(frames[0], frames[1]) for _, frames in sequences]
    across = [_distance(one[0], other[0]) for (_, one), (_, other) in pairwise(sequences)]
    assert min(within) > 0.5  # never the same bytes twice
    assert float(np.median(within)) < float(np.median(across)) / 4
    assert all(
        (frames[0].daytime, frames[0].weather, frames[0].environment, frames[0].camera)
        == (frames[1].daytime, frames[1].weather, frames[1].environment, frames[1].camera)
        for _, frames in sequences
    )


def test_pictures_are_as_specified() -> None:
    frame = render_sequence(0, 0, Label.ROADWORK, 1, WorldSpec(width_px=320, height_px=200))[0]
    assert frame.image_rgb_u8.shape == (200, 320, 3)
    assert frame.image_rgb_u8.dtype == np.uint8


@pytest.mark.parametrize("shift", [Shift.NONE, Shift.CAMERA])
def test_boxes_lie_inside_the_picture(shift: Shift) -> None:
    for index in range(12):
        frame = render_sequence(7, index, Label(index % 2), 1, WorldSpec(shift=shift))[0]
        assert frame.boxes
        for box in frame.boxes:
            assert box.x_px >= 0
            assert box.y_px >= 0
            assert box.width_px >= 2
            assert box.height_px >= 2
            assert box.x_px + box.width_px <= SPEC.width_px
            assert box.y_px + box.height_px <= SPEC.height_px
            assert 0.0 <= box.visible <= 1.0


def test_the_label_is_what_the_picture_shows(sequences: list[tuple[Label, list[Frame]]]) -> None:
    for label, frames in sequences:
        for frame in frames:
            roadwork = [box for box in frame.boxes if box.category is Category.ROADWORK]
            if label is Label.NONE:
                assert not roadwork
            else:
                assert any(box.visible >= MIN_VISIBLE and box.height_px >= MIN_HEIGHT_PX for box in roadwork)
            assert ("no road work" in frame.caption) is (label is Label.NONE)


def test_zones_consist_of_several_objects_and_are_varied(
    sequences: list[tuple[Label, list[Frame]]],
) -> None:
    positives = [frames[0] for label, frames in sequences if label is Label.ROADWORK]
    seen = [
        [box for box in frame.boxes if box.category is Category.ROADWORK and box.visible >= MIN_VISIBLE]
        for frame in positives
    ]
    assert float(np.mean([len(boxes) for boxes in seen])) >= 4
    assert float(np.median([max(box.height_px for box in boxes) for boxes in seen])) >= 10
    types = {box.type for boxes in seen for box in boxes}
    assert {"cone", "drum", "barricade", "work_sign", "excavator", "worker"} <= types
    assert {frame.caption.partition("(")[2].partition(")")[0] for frame in positives} == {
        "lane taper", "pavement repair", "excavation", "sign and workers", "shoulder barricade",
    }  # fmt: skip


def test_hard_negatives_stand_in_both_classes(sequences: list[tuple[Label, list[Frame]]]) -> None:
    kinds: dict[Label, set[str]] = {Label.NONE: set(), Label.ROADWORK: set()}
    crowded = 0
    for label, frames in sequences:
        kinds[label] |= set(frames[0].hard_negatives)
        crowded += label is Label.NONE and len(frames[0].hard_negatives) > 0
    assert crowded >= 0.7 * len(sequences) / 2
    assert len(kinds[Label.NONE]) >= 12
    assert len(kinds[Label.ROADWORK]) >= 8


def test_no_decoys_are_added_where_none_are_wanted() -> None:
    def count(share: float) -> int:
        spec = WorldSpec(hard_negative_share=share)
        frames = [render_sequence(1, index, Label.NONE, 1, spec)[0] for index in range(25)]
        return sum(box.category is Category.HARD_NEGATIVE for frame in frames for box in frame.boxes)

    assert count(1.0) > 1.5 * count(0.0)


def test_the_share_of_orange_does_not_tell_the_label(
    sequences: list[tuple[Label, list[Frame]]],
) -> None:
    def orange(frame: Frame) -> float:
        hue, saturation, value = cv2.split(cv2.cvtColor(frame.image_rgb_u8, cv2.COLOR_RGB2HSV))
        return float(((hue >= 3) & (hue <= 20) & (saturation > 110) & (value > 80)).mean())

    work = np.array([orange(frames[0]) for label, frames in sequences if label is Label.ROADWORK])
    none = np.array([orange(frames[0]) for label, frames in sequences if label is Label.NONE])
    wins = (work[:, None] > none[None, :]) + 0.5 * (work[:, None] == none[None, :])
    assert 0.3 < float(wins.mean()) < 0.8


def test_shifted_worlds_differ_from_the_usual_one() -> None:
    usual = render_sequence(2, 4, Label.ROADWORK, 1, SPEC)[0]
    for shift in (Shift.CITY, Shift.CAMERA):
        other = render_sequence(2, 4, Label.ROADWORK, 1, WorldSpec(shift=shift))[0]
        assert _distance(usual, other) > 5
    for shift, name, value in (
        (Shift.NIGHT, "daytime", Daytime.NIGHT),
        (Shift.SNOW, "weather", Weather.SNOW),
    ):
        frames = [render_sequence(2, i, Label.NONE, 1, WorldSpec(shift=shift))[0] for i in range(16)]
        assert sum(getattr(frame, name) is value for frame in frames) >= 13


def test_what_cannot_be_rendered_is_refused() -> None:
    with pytest.raises(ConfigError, match="UNKNOWN"):
        render_sequence(0, 0, Label.UNKNOWN, 1, SPEC)
    with pytest.raises(ConfigError, match="frames 0"):
        render_sequence(0, 0, Label.NONE, 0, SPEC)
    with pytest.raises(ConfigError, match="width_px is 20"):
        WorldSpec(width_px=20)
    with pytest.raises(ConfigError, match="hard_negative_share"):
        WorldSpec(hard_negative_share=1.5)
