"""What the pack phase hands on: the pictures of train, select and calib, and never those of test."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from workzone.bundle.seen import Part
from workzone.data.schema import SPLIT_COLUMNS
from workzone.data.tables import build_table
from workzone.export.card import DataFacts
from workzone.phases.pack import pack_phase, seen_pictures
from workzone.phases.recipe import PackSection

ROLES = ["train", "test", "calib", "select", "train", "test"]


@pytest.fixture
def ids():
    return [f"{number:064x}" for number in range(len(ROLES))]


def test_every_role_but_test_is_listed(ids):
    table = build_table(SPLIT_COLUMNS, {"id": ids, "group": ids, "role": ROLES})
    seen = seen_pictures(SimpleNamespace(table=table))
    listed = {str(part): seen.ids(part).tolist() for part in Part}
    assert listed == {
        "train": [ids[0], ids[4]],
        "select": [ids[3]],
        "calib": [ids[2]],
        "ancestor_model": [],
        "ancestor_policy": [],
    }
    assert seen.overlap(ids).tolist() == [role != "test" for role in ROLES]


def test_the_phase_reads_the_split_and_opens_nothing():
    data = DataFacts("streets", "1", "CC0-1.0", "b" * 64, 10, 5, synthetic=True)
    phase = pack_phase(PackSection(), "streets", data)
    assert "split" in phase.inputs
    assert phase.cites == ("report",)
    assert phase.roles == frozenset()
