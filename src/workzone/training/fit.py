"""Finetuning: Lightning's trainer around `FinetuneModule`, resumed exactly at the last whole epoch.

On a CPU with the same number of threads a resumed training ends in the very bytes of an undisturbed one;
a GPU's reductions may differ in the last digit from run to run.
"""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import torch

from workzone.core.errors import ConfigError
from workzone.core.observer import Observer
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.backbones import build_backbone
from workzone.models.classifier import RoadWorkClassifier
from workzone.storage.hashing import sha256_json
from workzone.training.curves import Curves
from workzone.training.module import FinetuneModule
from workzone.training.pictures import Pictures
from workzone.training.pixels import fitted_pictures
from workzone.training.quiet import own_torch_state, quiet_lightning
from workzone.training.resume import load_best, load_state
from workzone.training.sampling import Drawing, drawing_of
from workzone.training.settings import Precision, TrainSettings


def train_finetune(
    train: Pictures,
    select: Pictures,
    settings: TrainSettings,
    preprocessing: Preprocessing,
    work: Path,
    cache: Path,
    observer: Observer,
) -> tuple[RoadWorkClassifier, Curves]:
    """Train end to end and return the classifier with the weights of its best epoch on `select`.

    Args:
        train: What the loss is of.
        select: What the epoch is chosen by.
        settings: How.
        preprocessing: From picture to pixels.
        work: Survives a kill; the state of the training lies here, under a key of all arguments.
        cache: Where fitted pixels are kept.
        observer: Told of progress.

    Raises:
        ConfigError: The backbone cannot be had, a weight is of no source, or the training diverges.
        DataError: A picture cannot be decoded.
    """
    drawing = drawing_of(train.labels, train.sources, settings)
    backbone = build_backbone(
        settings.backbone, settings.seed, preprocessing.size_px, local_files_only=settings.local_files_only
    )
    classifier = RoadWorkClassifier(backbone, settings.dropout, settings.seed)
    key = _key(train, select, settings, preprocessing, backbone.sha256(), drawing)
    directory = work / f"fit-{key[:16]}"
    directory.mkdir(parents=True, exist_ok=True)
    module = FinetuneModule(
        classifier,
        fitted_pictures(train, preprocessing, cache, observer, "decode train"),
        fitted_pictures(select, preprocessing, cache, observer, "decode select"),
        preprocessing,
        settings,
        directory,
        observer,
        drawing,
    )
    state = load_state(directory)
    if state is not None:
        module.restore(state)
        observer.note(f"train: goes on after epoch {module.epoch} of {settings.epochs}")
    if module.epoch < settings.epochs and module.curves.epochs_since_best < settings.patience:
        _run(module, settings, directory)
    classifier = classifier.cpu()
    classifier.load_state_dict(load_best(directory))
    return classifier.eval(), module.curves


def lightning_precision(precision: Precision) -> str:
    """Return Lightning's name of the precision to train in, here.

    Raises:
        ConfigError: bf16 was asked for where CUDA does not have it.
    """
    cuda = torch.cuda.is_available()
    if precision is Precision.FLOAT32 or (precision is Precision.AUTO and not cuda):
        return "32-true"
    if cuda and not torch.cuda.is_bf16_supported():
        if precision is Precision.BF16:
            raise ConfigError("This GPU has no bf16; use train.precision=float32.")
        return "32-true"
    return "bf16-mixed"


def _run(module: FinetuneModule, settings: TrainSettings, directory: Path) -> None:
    with own_torch_state(), quiet_lightning():
        module.classifier.to(memory_format=torch.channels_last)
        trainer = pl.Trainer(
            accelerator="cuda" if torch.cuda.is_available() else "cpu",
            devices=1,
            precision=lightning_precision(settings.precision),
            max_epochs=settings.epochs - module.epoch,
            gradient_clip_val=settings.clip_norm,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            default_root_dir=directory,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        trainer.fit(module)


def _key(
    train: Pictures,
    select: Pictures,
    settings: TrainSettings,
    preprocessing: Preprocessing,
    backbone: str,
    drawing: Drawing | None,
) -> str:
    """Everything that decides the result; how the work is divided does not."""
    return sha256_json(
        {
            "train": train.sha256(),
            "select": select.sha256(),
            "settings": settings.model_dump(mode="json", exclude={"workers"}),
            "preprocessing": preprocessing.model_dump(mode="json"),
            "backbone": backbone,
            "cells": None if drawing is None else drawing.cells.tolist(),
        }
    )
