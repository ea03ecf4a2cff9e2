"""A run for each of several data sets by one recipe, then every bundle on the test part of every data set.

Bundles answer as they serve: through the engine, with their own calibrator and policy. A training that was killed goes
on, and scores that were made are kept, so the same command goes on where it was. Pictures that a bundle has learned
from are left out with their groups and counted, not refused: between data sets that is part of the answer. Their ids
are hashes of bytes, so data sets that are known to share re-encoded pictures are refused altogether.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError
from workzone.core.observer import Observer
from workzone.core.scores import Scores
from workzone.core.types import Label, Role
from workzone.data.dataset import DataSet, open_dataset
from workzone.data.fusion_plan import distinct_names
from workzone.data.grants import Grant, Samples, count_runs
from workzone.data.known_overlaps import refuse_overlaps
from workzone.data.split import Split, check_split, read_split
from workzone.data.tables import equal_to
from workzone.engine.predictor import Predictor, open_predictor
from workzone.evaluation.grouped import Sampling
from workzone.evaluation.matrix import Matrix, MatrixCell, MatrixDataSet, measure_answers
from workzone.evaluation.matrix_page import write_matrix_html
from workzone.evaluation.records import Measure, to_json
from workzone.evaluation.system_answers import SystemAnswers
from workzone.phases.build import build_run, check_extras, ledger_of
from workzone.phases.recipe import Recipe
from workzone.storage.artifacts import ArtifactStore
from workzone.storage.atomic import atomic_directory, write_json
from workzone.storage.hashing import sha256_json
from workzone.storage.scores import read_scores, write_scores

RUNS, SCORES = "runs", "scores"
JSON_NAME, HTML_NAME = "matrix.json", "matrix.html"
CONFIDENCE = 0.95
TARGET = "pack"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model of the matrix."""

    trained_on: str
    predictor: Predictor


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What every model is measured on: the role `test` of one data set's split."""

    name: str
    dataset: DataSet
    split: Split


def run_matrix(
    recipe: Recipe,
    paths: Sequence[Path],
    out: Path,
    *,
    force: bool,
    observer: Observer,
    clock: Callable[[], datetime],
) -> Matrix:
    """Train on each data set, measure each bundle on all, and write `matrix.json` and `matrix.html` to `out`.

    Args:
        recipe: Of every run; its `data.path` plays no part.
        paths: Data sets, at least two.
        out: Runs are in `runs/NAME`, scores in `scores`.
        force: Go on where data sets are known to share pictures.
        observer: Is told of progress.
        clock: Asked when a run is started first.

    Raises:
        ConfigError: Fewer than two data sets, one given twice, or the recipe names a split.
        DataError: A data set is broken or too small, or two are known to overlap.
        MissingExtraError: What training or the page needs is not installed.
    """
    datasets = [open_dataset(path) for path in paths]
    names = distinct_names(datasets)
    if recipe.split.path is not None:
        raise ConfigError("split.path is of one data set; a matrix splits each by itself. Leave it out.")
    if not force:
        refuse_overlaps(datasets, "A matrix would test on what was trained on")
    runs = [out / RUNS / name for name in names]
    for number, (name, dataset, run) in enumerate(zip(names, datasets, runs, strict=True), 1):
        observer.note(f"matrix: {number} of {len(names)}, the run on '{name}'")
        _train(recipe, name, dataset, run, observer, clock)
    parts = [
        HeldOut(name, dataset, read_split(ArtifactStore(run).open("split")[0]))
        for name, dataset, run in zip(names, datasets, runs, strict=True)
    ]
    matrix = cross_evaluate(
        _candidates(names, runs),
        parts,
        recipe=recipe.name,
        sampling=Sampling(recipe.evaluate.n_resamples, CONFIDENCE, recipe.evaluate.seed),
        ledger=recipe.data.ledger,
        work=out / SCORES,
        observer=observer,
    )
    write_json(out / JSON_NAME, to_json(matrix))
    write_matrix_html(out / HTML_NAME, matrix)
    return matrix


def cross_evaluate(
    candidates: Iterable[Candidate],
    parts: Sequence[HeldOut],
    *,
    recipe: str,
    sampling: Sampling,
    ledger: Path | None,
    work: Path,
    observer: Observer,
) -> Matrix:
    """Measure every candidate on every test part.

    Args:
        candidates: One for each part, in their order; opened one after another.
        parts: Test parts.
        recipe: What the matrix says the candidates were trained by.
        sampling: Of the intervals.
        ledger: Where the looks are written down; None: beside each data set. Each bundle is one look.
        work: Scores are kept here, by bundle and pictures.
        observer: Is told of progress.

    Raises:
        DataError: A split is of another data set, or a picture cannot be read.
        InferenceError: A model gave no finite logit.
    """
    for part in parts:
        check_split(part.split, part.dataset)
    cells = [
        _cell(candidate, part, ledger or ledger_of(part.dataset), sampling, work, observer)
        for candidate in candidates
        for part in parts
    ]
    return Matrix(
        recipe=recipe,
        datasets=tuple(_described(part, ledger or ledger_of(part.dataset)) for part in parts),
        cells=tuple(cells),
        n_resamples=sampling.n_resamples,
        confidence=sampling.confidence,
        seed=sampling.seed,
    )


def _train(
    recipe: Recipe, name: str, dataset: DataSet, run: Path, observer: Observer, clock: Callable[[], datetime]
) -> None:
    data = recipe.data.model_copy(update={"path": dataset.root})
    bundle = re.sub(r"[^A-Za-z0-9._-]", "-", f"{recipe.name}-{name}")[:100]
    runner, phases = build_run(recipe.model_copy(update={"name": bundle, "data": data}), run, observer, clock)
    planned = runner.plan(phases, TARGET)
    check_extras([p.name for p in planned if p.runs] or ["evaluate"])  # the page needs what a report needs
    runner.run(phases, TARGET)


def _candidates(names: Sequence[str], runs: Sequence[Path]) -> Iterator[Candidate]:
    for name, run in zip(names, runs, strict=True):
        yield Candidate(name, open_predictor(ArtifactStore(run).open("bundle")[0]))


def _cell(
    candidate: Candidate, part: HeldOut, ledger: Path, sampling: Sampling, work: Path, observer: Observer
) -> MatrixCell:
    bundle = candidate.predictor.bundle
    grant = Grant("matrix", frozenset({Role.TEST}), part.dataset, ledger, run=f"matrix {bundle.digest[:16]}")
    samples = grant.open(part.split, Role.TEST)
    seen = bundle.seen.overlap(samples.ids)
    in_seen = np.isin(samples.groups, np.unique(samples.groups[seen]))
    decided = (samples.labels != Label.UNKNOWN) & ~samples.ambiguous
    rows = np.flatnonzero(decided & ~in_seen)
    measures: tuple[Measure, ...] = ()
    if len(rows):
        task = f"{candidate.trained_on} on {part.name}"
        measures = measure_answers(_answers(candidate, samples, rows, work, observer, task), sampling)
    return MatrixCell(
        trained_on=candidate.trained_on,
        tested_on=part.name,
        digest=bundle.digest,
        certified=bundle.policy.certified,
        n=len(rows),
        n_groups=len(np.unique(samples.groups[rows])),
        n_positives=int((samples.labels[rows] == Label.ROADWORK).sum()),
        n_seen=int(seen.sum()),
        n_in_seen_groups=int(in_seen.sum()),
        n_undecided=int((~decided & ~in_seen).sum()),
        measures=measures,
    )


def _answers(
    candidate: Candidate, samples: Samples, rows: NDArray[np.intp], work: Path, observer: Observer, task: str
) -> SystemAnswers:
    bundle = candidate.predictor.bundle
    kept = work / sha256_json([bundle.digest, samples.ids[rows].tolist()])[:32]
    if not kept.exists():
        paths = [samples.paths[row] for row in rows]
        logits, features = candidate.predictor.score(paths, observer=observer, task=task)
        scores = Scores(
            ids=samples.ids[rows],
            labels=samples.labels[rows],
            ambiguous=samples.ambiguous[rows],
            groups=samples.groups[rows],
            logits=logits,
            features=features,
        )
        with atomic_directory(kept) as directory:
            write_scores(directory, scores)
    scores = read_scores(kept)
    return SystemAnswers(
        name=candidate.trained_on,
        ids=samples.ids[rows],
        # Labels and groups as the data set has them now: the kept scores only tell what the model said.
        groups=samples.groups[rows],
        positive=samples.labels[rows] == Label.ROADWORK,
        probs=bundle.calibrator.apply(scores.logits),
        codes=bundle.policy.decide(scores.logits, scores.features),
    )


def _described(part: HeldOut, ledger: Path) -> MatrixDataSet:
    test = part.split.table.filter(equal_to(part.split.table["role"], str(Role.TEST)))
    return MatrixDataSet(
        name=part.name,
        dataset=part.dataset.name,
        revision=part.dataset.revision,
        sha256=part.dataset.sha256,
        split_sha256=part.split.sha256,
        n_test=int(test.num_rows),
        test_openings=count_runs(ledger, part.split.sha256, Role.TEST),
    )
