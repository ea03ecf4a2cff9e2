"""The Lightning module: one epoch at a time, each a function of the state before it and (seed, epoch).

Knows loss, schedule, moving average, choice of the best epoch and when to stop. Does not know where the
pictures come from, nor what becomes of the classifier.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from workzone.core.errors import ConfigError
from workzone.core.observer import Observer
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.classifier import RoadWorkClassifier
from workzone.training.batches import EpochBatches, PlainBatches, loader, n_batches
from workzone.training.curves import CurvePoint, Curves
from workzone.training.optimisation import (
    cosine_rate,
    drawn_positive_weight,
    parameter_groups,
    positive_weight,
    road_work_loss,
)
from workzone.training.pixels import FittedPictures
from workzone.training.resume import FitState, save_best, save_state
from workzone.training.sampling import Drawing
from workzone.training.selection import mean_nll, measure
from workzone.training.settings import TrainSettings


class FinetuneModule(pl.LightningModule):
    """Trains a classifier end to end, writing its state after every epoch.

    Attributes:
        classifier: What is trained.
        average: The moving average of its weights, or None.
        curves: One point for each epoch that is done.
    """

    def __init__(
        self,
        classifier: RoadWorkClassifier,
        train: FittedPictures,
        select: FittedPictures,
        preprocessing: Preprocessing,
        settings: TrainSettings,
        directory: Path,
        observer: Observer,
        drawing: Drawing | None = None,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.average = copy.deepcopy(classifier).requires_grad_(False) if settings.ema_decay else None
        self.curves = Curves()
        self._train, self._select = train, select
        self._preprocessing = preprocessing
        self._settings = settings
        self._directory = directory
        self._observer = observer
        self._optimiser_state: dict[str, Any] | None = None
        self._steps_an_epoch = n_batches(train.labels, settings)
        self._total_steps = settings.epochs * self._steps_an_epoch
        self._drawing = drawing
        self._pos_weight = (
            positive_weight(train.labels, settings.imbalance)
            if drawing is None
            else drawn_positive_weight(drawing.positive_share, settings.imbalance)
        )
        self._loss_sum, self._seen = torch.zeros(()), 0
        self._logits: list[Tensor] = []

    def restore(self, state: FitState) -> None:
        """Go on after the epochs of `state`; before the trainer starts."""
        self.curves = state.curves
        self.classifier.load_state_dict(state.weights)
        if self.average is not None and state.average is not None:
            self.average.load_state_dict(state.average)
        self._optimiser_state = state.optimiser

    @property
    def epoch(self) -> int:
        """The epoch that runs, from 0, over all restarts."""
        return len(self.curves.points)

    @property
    def _step(self) -> int:
        return self._first_step + int(self.global_step)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW, as far as it was."""
        s = self._settings
        groups = parameter_groups(self.classifier, s.learning_rate, s.backbone_rate, s.weight_decay)
        optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.99))
        if self._optimiser_state is not None:
            optimiser.load_state_dict(self._optimiser_state)
        self._first_step = self.epoch * self._steps_an_epoch
        return optimiser

    def train_dataloader(self) -> DataLoader[Any]:
        """The batches of the epoch that begins; the trainer asks anew for each."""
        batches = EpochBatches(self._train, self._preprocessing, self._settings, self.epoch, self._drawing)
        return loader(batches, self._settings.workers)

    def val_dataloader(self) -> DataLoader[Any]:
        """The pictures of `select`."""
        return loader(PlainBatches(self._select, self._preprocessing, self._preprocessing.max_batch), 0)

    def on_train_epoch_start(self) -> None:
        """Seed dropout."""
        torch.manual_seed(int(np.random.SeedSequence([self._settings.seed, self.epoch]).generate_state(1)[0]))
        self._loss_sum, self._seen = torch.zeros((), device=self.device), 0

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the rate of this step."""
        s = self._settings
        share = cosine_rate(self._step, self._total_steps, s.warmup, s.final_rate)
        for group in self.optimizers().param_groups:
            group["lr"] = group["peak_lr"] * share

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        pixels, targets = batch
        logits, _ = self.classifier(pixels.contiguous(memory_format=torch.channels_last))
        loss = road_work_loss(logits, targets, self._pos_weight, self._settings.label_smoothing)
        self._loss_sum += loss.detach() * len(targets)
        self._seen += len(targets)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the average and tell how far it is."""
        if self.average is not None:
            # A short memory at first, else the average would remember the random start for epochs.
            decay = min(self._settings.ema_decay, (1 + self._step) / (10 + self._step))
            with torch.no_grad():
                for kept, trained in zip(
                    self.average.parameters(), self.classifier.parameters(), strict=True
                ):
                    kept.lerp_(trained, 1 - decay)
        self._observer.progress("train", self._step, self._total_steps)

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's logits."""
        self._logits = []

    def validation_step(self, pixels: Tensor, batch_idx: int) -> None:
        """Keep the logits of a batch."""
        evaluated = self.average if self.average is not None else self.classifier
        logits, _ = evaluated(pixels.contiguous(memory_format=torch.channels_last))
        self._logits.append(logits.float().cpu())

    def on_train_epoch_end(self) -> None:
        """Measure, keep the best weights, write the state, stop when nothing gets better.

        Raises:
            ConfigError: The loss is not finite.
        """
        point = self._measured()
        self.curves = self.curves.extended(point)
        evaluated = self.average if self.average is not None else self.classifier
        if self.curves.best is point:
            save_best(self._directory, evaluated.state_dict())
        self._save_state()
        if self.curves.best is point:
            metric = str(self._settings.metric)
            self._observer.note(
                f"epoch {point.epoch} of {self._settings.epochs}: {metric} {point.metric:.3f} on select, "
                f"loss {point.train_loss:.3f}"
            )
        if self.curves.epochs_since_best >= self._settings.patience:
            self.trainer.should_stop = True

    def _measured(self) -> CurvePoint:
        logits = torch.cat(self._logits).numpy().astype(np.float64)
        train_loss = float(self._loss_sum) / self._seen
        if not (math.isfinite(train_loss) and np.isfinite(logits).all()):
            raise ConfigError(
                f"Training diverged in epoch {self.epoch + 1}: the loss is not finite. Lower "
                f"train.learning_rate (it is {self._settings.learning_rate:g}) or train.clip_norm."
            )
        labels = self._select.labels
        s = self._settings
        share = cosine_rate(self._step - 1, self._total_steps, s.warmup, s.final_rate)
        return CurvePoint(
            epoch=self.epoch + 1,
            train_loss=train_loss,
            select_loss=mean_nll(labels, logits),
            metric=measure(s.metric, labels, logits),
            learning_rate=s.learning_rate * share,
        )

    def _save_state(self) -> None:
        state = FitState(
            curves=self.curves,
            weights=self.classifier.state_dict(),
            average=None if self.average is None else self.average.state_dict(),
            optimiser=self.optimizers().optimizer.state_dict(),
        )
        save_state(self._directory, state)
