"""The recipe: every setting of a run, typed and validated, composed by Hydra from YAML and the command line.

A YAML file states only what differs from the defaults, which live here (and in `TrainSettings`) and nowhere
else. A key that no field knows is an error that names the nearest field.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from workzone.core.errors import ConfigError, nearest
from workzone.core.lazy import require
from workzone.data.places import NEAR_M
from workzone.data.split import Fractions
from workzone.engine.backend import BACKENDS, PRECISIONS
from workzone.imaging.geometry import Geometry
from workzone.policy.risks import Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    Counting,
    GateSettings,
    Objective,
    PolicySettings,
    Prices,
    RiskLimit,
    ThresholdSettings,
)
from workzone.training.settings import TrainSettings

MAX_RECIPE_BYTES = 1 << 20


class Section(BaseModel):
    """Settings that cannot be changed and know every key they have."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSection(Section):
    """Which data set, and where openings of its parts are counted."""

    path: Path | None = Field(None, description="Directory of the data set.")
    ledger: Path | None = Field(
        None, description="File that counts openings of splits; by default openings.jsonl in the data set."
    )


class RenderSection(Section):
    """The embedded data set, where a recipe is about it (`workzone demo` renders it)."""

    sequences: int = Field(400, ge=8, le=1_000_000, description="Groups; half of them with road work.")
    frames: int = Field(2, ge=1, le=100, description="Frames a sequence.")
    seed: int = Field(0, ge=0)


SplitMethod = Literal["group", "place", "source", "time", "published"]


class SplitSection(Section):
    """How groups are dealt to train, select, calib and test."""

    path: Path | None = Field(None, description="A split made before with `data split`; overrides the rest.")
    by: SplitMethod = Field(
        "group", description="What decides who is test: group, place, source, time, published."
    )
    train: float = Field(0.40, gt=0, lt=1, description="Share of groups.")
    select: float = Field(0.15, gt=0, lt=1, description="Share of groups.")
    calib: float = Field(0.25, gt=0, lt=1, description="Share of groups.")
    test: float = Field(
        0.20,
        gt=0,
        lt=1,
        description="Share of groups; where a fold, a source or a publisher decides, the rest share what is left.",
    )
    seed: int = 0
    folds: int | None = Field(None, ge=2, description="Group k-fold: number of folds.")
    fold: int = Field(0, ge=0, description="Group k-fold: which fold is test.")
    min_distance_m: float | None = Field(
        None, gt=0, le=100_000, description="By place: the least distance between roles; 100 m by default."
    )
    train_sources: tuple[str, ...] = Field((), description="By source: of train, select and calib.")
    test_sources: tuple[str, ...] = Field((), description="By source: of test; by default all others.")
    near_duplicates: bool = Field(False, description="Deal groups that share near-duplicate pictures as one.")

    def fractions(self) -> Fractions:
        """Return the share of groups of each role."""
        return Fractions(train=self.train, select=self.select, calib=self.calib, test=self.test)

    def linked_within_m(self) -> float | None:
        """Return within which distance groups are dealt as one, in metres; None where places play no part."""
        if self.by != "place":
            return None
        return NEAR_M if self.min_distance_m is None else self.min_distance_m

    @model_validator(mode="after")
    def _sums_to_one(self) -> SplitSection:
        total = self.train + self.select + self.calib + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + select + calib + test is {total:g}, must be 1")
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} does not exist: folds are numbered 0 to {self.folds - 1}")
        return self

    @model_validator(mode="after")
    def _goes_together(self) -> SplitSection:
        for name, methods in _ONLY_BY.items():
            if self.by not in methods and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"split.{name} means nothing to a split by {self.by}; it is for a split by {' or '.join(methods)}"
                )
        if self.fold and self.folds is None:
            raise ValueError(f"split.fold {self.fold} means nothing without split.folds")
        if self.by == "source" and not self.train_sources and not self.test_sources:
            raise ValueError("a split by source needs train_sources or test_sources")
        return self


_ONLY_BY: Mapping[str, tuple[SplitMethod, ...]] = {
    "folds": ("group", "place"),
    "min_distance_m": ("place",),
    "train_sources": ("source",),
    "test_sources": ("source",),
    "seed": ("group", "place", "source", "published"),
}
"""Setting of a split → the methods that take it."""


class PreprocessingSection(Section):
    """From the picture to the network's input."""

    size_px: int = Field(128, ge=32, le=1024, description="Side of the square input.")
    geometry: Geometry = Field(Geometry.SQUASH, description="letterbox, crop or squash.")
    channel_order: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[float, float, float] | None = Field(
        None, description="Subtracted, on the 0..255 scale; by default what the backbone was trained with."
    )
    scale: tuple[float, float, float] | None = Field(
        None, description="Multiplied by, per grey level; by default what the backbone was trained with."
    )
    max_batch: int = Field(32, ge=1, le=4096, description="Pictures through the network at once.")


class FreezeSection(Section):
    """The parity gate between torch and the frozen model, and the runtimes that get a bundle."""

    tolerance: float = Field(1e-3, gt=0, description="Largest difference of a logit that is let through.")
    reduced_tolerance: float = Field(
        0.05,
        gt=0,
        description="The same for a variant in bf16 or fp16, as a share of the spread of the logits.",
    )
    pictures: int = Field(64, ge=1, description="How many pictures of `select` are compared.")
    backend: str = Field("onnxruntime", description="Runtime, of fp32, that the bundle is made with and for.")
    variants: tuple[str, ...] = Field(
        (), description="Further runtimes, each with predictions, certificate and bundle@NAME of its own."
    )

    def tolerance_of(self, precision: str) -> float:
        """Return what is let through in a precision: of a logit, or in a reduced one of the logits' spread."""
        return self.tolerance if precision == "fp32" else self.reduced_tolerance

    @model_validator(mode="after")
    def _runtimes_exist(self) -> FreezeSection:
        for name in (self.backend, *self.variants):
            if name not in BACKENDS:
                raise ValueError(f"there is no runtime '{name}'.{nearest(name, BACKENDS)}")
        if PRECISIONS[self.backend] != "fp32":
            raise ValueError(
                f"freeze.backend '{self.backend}' computes in {PRECISIONS[self.backend]}; the first bundle is of "
                f"fp32. Ask for the other too: freeze.variants='[{self.backend}]'"
            )
        if len({self.backend, *self.variants}) <= len(self.variants):
            raise ValueError("freeze.variants names a runtime twice, or the one of freeze.backend")
        return self


class CalibrateSection(Section):
    """The map from logit to displayed probability."""

    method: Literal["temperature", "platt", "beta", "isotonic", "venn_abers", "pool", "auto"] = Field(
        "platt", description="`auto` takes the one of least cross-validated log loss over groups."
    )
    fit_on: Literal["calib", "select"] = Field(
        "calib",
        description="Which pictures it is fitted on. What may tie logits (isotonic, venn_abers, pool) is for "
        "the displayed probability only when fitted on calib.",
    )


class PricesSection(Section):
    """What errors and deferrals cost, in one currency of your own; needed by the objective `cost`."""

    miss: float = Field(ge=0, description="A road-work picture answered none.")
    false_alarm: float = Field(ge=0, description="A picture without road work answered road work.")
    next_stage: float = Field(ge=0, description="A deferred picture: the stronger model.")
    person: float = Field(0.0, ge=0, description="A deferred picture that a person must look at.")
    person_share: float = Field(1.0, ge=0, le=1, description="Share of deferred pictures that a person gets.")
    prevalence: float | None = Field(
        None, gt=0, lt=1, description="Share of road work where it will serve; by default as in the data."
    )


_ONLY_FOR: Mapping[str, tuple[str, ...]] = {
    "method": ("conformal",),
    "beta": ("threshold", "conformal/crc"),
    "counting": ("threshold", "gate"),
    "objective": ("threshold",),
    "prices": ("threshold",),
    "coverage": ("conformal/scrc",),
    "features": ("gate",),
    "l2": ("gate",),
}
"""Key of the policy section → the kinds (or kind/method) that take it."""


class PolicySection(Section):
    """The promise: see DESIGN, "The promise"."""

    kind: Literal["threshold", "conformal", "gate"] = "threshold"
    method: ConformalMethod = Field(ConformalMethod.SCRC, description="Of the kind `conformal`.")
    risk: Risk = Field(Risk.SELECTIVE_FNR, description="What is promised to be low.")
    alpha: float = Field(0.02, gt=0, lt=1, description="The most that the risk may be.")
    second_risk: Risk | None = Field(None, description="A second promise, holding at once with the first.")
    second_alpha: float | None = Field(None, gt=0, lt=1, description="The most that the second risk may be.")
    delta: float = Field(0.05, gt=0, lt=1, description="One minus the confidence of the promise.")
    beta: float = Field(
        0.05, gt=0, lt=1, description="Share of negatives of `select` called road work at t_hi."
    )
    counting: Counting = Field(Counting.ONE_PER_GROUP, description="What stands for a group.")
    objective: Objective = Field(Objective.COVERAGE, description="Which of the certified rules is taken.")
    prices: PricesSection | None = None
    coverage: float = Field(0.8, gt=0, lt=1, description="Of the method `scrc`: share that is answered.")
    features: tuple[str, ...] = Field(GateSettings().features, description="Of the kind `gate`.")
    l2: float = Field(1.0, gt=0, description="Of the kind `gate`: penalty on its weights.")
    grid_size: int = Field(200, ge=10, le=10_000, description="Candidate rules.")

    def settings(self) -> PolicySettings:
        """Return what the fitters take.

        Raises:
            ConfigError: The settings do not go together.
        """
        limits: tuple[RiskLimit, ...] = (RiskLimit(self.risk, self.alpha),)
        if self.second_risk is not None and self.second_alpha is not None:
            limits = (*limits, RiskLimit(self.second_risk, self.second_alpha))
        if self.kind == "gate":
            return GateSettings(limits, self.delta, self.counting, self.features, self.l2, self.grid_size)
        if self.kind == "conformal":
            return ConformalSettings(
                self.method, limits, self.delta, self.beta, self.coverage, self.grid_size
            )
        prices = None if self.prices is None else Prices(**self.prices.model_dump())
        return ThresholdSettings(
            limits, self.delta, self.beta, self.counting, self.objective, prices, self.grid_size
        )

    @model_validator(mode="after")
    def _goes_together(self) -> PolicySection:
        for name, kinds in _ONLY_FOR.items():
            taken = self.kind in kinds or f"{self.kind}/{self.method}" in kinds
            if not taken and getattr(self, name) != type(self).model_fields[name].default:
                what = f"{self.kind}, method {self.method}" if self.kind == "conformal" else self.kind
                raise ValueError(
                    f"policy.{name} means nothing to a policy of the kind {what}; it is for: {', '.join(kinds)}"
                )
        if (self.second_risk is None) != (self.second_alpha is None):
            raise ValueError("second_risk and second_alpha are given together or not at all")
        try:
            self.settings()
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self


class EvaluateSection(Section):
    """The report."""

    n_resamples: int = Field(2000, ge=100, le=100_000, description="Bootstrap resamples of groups.")
    seed: int = 0
    baseline: bool = Field(True, description="Compare with a linear model on colour histograms.")
    alternatives: bool = Field(
        True,
        description="Fit the other kinds of policy at the same alpha and delta, and compare them on test.",
    )
    thumbnails: int = Field(24, ge=0, le=200, description="Pictures shown of each kind.")


class PackSection(Section):
    """The bundle."""

    golden: int = Field(6, ge=2, le=64, description="Rendered pictures whose answers are sealed in.")


class Recipe(Section):
    """Every setting of a run."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")
    data: DataSection = DataSection()
    render: RenderSection | None = None
    split: SplitSection = SplitSection()
    preprocessing: PreprocessingSection = PreprocessingSection()
    train: TrainSettings = TrainSettings()
    freeze: FreezeSection = FreezeSection()
    calibrate: CalibrateSection = CalibrateSection()
    policy: PolicySection = PolicySection()
    evaluate: EvaluateSection = EvaluateSection()
    pack: PackSection = PackSection()


def recipe_names() -> list[str]:
    """Return the recipes that come with the package."""
    folder = resources.files("workzone") / "recipes"
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Compose and validate a recipe.

    Args:
        name_or_path: A shipped recipe's name, or the path of a YAML file.
        overrides: `key=value` in Hydra's syntax, such as `train.epochs=5`.

    Raises:
        ConfigError: No such recipe, or a key or value that is wrong.
    """
    path = _find(name_or_path)
    if path.stat().st_size > MAX_RECIPE_BYTES:
        raise ConfigError(f"Recipe '{path}' is larger than 1 MiB; a recipe is a few lines of YAML.")
    for override in overrides:
        _check_key(override)
    return validated(Recipe, _composed(path, overrides), f"Recipe '{path}'")


def _find(name_or_path: str) -> Path:
    if name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        if not path.is_file():
            raise ConfigError(f"There is no recipe file '{path}'.")
        return path
    if name_or_path not in recipe_names():
        raise ConfigError(f"There is no recipe '{name_or_path}'.{nearest(name_or_path, recipe_names())}")
    with resources.as_file(resources.files("workzone") / "recipes" / f"{name_or_path}.yaml") as path:
        return path


def _check_key(override: str) -> None:
    """Say which key of `a.b=value` is unknown; Hydra's own message would be about structs."""
    key, separator, _ = override.partition("=")
    if not separator:
        raise ConfigError(f"'{override}' is not of the form key=value, such as train.epochs=5.")
    fields = Recipe.model_fields
    for part in key.lstrip("+~").split("."):
        if part not in fields:
            raise ConfigError(f"Unknown recipe key '{key}': '{part}' is none.{nearest(part, fields)}")
        annotation = fields[part].annotation
        if get_origin(annotation) is dict:
            return  # below it are names from the data, as of sources
        fields = _fields(annotation)


def _fields(annotation: Any) -> dict[str, FieldInfo]:
    """Return the keys of a section, which may be optional; none for a plain value."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind.model_fields
    return {}


def _forced(override: str) -> str:
    """Let a key be set below a section that is absent by default; the key was found valid before."""
    return override if override[:1] in "+~" else f"++{override}"


def _composed(path: Path, overrides: Sequence[str]) -> Any:
    hydra = require("hydra", "train")
    hydra_errors = require("hydra.errors", "train")
    omegaconf = require("omegaconf", "train")
    store = require("hydra.core.config_store", "train").ConfigStore.instance()
    # A recipe begins with `defaults: [workzone, _self_]`: under it lie all defaults, so that every key can
    # be overridden, also one that the file leaves out.
    store.store(name="workzone", node=Recipe(name="workzone").model_dump(mode="json"))
    try:
        with hydra.initialize_config_dir(os.fspath(path.parent.resolve()), version_base="1.3"):
            composed = hydra.compose(path.stem, [_forced(override) for override in overrides])
        return omegaconf.OmegaConf.to_container(composed, resolve=True)
    except (hydra_errors.HydraException, omegaconf.errors.OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(f"Recipe '{path}' cannot be composed: {' '.join(str(error).split())}") from error


SomeSection = TypeVar("SomeSection", bound=BaseModel)


def checked(section: type[SomeSection], **values: Any) -> SomeSection:
    """Build a section from the options of a command.

    Raises:
        ConfigError: A value is wrong.
    """
    return validated(section, values, "The options")


def validated(model: type[SomeSection], values: Any, where: str) -> SomeSection:
    """Build a section from what was read at `where`.

    Raises:
        ConfigError: A value is wrong, or a key is unknown; names the nearest that is known.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        sentences = "; ".join(_sentence(model, e) for e in error.errors())
        raise ConfigError(f"{where}: {sentences}") from error


def _sentence(root: type[BaseModel], error: Mapping[str, Any]) -> str:
    location = [str(part) for part in error["loc"]]
    where = ".".join(location)
    if error["type"] != "extra_forbidden":
        found = "" if isinstance(error["input"], Mapping) else f" (found {error['input']!r})"
        what = str(error["msg"]).removeprefix("Value error, ")
        return f"{where}: {what}{found}" if location else f"{what}{found}"
    fields = root.model_fields
    for part in location[:-1]:
        fields = _fields(fields[part].annotation)
    return f"unknown key '{where}'.{nearest(location[-1], fields)}"
