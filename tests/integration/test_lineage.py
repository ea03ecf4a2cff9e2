"""The rules of lineage and grants, broken one by one under the real phases and seen refused by the real runner."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workzone.core.errors import ArtifactError, DataError
from workzone.core.observer import NullObserver
from workzone.core.types import Role
from workzone.data.split import read_split
from workzone.phases.build import build_run
from workzone.phases.recipe import load_recipe
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.pipeline.plan import PlannedPhase

Build = Callable[..., "Bench"]


class Bench:
    """A copy of the tiny run, whose phases can be replaced by wrong ones."""

    def __init__(self, data: Path, run: Path, *overrides: str) -> None:
        self.run = run
        recipe = load_recipe(
            "tiny", [f"data.path={data}", f"data.ledger={run.parent / 'ledger'}", *overrides]
        )
        self.runner, phases = build_run(recipe, run, NullObserver(), lambda: datetime(2026, 1, 1, tzinfo=UTC))
        self.phases = {phase.name: phase for phase in phases}

    def replace(self, name: str, **changes: Any) -> None:
        self.phases[name] = replace(self.phases[name], version=99, **changes)

    def go(self, target: str) -> dict[str, PlannedPhase]:
        return {done.name: done for done in self.runner.run(self.phases.values(), target)}

    def forge(self, artifact: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Edit a manifest, as only malice or a broken tool would."""
        file = self.run / f"{artifact}.manifest.json"
        value = json.loads(file.read_text(encoding="utf-8"))
        change(value)
        file.write_text(json.dumps(value), encoding="utf-8")

    def has(self, artifact: str) -> bool:
        return (self.run / artifact).exists() or (self.run / f"{artifact}.manifest.json").exists()

    def leftovers(self) -> list[Path]:
        return [path for path in self.run.iterdir() if path.name.startswith(".tmp-")]


@pytest.fixture
def bench(tiny_run, tmp_path) -> Build:
    def build(*overrides: str, without: Iterable[str] = (), name: str = "run") -> Bench:
        shutil.copytree(tiny_run.run, tmp_path / name)
        for artifact in without:
            shutil.rmtree(tmp_path / name / artifact)
            (tmp_path / name / f"{artifact}.manifest.json").unlink()
        return Bench(tiny_run.data, tmp_path / name, *tiny_run.settings, *overrides)

    return build


def copied(source: Path, *roles: Role) -> Callable[[PhaseContext], None]:
    """Return a phase's body that opens these roles and then takes its output from another run."""

    def body(context: PhaseContext) -> None:
        for role in roles:
            context.grant.open(read_split(context.inputs["split"]), role)
        shutil.copytree(source, context.output, dirs_exist_ok=True)

    return body


def test_an_unspoilt_bench_is_up_to_date(bench: Build) -> None:
    assert not any(phase.runs for phase in bench().go("pack").values())


@pytest.mark.parametrize("role", [Role.CALIB, Role.TEST])
def test_train_may_not_open_what_it_did_not_declare(bench: Build, tiny_run, role: Role) -> None:
    b = bench(without=["checkpoint"])
    b.replace("train", run=copied(tiny_run.run / "checkpoint", role))
    with pytest.raises(
        DataError, match=f"'train' asked for the samples of '{role}', which it was not granted"
    ):
        b.go("train")
    assert not b.has("checkpoint")
    assert b.leftovers() == []
    assert not (b.run.parent / "ledger").exists()  # nothing was opened


@pytest.mark.parametrize("role", [Role.CALIB, Role.TEST])
def test_train_may_not_declare_calib_or_test_either(bench: Build, tiny_run, role: Role) -> None:
    b = bench(without=["checkpoint"])
    b.replace(
        "train",
        roles=frozenset({Role.TRAIN, Role.SELECT, role}),
        run=copied(tiny_run.run / "checkpoint", Role.TRAIN, role),
    )
    with pytest.raises(ArtifactError, match=f"'checkpoint' derives from {role}, which it must not know"):
        b.go("train")
    assert not b.has("checkpoint")
    assert b.leftovers() == []


def test_an_older_checkpoint_survives_a_refused_one(bench: Build, tiny_run) -> None:
    b = bench()
    manifest = (b.run / "checkpoint.manifest.json").read_bytes()
    b.replace("train", run=copied(tiny_run.run / "checkpoint", Role.CALIB))
    with pytest.raises(DataError):
        b.go("train")
    assert (b.run / "checkpoint.manifest.json").read_bytes() == manifest
    assert b.runner.store.open("checkpoint")


def test_freeze_may_not_look_at_test(bench: Build, tiny_run) -> None:
    b = bench(without=["model"])
    b.replace("freeze", roles=frozenset({Role.TEST}), run=copied(tiny_run.run / "model", Role.TEST))
    with pytest.raises(ArtifactError, match="'model' derives from test"):
        b.go("freeze")
    assert not b.has("model")


def never(context: PhaseContext) -> None:
    pytest.fail("a phase was run on inputs that it must not have")


@pytest.mark.parametrize(("phase", "output", "inputs"), [
    ("policy", "policy", ("split", "predictions-select", "predictions-test")),
    ("policy", "policy", ("split", "predictions-test", "predictions-calib")),
    ("calibrate", "calibrator", ("predictions-test",)),
    ("pack", "bundle", ("model", "calibrator", "policy", "predictions-test", "report")),
])  # fmt: skip
def test_nothing_that_answers_may_read_test(
    bench: Build, phase: str, output: str, inputs: tuple[str, ...]
) -> None:
    b = bench(without=[output])
    b.replace(phase, inputs=inputs, run=never)
    with pytest.raises(ArtifactError, match=f"'{output}' derives from test, which it must not know"):
        b.go(phase)
    assert not b.has(output)


def test_a_bundle_that_derives_from_the_report_instead_of_citing_it_is_refused(bench: Build) -> None:
    b = bench(without=["bundle"])
    b.replace("pack", cites=(), run=never)
    with pytest.raises(ArtifactError, match="'bundle' derives from test"):
        b.go("pack")


def other_split(bench: Build, tiny_run) -> Bench:
    """A run on another split: everything is real but training and freezing, whose output is the tiny run's."""
    b = bench("split.seed=1", name="other")
    b.replace("train", run=copied(tiny_run.run / "checkpoint", Role.TRAIN, Role.SELECT))
    b.replace("freeze", run=copied(tiny_run.run / "model", Role.SELECT))
    for role in ("select", "calib", "test"):
        b.go(f"predict-{role}")
    return b


def take(b: Bench, other: Bench, artifact: str) -> None:
    shutil.rmtree(b.run / artifact)
    shutil.copytree(other.run / artifact, b.run / artifact)
    shutil.copyfile(other.run / f"{artifact}.manifest.json", b.run / f"{artifact}.manifest.json")


def test_artifacts_of_another_split_are_made_again_or_refused(bench: Build, tiny_run) -> None:
    other, b = other_split(bench, tiny_run), bench("policy.alpha=0.1")
    ours = {name: b.runner.store.manifest(name) for name in ("predictions-calib", "split")}
    theirs = other.runner.store.manifest("predictions-calib")
    assert {o.split_sha256 for o in theirs.lineage}.isdisjoint(
        {o.split_sha256 for o in ours["predictions-calib"].lineage}
    )
    take(b, other, "predictions-calib")
    # As it came, it does not belong to this split, and is replaced by what does.
    done = b.go("policy")
    assert done["predict-calib"].reason == "input 'split' changed"
    assert b.runner.store.manifest("predictions-calib").sha256 == ours["predictions-calib"].sha256
    # With a manifest that claims this run's inputs, what it derives from still gives it away.
    take(b, other, "predictions-calib")
    b.forge("predictions-calib", lambda m: m.update(inputs=dict(ours["predictions-calib"].inputs)))
    policy = (b.run / "policy.manifest.json").read_bytes()
    with pytest.raises(ArtifactError, match="'policy' would mix 2 different splits"):
        b.go("policy")
    assert (b.run / "policy.manifest.json").read_bytes() == policy


def test_the_same_data_split_otherwise_makes_everything_again(bench: Build) -> None:
    b = bench("split.seed=1")
    planned = {phase.name: phase for phase in b.runner.plan(b.phases.values())}
    assert all(phase.runs for phase in planned.values())
    assert planned["split"].reason == "configuration changed"


@pytest.mark.parametrize("artifact", ["predictions-calib", "predictions-test", "split", "model"])
def test_a_changed_artifact_is_refused_whether_it_is_read_or_skipped(bench: Build, artifact: str) -> None:
    b = bench("policy.alpha=0.1")
    file = max((b.run / artifact).iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    policy = (b.run / "policy.manifest.json").read_bytes()
    with pytest.raises(ArtifactError, match=f"{artifact}' was changed after it was made"):
        b.go("pack")
    if artifact != "predictions-test":
        assert (b.run / "policy.manifest.json").read_bytes() == policy


@pytest.mark.parametrize(
    ("artifact", "role"), [("model", "test"), ("model", "calib"), ("checkpoint", "test")]
)
def test_evaluate_is_refused_where_the_model_knows_too_much(bench: Build, artifact: str, role: str) -> None:
    b = bench(without=["report"])
    split = b.runner.store.manifest("model").lineage
    sha256 = next(iter(split)).split_sha256
    b.forge(artifact, lambda m: m["lineage"].append([sha256, role]))
    b.phases["evaluate"] = replace(b.phases["evaluate"], run=never)
    with pytest.raises(ArtifactError, match=f"'{artifact}' derives from {role}, which it must not know"):
        b.go("evaluate")
    assert not b.has("report")


def test_an_artifact_under_another_name_is_refused(bench: Build) -> None:
    """The scores of `test`, moved to where those of `calib` were."""
    b = bench()
    shutil.rmtree(b.run / "predictions-calib")
    shutil.copytree(b.run / "predictions-test", b.run / "predictions-calib")
    shutil.copyfile(b.run / "predictions-test.manifest.json", b.run / "predictions-calib.manifest.json")
    with pytest.raises(ArtifactError, match="calls itself 'predictions-test', expected 'predictions-calib'"):
        b.runner.store.open("predictions-calib")
    assert b.go("policy")["predict-calib"].reason == "made by phase 'predict-test' before"


def test_a_phase_that_no_rule_knows_is_refused(bench: Build) -> None:
    b = bench()
    b.phases["peek"] = Phase("peek", 1, ("predictions-test",), "peeked", frozenset(), {}, never)
    with pytest.raises(ArtifactError, match="Unknown artifact kind 'peeked'"):
        b.go("peek")


def test_a_run_on_another_data_set_is_refused(bench: Build, tiny_run, tmp_path) -> None:
    """A grant opens samples of its own data set only, whatever split it is handed."""
    from workzone.cli.app import run

    assert run(["data", "render", "--out", str(tmp_path / "d2"), "--sequences", "16", "--frames", "1", "--seed", "7",
                "--workers", "1"]) == 0  # fmt: skip
    shutil.copytree(tiny_run.run, tmp_path / "run")
    b = Bench(tmp_path / "d2", tmp_path / "run", *tiny_run.settings)
    b.phases["split"] = replace(
        b.phases["split"], config=Bench(tiny_run.data, tmp_path / "run").phases["split"].config
    )
    b.replace("predict-calib")
    with pytest.raises(DataError):
        b.go("predict-calib")
