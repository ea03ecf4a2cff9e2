"""A recipe says what differs from the defaults; a key or value that is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from workzone.core.errors import ConfigError
from workzone.phases.recipe import Recipe, SplitSection, checked, load_recipe
from workzone.policy.risks import Risk
from workzone.policy.settings import ConformalSettings, GateSettings, RiskLimit, ThresholdSettings


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(f"defaults: [workzone, _self_]\nname: mine\n{text}")
    return str(path)


def test_what_a_file_leaves_out_is_the_default_and_can_be_overridden(tmp_path: Path) -> None:
    path = written(tmp_path, "policy: {alpha: 0.1}\n")
    assert load_recipe(path).policy.alpha == 0.1
    assert load_recipe(path).split == SplitSection()
    changed = load_recipe(path, ["policy.alpha=0.2", "train.epochs=3", "split.folds=4", "split.fold=1"])
    assert (changed.policy.alpha, changed.train.epochs, changed.split.folds) == (0.2, 3, 4)


@pytest.mark.parametrize(
    ("text", "override", "sentence"),
    [
        ("polcy: {alpha: 0.1}\n", None, "unknown key 'polcy'. Did you mean 'policy'"),
        ("policy: {alfa: 0.1}\n", None, "unknown key 'policy.alfa'. Did you mean 'alpha'"),
        ("render: {sequence: 9}\n", None, "unknown key 'render.sequence'. Did you mean 'sequences'"),
        ("policy: {alpha: 2}\n", None, "policy.alpha: .*less than 1"),
        ("split: {train: 0.9}\n", None, "must be 1"),
        ("policy: [1\n", None, "cannot be composed"),
        ("policy: {risk: selective_fn}\n", None, "policy.risk"),
        ("policy: {objective: cost}\n", None, "needs prices"),
        ("policy: {second_risk: precision, second_alpha: 0.1}\n", None, "policy.second_risk"),
        ("policy: {second_alpha: 0.1}\n", None, "given together"),
        ("policy: {kind: gate, beta: 0.5}\n", None, "policy.beta means nothing to a policy of the kind gate"),
        ("policy: {kind: conformal, counting: all_frames}\n", None, "policy.counting means nothing"),
        ("policy: {kind: gate, objective: cost}\n", None, "it is for: threshold"),
        ("policy: {coverage: 0.9}\n", None, "conformal/scrc"),
        ("policy: {kind: conformal, method: crc}\n", None, "scrc"),
        ("policy: {prices: {mis: 1}}\n", None, "unknown key 'policy.prices.mis'. Did you mean 'miss'"),
        ("", "train.epoch=3", "Did you mean 'epochs'"),
        ("", "train", "not of the form key=value"),
        ("", "split.folds=3 split.fold=3", "cannot be composed|folds"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, override: str | None, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_recipe(written(tmp_path, text), [override] if override else [])


def test_a_fold_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="fold 3 does not exist"):
        checked(SplitSection, folds=3, fold=3)


def test_a_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Recipe(name="x").name = "y"  # type: ignore[misc]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no recipe file"):
        load_recipe(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("policy: {second_risk: false_alarm_rate, second_alpha: 0.08}\n", ThresholdSettings),
        (
            "policy: {objective: cost, prices: {miss: 100, false_alarm: 5, next_stage: 1}}\n",
            ThresholdSettings,
        ),
        ("policy: {kind: conformal, coverage: 0.9}\n", ConformalSettings),
        ("policy: {kind: gate, counting: all_frames, features: [entropy, roadwork]}\n", GateSettings),
    ],
)
def test_a_policy_becomes_what_its_fitter_takes(tmp_path: Path, text: str, kind: type) -> None:
    settings = load_recipe(written(tmp_path, text)).policy.settings()
    assert type(settings) is kind
    assert settings.limits[0] == RiskLimit(Risk.SELECTIVE_FNR, 0.02)


def test_prices_are_set_one_by_one_on_the_command_line(tmp_path: Path) -> None:
    overrides = ["policy.objective=cost", "policy.prices.miss=100", "policy.prices.false_alarm=5"]
    settings = load_recipe(
        written(tmp_path, ""), [*overrides, "policy.prices.next_stage=1"]
    ).policy.settings()
    assert isinstance(settings, ThresholdSettings)
    assert settings.prices is not None
    assert (settings.prices.miss, settings.prices.deferral) == (100.0, 1.0)


def test_an_error_of_a_whole_section_does_not_print_the_section(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(written(tmp_path, "policy: {second_alpha: 0.1}\n"))
    assert "found {" not in str(caught.value)


def test_sources_are_weighed_one_by_one_or_as_a_table(tmp_path: Path) -> None:
    recipe = written(tmp_path, "train: {sampling: label_source, source_weights: {kerb-cam: 2}}\n")
    settings = load_recipe(recipe, ["train.source_weights.tram=0.5"]).train
    assert settings.sampling == "label_source"
    assert settings.source_weights == {"kerb-cam": 2.0, "tram": 0.5}
    table = load_recipe(written(tmp_path, ""), ["train.source_weights={kerb-cam: 3, a/b: 1}"]).train
    assert table.source_weights == {"kerb-cam": 3.0, "a/b": 1.0}
    with pytest.raises(ConfigError, match=r"train\.source_weights\.tram: .*greater than 0"):
        load_recipe(recipe, ["train.source_weights.tram=-1"])
    with pytest.raises(ConfigError, match=r"train\.sampling.*\(found 'labels'\)"):
        load_recipe(recipe, ["train.sampling=labels"])
