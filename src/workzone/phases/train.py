"""`train`: from pictures to a checkpoint; opens train and select, never calib."""

from __future__ import annotations

from workzone.core.types import Role
from workzone.data.split import read_split
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.backbone_table import BACKBONES, IMAGENET_MEAN, IMAGENET_STD
from workzone.phases.recipe import PreprocessingSection
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.training.settings import TrainSettings


def train_phase(settings: TrainSettings, preprocessing: PreprocessingSection) -> Phase:
    """Build the phase."""
    record = preprocessing_record(preprocessing, settings.backbone)

    def run(context: PhaseContext) -> None:
        from workzone.training.train import train  # torch: only where a phase really trains

        split = read_split(context.inputs["split"])
        train(
            context.grant.open(split, Role.TRAIN),
            context.grant.open(split, Role.SELECT),
            settings,
            record,
            context.work,
            context.output,
            context.observer,
        )

    return Phase(
        name="train",
        version=1,
        inputs=("split",),
        output="checkpoint",
        roles=frozenset({Role.TRAIN, Role.SELECT}),
        config={"train": settings.model_dump(mode="json"), "preprocessing": record.model_dump(mode="json")},
        run=run,
    )


def preprocessing_record(settings: PreprocessingSection, backbone: str) -> Preprocessing:
    """Return the record that travels with the model: pixel statistics are the backbone's unless stated."""
    spec = BACKBONES.get(backbone)
    mean, std = (spec.pixel_mean, spec.pixel_std) if spec else (IMAGENET_MEAN, IMAGENET_STD)
    if settings.channel_order == "BGR":
        mean, std = mean[::-1], std[::-1]
    return Preprocessing(
        size_px=settings.size_px,
        geometry=settings.geometry,
        channel_order=settings.channel_order,
        mean=settings.mean or (255 * mean[0], 255 * mean[1], 255 * mean[2]),
        scale=settings.scale or (1 / (255 * std[0]), 1 / (255 * std[1]), 1 / (255 * std[2])),
        max_batch=settings.max_batch,
    )
