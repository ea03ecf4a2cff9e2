from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workzone.core.errors import ArtifactError, ConfigError, DataError
from workzone.core.types import Opening, Role
from workzone.pipeline.phase import PhaseContext
from workzone.pipeline.runner import TASK
from workzone.storage.hashing import sha256_tree
from workzone.storage.lock import writer_lock

if TYPE_CHECKING:
    from tests.pipeline.conftest import Bench

CHAIN = ["split", "train", "freeze", "evaluate"]


def test_phases_run_in_order_and_are_skipped_when_nothing_changed(bench: Bench) -> None:
    assert bench.run(list(reversed(bench.chain()))) == CHAIN
    before = {name: seen for name, seen in bench.files().items() if not name.endswith(".lock")}
    done = bench.runner().run(bench.chain())
    assert [(p.name, p.runs) for p in done] == [(name, False) for name in CHAIN]
    assert bench.ran == CHAIN
    assert {name: seen for name, seen in bench.files().items() if not name.endswith(".lock")} == before


def test_only_what_the_change_reaches_is_run_again(bench: Bench) -> None:
    bench.run(bench.chain())
    assert bench.run(bench.chain(version=2)) == ["train", "freeze", "evaluate"]
    assert bench.run(bench.chain(version=2)) == []
    assert bench.run(bench.chain(version=2, config={"epochs": 4}), "train") == ["train"]


def test_the_same_content_again_spares_what_follows(bench: Bench) -> None:
    bench.run(bench.chain(text="same weights"))
    assert bench.run(bench.chain(text="same weights", config="new")) == ["train"]


def test_the_manifest_says_what_it_was_made_from(bench: Bench) -> None:
    bench.run(bench.chain())
    (_, split), (_, model), (path, report) = (bench.store.open(n) for n in ("split", "model", "report"))
    assert report.kind == "report"
    assert report.sha256 == sha256_tree(path)
    assert (report.phase, report.phase_version, report.package_version) == ("evaluate", 1, "1.0")
    assert report.inputs == {"split": split.sha256, "model": model.sha256}
    opened = {Role.TRAIN, Role.SELECT, Role.TEST}
    assert report.lineage == {Opening("5" * 64, role) for role in opened}
    assert split.lineage == frozenset()


def test_a_phase_is_handed_its_inputs_and_its_grant(bench: Bench) -> None:
    seen: list[PhaseContext] = []
    phases = [
        bench.phase("split", "split"),
        bench.phase("train", "checkpoint", "split", opens=(Role.TRAIN,), body=seen.append),
    ]
    bench.run(phases)
    (context,) = seen
    assert dict(context.inputs) == {"split": bench.root / "split"}
    assert context.input_sha256 == {"split": sha256_tree(bench.root / "split")}
    assert context.observer is bench.listener
    assert bench.grantor.asked == [("split", frozenset()), ("train", frozenset({Role.TRAIN}))]


def test_progress_counts_phases_skipped_or_not(bench: Bench) -> None:
    for _ in range(2):
        bench.run(bench.chain())
        assert bench.listener.heard == [(TASK, done, 4) for done in range(5)]
        bench.listener.heard.clear()


@pytest.mark.parametrize("kind", ["split", "checkpoint", "model", "report"])
def test_one_flipped_byte_is_noticed_by_a_run_though_it_would_skip(bench: Bench, kind: str) -> None:
    bench.run(bench.chain())
    file = bench.root / kind / "made.txt"
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    assert set(bench.reasons(bench.chain()).values()) == {"up to date"}  # manifests only, by design
    with pytest.raises(ArtifactError, match=f"{kind}' was changed after it was made"):
        bench.run(bench.chain())


def test_a_changed_input_is_noticed_by_the_phase_that_reads_it(bench: Bench) -> None:
    def tamper(context: PhaseContext) -> None:
        (bench.root / "split" / "made.txt").write_text("tampered")

    phases = bench.chain(body=tamper)
    with pytest.raises(ArtifactError, match="split' was changed after it was made"):
        bench.run(phases)
    assert bench.ran == ["split", "train", "freeze"]


def test_what_was_added_to_an_artifact_is_noticed(bench: Bench) -> None:
    bench.run(bench.chain())
    (bench.root / "model" / "extra.txt").write_text("")
    with pytest.raises(ArtifactError, match="changed"):
        bench.run(bench.chain())


def test_a_failure_is_logged_with_its_traceback_and_raised_as_it_was(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    error = DataError("a picture is broken")

    def fail(context: PhaseContext) -> None:
        (context.work / "epoch").write_text("1")
        raise error

    with caplog.at_level(logging.ERROR), pytest.raises(DataError) as caught:
        bench.run(bench.chain(body=fail))
    assert caught.value is error
    (record,) = caplog.records
    assert record.getMessage() == "phase failed: train"
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert not list(bench.root.glob(".tmp-*"))
    assert bench.reasons(bench.chain())["train"] == "no artifact yet"
    assert [p.read_text() for p in bench.root.glob(".work/train-*/epoch")] == ["1"]
    assert bench.run(bench.chain()) == ["train", "freeze", "evaluate"]
    assert not (bench.root / ".work").exists()


def test_a_failure_spares_the_older_artifact(bench: Bench) -> None:
    bench.run(bench.chain())
    old = bench.store.open("checkpoint")[1]

    def fail(context: PhaseContext) -> None:
        raise DataError("broken")

    with pytest.raises(DataError):
        bench.run(bench.chain(config="new", body=fail))
    assert bench.store.open("checkpoint")[1] == old
    assert bench.reasons(bench.chain(config="new"))["train"] == "configuration changed"
    assert bench.run(bench.chain()) == []


def test_a_phase_that_writes_nothing_has_failed(bench: Bench) -> None:
    empty = bench.phase("split", "split", body=lambda context: (context.output / "made.txt").unlink())
    with pytest.raises(ArtifactError, match="'split' wrote nothing"):
        bench.run([empty])
    assert not (bench.root / "split").exists()


def test_work_of_other_configurations_is_removed_when_the_phase_starts(bench: Bench) -> None:
    def leave(context: PhaseContext) -> None:
        context.work.joinpath("state").write_text(context.work.name)
        raise DataError("stop")

    works = bench.root / ".work"
    for config in ("a", "b"):
        with pytest.raises(DataError):
            bench.run([bench.phase("predict", "model", config=config, body=leave)])
        (work,) = works.iterdir()
        assert (work / "state").read_text() == work.name
    with pytest.raises(DataError):
        bench.run([bench.phase("predict-calib", "policy", body=leave)])
    assert sorted(p.name.rpartition("-")[0] for p in works.iterdir()) == ["predict", "predict-calib"]
    bench.run([bench.phase("predict", "model", config="c")])
    assert [p.name.rpartition("-")[0] for p in works.iterdir()] == ["predict-calib"]


def test_a_kill_while_work_is_removed_leaves_no_half_for_a_later_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        bench.run([bench.phase("split", "split", body=lambda c: (c.work / "state").write_text("") and None)])
    assert bench.store.open("split")
    assert list((bench.root / ".work").iterdir()) == []
    monkeypatch.undo()
    bench.run([bench.phase("split", "split")])
    assert not [p for p in bench.root.iterdir() if p.name.startswith((".tmp-", ".work"))]


def test_one_writer_at_a_time(bench: Bench) -> None:
    with writer_lock(bench.root), pytest.raises(ArtifactError, match=f"written by process {os.getpid()}\\."):
        bench.run(bench.chain())
    assert bench.run(bench.chain()) == CHAIN


def test_a_resumed_run_keeps_its_creation_time(bench: Bench) -> None:
    bench.runner(year=2030).run(bench.chain(), "train")
    bench.runner(year=2031).run(bench.chain())
    assert {bench.store.open(n)[1].created.year for n in ("split", "checkpoint", "report")} == {2030}
    assert bench.listener.notes == []


def test_another_package_version_goes_on_and_says_so(bench: Bench) -> None:
    bench.runner().run(bench.chain(), "train")
    bench.runner(version="2.0").run(bench.chain())
    assert bench.ran == CHAIN
    assert "1.0" in bench.listener.notes[0]
    assert "2.0" in bench.listener.notes[0]
    assert bench.store.open("checkpoint")[1].package_version == "1.0"
    assert bench.store.open("report")[1].package_version == "2.0"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"created": 3, "package_version": "1"}', '{"created": "soon"}']
)
def test_a_broken_run_record_is_named(bench: Bench, text: str) -> None:
    bench.run(bench.chain())
    (bench.root / "run.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"run\.json"):
        bench.run(bench.chain())


def test_what_killed_writers_left_is_removed(bench: Bench) -> None:
    bench.root.mkdir()
    (bench.root / ".tmp-split").mkdir()
    (bench.root / ".tmp-split" / "half").write_text("half")
    (bench.root / ".tmp-run.json").write_text("half")
    bench.run(bench.chain())
    assert not list(bench.root.glob(".tmp-*"))


def test_a_run_cannot_be_where_a_file_is(bench: Bench) -> None:
    bench.root.write_text("a file")
    with pytest.raises(ArtifactError, match="cannot be written"):
        bench.run(bench.chain())


def test_an_unknown_target_writes_nothing(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        bench.run(bench.chain(), "tran")
    assert list(tmp_path.iterdir()) == []
