"""Photographs that nobody rendered, from a folder and a table to a split, where they are beside the project."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from workzone.core.errors import DataError
from workzone.core.types import Label, Status
from workzone.data.checks.check import check_dataset
from workzone.data.importers.folder import import_folder
from workzone.data.regroup import regroup_dataset
from workzone.data.split import Fractions, Split, check_split, make_split
from workzone.data.split_methods import source_split
from workzone.phases.split import linked_units

PHOTOGRAPHS = Path(__file__).parents[3] / "shared" / "realset"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs are not published"),
]


@pytest.fixture(scope="module")
def listed() -> list[dict[str, str]]:
    with (PHOTOGRAPHS / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    out = tmp_path_factory.mktemp("photographs") / "photos"
    return import_folder(PHOTOGRAPHS, out, csv=PHOTOGRAPHS / "manifest.csv")


def roles_of(split: Split, dataset, column: str) -> dict[str, set[str]]:
    """The roles in which each value of a column occurs, read from the tables and not from the split's own groups."""
    role = dict(zip(split.table["id"].to_pylist(), split.table["role"].to_pylist(), strict=True))
    found = defaultdict(set)
    for row in dataset.samples.to_pylist():
        if row["id"] in role:
            found[row[column]].add(role[row["id"]])
    return found


def test_the_table_is_taken_as_it_is(imported, listed):
    samples = imported.dataset.samples.to_pylist()
    assert (len(samples), imported.skipped, imported.duplicates) == (len(listed), (), 0)
    assert any("hard_negative" in note for note in imported.notes)  # no column of the schema
    for column, of in (("group", str), ("source", str), ("label", int)):
        assert sorted(row[column] for row in samples) == sorted(of(row[column]) for row in listed)
    assert sum(row["ambiguous"] for row in samples) == sum(int(row["ambiguous"]) for row in listed) > 0
    stored = {path.read_bytes() for path in imported.dataset.paths()}
    assert stored == {(PHOTOGRAPHS / row["file"]).read_bytes() for row in listed}


def test_the_check_fails_because_the_source_gives_the_label_away(imported, listed):
    """What their collector warns of: some sources have only one label."""
    pytest.importorskip("sklearn")
    labels = defaultdict(set)
    for row in listed:
        if row["ambiguous"] == "0":
            labels[row["source"]].add(row["label"])
    one_sided = [source for source, seen in labels.items() if len(seen) == 1]
    checked = check_dataset(imported.dataset)
    shortcuts = checked.result("shortcuts")
    assert (checked.status, shortcuts.status) == (Status.FAIL, Status.FAIL)
    assert "source alone" in shortcuts.summary
    assert any(f"source={source}: " in shortcuts.summary for source in one_sided)
    assert dict(shortcuts.figures)["auroc_source"] > 0.75
    for name in ("decodable", "unchanged", "declared_size", "tiny", "blank", "exact_duplicates", "box_types"):
        assert checked.result(name).status is Status.PASS, name


def test_a_split_by_source_keeps_a_source_out_of_learning(imported, listed):
    """Two sources have pictures of one group: a split that would cut it is refused, by its name."""
    sources_of = defaultdict(set)
    for row in listed:
        sources_of[row["group"]].add(row["source"])
    shared = [(group, of) for group, of in sources_of.items() if len(of) > 1]
    ((group, together),) = shared
    dataset, everywhere = imported.dataset, {row["source"] for row in listed}
    one = next(iter(together))
    with pytest.raises(DataError, match=f"two sides of the source: '{group}'"):
        source_split(dataset, Fractions(), 0, test_sources=(one,))

    held_out = sorted(everywhere - together - {"india"})
    split = source_split(dataset, Fractions(), 0, test_sources=held_out)
    check_split(split, dataset)
    roles = roles_of(split, dataset, "source")
    assert set(roles) == everywhere
    assert all((of == {"test"}) == (source in held_out) for source, of in roles.items())
    assert set().union(*roles.values()) == {"train", "select", "calib", "test"}
    assert all(len(of) == 1 for of in roles_of(split, dataset, "group").values())


def test_regrouped_photographs_have_fewer_groups_and_no_pair_across_a_split(imported, tmp_path):
    pytest.importorskip("sklearn")
    dataset = imported.dataset
    units = linked_units(dataset, None, True)
    regrouped = regroup_dataset(dataset, units, tmp_path / "regrouped")
    merged = sum(len(groups) - 1 for groups in units.merged().values())
    assert regrouped.n_groups == regrouped.n_groups_before - merged
    old = dict(zip(dataset.samples["id"].to_pylist(), dataset.samples["label"].to_pylist(), strict=True))
    new = regrouped.dataset.samples
    assert dict(zip(new["id"].to_pylist(), new["label"].to_pylist(), strict=True)) == old
    split = make_split(regrouped.dataset, Fractions(), 0)
    assert all(len(of) == 1 for of in roles_of(split, regrouped.dataset, "group").values())
    near = check_dataset(regrouped.dataset, split=split).result("near_duplicates")
    figures = dict(near.figures)
    assert figures["pairs_across_groups"] == figures["pairs_across_roles"] == 0
    assert {Label.ROADWORK, Label.NONE} <= set(new["label"].to_pylist())
