"""One interface to every way of training: from samples to a checkpoint directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from workzone.core.lazy import resolve
from workzone.core.observer import Observer
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.checkpoint import CheckpointRecord, backbone_record, save_checkpoint
from workzone.models.classifier import RoadWorkClassifier
from workzone.models.features import frozen
from workzone.training.curves import Curves, write_curves
from workzone.training.feature_cache import cached_features
from workzone.training.feature_statistics import write_feature_statistics
from workzone.training.pictures import LabelledSamples, Pictures, decided
from workzone.training.quiet import own_torch_state
from workzone.training.settings import Method, TrainSettings

METHODS: Mapping[str, str] = MappingProxyType(
    {
        Method.FINETUNE: "workzone.training.fit:train_finetune",
        Method.PROBE: "workzone.training.probe:train_probe",
    }
)
"""Method → function (train, select, settings, preprocessing, work, cache, observer) that returns
(classifier, curves)."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What came of a training.

    Attributes:
        n_train: Pictures it was trained on.
        n_select: Pictures it was chosen by.
        epochs: Epochs that ran; of a probe, penalties tried.
        best_epoch: Which was chosen, from 1.
        metric: By what.
        metric_value: How it did on `select`; larger is better.
        feature_dim: D.
    """

    n_train: int
    n_select: int
    epochs: int
    best_epoch: int
    metric: str
    metric_value: float
    feature_dim: int


def train(
    samples_train: LabelledSamples,
    samples_select: LabelledSamples,
    settings: TrainSettings,
    preprocessing: Preprocessing,
    work: Path,
    output: Path,
    observer: Observer,
    cache: Path | None = None,
) -> TrainResult:
    """Train and write a checkpoint (see `models.checkpoint`), `curves.json` and `feature_stats.npz`.

    Killed at any point and called again with the same arguments, it goes on and ends in the same files.

    Args:
        samples_train: What it learns from; unknown and ambiguous labels are left out.
        samples_select: What it is chosen by.
        settings: How.
        preprocessing: From picture to pixels; travels in the checkpoint.
        work: Directory that survives a kill; the caller removes it after success.
        output: Directory that the checkpoint is written into.
        observer: Told of progress.
        cache: Where pixels and features are kept; in `work` by default. One writer at a time.

    Raises:
        ConfigError: The backbone cannot be had, a setting is wrong, or the training diverges.
        DataError: A class is missing, or a picture cannot be decoded.
    """
    pictures = decided(samples_train, "train", observer)
    chosen_by = decided(samples_select, "select", observer)
    cache = cache or work / "cache"
    method = resolve(METHODS[settings.method])
    classifier, curves = method(pictures, chosen_by, settings, preprocessing, work, cache, observer)
    save_checkpoint(output, classifier, _record(classifier, curves, settings, preprocessing))
    write_curves(output, curves, str(settings.method), str(settings.metric))
    _write_statistics(output, classifier, pictures, preprocessing, cache, observer)
    return TrainResult(
        n_train=len(pictures),
        n_select=len(chosen_by),
        epochs=len(curves.points),
        best_epoch=curves.best.epoch,
        metric=str(settings.metric),
        metric_value=curves.best.metric,
        feature_dim=classifier.backbone.feature_dim,
    )


def _record(
    classifier: RoadWorkClassifier, curves: Curves, settings: TrainSettings, preprocessing: Preprocessing
) -> CheckpointRecord:
    assert curves.best is not None
    return CheckpointRecord(
        backbone=backbone_record(classifier.backbone),
        method=str(settings.method),
        preprocessing=preprocessing.to_json(),
        size_px=preprocessing.size_px,
        feature_dim=classifier.backbone.feature_dim,
        metric=str(settings.metric),
        metric_value=curves.best.metric,
        epoch=curves.best.epoch,
        seed=settings.seed,
    )


def _write_statistics(
    output: Path,
    classifier: RoadWorkClassifier,
    pictures: Pictures,
    preprocessing: Preprocessing,
    cache: Path,
    observer: Observer,
) -> None:
    """A probe's features are in the cache already; a finetuned backbone computes its own, not augmented."""
    with own_torch_state():
        backbone = classifier.backbone
        features = cached_features(
            pictures, preprocessing, frozen(backbone), backbone.sha256(), cache, observer, "statistics"
        )
    write_feature_statistics(output, features, pictures.labels)
