"""From bundles and a labelled data set to a cascade that is certified end to end.

Each stage answers the whole data set once, through the engine and with its own policy: what would be served is what is
certified. All pictures are `calib` here, opened through a grant, so the ledger counts the look. Everything that can be
refused is refused before the first picture is scored, and nothing is written until all are.

The decision a reader would question: pictures that a stage has learned from are refused, not left out. What is left out
silently would hide how little may remain, and whole groups must go, which is the owner's to do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from workzone.bundle.cascade import (
    CascadeBundle,
    CascadeParts,
    check_new_directory,
    check_new_to_stages,
    write_cascade,
)
from workzone.bundle.cascade_manifest import CascadeStage
from workzone.calibration.cascade import CascadeSettings, certify_cascade
from workzone.calibration.plan import groups_needed
from workzone.core.errors import ConfigError, DataError
from workzone.core.observer import Observer
from workzone.core.scores import Scores
from workzone.core.types import Role
from workzone.data.dataset import DataSet
from workzone.data.grants import Grant, Samples, count_runs
from workzone.data.split import Fractions, Split, make_split
from workzone.data.summary import summarise
from workzone.data.tables import strings
from workzone.engine.predictor import Predictor
from workzone.policy.cascade import count_reach

_EVERYTHING_CALIB = Fractions(train=0.0, select=0.0, calib=1.0, test=0.0)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """What is to be said of a stage beside its bundle."""

    name: str
    cost: float
    """Of asking it about one picture, in any one unit, at least 0."""
    deadline_ms: float
    """It is late after this, above 0."""


@dataclass(frozen=True, slots=True)
class CascadePlan:
    """A cascade that can be made, and on what."""

    name: str
    stages: tuple[PlannedStage, ...]
    settings: CascadeSettings
    split: Split
    n_pictures: int
    roadwork_groups: int
    """Groups with a picture labelled road work: the most that can count."""
    least_groups: int
    """Groups that must count for the first limit where none of them has an error."""


@dataclass(frozen=True, slots=True)
class MadeCascade:
    """What came of it."""

    cascade: CascadeBundle
    plan: CascadePlan
    certifications: int
    """How many runs have opened calibration pictures of this data set, this one included. Each certificate is
    valid by itself; the one that pleases most of several is not."""


def plan_stages(
    predictors: Sequence[Predictor],
    *,
    names: Sequence[str] = (),
    costs: Sequence[float] = (),
    deadlines_ms: Sequence[float] = (),
) -> tuple[PlannedStage, ...]:
    """Return the stages, with what is given once for all of them, or once for each.

    Args:
        predictors: In the order in which they are asked.
        names: By default the bundles' own, with a number where two share one.
        costs: By default 1 each, so that a cascade's cost is the number of stages that were asked.
        deadlines_ms: By default 5,000 each.

    Raises:
        ConfigError: There are fewer than two stages, or neither one value nor as many as stages.
    """
    n = len(predictors)
    if n < 2:
        raise ConfigError(
            f"A cascade has at least two stages, got {n}. Name two bundles, the cheaper one first."
        )
    if names and len(names) != n:
        raise ConfigError(f"{n} stages need as many names, got {len(names)}.")
    own = [predictor.bundle.manifest.name for predictor in predictors]
    shared = Counter(own)
    numbered = [f"{name[:95]}-{i}" if shared[name] > 1 else name for i, name in enumerate(own, 1)]
    return tuple(
        PlannedStage(*stage)
        for stage in zip(
            names or numbered,
            _one_each("cost", costs or [1.0], n),
            _one_each("deadline", deadlines_ms or [5000.0], n),
            strict=True,
        )
    )


def plan_cascade(
    predictors: Sequence[Predictor],
    dataset: DataSet,
    out: Path,
    *,
    name: str | None,
    stages: Sequence[PlannedStage],
    settings: CascadeSettings,
    observer: Observer,
) -> CascadePlan:
    """Check everything that can be checked without scoring a picture or opening a split.

    Args:
        predictors: Of the stages, in the order in which they are asked.
        dataset: Labelled, new to every stage.
        out: Where the cascade would be written.
        name: Of the cascade; None: the stages' names joined.
        stages: What is to be said of each; see `plan_stages`.
        settings: What is to be promised.
        observer: Is told of progress.

    Raises:
        ConfigError: `out` holds files, or a name, cost or deadline is none.
        DataError: A stage has learned from pictures of the data set, or it lacks labelled pictures.
    """
    check_new_directory(out)
    called = name or "-then-".join(stage.name for stage in stages)[:100]
    _check_stages(called, stages, predictors)
    split = make_split(dataset, _EVERYTHING_CALIB, seed=0, observer=observer)
    ids, groups = strings(split.table, "id"), strings(split.table, "group")
    seen = {s.name: p.bundle.seen for s, p in zip(stages, predictors, strict=True)}
    check_new_to_stages(seen, ids, groups, what=f"data set '{dataset.name}'")
    total = summarise(dataset).total
    if not (total.roadwork and total.none):
        raise DataError(
            f"'{dataset.name}' has {total.roadwork} pictures with road work and {total.none} without, "
            f"{total.unknown} of unknown label and {total.ambiguous} ambiguous; certifying takes labelled pictures "
            "of both. Label some of each and import them again."
        )
    return CascadePlan(
        name=called,
        stages=tuple(stages),
        settings=settings,
        split=split,
        n_pictures=len(ids),
        roadwork_groups=total.roadwork_groups,
        least_groups=groups_needed(0, settings.limits[0].alpha, settings.delta),
    )


def make_cascade(
    predictors: Sequence[Predictor],
    dataset: DataSet,
    out: Path,
    plan: CascadePlan,
    *,
    ledger: Path,
    created: datetime,
    observer: Observer,
) -> MadeCascade:
    """Let each stage answer the data set, certify every path, and write the cascade to `out`.

    Args:
        predictors: Those of the plan.
        dataset: That of the plan.
        out: A new directory; it appears whole, with a copy of each bundle, or not at all.
        plan: As `plan_cascade` gave it.
        ledger: Where the look is written down.
        created: When.
        observer: Is told of progress: one task a stage.

    Raises:
        DataError: A picture cannot be read.
        InferenceError: A model gave no finite logit.
        BundleError: A stage's bundle was changed since it was opened.
    """
    samples = Grant("cascade", frozenset({Role.CALIB}), dataset, ledger, run=str(out)).open(
        plan.split, Role.CALIB
    )
    codes = []
    for stage, predictor in zip(plan.stages, predictors, strict=True):
        logits, features = predictor.score(
            samples.paths, observer=observer, task=f"predict with {stage.name}"
        )
        codes.append(predictor.bundle.policy.decide(logits, features))
    paths = certify_cascade(
        plan.settings,
        _scores(samples),
        codes,
        split_sha256=plan.split.sha256,
        dataset_sha256=dataset.sha256,
    )
    cascade = write_cascade(
        out,
        CascadeParts(
            name=plan.name,
            created=created,
            package_version=version("workzone"),
            stages=tuple(
                CascadeStage(
                    name=stage.name,
                    digest=predictor.bundle.digest,
                    cost=stage.cost,
                    deadline_ms=stage.deadline_ms,
                )
                for stage, predictor in zip(plan.stages, predictors, strict=True)
            ),
            bundles=tuple(predictor.bundle.path for predictor in predictors),
            reach=count_reach(codes, samples.labels, samples.ambiguous),
            paths=paths,
            calibration_ids=tuple(samples.ids.tolist()),
        ),
    )
    return MadeCascade(cascade, plan, count_runs(ledger, None, Role.CALIB))


def _one_each(what: str, values: Sequence[float], n: int) -> Sequence[float]:
    if len(values) not in (1, n):
        raise ConfigError(f"Give one {what} for all {n} stages or one for each, got {len(values)}.")
    return values if len(values) == n else [values[0]] * n


def _check_stages(name: str, stages: Sequence[PlannedStage], predictors: Sequence[Predictor]) -> None:
    for each in (name, *(stage.name for stage in stages)):
        if not _NAME.fullmatch(each):
            raise ConfigError(
                f"'{each}' is no name: 1 to 100 letters, digits, '.', '_' or '-', the first a letter or digit."
            )
    for stage in stages:
        if not (0 <= stage.cost < np.inf and 0 < stage.deadline_ms < np.inf):
            raise ConfigError(
                f"Stage '{stage.name}' has cost {stage.cost:g} and deadline {stage.deadline_ms:g} ms; expected a "
                "finite cost of at least 0 and a deadline above 0."
            )
    digests = [predictor.bundle.digest for predictor in predictors]
    for what, values in (("name", [stage.name for stage in stages]), ("bundle", digests)):
        if len(set(values)) < len(values):
            raise ConfigError(f"Two stages have one {what}; a stage is asked once. Give each its own.")


def _scores(samples: Samples) -> Scores:
    """Return the labels as scores; a cascade is certified on verdicts, not on logits."""
    n = len(samples)
    return Scores(
        ids=samples.ids,
        labels=samples.labels,
        ambiguous=samples.ambiguous,
        groups=samples.groups,
        logits=np.zeros(n),
        features=np.zeros((n, 0), dtype=np.float32),
    )
