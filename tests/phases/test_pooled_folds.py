"""Pooled folds test every group once, and say so; what is not one k-fold is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from workzone.cli.folds import folds
from workzone.core.errors import ArtifactError, ConfigError
from workzone.core.scores import Scores
from workzone.core.types import Opening, Role
from workzone.data.dataset import DataSet
from workzone.data.schema import SAMPLE_COLUMNS
from workzone.data.split import Fractions, Split, fold_split, make_split, write_split
from workzone.data.tables import build_table
from workzone.phases.pooled_folds import pool_folds
from workzone.storage.artifacts import ArtifactStore, Manifest
from workzone.storage.hashing import sha256_tree
from workzone.storage.scores import read_scores, write_scores

FOLDS = 3
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def data(n_groups: int = 36) -> DataSet:
    rows = [(f"g{i:02d}", i % 2, i == 7) for i in range(n_groups) for _ in range(2)]
    columns: dict[str, list] = {column.name: [None] * len(rows) for column in SAMPLE_COLUMNS}
    columns |= {"id": [f"{i:064x}" for i in range(len(rows))], "path": ["images/x.jpg"] * len(rows)}
    columns |= {"group": [g for g, _, _ in rows], "label": [label for _, label, _ in rows]}
    columns |= {"ambiguous": [a for _, _, a in rows], "synthetic": [True] * len(rows)}
    columns |= {"width_px": [1] * len(rows), "height_px": [1] * len(rows)}
    return DataSet(None, "memory", "1", "none", "0" * 64, build_table(SAMPLE_COLUMNS, columns), None)  # type: ignore[arg-type]


def scores(dataset: DataSet, split: Split, role: str, scale: float) -> Scores:
    """Logits that know the label, on a scale of the fold's own."""
    table = dataset.samples.filter([r == role for r in split.table["role"].to_pylist()])
    labels = table["label"].to_numpy().astype(np.int8)
    noise = np.random.default_rng(len(labels) + int(scale)).normal(size=len(labels))
    return Scores(
        ids=np.array(table["id"].to_pylist()),
        labels=labels,
        ambiguous=np.array(table["ambiguous"].to_pylist()),
        groups=np.array(table["group"].to_pylist()),
        logits=scale + 2.0 * labels + noise,
        features=np.zeros((len(labels), 1), dtype=np.float32),
    )


def seal(run: Path, name: str, write: Callable[[Path], None], split_sha256: str, *roles: Role) -> None:
    store = ArtifactStore(run)
    with store.writing(name) as directory:
        write(directory)
    lineage = frozenset(Opening(split_sha256, role) for role in roles)
    store.seal(name, Manifest(name, sha256_tree(run / name), "x", 1, "0", "0" * 64, {}, lineage, NOW))


def finish(run: Path, dataset: DataSet, split: Split, scale: float, lineage: str = "") -> Path:
    seal(run, "split", lambda directory: write_split(split, directory), split.sha256)
    for role in (Role.SELECT, Role.TEST):
        said = scores(dataset, split, role, scale)
        seal(
            run,
            f"predictions-{role}",
            lambda directory, said=said: write_scores(directory, said),
            lineage or split.sha256,
            Role.TRAIN,
            role,
        )
    return run


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    dataset = data()
    return [
        finish(tmp_path / f"fold{fold}", dataset, fold_split(dataset, FOLDS, fold, 1), 100.0 * fold)
        for fold in range(FOLDS)
    ]


def test_every_decided_group_is_tested_once_by_its_own_folds_threshold(runs) -> None:
    pooled = pool_folds([runs[2], runs[0], runs[1]], n_resamples=200)
    assert (pooled.n, pooled.n_groups) == (70, 35)  # one group is ambiguous
    assert [fold.fold for fold in pooled.folds] == [0, 1, 2]
    assert sum(fold.n for fold in pooled.folds) == 70
    thresholds = [fold.threshold for fold in pooled.folds]
    assert [round(threshold, -2) for threshold in thresholds] == [0.0, 100.0, 200.0]
    truth, said = [], []
    for run, threshold in zip(runs, thresholds, strict=True):
        decided = read_scores(run / "predictions-test").decided()
        truth += decided.labels.tolist()
        said += (decided.logits >= threshold).tolist()
    assert pooled.mcc == pytest.approx(matthews_corrcoef(truth, said))
    assert pooled.low is not None
    assert pooled.high is not None
    assert pooled.low < pooled.mcc < pooled.high
    assert pooled.certified is False
    assert "No certificate" in pooled.statement


def test_what_is_no_whole_k_fold_is_refused(runs, tmp_path) -> None:
    dataset = data()
    with pytest.raises(ConfigError, match="the folds 0, 2 of 3"):
        pool_folds([runs[0], runs[2]])
    with pytest.raises(ConfigError, match="the folds 0, 0, 1, 2 of 3"):
        pool_folds([*runs, runs[0]])
    other_seed = finish(tmp_path / "seed", dataset, fold_split(dataset, FOLDS, 1, 2), 0.0)
    with pytest.raises(ConfigError, match="folds of different k-folds"):
        pool_folds([runs[0], other_seed, runs[2]])
    plain = finish(tmp_path / "plain", dataset, make_split(dataset, Fractions(), 0), 0.0)
    with pytest.raises(ConfigError, match="not runs of a k-fold"):
        pool_folds([plain, runs[1], runs[2]])
    with pytest.raises(ConfigError, match="not runs of a k-fold"):
        pool_folds([])


def test_predictions_of_another_split_and_missing_ones_are_refused(runs, tmp_path) -> None:
    dataset = data()
    split = fold_split(dataset, FOLDS, 1, 1)
    foreign = finish(tmp_path / "foreign", dataset, split, 0.0, lineage="a" * 64)
    with pytest.raises(ArtifactError, match="derives from another split"):
        pool_folds([runs[0], foreign, runs[2]])
    (runs[1] / "predictions-test.manifest.json").unlink()
    with pytest.raises(ArtifactError, match="No artifact 'predictions-test'"):
        pool_folds(runs)


def test_the_command_prints_each_fold_and_that_nothing_is_certified(runs, capsys) -> None:
    folds(runs, resamples=100, json=True)
    answer = json.loads(capsys.readouterr().out)
    assert {"runs", "folds", "mcc", "low", "high", "certified", "statement"} <= answer.keys()
    assert len(answer["folds"]) == FOLDS
    assert answer["certified"] is False
    folds(runs, resamples=100, json=False)
    said = capsys.readouterr().out
    assert f"{answer['mcc']:.3f}" in said
    assert "No certificate" in said
