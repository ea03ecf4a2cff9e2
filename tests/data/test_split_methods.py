"""Whatever decides who is test, groups stay whole and the stated distance or order holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from workzone.core.errors import ConfigError, DataError
from workzone.core.types import Role
from workzone.data.dataset import DataSet
from workzone.data.schema import SAMPLE_COLUMNS
from workzone.data.split import Fractions, Split, fold_split, make_split, read_split, write_split
from workzone.data.split_methods import published_split, source_split, time_split
from workzone.data.tables import build_table
from workzone.data.units import Units, link_groups

FRACTIONS = Fractions(0.4, 0.2, 0.2, 0.2)
ORDER = [str(role) for role in Role]
START = datetime(2024, 3, 1, tzinfo=UTC)


def data(rows: Sequence[dict[str, Any]]) -> DataSet:
    """A data set that is only a table; a row states what differs from an unlabelled picture of group `g`."""
    plain: dict[str, Any] = dict.fromkeys(column.name for column in SAMPLE_COLUMNS)
    plain |= {"path": "images/x.jpg", "label": 0, "ambiguous": False, "synthetic": True}
    plain |= {"width_px": 1, "height_px": 1}
    full = [plain | {"id": f"{number:064x}"} | row for number, row in enumerate(rows)]
    columns = {column.name: [row[column.name] for row in full] for column in SAMPLE_COLUMNS}
    return DataSet(None, "memory", "1", "none", "0" * 64, build_table(SAMPLE_COLUMNS, columns), None)  # type: ignore[arg-type]


def roles(split: Split) -> list[str]:
    """Return the role of each row, in the order of the data set."""
    return split.table["role"].to_pylist()


def role_of(split: Split) -> dict[str, str]:
    return dict(zip(split.table["group"].to_pylist(), roles(split), strict=True))


def groups_are_whole(split: Split) -> bool:
    pairs = set(zip(split.table["group"].to_pylist(), roles(split), strict=True))
    return len(pairs) == len({group for group, _ in pairs})


def metres(one: Sequence[float], other: Sequence[float]) -> float:
    """The haversine formula, in plain Python."""
    lat1, lon1, lat2, lon2 = map(math.radians, (*one, *other))
    inner = math.sin((lat2 - lat1) / 2) ** 2
    inner += math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(min(1.0, math.sqrt(inner)))


PLACE = st.one_of(st.none(), st.tuples(st.integers(0, 60), st.integers(0, 60)))


@given(
    places=st.lists(st.tuples(st.integers(0, 14), PLACE), min_size=12, max_size=40),
    origin=st.sampled_from([(48.1, 11.5), (-33.9, 179.9998), (89.9995, 20.0), (0.0001, -0.01)]),
    within_m=st.sampled_from([15.0, 60.0, 140.0]),
    seed=st.integers(0, 5),
)
@hypothesis_settings(max_examples=80)
def test_no_two_roles_come_closer_than_the_distance(places, origin, within_m, seed) -> None:
    rows = []
    for number, (group, place) in enumerate(places):
        lat = lon = None
        if place is not None:  # a grid of about 30 m, over a pole's neighbourhood and the 180th meridian too
            lat = min(origin[0] + place[0] * 3e-4, 90.0)
            lon = (origin[1] + place[1] * 4e-4 + 180) % 360 - 180
        rows.append({"group": f"g{group:02d}", "lat": lat, "lon": lon, "label": number % 2})
    placed = [number for number, row in enumerate(rows) if row["lat"] is not None]
    assume(placed)
    dataset = data(rows)
    units = link_groups(dataset, within_m=within_m)
    close = {
        (one, other)
        for one, other in combinations(placed, 2)
        if metres((rows[one]["lat"], rows[one]["lon"]), (rows[other]["lat"], rows[other]["lon"])) <= within_m
    }
    reach = {name: {name} for name in units.of_group}
    for one, other in close:  # what is close is linked, over others too, and nothing else is
        joined = reach[rows[one]["group"]] | reach[rows[other]["group"]]
        reach |= dict.fromkeys(joined, joined)
    assert {name: min(names) for name, names in reach.items()} == dict(units.of_group)
    try:
        split = make_split(dataset, FRACTIONS, seed, units=units)
    except DataError:
        assert len(set(units.of_group.values())) < 12  # else every role gets a unit
        return
    assert groups_are_whole(split)
    held = roles(split)
    assert all(held[one] == held[other] for one, other in close)


def test_groups_without_a_place_are_counted_and_a_place_at_zero_is_none(observer) -> None:
    rows = [{"group": f"g{i:02d}", "lat": 0.0, "lon": 0.0, "label": i % 2} for i in range(20)]
    rows += [{"group": f"h{i:02d}", "lat": 40.0 + i, "lon": 3.0, "label": i % 2} for i in range(20)]
    rows += [{"group": "h00", "lat": None, "lon": 3.0}]
    units = link_groups(data(rows), within_m=500.0, observer=observer)
    assert len(set(units.of_group.values())) == 40
    assert any(note.startswith("20 groups of 'memory' have no place") for note in observer.notes)
    for wrong in (0.0, -1.0, float("nan"), 2e6):
        with pytest.raises(ConfigError, match="Groups are to be linked within"):
            link_groups(data(rows), within_m=wrong)
    with pytest.raises(DataError, match="No picture of 'memory' has a place"):
        link_groups(data(rows[:20]), within_m=500.0)


def near(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def test_linked_groups_are_dealt_as_one_and_chains_are_followed(observer) -> None:
    dataset = data([{"group": f"g{i:02d}", "label": i % 2} for i in range(40)])
    units = link_groups(dataset, near_duplicates=near((3, 9), (9, 20), (20, 20), (7, 8)), observer=observer)
    assert units.merged() == {"g03": ["g03", "g09", "g20"], "g07": ["g07", "g08"]}
    assert any("form 37 units" in note and "3 groups" in note for note in observer.notes)
    for seed in range(6):
        of = role_of(make_split(dataset, FRACTIONS, seed, units=units))
        assert of["g03"] == of["g09"] == of["g20"]
        assert of["g07"] == of["g08"]
    tested = [
        {g for g, r in role_of(fold_split(dataset, 4, fold, 1, units=units)).items() if r == "test"}
        for fold in range(4)
    ]
    assert sum(map(len, tested)) == len(set().union(*tested)) == 40
    assert sum({"g03", "g09", "g20"} <= fold for fold in tested) == 1


def test_nothing_linked_is_the_split_by_group_under_another_hash() -> None:
    dataset = data([{"group": f"g{i:02d}", "label": i % 2} for i in range(40)])
    alone = link_groups(dataset, near_duplicates=near())
    plain, same = make_split(dataset, FRACTIONS, 4), make_split(dataset, FRACTIONS, 4, units=alone)
    assert same.table.equals(plain.table)
    assert same.sha256 != plain.sha256  # it promises more


def test_too_few_units_and_uneven_ones_are_said(observer) -> None:
    dataset = data([{"group": f"g{i:02d}", "label": i % 2} for i in range(40)])
    one_street = link_groups(dataset, near_duplicates=near(*((i, i + 1) for i in range(37))))
    with pytest.raises(DataError, match=r"40 groups in 3 units, too few .* or what links groups"):
        make_split(dataset, FRACTIONS, 0, units=one_street)
    half = link_groups(dataset, near_duplicates=near(*((i, i + 1) for i in range(20))))
    make_split(dataset, FRACTIONS, 0, units=half, observer=observer)
    assert any("Shares are of units" in note for note in observer.notes)


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 12), st.integers(1, 3)), min_size=8, max_size=60
    )
)
@hypothesis_settings(max_examples=60)
def test_later_roles_end_later_and_the_cuts_are_near_the_fractions(spans) -> None:
    rows = [
        {
            "group": f"g{number:02d}",
            "captured_at": START + timedelta(days=day, hours=length * frame),
            "label": number % 2,
        }
        for number, (day, length, frames) in enumerate(spans)
        for frame in range(frames)
    ]
    dataset = data(rows)
    try:
        split = time_split(dataset, FRACTIONS)
    except DataError:
        assume(False)
    assert groups_are_whole(split)
    last: dict[str, datetime] = {}
    for row in rows:
        last[row["group"]] = max(last.get(row["group"], START), row["captured_at"])
    of = role_of(split)
    for earlier, later in combinations(ORDER, 2):
        newest = max(time for group, time in last.items() if of[group] == earlier)
        assert newest < min(time for group, time in last.items() if of[group] == later)
    # Between distinct times a cut is at most half a tie away from its place.
    most_of_one_time = max(list(last.values()).count(time) for time in last.values())
    for position, share in enumerate(np.cumsum(FRACTIONS.shares())[:-1]):
        before = sum(ORDER.index(role) <= position for role in of.values())
        assert abs(before - share * len(last)) <= max(most_of_one_time / 2, 0.5) + 1e-9


def test_missing_times_and_one_time_are_refused_and_reaching_back_is_told(observer) -> None:
    rows = [{"group": f"g{i}", "captured_at": START + timedelta(days=i), "label": i % 2} for i in range(10)]
    with pytest.raises(DataError, match="2 of the 12 pictures of 'memory' do not say when"):
        time_split(data([*rows, {"group": "g0"}, {"group": "x"}]), FRACTIONS)
    with pytest.raises(DataError, match="too few for this split"):
        time_split(data([row | {"captured_at": START} for row in rows]), FRACTIONS)
    time_split(data(rows), FRACTIONS, observer)
    assert not any("began before" in note for note in observer.notes)
    split = time_split(data([*rows, rows[9] | {"captured_at": START}]), FRACTIONS, observer)
    assert role_of(split)["g9"] == "test"
    assert any(note.startswith("1 group began before") for note in observer.notes)
    assert (split.recipe.seed, split.recipe.stratify) == (0, [])


def sourced(*names: str) -> list[dict[str, Any]]:
    return [
        {"group": f"{name}{i:02d}", "source": name, "label": (i + frame) % 2}
        for name in names
        for i in range(20)
        for frame in range(2)
    ]


@pytest.mark.parametrize("sides", [(["a", "b"], ["c"]), (["b", "a"], []), ([], ["c"])])
def test_test_comes_from_its_sources_only(sides) -> None:
    dataset = data(sourced("a", "b", "c"))
    split = source_split(dataset, FRACTIONS, 2, *sides)
    assert groups_are_whole(split)
    for group, role in role_of(split).items():
        assert (role == "test") == group.startswith("c")
    counts = [list(role_of(split).values()).count(role) for role in ORDER]
    assert counts == [20, 10, 10, 20]
    assert (split.recipe.train_sources, split.recipe.test_sources) == (["a", "b"], ["c"])


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [
        ([], [], r"needs the sources of train or those of test .* Known: alpha, beta, gamma"),
        (["alpa"], [], r"no source 'alpa'\. Did you mean 'alpha'"),
        (["alpha"], ["alpha", "beta"], "'alpha' is named for train and for test"),
        (["alpha"], ["beta"], "'gamma' is named neither for train nor for test"),
        (["alpha", "beta", "gamma"], [], "on one side"),
    ],
)
def test_wrong_sources_are_named(train, test, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence):
        source_split(data(sourced("alpha", "beta", "gamma")), FRACTIONS, 0, train, test)


def test_a_missing_source_and_a_group_of_two_sources_are_refused() -> None:
    rows = sourced("a", "b")
    with pytest.raises(DataError, match="1 of the 81 pictures of 'memory' name no source"):
        source_split(data([*rows, {"group": "x"}]), FRACTIONS, 0, ["a"], [])
    with pytest.raises(
        DataError, match=r"1 group of 'memory' has pictures on two sides of the source: 'a03'"
    ):
        source_split(data([*rows, {"group": "a03", "source": "b"}]), FRACTIONS, 0, ["a"], [])
    dataset = data(rows)
    linked = link_groups(dataset, near_duplicates=near((0, 79)))
    with pytest.raises(DataError, match=r"1 unit of linked groups of 'memory' has .* 'a00'"):
        source_split(dataset, FRACTIONS, 0, ["a"], [], units=linked)


def published(**counts: int) -> list[dict[str, Any]]:
    return [
        {"group": f"{name}{i:02d}", "published_split": name, "label": i % 2}
        for name, count in counts.items()
        for i in range(count)
    ]


def test_a_published_test_is_test_and_its_train_is_dealt() -> None:
    split = published_split(data(published(train=40, test=15)), FRACTIONS, 1)
    of = role_of(split)
    assert {group for group, role in of.items() if role == "test"} == {g for g in of if g.startswith("test")}
    assert [list(of.values()).count(role) for role in ORDER] == [20, 10, 10, 15]


def test_a_published_val_is_select_in_any_spelling() -> None:
    for val in ("val", "valid", "Validation ", "dev"):
        split = published_split(data(published(Train=30, **{val: 9}, TESTING=12)), FRACTIONS, 1)
        of = role_of(split)
        assert {role for group, role in of.items() if group.startswith(val)} == {"select"}
        assert [list(of.values()).count(role) for role in ORDER] == [20, 9, 10, 12]
        assert split.recipe.select == 0.0


def test_without_a_published_test_val_is_test_and_the_rest_is_dealt_from_train(observer) -> None:
    split = published_split(data(published(train=40, Valid=15)), FRACTIONS, 1, observer=observer)
    of = role_of(split)
    assert {group for group, role in of.items() if role == "test"} == {g for g in of if g.startswith("Valid")}
    assert [list(of.values()).count(role) for role in ORDER] == [20, 10, 10, 15]
    assert (split.recipe.train, split.recipe.select, split.recipe.calib) == (0.5, 0.25, 0.25)
    assert [note for note in observer.notes if "without a test: here its val is test" in note]
    observer.notes.clear()
    published_split(data(published(train=40, val=9, test=15)), FRACTIONS, 1, observer=observer)
    (note,) = [note for note in observer.notes if "published" in note]
    assert note.startswith("13 of the 40 groups that were published as train are calib")


def test_what_was_published_to_adapt_to_is_learned_from_and_told(observer) -> None:
    rows = published(pretrain=30, unsupervised=10, test=15)
    of = role_of(published_split(data(rows), FRACTIONS, 1, observer=observer))
    assert {group for group, role in of.items() if role == "test"} == {g for g in of if g.startswith("test")}
    assert [list(of.values()).count(role) for role in ORDER] == [20, 10, 10, 15]
    assert [
        note for note in observer.notes if note.startswith("10 pictures were published as 'unsupervised'")
    ]


def test_what_no_publisher_said_is_refused() -> None:
    with pytest.raises(DataError, match="1 of the 31 pictures of 'memory' name no published split"):
        published_split(data([*published(train=20, test=10), {"group": "x"}]), FRACTIONS, 0)
    with pytest.raises(DataError, match=r"published split 'tets', which is not known\. Did you mean 'test'"):
        published_split(data(published(train=20, tets=10)), FRACTIONS, 0)
    with pytest.raises(DataError, match="nothing but pictures that were published as train"):
        published_split(data(published(train=20, pretrain=10)), FRACTIONS, 0)
    with pytest.raises(DataError, match="too few for this split: train"):
        published_split(data(published(val=10)), FRACTIONS, 0)
    rows = published(train=20, test=10)
    both = [*rows, *({"group": f"train{i:02d}", "published_split": "test"} for i in range(7))]
    with pytest.raises(
        DataError, match=r"7 groups of 'memory' have .* published split: 'train00', 'train01', .*'train04' …"
    ):
        published_split(data(both), FRACTIONS, 0)
    with pytest.raises(DataError, match="too few for this split: train"):
        published_split(data(published(test=10)), FRACTIONS, 0)
    with pytest.raises(ConfigError, match="nothing for train and calib"):
        published_split(data(published(train=9, val=9, test=9)), Fractions(0.0, 0.8, 0.0, 0.2), 0)


def test_every_method_is_written_read_back_and_kept_apart_by_its_hash(tmp_path) -> None:
    rows = [
        {
            "group": f"g{i:02d}",
            "label": i % 2,
            "source": "ab"[i >= 20],
            "published_split": ("train", "test")[i >= 20],
            "captured_at": START + timedelta(days=i),
            "lat": 40.0 + i,
            "lon": 3.0,
        }
        for i in range(40)
    ]
    dataset = data(rows)

    def units(within_m: float) -> Units:
        return link_groups(dataset, within_m=within_m)

    made = [
        make_split(dataset, FRACTIONS, 0),
        make_split(dataset, FRACTIONS, 0, units=units(50.0)),
        make_split(dataset, FRACTIONS, 0, units=units(60.0)),
        fold_split(dataset, 4, 0, 0, units=units(50.0)),
        time_split(dataset, FRACTIONS),
        time_split(dataset, FRACTIONS, units=units(50.0)),
        source_split(dataset, FRACTIONS, 0, ["a"]),
        published_split(dataset, FRACTIONS, 0),
    ]
    assert len({split.sha256 for split in made}) == len(made)
    for number, split in enumerate(made):
        directory = tmp_path / str(number)
        directory.mkdir()
        write_split(split, directory)
        back = read_split(directory)
        assert (back.sha256, back.recipe) == (split.sha256, split.recipe)
        assert back.table.equals(split.table)
    changed = (tmp_path / "1/split.json").read_text().replace("50.0", "500.0")
    (tmp_path / "1/split.json").write_text(changed)
    with pytest.raises(DataError, match="was changed"):
        read_split(tmp_path / "1")
