from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from workzone.core.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from tests.pipeline.conftest import Bench

AGAIN = {
    "freeze": "input 'checkpoint' will be made again",
    "evaluate": "input 'model' will be made again",
}


def test_a_plan_writes_nothing_not_even_the_run(bench: Bench) -> None:
    assert set(bench.reasons(bench.chain()).values()) == {"no artifact yet"}
    assert not bench.root.exists()
    bench.run(bench.chain())
    before = bench.files()
    bench.reasons(bench.chain(config="new"))
    assert bench.files() == before
    assert bench.ran == ["split", "train", "freeze", "evaluate"]


def test_after_a_run_all_is_up_to_date(bench: Bench) -> None:
    bench.run(bench.chain())
    planned = bench.runner().plan(bench.chain())
    assert [(p.name, p.runs, p.reason) for p in planned] == [
        (name, False, "up to date") for name in ("split", "train", "freeze", "evaluate")
    ]


@pytest.mark.parametrize(
    ("train", "reason"),
    [({"config": {"epochs": 4}}, "configuration changed"), ({"version": 2}, "phase version 1 → 2")],
)
def test_what_changed_is_named_and_what_follows_waits(
    bench: Bench, train: dict[str, Any], reason: str
) -> None:
    bench.run(bench.chain())
    expected = {"split": "up to date", "train": reason, **AGAIN}
    assert bench.reasons(bench.chain(**train)) == expected
    assert [p.runs for p in bench.runner().plan(bench.chain(**train))] == [False, True, True, True]


def test_an_input_that_was_made_meanwhile_has_changed(bench: Bench) -> None:
    bench.run(bench.chain())
    bench.run(bench.chain(config="new"), "train")
    expected = {"split": "up to date", "train": "up to date", **AGAIN, "freeze": "input 'checkpoint' changed"}
    assert bench.reasons(bench.chain(config="new")) == expected


def test_an_input_that_came_or_went_is_named(bench: Bench) -> None:
    split = bench.phase("split", "split")
    bench.run([split, bench.phase("train", "checkpoint", text="same")])
    with_input = [split, bench.phase("train", "checkpoint", "split", text="same")]
    assert bench.reasons(with_input)["train"] == "input 'split' is new"
    bench.run(with_input)
    assert (
        bench.reasons([split, bench.phase("train", "checkpoint")])["train"]
        == "input 'split' is no longer used"
    )


def test_another_phase_may_take_over_an_artifact(bench: Bench) -> None:
    bench.run([bench.phase("train", "checkpoint")])
    assert bench.reasons([bench.phase("fit", "checkpoint")]) == {"fit": "made by phase 'train' before"}


def test_a_target_plans_only_what_it_takes(bench: Bench) -> None:
    assert list(bench.reasons(bench.chain(), "train")) == ["split", "train"]
    with pytest.raises(ConfigError, match="no phase 'trein'"):
        bench.reasons(bench.chain(), "trein")


def test_a_removed_artifact_or_manifest_is_made_again(bench: Bench) -> None:
    bench.run(bench.chain())
    (bench.root / "model.manifest.json").unlink()
    expected = {"split": "up to date", "train": "up to date", **AGAIN, "freeze": "no artifact yet"}
    assert bench.reasons(bench.chain()) == expected


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"kind": "model"}', "\x00", '{"inputs": 3}'])
def test_a_manifest_that_is_none_is_an_error_that_names_it(bench: Bench, text: str) -> None:
    bench.run(bench.chain())
    (bench.root / "model.manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"model\.manifest\.json"):
        bench.reasons(bench.chain())
