"""Every setting of training, validated; torch-free, so that a recipe can be read without torch."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workzone.data.augment import AugmentSettings
from workzone.training.selection import MetricName


class Method(StrEnum):
    """How a classifier is trained."""

    FINETUNE = "finetune"
    """End to end."""
    PROBE = "probe"
    """The backbone stays frozen; a logistic regression on its features."""


class Imbalance(StrEnum):
    """What is done when one class is rarer."""

    POS_WEIGHT = "pos_weight"
    """The loss of positives is weighted by negatives / positives. Logits then answer for a prior of one
    half, which the calibrator undoes."""
    BALANCED = "balanced"
    """Each epoch draws as many positives as negatives: the rarer class is repeated, nothing is left out."""
    NONE = "none"
    """Nothing."""


class Sampling(StrEnum):
    """How often pictures are drawn in an epoch."""

    NATURAL = "natural"
    """Each once, as they come."""
    LABEL = "label"
    """Both labels equally often, in epochs of the same length."""
    LABEL_SOURCE = "label_source"
    """Likewise, and within a label every source that has it: the source then says little of the label."""


class Precision(StrEnum):
    """Arithmetic of the network while it trains; weights, optimiser and evaluation stay in float32."""

    AUTO = "auto"
    """bf16 where the device is CUDA and has it, else float32."""
    BF16 = "bf16"
    FLOAT32 = "float32"


class TrainSettings(BaseModel):
    """How a classifier is trained; the defaults suit `embedded/convnext` on a few thousand pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = Method.FINETUNE
    backbone: str = Field(
        "embedded/convnext",
        description="A name of the table, a save_pretrained directory, a hub id, or onnx:PATH[#OUTPUT].",
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Of weights, order and augmentation.")
    metric: MetricName = Field(MetricName.MCC, description="What chooses the best epoch, on `select`.")
    imbalance: Imbalance = Imbalance.POS_WEIGHT
    sampling: Sampling = Field(Sampling.NATURAL, description="How often pictures are drawn in an epoch.")
    source_weights: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(
        default_factory=dict,
        description="Source → how much more often its pictures are drawn than others; 1 where not named.",
    )
    local_files_only: bool = Field(False, description="Never ask a hub for weights.")

    epochs: int = Field(20, ge=1, le=10_000, description="Passes over train (finetune).")
    batch_size: int = Field(32, ge=1, le=4096, description="Pictures a step.")
    learning_rate: float = Field(2e-3, gt=0, le=1, description="Peak of the schedule (finetune).")
    backbone_rate: float = Field(
        1.0, ge=0, le=1, description="Backbone's share of the learning rate; below 1 if pretrained."
    )
    weight_decay: float = Field(0.05, ge=0, le=1, description="AdamW's, on matrices only.")
    warmup: float = Field(0.08, ge=0, lt=1, description="Share of all steps over which the rate rises.")
    final_rate: float = Field(0.01, ge=0, le=1, description="Share of the peak rate at the last step.")
    clip_norm: float = Field(1.0, gt=0, description="Largest norm of a step's gradient.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of the target spread over both classes; harms deferring."
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="On the features, before the head (finetune).")
    ema_decay: float = Field(
        0.0, ge=0, lt=1, description="Of the moving average of weights that is evaluated and kept; 0 is none."
    )
    patience: int = Field(
        8, ge=1, le=10_000, description="Epochs without a better metric on `select` after which to stop."
    )
    precision: Precision = Precision.AUTO
    workers: int = Field(0, ge=0, le=64, description="Processes that augment; 0 augments in this one.")
    augment: AugmentSettings = AugmentSettings()

    probe_penalties: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0),
        min_length=1,
        description="Inverse penalties C of the logistic regression, tried in this order (probe).",
    )

    @model_validator(mode="after")
    def _draws_one_way(self) -> TrainSettings:
        if self.imbalance is Imbalance.BALANCED and (
            self.sampling is not Sampling.NATURAL or self.source_weights
        ):
            raise ValueError(
                "imbalance 'balanced' is a way of drawing of its own; with sampling or source_weights leave it at "
                "pos_weight or none, and ask for sampling=label"
            )
        return self
