"""Nobody gets samples that were not granted, and every look is written down first."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from workzone.core.errors import DataError
from workzone.core.types import Opening, Role
from workzone.data import grants
from workzone.data.grants import Grant, count_runs
from workzone.data.split import Fractions, make_split


@pytest.fixture(scope="module")
def split(dataset):
    return make_split(dataset, Fractions(), 1)


def test_granted_roles_hold_exactly_their_samples(dataset, split, tmp_path):
    grant = Grant("train", frozenset(Role), dataset, tmp_path / "ledger.jsonl")
    parts = {role: grant.open(split, role) for role in Role}
    ids = [set(part.ids.tolist()) for part in parts.values()]
    assert sum(map(len, ids)) == len(dataset) == len(set().union(*ids))
    groups = [set(part.groups.tolist()) for part in parts.values()]
    assert sum(map(len, groups)) == len(set().union(*groups))
    rows = {row["id"]: row for row in dataset.samples.to_pylist()}
    for part in parts.values():
        assert len(part.paths) == len(part)
        for i, sample_id in enumerate(part.ids.tolist()):
            row = rows[sample_id]
            assert (part.labels[i], part.ambiguous[i], part.groups[i]) == (
                row["label"],
                row["ambiguous"],
                row["group"],
            )
            assert part.paths[i].name.startswith(sample_id)
        assert part.table["id"].to_pylist() == part.ids.tolist()
        positives = set(part.ids[part.labels == 1].tolist())
        assert set(part.boxes["sample_id"].to_pylist()) == positives
    assert grant.opened == tuple(Opening(split.sha256, role) for role in Role)


def test_an_ungranted_role_is_refused_and_leaves_no_trace(dataset, split, tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    grant = Grant("train", frozenset({Role.TRAIN, Role.SELECT}), dataset, ledger)
    for role in (Role.CALIB, Role.TEST):
        with pytest.raises(DataError, match=f"'train' asked for the samples of '{role}'"):
            grant.open(split, role)
    assert grant.opened == ()
    assert not ledger.exists()


def test_a_split_of_another_data_set_is_refused(own_dataset, split, tmp_path):
    grant = Grant("train", frozenset(Role), own_dataset, tmp_path / "ledger.jsonl")
    with pytest.raises(DataError, match="was made for the data set"):
        grant.open(split, Role.TRAIN)
    assert grant.opened == ()


def test_the_line_is_on_disk_before_the_samples_are_out(dataset, split, tmp_path, monkeypatch):
    ledger = tmp_path / "runs" / "ledger.jsonl"
    clock = lambda: datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)  # noqa: E731
    grant = Grant("evaluate", frozenset({Role.TEST}), dataset, ledger, run="r1", clock=clock)

    def crash(*_):
        assert count_runs(ledger, split.sha256, Role.TEST) == 1
        raise RuntimeError("killed")

    monkeypatch.setattr(grants, "_samples", crash)
    with pytest.raises(RuntimeError):
        grant.open(split, Role.TEST)
    assert json.loads(ledger.read_text()) == {
        "phase": "evaluate",
        "run": "r1",
        "role": "test",
        "split_sha256": split.sha256,
        "at": "2030-01-02T03:04:05+00:00",
    }


def test_nothing_is_handed_out_when_the_ledger_cannot_be_written(dataset, split, tmp_path, monkeypatch):
    grant = Grant("evaluate", frozenset({Role.TEST}), dataset, tmp_path / "ledger.jsonl")
    monkeypatch.setattr(os, "write", lambda handle, data: len(data) - 1)
    with pytest.raises(OSError, match="could not be written whole"):
        grant.open(split, Role.TEST)
    assert grant.opened == ()


def test_openings_are_counted_by_split_and_role(dataset, split, tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    assert count_runs(ledger, split.sha256, Role.TEST) == 0
    other = make_split(dataset, Fractions(), 2)
    grant = Grant("evaluate", frozenset(Role), dataset, ledger, run="first")
    for opened, role in [(split, Role.TEST), (split, Role.CALIB), (other, Role.TEST), (split, Role.TEST)]:
        grant.open(opened, role)
    assert count_runs(ledger, split.sha256, Role.TEST) == 1, "two phases of one run look once"
    Grant("evaluate", frozenset(Role), dataset, ledger, run="second").open(split, Role.TEST)
    assert count_runs(ledger, split.sha256, Role.TEST) == 2
    assert count_runs(ledger, split.sha256, Role.CALIB) == 1
    assert count_runs(ledger, split.sha256, Role.TRAIN) == 0
    assert len(grant.opened) == 3


def test_a_torn_line_spoils_no_other(dataset, split, tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    grant = Grant("evaluate", frozenset(Role), dataset, ledger)
    grant.open(split, Role.TEST)
    whole = ledger.read_bytes()
    for cut in range(1, len(whole)):
        ledger.write_bytes(whole + whole[:cut])
        assert count_runs(ledger, split.sha256, Role.TEST) == 1
        if cut % 40 == 7 or cut >= len(whole) - 2:
            Grant("evaluate", frozenset(Role), dataset, ledger, run=f"{cut}").open(split, Role.TEST)
            assert count_runs(ledger, split.sha256, Role.TEST) == 2
    ledger.write_bytes(b"{'edited': 1}\n" + whole)
    with pytest.raises(DataError, match="Line 1 of the ledger"):
        count_runs(ledger, split.sha256, Role.TEST)


def test_concurrent_openings_are_all_kept(dataset, split, tmp_path):
    ledger = tmp_path / "ledger.jsonl"

    def look(number: int) -> None:
        Grant(f"phase-{number}", frozenset({Role.TEST}), dataset, ledger, run=f"{number}").open(
            split, Role.TEST
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(64)))
    assert count_runs(ledger, split.sha256, Role.TEST) == 64
    phases = {json.loads(line)["phase"] for line in ledger.read_text().splitlines()}
    assert phases == {f"phase-{n}" for n in range(64)}
