"""The rules against leaks, each broken through the real runner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workzone.core.errors import ArtifactError
from workzone.core.types import Role
from workzone.storage.lineage import ALLOWED_ROLES

if TYPE_CHECKING:
    from tests.pipeline.conftest import Bench

TRAIN, SELECT, CALIB, TEST = Role.TRAIN, Role.SELECT, Role.CALIB, Role.TEST
# What each kind must not know, written down a second time from the design: an edit there must be meant.
FORBIDDEN = {
    "split": {TRAIN, SELECT, CALIB, TEST},
    "baseline": {CALIB, TEST},
    "checkpoint": {CALIB, TEST},
    "model": {CALIB, TEST},
    "predictions-select": {CALIB, TEST},
    "predictions-calib": {TEST},
    "predictions-test": {CALIB},
    "calibrator": {TEST},
    "policy": {TEST},
    "alternatives": {TEST},
    "bundle": {TEST},
    "report": set(),
    "runtimes": {CALIB, TEST},
    "bundle@other": {TEST},  # a variant knows no more than its kind
    "predictions-calib@other": {TEST},
    "model@other": {CALIB, TEST},
}
CASES = [(kind, role) for kind in FORBIDDEN for role in Role]


def nothing_left(bench: Bench, kind: str) -> bool:
    return not any(p.name.startswith((kind, f".tmp-{kind}", ".tmp-")) for p in bench.root.iterdir())


def test_every_kind_has_its_case() -> None:
    assert set(ALLOWED_ROLES) == {kind for kind in FORBIDDEN if "@" not in kind}


@pytest.mark.parametrize(("kind", "role"), CASES)
def test_what_a_kind_must_not_know_is_refused(bench: Bench, kind: str, role: Role) -> None:
    phases = [bench.phase("make", kind, opens=(role,))]
    if role in FORBIDDEN[kind]:
        with pytest.raises(ArtifactError, match=f"'{kind}' derives from {role}, which it must not know"):
            bench.run(phases)
        assert bench.ran == ["make"]
        assert nothing_left(bench, kind)
    else:
        bench.run(phases)
        assert {opening.role for opening in bench.store.open(kind)[1].lineage} == {role}


@pytest.mark.parametrize(
    ("source", "role", "kind"),
    [
        ("predictions-test", TEST, "policy"),
        ("predictions-test", TEST, "calibrator"),
        ("predictions-test", TEST, "bundle"),
        ("report", TEST, "bundle"),
        ("predictions-calib", CALIB, "checkpoint"),
        ("policy", CALIB, "model"),
        ("calibrator", CALIB, "predictions-test"),
    ],
)
def test_what_is_inherited_counts_and_is_refused_before_any_work(
    bench: Bench, source: str, role: Role, kind: str
) -> None:
    phases = [bench.phase("first", source, opens=(role,)), bench.phase("second", kind, source)]
    with pytest.raises(ArtifactError, match=f"'{kind}' derives from {role}"):
        bench.run(phases)
    assert bench.ran == ["first"]
    assert nothing_left(bench, kind)


def test_it_is_inherited_over_several_steps(bench: Bench) -> None:
    phases = [
        bench.phase("predict", "predictions-test", opens=(TEST,)),
        bench.phase("evaluate", "report", "predictions-test"),
        bench.phase("pack", "bundle", "report"),
    ]
    with pytest.raises(ArtifactError, match="'bundle' derives from test"):
        bench.run(phases)


def test_two_splits_are_not_mixed_by_inheritance_nor_by_opening(bench: Bench) -> None:
    train = bench.phase("train", "checkpoint", opens=(TRAIN,), split="a" * 64)
    predict = bench.phase("predict", "predictions-test", opens=(TEST,), split="b" * 64)
    with pytest.raises(
        ArtifactError, match=r"'report' would mix 2 different splits \(aaaaaaaaaaaa, bbbbbbbbbbbb\)"
    ):
        bench.run([train, predict, bench.phase("evaluate", "report", "checkpoint", "predictions-test")])
    assert nothing_left(bench, "report")
    freeze = bench.phase("freeze", "model", "checkpoint", opens=(SELECT,), split="b" * 64)
    with pytest.raises(ArtifactError, match="'model' would mix 2 different splits"):
        bench.run([train, freeze])
    assert nothing_left(bench, "model")


def test_a_phase_that_opened_more_than_it_declared_is_refused_whatever_its_grant_allowed(
    bench: Bench,
) -> None:
    phases = [bench.phase("evaluate", "report", opens=(TRAIN, TEST), declares=(TEST,))]
    with pytest.raises(
        ArtifactError, match="'evaluate' opened train, which it did not declare; it declares test"
    ):
        bench.run(phases)
    assert nothing_left(bench, "report")


def test_what_is_declared_but_not_opened_is_no_lineage(bench: Bench) -> None:
    bench.run([bench.phase("train", "checkpoint", opens=(TRAIN,), declares=(TRAIN, SELECT))])
    assert {opening.role for opening in bench.store.open("checkpoint")[1].lineage} == {TRAIN}


def test_a_refused_output_spares_the_older_artifact_and_does_not_replace_it(bench: Bench) -> None:
    bench.run([bench.phase("train", "checkpoint", opens=(TRAIN,))])
    old = bench.store.open("checkpoint")
    with pytest.raises(ArtifactError, match="must not know"):
        bench.run([bench.phase("train", "checkpoint", opens=(CALIB,), version=2)])
    assert bench.store.open("checkpoint") == old


def test_an_unknown_kind_has_no_rule_and_is_refused_before_any_work(bench: Bench) -> None:
    with pytest.raises(ArtifactError, match="Unknown artifact kind 'embeddings'"):
        bench.run([bench.phase("embed", "embeddings")])
    assert bench.ran == []


def test_a_lineage_that_was_edited_into_a_manifest_is_refused_by_its_reader(bench: Bench) -> None:
    phases = [
        bench.phase("train", "checkpoint", opens=(TRAIN,)),
        bench.phase("freeze", "model", "checkpoint"),
    ]
    bench.run(phases)
    file = bench.root / "checkpoint.manifest.json"
    file.write_text(file.read_text().replace('"train"\n', '"test"\n'))
    with pytest.raises(ArtifactError, match="'checkpoint' derives from test"):
        bench.run(phases)
