"""The probe: features of a frozen backbone, computed once, and a logistic regression on them.

The penalty is chosen on `select`. Features are standardised for the fit, and the standardisation is folded
into the weights, so that a probe's checkpoint looks like any other.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from workzone.core.errors import ConfigError
from workzone.core.observer import Observer
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.classifier import RoadWorkClassifier
from workzone.models.features import frozen, open_backbone
from workzone.training.curves import CurvePoint, Curves
from workzone.training.feature_cache import cached_features
from workzone.training.pictures import Pictures
from workzone.training.quiet import own_torch_state
from workzone.training.sampling import drawing_of, label_weights
from workzone.training.selection import mean_nll, measure
from workzone.training.settings import Imbalance, TrainSettings

MAX_ITERATIONS = 3000


def train_probe(
    train: Pictures,
    select: Pictures,
    settings: TrainSettings,
    preprocessing: Preprocessing,
    work: Path,
    cache: Path,
    observer: Observer,
) -> tuple[RoadWorkClassifier, Curves]:
    """Fit the head on frozen features and return it with its backbone.

    Args:
        train: What the head is fitted to.
        select: What the penalty is chosen by.
        settings: How.
        preprocessing: From picture to pixels.
        work: Not needed: all that lasts is in the cache.
        cache: Where features are kept, under a key of preprocessing and backbone.
        observer: Told of progress.

    Raises:
        ConfigError: The backbone cannot be had, or a setting has no meaning for a probe.
        DataError: A picture cannot be decoded.
    """
    if settings.label_smoothing:
        raise ConfigError("train.label_smoothing has no meaning for method 'probe'; leave it at 0.")
    drawing = drawing_of(train.labels, train.sources, settings)
    with own_torch_state():
        backbone = open_backbone(
            settings.backbone,
            settings.seed,
            preprocessing.size_px,
            local_files_only=settings.local_files_only,
        )
        extractor = frozen(backbone, "cuda" if torch.cuda.is_available() else "cpu")
        sha256 = backbone.sha256()
        features = [
            cached_features(part, preprocessing, extractor, sha256, cache, observer, f"features {name}")
            for part, name in ((train, "train"), (select, "select"))
        ]
    classifier = RoadWorkClassifier(backbone.cpu(), seed=settings.seed)
    weight, bias, curves = fit_head(
        features[0],
        train.labels,
        features[1],
        select.labels,
        settings,
        observer,
        None if drawing is None else label_weights(drawing, settings.imbalance),
    )
    with torch.no_grad():
        classifier.head.weight.copy_(torch.from_numpy(weight[None]))
        classifier.head.bias.copy_(torch.tensor([bias]))
    return classifier.eval(), curves


def fit_head(
    train: NDArray[np.float32],
    train_labels: NDArray[np.int8],
    select: NDArray[np.float32],
    select_labels: NDArray[np.int8],
    settings: TrainSettings,
    observer: Observer,
    weights: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], float, Curves]:
    """Return weights [D] and bias on plain features, and one point of the curves for each penalty.

    Args:
        train: float32 [N, D].
        train_labels: int8 [N].
        select: float32 [M, D].
        select_labels: int8 [M].
        settings: Penalties, metric and what is done about imbalance.
        observer: Told when a fit does not converge.
        weights: What each picture of `train` counts for, float64 [N], mean 1; None: what its label alone gives it.
    """
    mean = train.mean(axis=0, dtype=np.float64)
    std = train.std(axis=0, dtype=np.float64)
    std[std < 1e-8] = 1.0  # a constant feature: it says nothing, and the penalty keeps its weight at zero
    class_weight = None if settings.imbalance is Imbalance.NONE or weights is not None else "balanced"
    curves, heads = Curves(), []
    for number, penalty in enumerate(settings.probe_penalties, 1):
        fitted = LogisticRegression(C=penalty, class_weight=class_weight, max_iter=MAX_ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.fit((train - mean) / std, train_labels, sample_weight=weights)
        if fitted.n_iter_[0] >= MAX_ITERATIONS:
            observer.note(f"The probe did not converge in {MAX_ITERATIONS} iterations with C = {penalty:g}.")
        weight = fitted.coef_[0] / std
        bias = float(fitted.intercept_[0] - weight @ mean)
        heads.append((weight, bias))
        select_logits = select @ weight + bias
        point = CurvePoint(
            epoch=number,
            train_loss=mean_nll(train_labels, train @ weight + bias),
            select_loss=mean_nll(select_labels, select_logits),
            metric=measure(settings.metric, select_labels, select_logits),
            learning_rate=penalty,
        )
        curves = curves.extended(point)
    assert curves.best is not None
    return *heads[curves.best.epoch - 1], curves
