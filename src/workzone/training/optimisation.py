"""Learning rate, parameter groups and loss: small pure functions with their sources."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workzone.training.settings import Imbalance

MAX_POS_WEIGHT = 20.0
"""Beyond this a single positive would set the direction of a step."""


def cosine_rate(step: int, total_steps: int, warmup: float, final_rate: float) -> float:
    """Return the share of the peak learning rate at a step (SGDR, arXiv:1608.03983, one cycle).

    Rises linearly over the first `warmup * total_steps` steps, from one part to the peak, then falls along
    half a cosine to `final_rate` at the last step. A function of the step alone: nothing to save or resume.

    Args:
        step: From 0.
        total_steps: Of the whole training.
        warmup: Share of steps, [0, 1).
        final_rate: Share of the peak, [0, 1].
    """
    rising = round(warmup * total_steps)
    if step < rising:
        return (step + 1) / rising
    falling = max(1, total_steps - rising - 1)
    through = min(1.0, (step - rising) / falling)
    return final_rate + (1 - final_rate) * 0.5 * (1 + math.cos(math.pi * through))


def parameter_groups(classifier: nn.Module, rate: float, backbone_rate: float, decay: float) -> list[Any]:
    """Return AdamW's groups: weight decay on matrices only, a rate of its own for the backbone.

    Norms, biases, layer scales and tokens (fewer than two axes, or named as tokens) are not decayed: decay
    pulls a scale towards zero, where it switches its block off.
    """
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in classifier.named_parameters():
        if parameter.requires_grad:
            decayed = parameter.ndim >= 2 and "token" not in name and "embeddings.position" not in name
            groups.setdefault((name.startswith("head."), decayed), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": rate if is_head else rate * backbone_rate,
            "peak_lr": rate if is_head else rate * backbone_rate,
            "weight_decay": decay if decayed else 0.0,
        }
        for (is_head, decayed), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def positive_weight(labels: NDArray[np.int8], imbalance: Imbalance) -> float:
    """Return the weight of a positive in the loss: negatives / positives, or 1 where it is not asked for."""
    if imbalance is not Imbalance.POS_WEIGHT:
        return 1.0
    positives = int((labels == 1).sum())
    return _bounded((len(labels) - positives) / positives)


def drawn_positive_weight(positive_share: float, imbalance: Imbalance) -> float:
    """Return the same where positives are the share `positive_share` of what is drawn, in (0, 1)."""
    if imbalance is not Imbalance.POS_WEIGHT:
        return 1.0
    return _bounded((1.0 - positive_share) / positive_share)


def _bounded(weight: float) -> float:
    return float(np.clip(weight, 1 / MAX_POS_WEIGHT, MAX_POS_WEIGHT))


def road_work_loss(logits: Tensor, targets: Tensor, pos_weight: float, smoothing: float) -> Tensor:
    """Return the mean binary cross-entropy.

    Args:
        logits: float32 [B].
        targets: float32 [B], 0 or 1.
        pos_weight: Weight of positives; the mean is over pictures, not over weights.
        smoothing: ε; targets become y (1 - ε) + ε / 2.
    """
    smoothed = targets * (1 - smoothing) + smoothing / 2
    weight = torch.full((1,), pos_weight, device=logits.device)
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), smoothed, pos_weight=weight)
