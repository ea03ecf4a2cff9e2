"""The settings of a split reach the method that they name; what means nothing to it is refused."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from workzone.core.errors import ConfigError, DataError
from workzone.core.observer import NullObserver
from workzone.core.types import Label
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.schema import NewSample
from workzone.data.split import Fractions, fold_split, make_split, write_split
from workzone.data.split_methods import published_split, source_split, time_split
from workzone.data.units import link_groups
from workzone.phases.recipe import SplitSection, checked
from workzone.phases.split import linked_units, near_duplicate_links, split_of, split_phase

START = datetime(2024, 1, 1, tzinfo=UTC)
FRACTIONS = SplitSection().fractions()


def picture(scene: int, quality: int) -> bytes:
    coarse = np.random.default_rng(scene).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(cv2.resize(coarse, (112, 80), interpolation=cv2.INTER_CUBIC)).save(
        buffer, "JPEG", quality=quality
    )
    return buffer.getvalue()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """40 groups a kilometre apart; the first picture of group 3 is in group 30 too, compressed harder."""

    def sample(number: int, quality: int, group: int) -> NewSample:
        return NewSample(
            picture(number, quality),
            Label(group % 2),
            112,
            80,
            group=f"g{group:02d}",
            lat=45 + 0.009 * group,
            lon=9.0,
            source="ab"[group >= 20],
            published_split=("train", "test")[group >= 25],
            captured_at=START + timedelta(days=group),
        )

    samples = [sample(group, 92, group) for group in range(40)] + [sample(3, 55, 30)]
    return write_dataset(tmp_path_factory.mktemp("split") / "data", samples, name="kerb")


def made(dataset: DataSet, **settings: object):
    return split_of(dataset, checked(SplitSection, **settings), NullObserver())


def test_each_method_is_the_librarys(dataset: DataSet) -> None:
    assert made(dataset).sha256 == make_split(dataset, FRACTIONS, 0).sha256
    assert made(dataset, folds=4, fold=2, seed=5).sha256 == fold_split(dataset, 4, 2, 5, FRACTIONS).sha256
    near = link_groups(dataset, within_m=100.0)
    assert made(dataset, by="place").sha256 == make_split(dataset, FRACTIONS, 0, units=near).sha256
    wide = link_groups(dataset, within_m=1500.0)
    with pytest.raises(DataError, match="in 1 units"):
        made(dataset, by="place", min_distance_m=1500.0)
    assert len(set(wide.of_group.values())) == 1
    fold = made(dataset, by="place", folds=4, fold=0)
    assert fold.sha256 == fold_split(dataset, 4, 0, 0, FRACTIONS, units=near).sha256
    assert made(dataset, by="time").sha256 == time_split(dataset, FRACTIONS).sha256
    assert made(dataset, by="published").sha256 == published_split(dataset, FRACTIONS, 0).sha256
    by_source = made(dataset, by="source", test_sources=["b"])
    assert by_source.sha256 == source_split(dataset, FRACTIONS, 0, ["a"], ["b"]).sha256


def test_near_duplicates_are_linked_before_any_method(dataset: DataSet, tmp_path: Path) -> None:
    groups = dataset.samples["group"].to_pylist()
    links = near_duplicate_links(dataset, cache=tmp_path / "facts")
    assert {groups[row] for row in links[0]} == {"g03", "g30"}
    assert len(links) == 1
    for seed in range(5):
        split = made(dataset, near_duplicates=True, seed=seed)
        role_of = dict(zip(split.table["group"].to_pylist(), split.table["role"].to_pylist(), strict=True))
        assert role_of["g03"] == role_of["g30"]
    with pytest.raises(DataError, match="1 unit of linked groups"):
        made(dataset, near_duplicates=True, by="source", train_sources=["a"])
    with pytest.raises(DataError, match="1 unit of linked groups"):
        made(dataset, near_duplicates=True, by="published")
    assert linked_units(dataset, None, near_duplicates=False) is None


def plain_colour(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (112, 80), (value, value, value)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_blank_frame_in_each_of_two_groups_does_not_link_them(tmp_path: Path) -> None:
    images = {0: [picture(0, 92), plain_colour(90)], 1: [picture(1, 92), plain_colour(93)]}
    samples = [
        NewSample(image, Label(group), 112, 80, group=f"g{group}")
        for group, frames in images.items()
        for image in frames
    ]
    dataset = write_dataset(tmp_path / "data", samples, name="kerb")
    notes: list[str] = []

    class Told(NullObserver):
        def note(self, text: str) -> None:
            notes.append(text)

    assert near_duplicate_links(dataset, observer=Told()).tolist() == []
    assert [note for note in notes if "2 of 4 pictures of 'kerb' cannot be read" in note]
    units = linked_units(dataset, None, near_duplicates=True)
    assert units is not None
    assert units.merged() == {}


def test_a_named_split_overrides_the_rest(dataset: DataSet, tmp_path: Path) -> None:
    split = make_split(dataset, Fractions(0.25, 0.25, 0.25, 0.25), 3)
    write_split(split, tmp_path)
    assert made(dataset, path=tmp_path, by="time").sha256 == split.sha256


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"by": "plase"}, "by: Input should be"),
        ({"by": "time", "folds": 3}, "split.folds means nothing to a split by time"),
        ({"by": "time", "seed": 3}, "split.seed means nothing to a split by time"),
        ({"by": "group", "min_distance_m": 5.0}, "it is for a split by place"),
        ({"train_sources": ["a"]}, "it is for a split by source"),
        ({"by": "published", "test_sources": ["a"]}, "it is for a split by source"),
        ({"by": "source"}, "needs train_sources or test_sources"),
        ({"by": "place", "min_distance_m": 0.0}, "greater than 0"),
        ({"by": "place", "min_distance_m": float("nan")}, "min_distance_m"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence):
        checked(SplitSection, **settings)


def test_the_phases_configuration_is_what_it_was_until_something_new_is_asked_for(dataset: DataSet) -> None:
    """Else every finished run would deal its groups again."""
    plain = split_phase(dataset, SplitSection(seed=4, folds=3)).config
    assert plain == {
        "dataset": dataset.sha256,
        "path": None,
        "train": 0.4,
        "select": 0.15,
        "calib": 0.25,
        "test": 0.2,
        "seed": 4,
        "folds": 3,
        "fold": 0,
    }
    new = split_phase(dataset, SplitSection(by="source", test_sources=("b",), near_duplicates=True)).config
    assert {name: new[name] for name in new.keys() - plain.keys()} == {
        "by": "source",
        "test_sources": ["b"],
        "near_duplicates": True,
    }


def test_where_near_duplicates_link_nothing_the_split_is_the_one_without_a_look(
    dataset: DataSet, tmp_path: Path
) -> None:
    samples = [NewSample(picture(i, 92), Label(i % 2), 112, 80, group=f"g{i:02d}") for i in range(24)]
    apart = write_dataset(tmp_path / "data", samples, name="kerb")
    assert made(apart).sha256 == made(apart, near_duplicates=True).sha256
    assert made(dataset).sha256 != made(dataset, near_duplicates=True).sha256  # here one link is found


def test_a_fold_without_folds_is_refused_in_a_plain_sentence() -> None:
    with pytest.raises(ConfigError, match=r"^The options: split\.fold 2 means nothing without split\.folds$"):
        checked(SplitSection, fold=2)
