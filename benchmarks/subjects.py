"""What is measured on: rendered street pictures, untrained classifiers, a small bundle; all made on the fly.

Weights are random: speed does not depend on what a network has learnt.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import torch

from workzone.bundle.seen import SeenPictures
from workzone.core.types import Label, Opening, Role
from workzone.data.render import encode_jpeg
from workzone.data.scenes.compose import render_sequence
from workzone.data.scenes.world import WorldSpec
from workzone.export.card import DataFacts
from workzone.export.freeze import freeze
from workzone.export.pack import pack
from workzone.imaging.geometry import Geometry
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.backbone_table import BACKBONES
from workzone.models.backbones import build_backbone
from workzone.models.checkpoint import CheckpointRecord, backbone_record, save_checkpoint
from workzone.models.classifier import RoadWorkClassifier
from workzone.policy.calibrators import TemperatureCalibrator
from workzone.policy.settings import ThresholdSettings
from workzone.policy.threshold import ThresholdPolicy

SEED = 30_000_001
"""Far from the seeds of data sets and golden pictures."""
T_HI = 50.0
"""A threshold that no logit of an untrained network comes near, so that any picture can be a golden one."""
HEAD_GAIN = 50.0
"""Gives the logits of a fresh head a trained one's spread, so that a tolerance on them means something."""


def street_jpegs(n: int, width_px: int = 256, height_px: int = 192) -> list[bytes]:
    """Return n street scenes as JPEG, every other with road work, rendered at this size."""
    spec = WorldSpec(width_px=width_px, height_px=height_px)
    frames = (render_sequence(SEED, index, Label(index % 2), 1, spec)[0] for index in range(n))
    return [encode_jpeg(frame.image_rgb_u8) for frame in frames]


def preprocessing_for(backbone: str, size_px: int | None = None) -> Preprocessing:
    """Return what a recipe's defaults make of a backbone of the table."""
    spec = BACKBONES[backbone]
    mean, std = spec.pixel_mean, spec.pixel_std
    return Preprocessing(
        size_px=size_px or spec.size_px,
        geometry=Geometry.SQUASH,
        mean=(255 * mean[0], 255 * mean[1], 255 * mean[2]),
        scale=(1 / (255 * std[0]), 1 / (255 * std[1]), 1 / (255 * std[2])),
    )


def checkpoint(folder: Path, backbone: str = "embedded/convnext") -> Path:
    """Write an untrained classifier to `folder` as training would, and return it."""
    preprocessing = preprocessing_for(backbone)
    classifier = RoadWorkClassifier(build_backbone(backbone, 0, preprocessing.size_px), seed=1)
    with torch.no_grad():
        classifier.head.weight.mul_(HEAD_GAIN)
    record = CheckpointRecord(
        backbone=backbone_record(classifier.backbone),
        method="finetune",
        preprocessing=preprocessing.to_json(),
        size_px=preprocessing.size_px,
        feature_dim=classifier.backbone.feature_dim,
        metric="mcc",
        metric_value=0.0,
        epoch=0,
        seed=0,
    )
    save_checkpoint(folder, classifier.eval(), record)
    return folder


def frozen_model(folder: Path, backbone: str = "embedded/convnext") -> tuple[Path, Path]:
    """Write an untrained classifier and its frozen model below `folder`; return (checkpoint, model)."""
    source, model = checkpoint(folder / "checkpoint", backbone), folder / "model"
    freeze(source, model, street_jpegs(4))
    return source, model


def tiny_bundle(folder: Path) -> Path:
    """Write a real bundle around an untrained `embedded/convnext` below `folder`, and return it."""
    _, model = frozen_model(folder)
    refusal = "The network is untrained: it is there to be timed."
    pack(
        model,
        folder / "bundle",
        name="benchmark",
        created=datetime(2000, 1, 1, tzinfo=UTC),
        calibrator=TemperatureCalibrator(1.0),
        policy=ThresholdPolicy(float("-inf"), T_HI, ThresholdSettings(), certificate=None, refusal=refusal),
        golden_candidates=street_jpegs(12),
        lineage=frozenset(Opening("0" * 64, role) for role in (Role.TRAIN, Role.SELECT, Role.CALIB)),
        data=DataFacts("none", "", "", "0" * 64, 0, 0, synthetic=True),
        seen=SeenPictures.from_ids(train=["0" * 64], select=["1" * 64], calib=["2" * 64]),
    )
    return folder / "bundle"
