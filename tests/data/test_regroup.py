"""Merged groups count once; pictures, labels and the old data set stay what they are."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest

from workzone.core.errors import ConfigError, DataError
from workzone.data.dataset import open_dataset, verify_pictures
from workzone.data.regroup import REGROUP_LOG, regroup_dataset
from workzone.data.units import link_groups


@pytest.fixture
def linked(own_dataset):
    """Units of `own_dataset`: three of its groups are one."""
    groups = own_dataset.samples["group"].to_pylist()
    rows = [groups.index(name) for name in ("g002", "g005", "g011")]
    pairs = np.array([[rows[2], rows[0]], [rows[1], rows[2]]], dtype=np.intp)
    return link_groups(own_dataset, near_duplicates=pairs)


def columns(dataset, *without: str) -> dict[str, list]:
    return {
        name: dataset.samples[name].to_pylist()
        for name in dataset.samples.column_names
        if name not in without
    }


def test_linked_groups_become_one_and_nothing_else_changes(own_dataset, linked, tmp_path) -> None:
    before = {path: path.read_bytes() for path in own_dataset.root.rglob("*") if path.is_file()}
    done = regroup_dataset(own_dataset, linked, tmp_path / "new")
    new = open_dataset(tmp_path / "new")
    verify_pictures(new)
    assert {path: path.read_bytes() for path in own_dataset.root.rglob("*") if path.is_file()} == before
    assert columns(new, "group") == columns(own_dataset, "group")
    assert new.boxes.equals(own_dataset.boxes)
    renamed = {"g005": "g002", "g011": "g002"}
    expected = [renamed.get(group, group) for group in own_dataset.samples["group"].to_pylist()]
    assert new.samples["group"].to_pylist() == expected
    assert (done.n_groups_before, done.n_groups, done.n_merged) == (24, 22, 1)
    assert (new.revision, new.name) == (f"{own_dataset.revision}-regrouped", own_dataset.name)
    assert new.sha256 == done.dataset.sha256 != own_dataset.sha256
    lines = [json.loads(line) for line in (new.root / REGROUP_LOG).read_text().splitlines()]
    assert lines[0] == {
        "from": own_dataset.sha256,
        "within_m": None,
        "near_duplicates": True,
        "groups_before": 24,
        "groups": 22,
    }
    assert lines[1:] == [
        {"group": "g002", "merged": ["g002", "g005", "g011"], "pictures": expected.count("g002")}
    ]


def test_pictures_are_hard_linked_or_else_copied(own_dataset, linked, tmp_path, monkeypatch) -> None:
    done = regroup_dataset(own_dataset, linked, tmp_path / "linked")
    assert done.n_linked == len(own_dataset)
    for old, new in zip(own_dataset.paths(), done.dataset.paths(), strict=True):
        assert old.samefile(new)

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another device")

    monkeypatch.setattr(os, "link", refuse)
    done = regroup_dataset(own_dataset, linked, tmp_path / "copied")
    assert done.n_linked == 0
    verify_pictures(done.dataset)
    assert not done.dataset.paths()[0].samefile(own_dataset.paths()[0])


def test_where_nothing_is_linked_it_says_so(own_dataset, tmp_path, observer) -> None:
    alone = link_groups(own_dataset, near_duplicates=np.empty((0, 2), dtype=np.intp))
    done = regroup_dataset(own_dataset, alone, tmp_path / "new", revision="2", observer=observer)
    assert (done.n_groups, done.n_merged, done.dataset.revision) == (24, 0, "2")
    assert any("No groups of 'own' are linked" in note for note in observer.notes)
    assert any(step[0] == "link pictures" for step in observer.steps)


def test_nothing_is_written_over_and_a_changed_data_set_is_refused(own_dataset, linked, tmp_path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not written over"):
        regroup_dataset(own_dataset, linked, tmp_path / "taken")
    with pytest.raises(ConfigError, match="holds a data set already"):
        regroup_dataset(own_dataset, linked, own_dataset.root)
    manifest = own_dataset.root / "dataset.json"
    manifest.write_text(manifest.read_text().replace(own_dataset.sha256, "f" * 64))
    with pytest.raises(DataError, match="was changed while it was read"):
        regroup_dataset(own_dataset, linked, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".tmp-*"))


def test_the_old_data_set_is_no_place_for_the_new_one(own_dataset, linked) -> None:
    with pytest.raises(ConfigError, match="lies in the data set that is to be regrouped"):
        regroup_dataset(own_dataset, linked, own_dataset.root / "in")
    assert not (own_dataset.root / "in").exists()
