"""From a recipe to the phases of a run and the runner that holds them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from workzone.core.errors import ConfigError
from workzone.core.lazy import check_installed
from workzone.core.observer import Observer
from workzone.core.types import Role
from workzone.data.dataset import DataSet, open_dataset
from workzone.data.grants import Grant
from workzone.data.summary import summarise
from workzone.engine.backend import PACKAGES
from workzone.export.card import DataFacts
from workzone.phases.alternatives import alternatives_phase
from workzone.phases.baseline import baseline_phase
from workzone.phases.calibrate import calibrate_phase
from workzone.phases.evaluate import DataSetFacts, evaluate_phase
from workzone.phases.freeze import freeze_phase
from workzone.phases.pack import pack_phase
from workzone.phases.policy import policy_phase
from workzone.phases.predict import PREDICTED, predict_phase
from workzone.phases.recipe import EvaluateSection, Recipe
from workzone.phases.runtimes import runtimes_phase
from workzone.phases.split import split_phase
from workzone.phases.train import train_phase
from workzone.phases.variants import variant_phases
from workzone.pipeline.phase import Phase
from workzone.pipeline.runner import Runner
from workzone.storage.artifacts import ArtifactStore
from workzone.storage.hashing import sha256_json

LEDGER_NAME = "openings.jsonl"


EXTRAS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "train": (("torch", "train"), ("transformers", "train"), ("lightning", "train")),
    "baseline": (("sklearn", "train"),),
    "calibrate": (("scipy", "data"),),
    "freeze": (("onnx", "export"), ("onnxscript", "export")),
    "evaluate": (("jinja2", "report"), ("matplotlib", "report")),
}
"""Phase → (package, extra that brings it): what is missing is said before an hour of training, not after."""


def check_extras(names: Iterable[str]) -> None:
    """Check that all packages are there that the named phases need.

    Raises:
        MissingExtraError: One is not.
    """
    for name in names:
        for module, extra in _needed(name):
            check_installed(module, extra)


def _needed(name: str) -> tuple[tuple[str, str], ...]:
    kind, _, variant = name.partition("@")
    if kind == "freeze" and variant:  # from what is frozen: it needs its runtime, and nothing that exports
        return (PACKAGES[variant],) if variant in PACKAGES else ()
    return EXTRAS.get(kind, ())


def ledger_of(dataset: DataSet) -> Path:
    """Return the file that counts openings of a data set's splits, unless the recipe names another."""
    return dataset.root / LEDGER_NAME


@dataclass(frozen=True, slots=True)
class DataSetGrantor:
    """Hands each phase a grant of the roles that it declared, on one data set."""

    dataset: DataSet
    ledger: Path
    run: str

    def grant(self, phase: str, roles: frozenset[Role]) -> Grant:
        """Return a fresh grant."""
        return Grant(phase, roles, self.dataset, self.ledger, run=self.run)


def build_run(
    recipe: Recipe, out: Path, observer: Observer, clock: Callable[[], datetime]
) -> tuple[Runner, list[Phase]]:
    """Open the data set and return what runs, and on which phases.

    Raises:
        ConfigError: The recipe names no data set.
        DataError: The data set is broken.
    """
    if recipe.data.path is None:
        raise ConfigError(f"Recipe '{recipe.name}' names no data set. Add data.path=DIRECTORY.")
    dataset = open_dataset(recipe.data.path)
    ledger = recipe.data.ledger or ledger_of(dataset)
    runner = Runner(
        store=ArtifactStore(out),
        # Another recipe in the same directory is another look at the data; a resumed run is not.
        grantor=DataSetGrantor(
            dataset, ledger, run=f"{out.resolve()}#{sha256_json(recipe.model_dump(mode='json'))[:12]}"
        ),
        observer=observer,
        clock=clock,
        package_version=version("workzone"),
    )
    return runner, build_phases(recipe, dataset, ledger)


def build_phases(recipe: Recipe, dataset: DataSet, ledger: Path) -> list[Phase]:
    """Return the phases of a recipe, in no particular order: the graph orders them."""
    summary = summarise(dataset)
    facts = DataSetFacts(dataset.name, dataset.revision, dataset.licence, dataset.sha256)
    data = DataFacts(
        name=dataset.name,
        revision=dataset.revision,
        licence=dataset.licence,
        sha256=dataset.sha256,
        n_pictures=summary.total.pictures,
        n_groups=summary.total.groups,
        synthetic=summary.n_synthetic == summary.total.pictures,
    )

    def behind(name: str, evaluation: EvaluateSection) -> list[Phase]:
        """Return the phases behind the frozen model; each runtime has its own."""
        return [
            *(predict_phase(role) for role in PREDICTED),
            calibrate_phase(recipe.calibrate),
            policy_phase(recipe.policy),
            evaluate_phase(evaluation, facts, ledger),
            pack_phase(recipe.pack, name, data),
        ]

    phases = [
        split_phase(dataset, recipe.split),
        train_phase(recipe.train, recipe.preprocessing),
        freeze_phase(recipe.freeze),
        runtimes_phase(),
        *behind(recipe.name, recipe.evaluate),
    ]
    # Beside the float32 report, a variant's has nothing to say of other models and policies.
    plain = recipe.evaluate.model_copy(update={"baseline": False, "alternatives": False})
    for variant in recipe.freeze.variants:
        phases += variant_phases(variant, recipe.freeze, behind(f"{recipe.name}-{variant}", plain))
    if recipe.evaluate.baseline:
        phases.append(baseline_phase())
    if recipe.evaluate.alternatives:
        phases.append(alternatives_phase())
    return phases
