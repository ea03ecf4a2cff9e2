"""Training as a whole: it learns, it is a function of its arguments, and it says what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workzone.core.errors import ConfigError, DataError
from workzone.core.lazy import resolve
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.checkpoint import load_checkpoint
from workzone.storage.hashing import sha256_file, sha256_tree
from workzone.training.selection import METRICS, MetricName, mean_nll
from workzone.training.settings import Method, TrainSettings
from workzone.training.train import METHODS, TrainResult, train


def outcome(parts: Any, settings: Any, preprocessing: Any, tmp_path: Path, name: str, observer: Any) -> Path:
    result = train(*parts, settings, preprocessing, tmp_path / "work" / name, tmp_path / name, observer)
    assert isinstance(result, TrainResult)
    return tmp_path / name


def logits_of(directory: Path, samples: Any, preprocessing: Preprocessing) -> tuple[Any, Any]:
    classifier, _ = load_checkpoint(directory)
    with torch.inference_mode():
        logits, features = classifier(torch.from_numpy(preprocessing.prepare(samples.paths)))
    return logits.double().numpy(), features.numpy()


def test_32_pictures_are_learned_by_heart(
    parts: Any, memorising: TrainSettings, preprocessing: Preprocessing, tmp_path: Path, recorder: Any
) -> None:
    rng = np.random.default_rng(0)
    parts[0].labels[:] = rng.permutation(parts[0].labels)  # no rule to find: only the pictures themselves
    directory = outcome((parts[0], parts[0]), memorising, preprocessing, tmp_path, "out", recorder)
    logits, _ = logits_of(directory, parts[0], preprocessing)
    assert mean_nll(parts[0].labels, logits) < 0.02
    assert ((logits > 0) == (parts[0].labels == 1)).all()


@pytest.mark.parametrize("method", list(Method))
def test_the_same_arguments_give_the_same_files(
    parts: Any,
    settings: TrainSettings,
    preprocessing: Preprocessing,
    tmp_path: Path,
    recorder: Any,
    method: str,
) -> None:
    settings = settings.model_copy(update={"method": method, "epochs": 2})
    torch.manual_seed(1)
    first = outcome(parts, settings, preprocessing, tmp_path, "first", recorder)
    torch.manual_seed(2)
    np.random.seed(3)  # noqa: NPY002 - global state must not matter
    assert sha256_tree(first) == sha256_tree(
        outcome(parts, settings, preprocessing, tmp_path, "second", recorder)
    )
    other = settings.model_copy(update={"seed": 7})
    third = outcome(parts, other, preprocessing, tmp_path, "third", recorder)
    assert sha256_file(first / "model.safetensors") != sha256_file(third / "model.safetensors")


@pytest.mark.parametrize("method", list(Method))
def test_what_is_written_is_what_was_chosen(
    parts: Any,
    settings: TrainSettings,
    preprocessing: Preprocessing,
    tmp_path: Path,
    recorder: Any,
    method: str,
) -> None:
    settings = settings.model_copy(update={"method": method})
    directory = outcome(parts, settings, preprocessing, tmp_path, "out", recorder)
    curves = json.loads((directory / "curves.json").read_text())
    best = curves["points"][curves["best_epoch"] - 1]
    assert best["metric"] == max(point["metric"] for point in curves["points"])
    logits, _ = logits_of(directory, parts[1], preprocessing)
    assert mean_nll(parts[1].labels, logits) == pytest.approx(best["select_loss"], rel=1e-4)
    _, features = logits_of(directory, parts[0], preprocessing)
    with np.load(directory / "feature_stats.npz", allow_pickle=False) as stats:
        for label in (0, 1):
            members = features[parts[0].labels == label]
            np.testing.assert_allclose(stats["mean"][label], members.mean(axis=0), atol=1e-4)
            np.testing.assert_allclose(stats["std"][label], members.std(axis=0), atol=1e-4)
            assert stats["count"][label] == len(members)
    record = load_checkpoint(directory)[1]
    assert Preprocessing.from_json(record.preprocessing) == preprocessing
    assert record.metric_value == best["metric"]


def test_unknown_and_ambiguous_pictures_teach_nothing(
    parts: Any, settings: TrainSettings, preprocessing: Preprocessing, tmp_path: Path, recorder: Any
) -> None:
    settings = settings.model_copy(update={"method": Method.PROBE})
    parts[0].labels[3], parts[0].ambiguous[4] = -1, True
    parts[0].paths[3].write_bytes(b"never read")
    result = train(*parts, settings, preprocessing, tmp_path / "work", tmp_path / "out", recorder)
    assert result.n_train == 30
    assert "train: 2 unknown or ambiguous pictures are left out." in recorder.notes


def test_a_part_without_one_of_the_classes_is_refused(
    parts: Any, settings: TrainSettings, preprocessing: Preprocessing, tmp_path: Path, recorder: Any
) -> None:
    parts[1].labels[:] = 0
    with pytest.raises(DataError, match=r"'select'.*none of them 'roadwork'"):
        train(*parts, settings, preprocessing, tmp_path / "work", tmp_path / "out", recorder)


def test_a_training_that_diverges_says_so(
    parts: Any, settings: TrainSettings, preprocessing: Preprocessing, tmp_path: Path, recorder: Any
) -> None:
    broken = preprocessing.model_copy(update={"scale": (1e36,) * 3})
    with pytest.raises(ConfigError, match=r"diverged in epoch 1.*learning_rate"):
        train(*parts, settings, broken, tmp_path / "work", tmp_path / "out", recorder)


def test_it_stops_when_nothing_gets_better(
    parts: Any, settings: TrainSettings, preprocessing: Preprocessing, tmp_path: Path, recorder: Any
) -> None:
    still = settings.model_copy(
        update={
            "epochs": 50,
            "patience": 1,
            "learning_rate": 1e-12,
            "ema_decay": 0.0,
            "metric": MetricName.AUROC,
        }
    )
    result = train(*parts, still, preprocessing, tmp_path / "work", tmp_path / "out", recorder)
    assert result.epochs < 10
    assert result.epochs == result.best_epoch + 1


def test_progress_counts_the_steps_of_all_epochs(
    parts: Any, settings: TrainSettings, preprocessing: Preprocessing, tmp_path: Path, recorder: Any
) -> None:
    outcome(parts, settings, preprocessing, tmp_path, "out", recorder)
    assert [step[1:] for step in recorder.steps if step[0] == "train"] == [(i, 12) for i in range(1, 13)]


def test_every_choice_resolves() -> None:
    for table in (METHODS, METRICS):
        for dotted in table.values():
            assert callable(resolve(dotted))
